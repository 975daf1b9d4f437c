package prove_test

import (
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/prove"
	"bulkhead/site"
)

// TestZones: a BMC is proven where managers reach it and nobody else does; what is not
// understood, not read, or said otherwise by a second gateway is never proven.
func TestZones(t *testing.T) {
	s := fabrictest.NewSite(1, 3, site.InfiniBand)
	s.Fabrics[0].Family = site.InfiniBand // the frontend: a management network is Ethernet all the same
	for n := range s.NodeID {
		s.BMC = append(s.BMC, 0x02bb00000001+uint64(n))
	}
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	good := func() *fabric.Zones {
		z := &fabric.Zones{At: at}
		for n, id := range s.NodeID {
			z.Nodes = append(z.Nodes, fabric.Zone{Node: id, Filtered: true, Joined: []string{id}, Neighbour: s.BMC[n]})
		}
		return z
	}
	for _, c := range []struct {
		name    string
		spoil   func(first, second *fabric.Zones) (reads []*fabric.Zones)
		verdict prove.Verdict // of node 1
		check   prove.Check
	}{
		{"as it is", func(a, _ *fabric.Zones) []*fabric.Zones { return []*fabric.Zones{a} }, prove.Proven, prove.Passed},
		{"two gateways that agree", func(a, b *fabric.Zones) []*fabric.Zones { return []*fabric.Zones{a, b} }, prove.Proven, prove.Passed},
		{"nobody read", func(_, _ *fabric.Zones) []*fabric.Zones { return nil }, prove.Unknown, prove.Unreadable},
		{"left out", func(a, _ *fabric.Zones) []*fabric.Zones {
			a.Nodes = append(a.Nodes[:1], a.Nodes[2:]...)
			return []*fabric.Zones{a}
		}, prove.Unknown, prove.Unreadable},
		{"not filtered", func(a, _ *fabric.Zones) []*fabric.Zones {
			a.Nodes[1].Filtered = false
			return []*fabric.Zones{a}
		}, prove.Red, prove.EnforcementOff},
		{"another's zone", func(a, _ *fabric.Zones) []*fabric.Zones {
			a.Nodes[1].Joined = append(a.Nodes[1].Joined, a.Nodes[2].Node)
			return []*fabric.Zones{a}
		}, prove.Red, prove.ForeignLabel},
		{"the zone of nobody who is known", func(a, _ *fabric.Zones) []*fabric.Zones {
			a.Nodes[1].Joined = append(a.Nodes[1].Joined, "su99-n99")
			return []*fabric.Zones{a}
		}, prove.Red, prove.StrayPath},
		{"no manager", func(a, _ *fabric.Zones) []*fabric.Zones {
			a.Nodes[1].Joined = nil
			return []*fabric.Zones{a}
		}, prove.Cut, prove.Unlabelled},
		{"another machine", func(a, _ *fabric.Zones) []*fabric.Zones {
			a.Nodes[1].Neighbour++
			return []*fabric.Zones{a}
		}, prove.Red, prove.WrongNeighbour},
		{"a second gateway that lets more pass", func(a, b *fabric.Zones) []*fabric.Zones {
			b.Nodes[1].Joined = append(b.Nodes[1].Joined, b.Nodes[0].Node)
			return []*fabric.Zones{a, b}
		}, prove.Red, prove.ForeignLabel},
		{"a second gateway that sees another", func(a, b *fabric.Zones) []*fabric.Zones {
			b.Nodes[1].Neighbour++
			return []*fabric.Zones{b, a}
		}, prove.Red, prove.WrongNeighbour},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := prove.Zones(s, c.spoil(good(), good())...)
			if v, check := p.Verdict(site.PortOf(1, site.Frontend)); v != c.verdict || check != c.check {
				t.Errorf("%s by %s, expected %s by %s", v, check, c.verdict, c.check)
			}
			p.Expire(at.Add(time.Minute))
			if v, _ := p.Verdict(site.PortOf(1, site.Frontend)); v == prove.Proven {
				t.Error("proven by what was read before the window")
			}
		})
	}
	// Reading of the third of these nodes is older: its leaf's read-back counts from then.
	late := good()
	late.At = at.Add(time.Hour)
	late.Nodes = late.Nodes[:2]
	old := good()
	old.Nodes = old.Nodes[2:]
	p := prove.Zones(s, late, old)
	if read, _ := p.LastRead(s.LeafOf(site.PortOf(0, site.Frontend))); !read.Equal(at) {
		t.Errorf("read at %s, expected that of the oldest", read)
	}
}
