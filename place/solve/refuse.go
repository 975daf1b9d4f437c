package solve

import (
	"fmt"
	"strings"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// fabricOf refuses what can't be asked of a site, and returns the fabric's number.
func fabricOf(a place.Ask, s *site.Site) (fabric int, err error) {
	switch {
	case a.Nodes < 1 || a.Nodes > site.MaxNodes:
		return 0, fmt.Errorf("ask: %d nodes, expected 1 to %d", a.Nodes, site.MaxNodes)
	case !a.Links.Valid():
		return 0, fmt.Errorf("ask: links %.20q, expected %q or %q", string(a.Links), lease.Shared, lease.Hermetic)
	case a.WholeRacks && a.Links == lease.Hermetic:
		return 0, fmt.Errorf("ask: whole racks with hermetic links are not offered: ask for shared links, or let racks be split")
	case a.Segment < 0 || a.Segment > 0 && (a.Segment > s.RackNodes || a.Nodes%a.Segment != 0):
		return 0, fmt.Errorf("ask: %d nodes in segments of %d: expected whole segments of 1 to %d nodes, which is what a rack has", a.Nodes, a.Segment, s.RackNodes)
	case a.Segment > 0 && (a.Links == lease.Hermetic || a.WholeRacks):
		return 0, fmt.Errorf("ask: segments with hermetic links, or of whole racks, are not offered: ask for shared links and for either")
	case a.Segment > 0 && !s.NVLinkRacks(a.Kind):
		return 0, fmt.Errorf("ask: segments of %.40q: each is in a rack that is one NVLink domain, and racks of this kind are none", a.Kind)
	}
	fabric, ok := s.FabricByID(a.Fabric)
	if !ok || s.Fabrics[fabric].Frontend {
		var ids []string
		for _, f := range s.Fabrics {
			if !f.Frontend {
				ids = append(ids, f.ID)
			}
		}
		return 0, fmt.Errorf("ask: fabric %.40q, expected a compute fabric of the site: %s", a.Fabric, strings.Join(ids, ", "))
	}
	var kinds []string
	for i := range s.SUs {
		kind := s.SUs[i].Kind
		if kind == a.Kind {
			return fabric, nil
		}
		if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
	}
	return 0, fmt.Errorf("ask: GPU kind %.40q, expected one that the site has: %s", a.Kind, strings.Join(unique(kinds), ", "))
}

// sellable reports whether n may be placed at all, free or not.
func sellable(s *site.Site, n site.Index) bool { return !s.IsSpare(n) && !s.IsRetired(n) }

// stock counts the free nodes of every class but one, in the order of SUs.
func stock(s *site.Site, free *site.Set, but site.Class) []place.Stock {
	var rows []place.Stock
	for i := range s.SUs {
		su := &s.SUs[i]
		class := site.Class{Fabric: s.Fabrics[s.Pods[su.Pod].Fabric].ID, Kind: su.Kind}
		if class == but {
			continue
		}
		nodes := 0
		for _, n := range su.Nodes {
			if free.Has(n) && sellable(s, n) {
				nodes++
			}
		}
		if nodes == 0 {
			continue
		}
		at := 0
		for at < len(rows) && rows[at].Class != class {
			at++
		}
		if at == len(rows) {
			rows = append(rows, place.Stock{Class: class})
		}
		rows[at].Free += nodes
	}
	return rows
}

func unique(words []string) []string {
	var out []string
	for _, w := range words {
		seen := false
		for _, o := range out {
			seen = seen || o == w
		}
		if !seen {
			out = append(out, w)
		}
	}
	return out
}
