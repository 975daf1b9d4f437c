// Package bulkhead runs Bulkhead's placement as a library in this process.
//
// What is inside its figures: Search is solve.Among, which counts the free nodes,
// finds the optimum and writes the placement certificate; Whole adds check.Among,
// which verifies it.
package bulkhead

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/bench/sites"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// The one class of the benches' sites.
const (
	Fabric = "roce"
	Kind   = "H100"
)

// Bulkhead is a site and its free nodes.
type Bulkhead struct {
	Site *site.Site
	Free *site.Set
	Last place.Slice // what Place found last, with its certificate
}

// New builds the site from a template, as an owner would, without spares.
func New(t *sites.Tree) (*Bulkhead, error) {
	return WithSpares(t, 0)
}

// WithSpares is New with that many spares an SU.
func WithSpares(t *sites.Tree, spares int) (*Bulkhead, error) {
	template, err := site.ParseTemplate(t.Name+".yaml", []byte(Template(t, spares)))
	if err != nil {
		return nil, err
	}
	s, err := template.Build()
	if err != nil {
		return nil, err
	}
	if s.Nodes() != t.Nodes() {
		return nil, fmt.Errorf("site %s has %d nodes, expected %d", t.Name, s.Nodes(), t.Nodes())
	}
	for n := range t.Nodes() {
		i := site.Index(n)
		if s.HallOf(i) != int(t.Hall[n]) || s.PodOf(i) != int(t.Pod[n]) || s.SUOf(i) != int(t.SU[n]) || int(s.NodePos[i])/s.RackNodes != rackOf(t, n) {
			return nil, fmt.Errorf("site %s: node %d stands elsewhere than in the tree", t.Name, n)
		}
	}
	return &Bulkhead{Site: s, Free: site.RangeSet(0, site.Index(s.Nodes()))}, nil
}

// rackOf is the number of a node's rack inside its SU.
func rackOf(t *sites.Tree, n int) int {
	first := n
	for first > 0 && t.SU[first-1] == t.SU[n] {
		first--
	}
	return int(t.Rack[n] - t.Rack[first])
}

// Template writes the tree as a site file.
func Template(t *sites.Tree, spares int) string {
	var b strings.Builder
	s := t.Shape
	model := func(field string) { fmt.Fprintf(&b, "    %s: {model: bench, firmware: \"1\"}\n", field) }
	fmt.Fprintf(&b, "site: %s\norigin: simulated\nseed: bench\nshape: {su-nodes: %d, rack-nodes: %d, pod-sus: %d, spines: %d, cores: %d, frontend-spines: %d, leaf-ports: %d, link-gbps: %d, pod-taper: %d}\n",
		t.Name, s.SUNodes, s.RackNodes, s.PodSUs, s.LeafUp, s.CoresPlane, min(16, s.LeafUp), s.SUNodes+s.LeafUp, s.LinkGbps, s.PodTaper)
	fmt.Fprintf(&b, "kinds:\n  - id: %s\n    chassis: bench\n    drive: {model: bench, firmware: \"1\", count: 1}\n", Kind)
	for _, field := range []string{"gpu", "rail-nic", "frontend-nic", "dram", "tpm", "uefi", "bmc", "switch"} {
		model(field)
	}
	fmt.Fprintf(&b, "fabrics:\n  - {id: %s, family: roce}\n  - {id: frontend, family: roce, frontend: true}\nphases:\n  - {id: p1, in-service: 2026-01-01}\nhalls:\n", Fabric)
	for h, hall := range t.Halls {
		fmt.Fprintf(&b, "  - id: hall-%d\n    phase: p1\n    pods:\n", h)
		for p, pod := range hall {
			nodes := 0
			for _, su := range pod {
				nodes += su
			}
			fmt.Fprintf(&b, "      - {id: h%dp%d, fabric: %s, kind: %s, nodes: %d, sus: %d}\n", h, p, Fabric, Kind, nodes, len(pod))
		}
	}
	fmt.Fprintf(&b, "policy: {spares-per-su: %d}\n", spares)
	return b.String()
}

// Name is what it is called in the report.
func (b *Bulkhead) Name() string { return "Bulkhead" }

// Close has nothing to end.
func (b *Bulkhead) Close() error { return nil }

// Occupy makes exactly the nodes of an occupancy unavailable.
func (b *Bulkhead) Occupy(o *sites.Occupancy) error {
	b.Free = site.NewSet(b.Site.Nodes())
	for n, h := range o.Holder {
		if h == sites.Free {
			b.Free.Add(site.Index(n))
		}
	}
	return nil
}

// Place asks for shared links.
func (b *Bulkhead) Place(nodes int) (sites.Decision, error) { return b.place(nodes, lease.Shared) }

// PlaceHermetic asks for links that nobody else uses.
func (b *Bulkhead) PlaceHermetic(nodes int) (sites.Decision, error) {
	return b.place(nodes, lease.Hermetic)
}

func (b *Bulkhead) place(nodes int, links lease.Links) (sites.Decision, error) {
	begin := time.Now()
	slice, err := solve.Among(b.Site, b.Free, place.Ask{Nodes: nodes, Fabric: Fabric, Kind: Kind, Links: links})
	if err != nil {
		return sites.Decision{}, err
	}
	solved := time.Now()
	if err := check.Among(b.Site, b.Free, slice); err != nil {
		return sites.Decision{}, err
	}
	d := sites.Decision{Search: solved.Sub(begin), Whole: time.Since(begin)}
	for _, n := range slice.Nodes {
		d.Nodes = append(d.Nodes, int32(n))
	}
	b.Last = slice
	return d, nil
}
