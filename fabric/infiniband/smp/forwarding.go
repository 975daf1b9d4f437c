package smp

import (
	"context"
	"fmt"

	"bulkhead/fabric/infiniband/mad"
)

// Forwarding is what the switches of a swept fabric said of where they send packets:
// blocks of their LinearForwardingTables (14.2.5.10), each read when the first flow
// comes by. It is for one sweep and one goroutine.
type Forwarding struct {
	client *Client
	fabric *Fabric
	keys   Keys
	tables map[*Node]*table
}

// table is what is known of one switch's.
type table struct {
	top    uint16   // the greatest LID that the switch sends on
	blocks []*block // by number; nil: not read
	passes []bool   // by port: its link is active, and as wide as its ends
}

type block struct {
	ports mad.Data
	err   error // it was not answered
}

// Forwarding begins to follow packets through a fabric that was swept.
func (c *Client) Forwarding(f *Fabric, keys Keys) *Forwarding {
	return &Forwarding{client: c, fabric: f, keys: keys, tables: map[*Node]*table{}}
}

// Flow is packets that are at a switch, for a LID that a host's port has.
type Flow struct {
	Switch uint64 // node GUID
	LID    uint16
	To     End // the host's port
}

// Outcome is what becomes of a flow.
type Outcome struct {
	Arrives bool
	At      End   // the switch that it gets no further than, with the port that it is sent to: 0 is none
	Err     error // nobody can say: a switch on the way did not answer
}

// maxHops is how many switches a packet may pass: more is a loop.
const maxHops = 64

// Follow says of each flow whether it arrives, from the tables of the switches on the
// way, and whether every link on it is active and takes packets as great as both its ends
// do (NeighborMTU), but for the last: what the host there takes is its own word. It costs a packet for each block that was
// not read yet: one for 64 LIDs that are neighbours, at each switch that flows pass.
func (f *Forwarding) Follow(ctx context.Context, flows []Flow) ([]Outcome, error) {
	out := make([]Outcome, len(flows))
	at := make([]*Node, len(flows))
	var open []int // flows that are on the way
	for i, flow := range flows {
		if at[i] = f.fabric.byGUID[flow.Switch]; at[i] == nil || !at[i].IsSwitch() {
			out[i] = Outcome{Err: fmt.Errorf("no switch 0x%016x was found", flow.Switch)}
			continue
		}
		open = append(open, i)
	}
	for hop := 0; len(open) > 0; hop++ {
		if err := f.read(ctx, flows, at, open); err != nil {
			return nil, err
		}
		on := open[:0]
		for _, i := range open {
			next := f.step(flows[i], at[i], &out[i])
			if next == nil {
				continue
			}
			if hop == maxHops {
				out[i] = Outcome{At: End{Node: at[i].GUID}}
				continue
			}
			at[i] = next
			on = append(on, i)
		}
		open = on
	}
	return out, nil
}

// read reads the blocks that flows need where they are, and that were not read yet.
func (f *Forwarding) read(ctx context.Context, flows []Flow, at []*Node, open []int) error {
	type question struct {
		of     *Node
		number int
		into   *block
	}
	var ask []question
	for _, i := range open {
		number, t := int(flows[i].LID/mad.LIDsABlock), f.of(at[i])
		if flows[i].LID > t.top {
			continue // whoever says that it has it: there may be no such block
		}
		if number >= len(t.blocks) {
			t.blocks = append(t.blocks, make([]*block, number+1-len(t.blocks))...)
		}
		if t.blocks[number] == nil {
			t.blocks[number] = &block{err: ErrNoAnswer}
			ask = append(ask, question{at[i], number, t.blocks[number]})
		}
	}
	return f.client.Batch(ctx, len(ask), func(i int) Request {
		q := ask[i]
		return Request{To: Address{Route: q.of.Route}, Attribute: mad.AttrLinearFDB, Modifier: uint32(q.number), MKey: f.keys.of(q.of.GUID)}
	}, func(i int, a Answer, err error) {
		*ask[i].into = block{a.Data, err}
	})
}

// of is a switch's table, as much as is known of it.
func (f *Forwarding) of(n *Node) *table {
	t := f.tables[n]
	if t == nil {
		t = &table{top: mad.ParseSwitchInfo(&n.SwitchInfo).LinearFDBTop}
		for _, p := range n.Ports { // a switch's port i is at i
			t.passes = append(t.passes, f.passes(p))
		}
		f.tables[n] = t
	}
	return t
}

// passes reports whether a port's link carries all that it could.
func (f *Forwarding) passes(p *Port) bool {
	info := p.PortInfo()
	if info.State != mad.PortActive {
		return false
	}
	behind := f.fabric.byGUID[p.Neighbour.Node]
	if behind == nil || !behind.IsSwitch() || int(p.Neighbour.Port) >= len(behind.Ports) || !behind.Ports[p.Neighbour.Port].Read {
		return true
	}
	other := behind.Ports[p.Neighbour.Port].PortInfo()
	return !info.Narrower(&other)
}

// step takes a flow from one switch to the next; nil: it ends, as out says.
func (f *Forwarding) step(flow Flow, n *Node, out *Outcome) *Node {
	t := f.tables[n]
	if flow.LID > t.top {
		*out = Outcome{At: End{Node: n.GUID}}
		return nil
	}
	b := t.blocks[flow.LID/mad.LIDsABlock]
	if b.err != nil {
		*out = Outcome{At: End{Node: n.GUID}, Err: fmt.Errorf("switch 0x%016x does not say where it sends LID %d: %w", n.GUID, flow.LID, b.err)}
		return nil
	}
	number := b.ports[flow.LID%mad.LIDsABlock]
	if number == mad.NoPort || number == 0 || int(number) >= len(n.Ports) {
		*out = Outcome{At: End{Node: n.GUID}}
		return nil
	}
	p := n.Ports[number]
	*out = Outcome{At: End{n.GUID, number}}
	switch {
	case !p.Read:
		out.Err = fmt.Errorf("switch 0x%016x does not say how its port %d is", n.GUID, number)
		return nil
	case !t.passes[number]:
		return nil
	case p.Neighbour == flow.To:
		*out = Outcome{Arrives: true}
		return nil
	}
	switch behind := f.fabric.byGUID[p.Neighbour.Node]; {
	case behind == nil:
		out.Err = fmt.Errorf("nobody answers behind port %d of switch 0x%016x", number, n.GUID)
	case f.tables[behind] != nil || behind.IsSwitch():
		return behind
	}
	return nil
}
