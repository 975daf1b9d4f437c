package smp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// maxBlocks is how many blocks of a table are read: 2,048 P_Keys, far above any
// device's. A table that is said to be larger is listed as missing.
const maxBlocks = 64

// HostPort is what a host's port said of itself.
type HostPort struct {
	NodeInfo mad.Data // read again, so that a swapped cable shows
	PortInfo mad.Data
	Keys     []mad.Data // P_KeyTable blocks
}

// EdgePort is an external switch port that leads to no other switch, with the
// host's port behind it, if one was found. The bytes are as they were read.
type EdgePort struct {
	Switch    End
	Route     Route    // to the switch
	PortInfo  mad.Data // of the switch port
	Keys      []mad.Data
	KeyCap    uint16 // P_Keys that the switch port's table holds
	Host      *HostPort
	HostEnd   End    // as the sweep found it
	HostGUID  uint64 // port GUID, as the sweep found it
	HostCap   uint16 // P_Keys that the host port's table holds, as the sweep found it
	HostRoute Route
	At        time.Time // when the last answer came in
	Missing   []Missing // what was asked in vain; what it would have filled is zero
}

// Complete reports whether everything was answered.
func (e *EdgePort) Complete() bool { return len(e.Missing) == 0 }

// PKeys decodes blocks and leaves out empty entries. Limit is how many entries
// the table has.
func PKeys(blocks []mad.Data, limit uint16) []mad.PKey {
	var keys []mad.PKey
	for i := range blocks {
		for j, k := range mad.ParsePKeyBlock(&blocks[i]) {
			if k.Valid() && i*mad.BlockKeys+j < int(limit) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Tables is a read-back of every edge port.
type Tables struct {
	Ports []EdgePort // in the order of Fabric.Nodes, then by port
	Began time.Time
	Ended time.Time
	Asked int // questions
}

// TableOptions says how to read.
type TableOptions struct {
	Keys  Keys
	Only  func(switchGUID uint64) bool // which switches to read; nil: all
	ByLID bool                         // by LID instead of by directed route: quicker on deep fabrics, and weaker evidence
}

// item is one question of a read-back.
type item struct {
	edge  int32
	what  what
	block uint16
}

type what uint8

const (
	hostNode what = iota
	hostPort
	hostKeys
	switchPort
	switchKeys
)

func (i item) String() string {
	switch i.what {
	case hostNode:
		return "NodeInfo of the host"
	case hostPort:
		return "PortInfo of the host's port"
	case hostKeys:
		return fmt.Sprintf("P_KeyTable block %d of the host's port", i.block)
	case switchPort:
		return "PortInfo of the switch port"
	}
	return fmt.Sprintf("P_KeyTable block %d of the switch port", i.block)
}

// Edges lists the edge ports of a fabric with nothing read yet: every external
// port of every switch but those that lead to another switch. Ports without a
// cable are among them, because one can be plugged in.
func (f *Fabric) Edges() []EdgePort {
	var edges []EdgePort
	for _, n := range f.Nodes {
		if !n.IsSwitch() {
			continue
		}
		limit := mad.ParseSwitchInfo(&n.SwitchInfo).PartitionEnforcementCap
		for _, p := range n.Ports {
			if p.Number == 0 {
				continue
			}
			e := EdgePort{Switch: End{n.GUID, p.Number}, Route: n.Route, KeyCap: limit}
			if behind := f.Node(p.Neighbour.Node); behind != nil {
				if behind.IsSwitch() {
					continue
				}
				port := behind.Port(p.Neighbour.Port)
				e.HostEnd, e.HostGUID, e.HostRoute = p.Neighbour, port.GUID, port.Route
				e.HostCap = behind.NodeInfo().PartitionCap
				e.Host = &HostPort{}
			}
			edges = append(edges, e)
		}
	}
	return edges
}

// ReadTables reads every edge port of a swept fabric. A port with a host gives
// its NodeInfo, PortInfo and P_KeyTable, and the switch port behind it PortInfo
// (enforcement, violations) and P_KeyTable; a port without gives the latter two.
// It costs one packet each, and one for every 32 entries of a table.
func (c *Client) ReadTables(ctx context.Context, f *Fabric, o TableOptions) (*Tables, error) {
	t := &Tables{Ports: f.Edges(), Began: time.Now()}
	if o.Only != nil {
		t.Ports = slices.DeleteFunc(t.Ports, func(e EdgePort) bool { return !o.Only(e.Switch.Node) })
	}
	items := t.items()
	lids := map[uint64]uint16{}
	if o.ByLID {
		lids = f.lids()
	}
	t.Asked = len(items)
	err := c.Batch(ctx, len(items),
		func(i int) Request { return t.request(items[i], o.Keys, lids) },
		func(i int, a Answer, err error) { t.note(items[i], a, err) })
	if err != nil {
		return nil, err
	}
	t.Ended = time.Now()
	return t, nil
}

// items lists the questions, and makes room for the answers.
func (t *Tables) items() []item {
	items := make([]item, 0, 7*len(t.Ports))
	for i := range t.Ports {
		e := &t.Ports[i]
		edge := int32(i)
		if e.Host != nil {
			items = append(items, item{edge, hostNode, 0}, item{edge, hostPort, 0})
			e.Host.Keys = make([]mad.Data, e.blocks(hostKeys, max(e.HostCap, 1)))
			for b := range e.Host.Keys {
				items = append(items, item{edge, hostKeys, uint16(b)})
			}
		}
		items = append(items, item{edge, switchPort, 0})
		e.Keys = make([]mad.Data, e.blocks(switchKeys, e.KeyCap))
		for b := range e.Keys {
			items = append(items, item{edge, switchKeys, uint16(b)})
		}
	}
	return items
}

// blocks is how many blocks to read of a table with so many entries.
func (e *EdgePort) blocks(w what, entries uint16) int {
	n := mad.Blocks(entries)
	if n > maxBlocks {
		e.miss(item{what: w, block: maxBlocks}, fmt.Errorf("the device says that its table has %d entries: only %d are read", entries, maxBlocks*mad.BlockKeys))
		return maxBlocks
	}
	return n
}

// lids maps node GUIDs of switches and port GUIDs of hosts to LIDs.
func (f *Fabric) lids() map[uint64]uint16 {
	lids := map[uint64]uint16{}
	for _, n := range f.Nodes {
		for _, p := range n.Ports {
			switch {
			case n.IsSwitch() && p.Number == 0:
				lids[n.GUID] = p.PortInfo().LID
			case !n.IsSwitch():
				lids[p.GUID] = p.PortInfo().LID
			}
		}
	}
	return lids
}

func (t *Tables) request(i item, keys Keys, lids map[uint64]uint16) Request {
	e := &t.Ports[i.edge]
	r := Request{To: Address{LID: lids[e.Switch.Node], Route: e.Route}, MKey: keys.of(e.Switch.Node)}
	if i.what == hostNode || i.what == hostPort || i.what == hostKeys {
		r.To, r.MKey = Address{LID: lids[e.HostGUID], Route: e.HostRoute}, keys.of(e.HostGUID)
	}
	switch i.what {
	case hostNode:
		r.Attribute = mad.AttrNodeInfo
	case hostPort:
		r.Attribute, r.Modifier = mad.AttrPortInfo, uint32(e.HostEnd.Port)
	case hostKeys:
		r.Attribute, r.Modifier = mad.AttrPKeyTable, mad.PKeyModifier(0, i.block)
	case switchPort:
		r.Attribute, r.Modifier = mad.AttrPortInfo, uint32(e.Switch.Port)
	case switchKeys:
		r.Attribute, r.Modifier = mad.AttrPKeyTable, mad.PKeyModifier(e.Switch.Port, i.block)
	}
	return r
}

func (e *EdgePort) miss(i item, err error) {
	route := e.Route
	if i.what == hostNode || i.what == hostPort || i.what == hostKeys {
		route = e.HostRoute
	}
	e.Missing = append(e.Missing, Missing{From: e.Switch, Route: route, What: i.String(), Err: err})
}

func (t *Tables) note(i item, a Answer, err error) {
	e := &t.Ports[i.edge]
	if err != nil {
		e.miss(i, err)
		return
	}
	e.At = a.At
	switch i.what {
	case hostNode:
		e.Host.NodeInfo = a.Data
	case hostPort:
		e.Host.PortInfo = a.Data
	case hostKeys:
		e.Host.Keys[i.block] = a.Data
	case switchPort:
		e.PortInfo = a.Data
	case switchKeys:
		e.Keys[i.block] = a.Data
	}
}
