package smp

import (
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// End is one end of a cable. The zero value is none.
type End struct {
	Node uint64 // node GUID
	Port uint8
}

// Port is a port that a sweep found.
type Port struct {
	Number    uint8
	GUID      uint64   // port GUID; 0 for external ports of a switch
	Info      mad.Data // PortInfo as it was read; zero if !Read
	Read      bool     // PortInfo was answered
	Neighbour End      // what answered at the other end
	Route     Route    // to ask this port: of its node, for a host's port its own
	At        time.Time
}

// PortInfo decodes Info.
func (p *Port) PortInfo() mad.PortInfo { return mad.ParsePortInfo(&p.Info) }

// Up reports whether a cable with something alive is plugged in: the physical
// state is link up.
func (p *Port) Up() bool { return p.Read && p.PortInfo().PhysState == mad.PhysLinkUp }

// Node is a node that a sweep found.
type Node struct {
	GUID        uint64
	Info        mad.Data // NodeInfo as it was read first
	Description mad.NodeDescription
	SwitchInfo  mad.Data // of switches
	Route       Route    // by which it was found first
	Ports       []*Port  // ascending; of a host only those that were reached, of a switch from 0
	At          time.Time
}

// NodeInfo decodes Info.
func (n *Node) NodeInfo() mad.NodeInfo { return mad.ParseNodeInfo(&n.Info) }

// IsSwitch reports whether the node says that it is a switch.
func (n *Node) IsSwitch() bool { return n.NodeInfo().Type == mad.Switch }

// Port returns a port by number, or nil.
func (n *Node) Port(number uint8) *Port {
	for _, p := range n.Ports { // a switch's port i is at i
		if p.Number == number {
			return p
		}
	}
	return nil
}

// Missing is a question that got no usable answer.
type Missing struct {
	From  End    // cable that it went out by last; zero for the local node
	Route Route  // whom it was for
	What  string // what was asked: "NodeInfo", "PortInfo 3"
	Err   error
}

// Conflict is two things that cannot both be so: a GUID that is in two places,
// or a node that changed while it was looked at.
type Conflict struct {
	GUID  uint64
	Route Route
	What  string
}

// Manager is a subnet manager that answered.
type Manager struct {
	At   End // where
	LID  uint16
	Info mad.SMInfo
	Raw  mad.Data
}

// Fabric is what a sweep found.
type Fabric struct {
	Local     uint64  // node GUID of where the sweep began
	Nodes     []*Node // in the order in which they were found, the local node first
	Managers  []Manager
	Missing   []Missing
	Conflicts []Conflict
	Began     time.Time
	Ended     time.Time

	byGUID map[uint64]*Node
}

// Node returns a node by its GUID, or nil.
func (f *Fabric) Node(guid uint64) *Node { return f.byGUID[guid] }
