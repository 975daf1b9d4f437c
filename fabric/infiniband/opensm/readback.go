package opensm

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
)

// SMPReader reads with subnet management packets.
type SMPReader struct {
	Client *smp.Client
	Keys   smp.Keys
	// Edge is what the inventory knows. Ports where it has no node are captured only
	// if somebody is there, and adapters are counted. nil: all ports are captured, and
	// nobody is a stranger.
	Edge *Edge
	// Owner are port GUIDs of the owner's own hosts. The reader's is always one.
	Owner []uint64
	// Resweep is how old a sweep may be when tables are read again; the identity
	// behind each port is asked anew all the same. 0: always sweep.
	Resweep time.Duration
	// Rerouting is how long packets may not arrive before that counts, because a manager is
	// leading them around what has changed. 0: 10 s.
	Rerouting time.Duration
	// Alarm makes a sweep too old that began before the last notice; nil: nothing does.
	Alarm Alarm

	mu      sync.Mutex
	swept   *smp.Fabric
	notices uint64 // notices, when it began

	reaching   sync.Mutex
	reach      reach
	forwarding *smp.Forwarding
	through    *smp.Fabric // that it is of
}

func (r *SMPReader) sweep(ctx context.Context) (*smp.Fabric, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	notices := uint64(0)
	if r.Alarm != nil {
		notices = r.Alarm.Count()
	}
	if r.swept != nil && time.Since(r.swept.Began) < r.Resweep && notices == r.notices {
		return r.swept, nil
	}
	f, err := r.Client.Sweep(ctx, r.Keys)
	if err == nil {
		r.swept, r.notices = f, notices
	}
	return f, err
}

// Read implements Reader.
func (r *SMPReader) Read(ctx context.Context, leaves []uint64) ([]Capture, error) {
	f, err := r.sweep(ctx)
	if err != nil {
		return nil, err
	}
	asked := make(map[uint64]bool, len(leaves))
	for _, guid := range leaves {
		asked[guid] = true
	}
	tables, err := r.Client.ReadTables(ctx, f, smp.TableOptions{Keys: r.Keys, Only: func(guid uint64) bool { return asked[guid] }})
	if err != nil {
		return nil, err
	}
	byLeaf := make(map[uint64][]*smp.EdgePort, len(leaves))
	for i := range tables.Ports {
		e := &tables.Ports[i]
		byLeaf[e.Switch.Node] = append(byLeaf[e.Switch.Node], e)
	}
	conflicts := map[uint64]string{}
	for _, c := range f.Conflicts {
		conflicts[c.GUID] = c.What
	}
	hidden := r.hiddenBehind(f)
	out := make([]Capture, len(leaves))
	for i, guid := range leaves {
		out[i] = Capture{Leaf: guid, At: tables.Ended}
		node := f.Node(guid)
		switch {
		case node == nil || !node.IsSwitch():
			out[i].Reason = "no switch of that GUID was found"
		case conflicts[guid] != "":
			out[i].Reason = conflicts[guid]
		default:
			r.capture(&out[i], node, byLeaf[guid])
			if s := hidden[guid]; s != "" {
				out[i].Raw, out[i].Reason = nil, s
			}
		}
	}
	if err := r.followed(ctx, f, out, byLeaf); err != nil {
		return nil, err
	}
	return out, nil
}

// strangers counts who is there.
func (r *SMPReader) strangers(f *smp.Fabric) []Stranger {
	if r.Edge == nil {
		return nil
	}
	local := f.Node(f.Local)
	return r.Edge.Census(f, func(guid uint64) bool {
		return slices.Contains(r.Owner, guid) || local != nil && slices.ContainsFunc(local.Ports, func(p *smp.Port) bool { return p.GUID == guid })
	})
}

