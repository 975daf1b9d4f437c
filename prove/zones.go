package prove

import (
	"time"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Zones proves a network on which every node is by itself, as the management
// network is: each node holds its own zone, the label that no other ever has, and
// the checks are those of every fabric. view is the site with what is expected at
// that network in place of the frontend NICs (management.View), readings are by its
// leaves. The verdict of a node is that of its port [site.Frontend]; a leaf that is
// not among the readings is unknown.
func Zones(view *site.Site, at time.Time, readings map[site.Leaf][]fabric.Reading) *Prover {
	p := NewProver(view, fabric.NewTables(view.Ports()))
	for port := range site.Port(view.Ports()) {
		p.Hold(port, TurnoverHolder(port.Node()))
	}
	for leaf, list := range readings {
		p.Read(leaf, at, list)
	}
	return p
}

// ZonesTally counts the verdicts of a view's nodes, and lists those that are red.
func ZonesTally(p *Prover) (t Tally, red []site.Index) {
	for n := range site.Index(len(p.Facts().site.NodeID)) {
		v, _ := p.Verdict(site.PortOf(n, site.Frontend))
		if t.count(v, 1); v == Red {
			red = append(red, n)
		}
	}
	return t, red
}
