package ibfabric

import (
	"fmt"
	"slices"

	"bulkhead/fabric/infiniband/mad"
)

// Silence makes a node answer nothing, or again.
func (f *Fabric) Silence(name string, silent bool) error {
	return f.with(name, func(n *node) error { n.silent = silent; return nil })
}

// Lie puts words into the mouth of a node's agent: lie sees each request that the
// agent has carried out and changes the answer as it likes, or returns true to
// have none sent. What the node really does is not changed. nil: the truth again.
// It is called with the fabric held: it must not call it.
func (f *Fabric) Lie(name string, lie func(asked, answer *mad.SMP) (withhold bool)) error {
	return f.with(name, func(n *node) error { n.lie = lie; return nil })
}

// Pull takes the cable out of a port at both ends; the switches that notice send
// trap 128.
func (f *Fabric) Pull(name string, number int) error {
	return f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err != nil {
			return err
		}
		if p.peer == nil {
			return fmt.Errorf("port %d of %s has no cable", number, name)
		}
		other := p.peer
		p.peer, other.peer = nil, nil
		for _, q := range []*port{p, other} {
			q.info.State, q.info.PhysState = mad.PortDown, 2
			f.linkChanged(q)
		}
		return nil
	})
}

// Plug puts a cable between two ports that have none.
func (f *Fabric) Plug(a string, ap int, b string, bp int) error {
	return f.with(a, func(n *node) error {
		m := f.byName[b]
		if m == nil {
			return fmt.Errorf("no node %q", b)
		}
		p, err := n.at(ap)
		if err != nil {
			return err
		}
		q, err := m.at(bp)
		if err != nil {
			return err
		}
		if p.peer != nil || q.peer != nil {
			return fmt.Errorf("port %d of %s or port %d of %s has a cable", ap, a, bp, b)
		}
		p.peer, q.peer = q, p
		p.linkState()
		q.linkState()
		f.linkChanged(p)
		f.linkChanged(q)
		return nil
	})
}

func (f *Fabric) linkChanged(p *port) {
	if !p.node.isSwitch() {
		return
	}
	p.node.changed = true
	d := mad.LinkChange{LID: p.manages().info.LID}
	f.trap(p.node.ports[0], mad.TrapLinkStateChange, d.Encode())
}

// AddHost makes a host that was not there, without a cable.
func (f *Fabric) AddHost(name string, guid uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.add(name, guid, mad.ChannelAdapter, 1)
	return err
}

// AddSwitch makes a switch that was not there, without a cable.
func (f *Fabric) AddSwitch(name string, guid uint64, ports int) error {
	if ports < 1 || ports > 254 {
		return fmt.Errorf("ibfabric: switch %s of %d ports, expected 1 to 254", name, ports)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.add(name, guid, mad.Switch, ports)
	return err
}

// Spoof makes a host say that it is another: its port GUID, and the node GUID
// that goes with it.
func (f *Fabric) Spoof(name string, portGUID uint64) error {
	return f.with(name, func(n *node) error {
		n.guid, n.system = portGUID-1, portGUID-1
		for i, p := range n.ports {
			if p != nil {
				p.guid = n.guid + uint64(i)
			}
		}
		return nil
	})
}

// Tamper changes a P_Key table behind everybody's back, as software on a host
// whose firmware lets it, or a stolen M_Key, would.
func (f *Fabric) Tamper(name string, number int, change func(keys []mad.PKey)) error {
	return f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err != nil {
			return err
		}
		change(p.keys)
		return nil
	})
}

// Enforce sets whether a switch port enforces its table, behind everybody's back.
func (f *Fabric) Enforce(name string, number int, in, out bool) error {
	return f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err != nil {
			return err
		}
		p.info.EnforceIn, p.info.EnforceOut = in, out
		return nil
	})
}

// Route sets where a switch sends what is for a LID, behind everybody's back, and returns
// where it did; 0xff is nowhere.
func (f *Fabric) Route(name string, lid uint16, port byte) (was byte, err error) {
	err = f.with(name, func(n *node) error {
		if int(lid) >= len(n.linear) {
			return fmt.Errorf("%s has no entry for LID %d", name, lid)
		}
		was, n.linear[lid] = n.linear[lid], port
		return nil
	})
	return was, err
}

// Deactivate takes a link back to where it trains, with its cable in: subnet management
// passes, and nothing else, until the manager makes it active again.
func (f *Fabric) Deactivate(name string, number int) error {
	return f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err != nil {
			return err
		}
		p.info.State = mad.PortInit
		return nil
	})
}

// Narrow makes a port send packets of at most 256 B, behind everybody's back: greater ones
// it discards.
func (f *Fabric) Narrow(name string, number int) error {
	return f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err == nil {
			p.info.NeighborMTU = least
		}
		return err
	})
}

// Top sets the greatest LID that a switch sends on, behind everybody's back, and returns
// what it was.
func (f *Fabric) Top(name string, top uint16) (was uint16, err error) {
	err = f.with(name, func(n *node) error { was, n.top = n.top, top; return nil })
	return was, err
}

// Lose drops the requests to agents for which lose says yes; nil: none. It is
// called with the fabric held: it must not call it.
func (f *Fabric) Lose(lose func(s *mad.SMP) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = lose
}

// Traps lists the newest traps, and says how many there were in all.
func (f *Fabric) Traps() (newest []Trap, sent uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.traps), f.sent
}

// Keys is a port's P_Key table as it is, without the empty entries.
func (f *Fabric) Keys(name string, number int) (keys []mad.PKey, err error) {
	err = f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err != nil {
			return err
		}
		for _, k := range p.keys {
			if k.Valid() {
				keys = append(keys, k)
			}
		}
		return nil
	})
	return keys, err
}

// Port is a port's PortInfo as it is, M_Key included.
func (f *Fabric) Port(name string, number int) (info mad.PortInfo, err error) {
	err = f.with(name, func(n *node) error {
		p, err := n.at(number)
		if err == nil {
			info = p.info
		}
		return err
	})
	return info, err
}

func (f *Fabric) with(name string, do func(n *node) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.byName[name]
	if n == nil {
		return fmt.Errorf("no node %q", name)
	}
	return do(n)
}

func (n *node) at(number int) (*port, error) {
	if number < 0 || number >= len(n.ports) || n.ports[number] == nil {
		return nil, fmt.Errorf("%s has no port %d", n.name, number)
	}
	return n.ports[number], nil
}

// GUID is the GUID of a host's first port, or of a switch.
func (f *Fabric) GUID(name string) (guid uint64, err error) {
	err = f.with(name, func(n *node) error {
		if guid = n.guid; !n.isSwitch() {
			guid = n.ports[1].guid
		}
		return nil
	})
	return guid, err
}
