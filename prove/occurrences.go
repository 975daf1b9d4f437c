package prove

import (
	"slices"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Occurrences returns at how many ports of a fabric (an index into Site.Fabrics)
// the last read-back shows a label value, at NIC or leaf. Ports that cannot be
// read now count with what they last carried; strays count too. A value is free
// for another owner only at 0, and only if every leaf has been read since.
func (p *Prover) Occurrences(fabricIndex int, value uint32) int {
	pg := p.page(fabricIndex, value)
	if pg == nil {
		return 0
	}
	return int(pg.occurrences[value&(pageSize-1)])
}

// Misplaced returns how many of the occurrences are at ports that the label's
// owner does not hold, or, of a shared label, at ports that are full members.
// Anything but 0 is a leak.
func (p *Prover) Misplaced(fabricIndex int, value uint32) int {
	pg := p.page(fabricIndex, value)
	if pg == nil {
		return 0
	}
	return int(pg.misplaced[value&(pageSize-1)])
}

func (p *Prover) page(fabricIndex int, value uint32) *page {
	if fabricIndex < 0 || fabricIndex >= len(p.facts.owners) || value > fabric.MaxValue {
		return nil
	}
	return p.facts.owners[fabricIndex].pages[value>>pageBits]
}

// misplaced reports whether a port may not carry a member.
func (f *Facts) misplaced(o *owners, port site.Port, m fabric.Member) bool {
	if o.isShared(m.Value()) {
		return m.IsFull()
	}
	owner := o.ownerOf(m.Value())
	return owner != f.holder[port] && !f.ownTurnover(port, owner)
}

// count brings the occurrences of a port's labels up to date with its tables.
func (p *Prover) count(port site.Port, f uint8, nic, leaf []fabric.Member) {
	o := &p.facts.owners[f]
	var now [2]uint32
	n := 0
	var more []uint32
	for _, side := range [2][]fabric.Member{leaf, nic} {
	members:
		for _, m := range side {
			value := m.Value()
			for i := range min(n, len(now)) {
				if now[i]&^misplacedBit == value {
					if p.facts.misplaced(o, port, m) {
						now[i] |= misplacedBit
					}
					continue members
				}
			}
			if value == 0 {
				continue
			}
			if i := slices.IndexFunc(more, func(v uint32) bool { return v&^misplacedBit == value }); i >= 0 {
				if p.facts.misplaced(o, port, m) { // as a full member now, as a limited one before
					more[i] |= misplacedBit
				}
				continue
			}
			if p.facts.misplaced(o, port, m) {
				value |= misplacedBit
			}
			if n < len(now) {
				now[n] = value
			} else {
				more = append(more, value)
			}
			n++
		}
	}
	was := p.counted[port]
	if was == now && len(more) == 0 && (len(p.spill) == 0 || p.spill[port] == nil) {
		return
	}
	for _, v := range was {
		o.tally(v, -1)
	}
	for _, v := range now {
		o.tally(v, +1)
	}
	p.counted[port] = now
	if len(p.spill) > 0 {
		for _, v := range p.spill[port] {
			o.tally(v, -1)
		}
		delete(p.spill, port)
	}
	if len(more) > 0 {
		for _, v := range more {
			o.tally(v, +1)
		}
		p.spill[port] = more
	}
}

// tally adds by to the occurrences of a counted value, 0 being none.
func (o *owners) tally(counted uint32, by int32) {
	value := counted &^ misplacedBit
	if value == 0 {
		return
	}
	pg, i := o.at(value)
	pg.occurrences[i] += by
	if counted != value {
		pg.misplaced[i] += by
	}
}

// setStrays replaces what is known of live ports that are not in the inventory.
func (p *Prover) setStrays(leaf site.Leaf, strays []fabric.Reading) {
	o := &p.facts.owners[p.facts.leaf[leaf]]
	for _, s := range p.strays[leaf] {
		for _, v := range s.values {
			o.tally(v, -1)
		}
		o.open -= bit(s.open)
	}
	delete(p.strays, leaf)
	for i := range strays {
		r := &strays[i]
		if r.Neighbour == 0 && len(r.NIC)+len(r.Leaf) == 0 {
			continue // nobody is there, and nobody was given anything
		}
		s := strayPort{open: !r.EnforceIn || !r.EnforceOut || r.Full}
		o.open += bit(s.open)
		for _, side := range [2][]fabric.Member{r.Leaf, r.NIC} {
			for _, m := range side {
				v := m.Value()
				if !o.isShared(v) || m.IsFull() {
					v |= misplacedBit
				}
				if m.Value() != 0 && !slices.Contains(s.values, v) {
					s.values = append(s.values, v)
					o.tally(v, +1)
				}
			}
		}
		p.strays[leaf] = append(p.strays[leaf], s)
	}
}
