// Package place says where a lease goes: an ask and the free nodes in, a slice and its
// placement certificate out.
//
// [Solve] is exact: no slice of that size touches fewer halls; of those that touch
// as few, none touches fewer pods, then SUs, then racks. With hermetic links that
// is so among the slices that need not share a link; [Occupancy] keeps which
// nodes and links are free while one ask after the other is solved, committed
// and released. [Check] verifies a slice without the solver. [Replace] finds nodes for failed
// ones, and [RankOrder] is the order in which ranks are numbered.
//
// The tree is fabric > hall > pod > SU > rack > node. A fabric is a hard
// border, and so is the GPU kind: a slice is of one class. Nodes that may be
// placed are those that the caller gives as free, without spares (they lie
// outside what is sold) and without retired nodes. Racks that are one NVLink
// domain each can be asked for whole.
//
// The package is pure and single-threaded: whoever wants several asks solved
// side by side does that outside.
package place

import (
	"fmt"
	"strings"

	"bulkhead/lease"
	"bulkhead/site"
)

// Ask is a number of nodes of one GPU kind on one fabric.
type Ask struct {
	Nodes  int         `json:"nodes"`
	Fabric string      `json:"fabric"`
	Kind   string      `json:"kind"`
	Links  lease.Links `json:"links"`

	// WholeRacks asks for racks that nobody else has a node of, and all of each:
	// racks that are one NVLink domain. With shared links only.
	WholeRacks bool `json:"whole_racks,omitempty"`

	// Segment asks for nodes in groups of so many, each in an NVLink domain of its own,
	// which may have more. 0: in no groups. With shared links only.
	Segment int `json:"segment,omitempty"`
}

func (a Ask) String() string {
	return fmt.Sprintf("%s of %s on fabric %s", count(a.Nodes, "node"), a.Kind, a.Fabric)
}

// Slice is the nodes of a lease in rank order, with the certificate of how good
// they are.
type Slice struct {
	Nodes       []site.Index
	Certificate Certificate
}

// NoFitError says that too few nodes are free for an ask. It names what is free
// in every class, so that it can be answered with another ask.
type NoFitError struct {
	Ask       Ask
	Have      int     // free nodes of the class that was asked
	Short     int     // Ask.Nodes - Have
	Elsewhere []Stock // free nodes of the other classes that have any
}

// Stock is how many free nodes a class has.
type Stock struct {
	site.Class
	Free int
}

func (e *NoFitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s do not fit: %d free, %d too few", e.Ask, e.Have, e.Short)
	for i, s := range e.Elsewhere {
		if i == 0 {
			b.WriteString("; free elsewhere: ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", s.Free, s.Class)
	}
	return b.String()
}

// check refuses what can't be asked of a site, and returns the fabric's number.
func (a Ask) check(s *site.Site) (fabric int, err error) {
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
func stock(s *site.Site, free *site.Set, but site.Class) []Stock {
	var rows []Stock
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
			rows = append(rows, Stock{Class: class})
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

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
