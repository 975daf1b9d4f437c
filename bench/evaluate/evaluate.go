// Package evaluate judges a slice by the site alone: it knows no scheduler, no
// certificate and no solver. Whatever chose the nodes, it counts the same.
package evaluate

import (
	"fmt"
	"slices"

	"bulkhead/bench/sites"
)

// Counts is how many domains of each level a slice touches. Fewer is better,
// halls first.
type Counts struct{ Halls, Pods, SUs, Racks int }

// Compare is negative when c is better than o: lexicographically, halls first.
func (c Counts) Compare(o Counts) int {
	return slices.Compare([]int{c.Halls, c.Pods, c.SUs, c.Racks}, []int{o.Halls, o.Pods, o.SUs, o.Racks})
}

func (c Counts) String() string {
	return fmt.Sprintf("%d/%d/%d/%d", c.Halls, c.Pods, c.SUs, c.Racks)
}

// Count counts the domains of a slice. It refuses a slice that is no answer to
// the ask: another number of nodes, one twice, one that is not there, one that
// is not free.
func Count(t *sites.Tree, o *sites.Occupancy, asked int, slice []int32) (Counts, error) {
	if len(slice) != asked {
		return Counts{}, fmt.Errorf("%d nodes, %d were asked", len(slice), asked)
	}
	seen := make([]bool, t.Nodes())
	for _, n := range slice {
		switch {
		case n < 0 || int(n) >= t.Nodes():
			return Counts{}, fmt.Errorf("node %d is not on the site", n)
		case seen[n]:
			return Counts{}, fmt.Errorf("node %d is there twice", n)
		case o.Holder[n] != sites.Free:
			return Counts{}, fmt.Errorf("node %d is not free", n)
		}
		seen[n] = true
	}
	return Counts{distinct(t.Hall, slice), distinct(t.Pod, slice), distinct(t.SU, slice), distinct(t.Rack, slice)}, nil
}

func distinct(domain, slice []int32) int { return len(inside(domain, slice)) }

// inside counts the nodes of a slice in each domain that has any.
func inside(domain, slice []int32) map[int32]int {
	in := map[int32]int{}
	for _, n := range slice {
		in[domain[n]]++
	}
	return in
}

// Bound is the fewest domains of each level that could hold asked free nodes,
// each level by itself: nothing can be better on any of them. All four together
// may be out of reach.
func Bound(t *sites.Tree, o *sites.Occupancy, asked int) Counts {
	var free []int32
	for n, h := range o.Holder {
		if h == sites.Free {
			free = append(free, int32(n))
		}
	}
	least := func(domain []int32) int {
		var sizes []int
		for _, n := range inside(domain, free) {
			sizes = append(sizes, n)
		}
		slices.SortFunc(sizes, func(a, b int) int { return b - a })
		sum := 0
		for i, n := range sizes {
			if sum += n; sum >= asked {
				return i + 1
			}
		}
		return len(sizes) + 1
	}
	return Counts{least(t.Hall), least(t.Pod), least(t.SU), least(t.Rack)}
}

// AllToAllNS is a lower bound, in nanoseconds, on an all-to-all in which every GPU
// of the slice sends Shape.MessageB bytes to every other: the bytes that must
// leave or enter a node, an SU or a pod, over what its uplinks carry on all rails,
// and the worst of them.
//
// It is what links allow, not a forecast, and it rewards spreading: a slice over
// more pods has more uplinks. Other tenants' traffic comes on top, where links
// are shared.
func AllToAllNS(t *sites.Tree, slice []int32) float64 {
	s := t.Shape
	link := float64(s.Rails * s.LinkGbps)
	worst := 0.0
	level := func(domain []int32, gbps float64) {
		for _, n := range inside(domain, slice) {
			pairs := float64(n*s.NodeGPUs) * float64((len(slice)-n)*s.NodeGPUs)
			worst = max(worst, pairs*float64(s.MessageB)*8/gbps)
		}
	}
	node := make([]int32, t.Nodes())
	for n := range node {
		node[n] = int32(n)
	}
	level(node, link)
	level(t.SU, link*float64(s.LeafUp))
	level(t.Pod, link*float64(s.LeafUp)*float64(s.PodSUs)/float64(s.PodTaper))
	return worst
}

// Exposure is how many links, over all rail planes, may carry packets of a slice
// and of another tenant too, when nothing assigns links to tenants: routing then
// spreads every tenant's packets over all uplinks of the domains it is in.
type Exposure struct {
	LeafUp  int // links between leaves and spines
	PodUp   int // links between spines and cores
	Tenants int // other tenants on the same links
}

// Links is how many links that is.
func (e Exposure) Links() int { return e.LeafUp + e.PodUp }

// Shared counts the links that a slice shares with the tenants of an occupancy.
// A tenant uses the uplinks of an SU (of a pod) when it has nodes inside and
// outside of it: what stays under a leaf never enters an uplink.
func Shared(t *sites.Tree, o *sites.Occupancy, slice []int32) Exposure {
	var e Exposure
	others := map[int32]bool{}
	level := func(domain []int32, uplinks int) int {
		own := inside(domain, slice)
		if len(own) < 2 {
			return 0
		}
		spans, within := tenantsOf(o, domain)
		links := 0
		for d, tenants := range within {
			if own[d] == 0 {
				continue
			}
			met := false
			for h := range tenants {
				if spans[h] == -1 {
					met, others[h] = true, true
				}
			}
			if met {
				links += uplinks
			}
		}
		return links
	}
	s := t.Shape
	e.LeafUp = level(t.SU, s.Rails*s.LeafUp)
	e.PodUp = level(t.Pod, s.Rails*s.LeafUp*s.PodSUs/s.PodTaper)
	e.Tenants = len(others)
	return e
}