// hiddenBehind finds the leaves that a switch is cabled to which strangers hang on:
// no leaf of the inventory keeps them to a partition, and the leaf's port to that
// switch is none at the edge, so nothing is enforced there.
func (r *SMPReader) hiddenBehind(f *smp.Fabric) map[uint64]string {
	hidden := map[uint64]string{}
	for _, s := range r.strangers(f) {
		n := f.Node(s.Switch)
		if n == nil || r.Edge.names[s.Switch] != "" {
			continue // at a leaf the port itself is uncounted
		}
		for _, p := range n.Ports {
			if r.Edge.names[p.Neighbour.Node] != "" {
				hidden[p.Neighbour.Node] = "behind a switch that is cabled to it: " + s.String()
			}
		}
	}
	return hidden
}

const (
	nodeInfoBytes   = 40
	switchInfoBytes = 20
)

// capture frames what a leaf and the HCAs behind it said, as it was said.
func (r *SMPReader) capture(c *Capture, node *smp.Node, edges []*smp.EdgePort) {
	c.LeafTable = int(mad.ParseSwitchInfo(&node.SwitchInfo).PartitionEnforcementCap)
	b := append([]byte("IBSMP/1\n"), node.Info[:nodeInfoBytes]...)
	b = append(b, node.SwitchInfo[:switchInfoBytes]...)
	count := len(b)
	b = append(b, 0)
	for _, e := range edges {
		if r.Edge != nil && !r.Edge.Listed(node.GUID, e.Switch.Port) && e.Host == nil {
			continue
		}
		hostSilent := false
		for _, m := range e.Missing {
			if e.Host != nil && m.Route == e.HostRoute {
				hostSilent = true
				continue
			}
			c.Reason = fmt.Sprintf("port %d: %s: %v", e.Switch.Port, m.What, m.Err)
			return
		}
		b[count]++
		b = append(b, e.Switch.Port)
		b = append(b, e.PortInfo[:]...)
		b = appendBlocks(b, e.Keys)
		if e.Host == nil || hostSilent || binary.BigEndian.Uint64(e.Host.NodeInfo[20:]) == 0 {
			// Nobody there, or half an answer: then nobody is known to be there.
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = append(b, e.Host.NodeInfo[:nodeInfoBytes]...)
		b = appendBlocks(b, e.Host.Keys)
		if limit := int(mad.ParseNodeInfo(&e.Host.NodeInfo).PartitionCap); c.NICTable == 0 || limit < c.NICTable {
			c.NICTable = limit
		}
	}
	c.Raw = b
}

func appendBlocks(b []byte, blocks []mad.Data) []byte {
	for i := range blocks {
		b = append(b, blocks[i][:]...)
	}
	return b
}

// Guard implements Reader.
func (r *SMPReader) Guard(ctx context.Context) (Guard, error) {
	f, err := r.Client.Sweep(ctx, r.Keys)
	if err != nil {
		return Guard{}, err
	}
	g := Guard{At: f.Ended, Strangers: r.strangers(f), Counted: r.Edge != nil}
	for _, m := range f.Managers {
		g.Managers = append(g.Managers, SM{PortGUID: m.Info.GUID, Priority: m.Info.Priority, Master: m.Info.State == mad.SMMaster,
			State: m.Info.State.String(), SMKey: m.Info.SMKey})
	}
	if g.Silent, g.KeptIn, err = r.silence(ctx, f); err != nil {
		return Guard{}, err
	}
	for _, n := range f.Nodes {
		for _, p := range n.Ports {
			if n.IsSwitch() && p.Number != 0 {
				continue // a switch guards all its ports with port 0's key
			}
			guid := p.GUID
			if n.IsSwitch() {
				guid = n.GUID
			}
			if !p.Read {
				continue // among what is silent
			}
			info := p.PortInfo()
			g.Ports = append(g.Ports, PortGuard{GUID: guid, Switch: n.IsSwitch(), MKey: info.MKey != 0,
				Level: int(info.MKeyProtect), Lease: int(info.MKeyLeasePeriod)})
		}
	}
	return g, nil
}
