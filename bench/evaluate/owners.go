package evaluate

import (
	"fmt"

	"bulkhead/bench/sites"
)

// Link is a cable of the compute fabric, by position: from the leaf of an SU, or
// from a spine of a pod, in a rail plane.
type Link struct {
	Up    bool  // a leaf's uplink; else a spine's
	At    int32 // SU, or pod
	Rail  int8
	Spine int16
	Core  int16 // of a spine's uplink
}

// Owners is who was promised which link. It believes nobody: two owners of a link
// are counted, not refused.
type Owners struct {
	of     map[Link][]int32
	Double int // how many times a link was promised that another tenant had
}

// NewOwners returns nobody.
func NewOwners() *Owners { return &Owners{of: map[Link][]int32{}} }

// Take promises links to a tenant.
func (o *Owners) Take(tenant int32, links []Link) {
	for _, l := range links {
		for _, other := range o.of[l] {
			if other != tenant {
				o.Double++
				break
			}
		}
		o.of[l] = append(o.of[l], tenant)
	}
}

// Return ends a tenant's promise of links.
func (o *Owners) Return(tenant int32, links []Link) {
	for _, l := range links {
		have := o.of[l]
		for i, other := range have {
			if other == tenant {
				have = append(have[:i], have[i+1:]...)
				break
			}
		}
		if len(have) == 0 {
			delete(o.of, l)
		} else {
			o.of[l] = have
		}
	}
}

// Taken is how many links somebody has.
func (o *Owners) Taken() int { return len(o.of) }

// Carries verifies that links are enough for any traffic of a slice among
// itself, as far as counting shows: in every SU from which it has to leave at
// least as many uplinks as nodes in each plane, or as many as are elsewhere if
// those are fewer; likewise from every pod.
func Carries(t *sites.Tree, slice []int32, links []Link) error {
	have := map[[3]int32]int{}
	for _, l := range links {
		up := int32(0)
		if l.Up {
			up = 1
		}
		have[[3]int32{up, l.At, int32(l.Rail)}]++
	}
	for up, domain := range [][]int32{t.Pod, t.SU} {
		in := inside(domain, slice)
		if len(in) < 2 {
			continue
		}
		for d, n := range in {
			need := min(n, len(slice)-n)
			if up == 0 {
				need = (need + t.Shape.PodTaper - 1) / t.Shape.PodTaper
			}
			for rail := range t.Shape.Rails {
				if got := have[[3]int32{int32(up), d, int32(rail)}]; got < need {
					return fmt.Errorf("%s %d, plane %d: %d links up for %d nodes that talk to %d outside", []string{"pod", "SU"}[up], d, rail, got, n, len(slice)-n)
				}
			}
		}
	}
	return nil
}

// tenantsOf says of each tenant which domain it is in, -1 for several, and of each domain
// which tenants are in it.
func tenantsOf(o *sites.Occupancy, domain []int32) (only map[int32]int32, in map[int32]map[int32]bool) {
	only, in = map[int32]int32{}, map[int32]map[int32]bool{}
	for n, h := range o.Holder {
		if h < 1 {
			continue
		}
		d := domain[n]
		if one, ok := only[h]; !ok {
			only[h] = d
		} else if one != d {
			only[h] = -1
		}
		if in[d] == nil {
			in[d] = map[int32]bool{}
		}
		in[d][h] = true
	}
	return only, in
}

// Exposed is how many links of the whole site may carry packets of two or more
// tenants when nothing assigns links, and how many links tenants are on at all.
func Exposed(t *sites.Tree, o *sites.Occupancy) (shared, used int) {
	level := func(domain []int32, uplinks int) {
		spans, tenants := tenantsOf(o, domain)
		for _, in := range tenants {
			leave := 0
			for h := range in {
				if spans[h] == -1 {
					leave++
				}
			}
			if leave > 0 {
				used += uplinks
			}
			if leave > 1 {
				shared += uplinks
			}
		}
	}
	s := t.Shape
	level(t.SU, s.Rails*s.LeafUp)
	level(t.Pod, s.Rails*s.LeafUp*s.PodSUs/s.PodTaper)
	return shared, used
}
