package prove

import (
	"iter"

	"bulkhead/fabric"
	"bulkhead/site"
)

// What the tests compare: all ports at once, kept and judged again.

// OwnerOf returns who owns a label value, Nobody if nobody does. A node's
// turnover label belongs to that node while it changes hands.
func (f *Facts) OwnerOf(fabricIndex int, value uint32) uint32 {
	return f.owners[fabricIndex].ownerOf(value & fabric.MaxValue)
}

// Tally counts all ports, but for those that there are none of.
func (p *Prover) Tally() (t Tally) {
	for port, c := range p.reason {
		if p.facts.fabricOf(site.Port(port)) != noFabric {
			t.count(c.Verdict(), 1)
		}
	}
	return t
}

// Red returns the ports with a violation, ascending.
func (p *Prover) Red() iter.Seq[site.Port] { return p.all(Red) }

// Unknown returns the ports of which nothing is known, ascending.
func (p *Prover) Unknown() iter.Seq[site.Port] { return p.all(Unknown) }

// Cut returns the ports that are isolated but not connected, ascending.
func (p *Prover) Cut() iter.Seq[site.Port] { return p.all(Cut) }

func (p *Prover) all(v Verdict) iter.Seq[site.Port] {
	return func(yield func(site.Port) bool) {
		for port, c := range p.reason {
			if c.Verdict() == v && p.facts.fabricOf(site.Port(port)) != noFabric && !yield(site.Port(port)) {
				return
			}
		}
	}
}

// Add adds another shard's tally.
func (t *Tally) Add(o Tally) {
	t.Proven += o.Proven
	t.Cut += o.Cut
	t.Red += o.Red
	t.Unknown += o.Unknown
}

// CheckRange proves ports from to to-1 again from the tables and the facts, and
// changes nothing: shards may run at once.
func (p *Prover) CheckRange(from, to site.Port) Tally {
	var t Tally
	var v portView
	var counts [checks]int
	s := p.facts.site
	to = min(to, site.Port(len(p.reason)))
	for port := from; port < to; {
		n, nic := port.Node(), port.NIC()
		leaf := site.Leaf(s.NodeSU[n]*site.NICs) + site.Leaf(nic)
		for ; nic < site.NICs && port < to; nic, port, leaf = nic+1, port+1, leaf+1 {
			f := p.facts.leaf[leaf]
			if f == noFabric {
				continue
			}
			p.view(&v, port, leaf)
			c := p.facts.examine(&v, f).first(p.enabled)
			counts[c]++
		}
	}
	for c, n := range counts {
		t.count(Check(c).Verdict(), n)
	}
	return t
}
