package place

import (
	"fmt"
	"slices"

	"bulkhead/claim"
	"bulkhead/site"
)

// LinkSet is the links that a hermetic slice holds: the link assignment of its
// placement certificate. Together with the slice's nodes it names every link. It
// is written by spine position and plane, not by link, so that it stays below a
// few kilobytes for any slice.
//
// A slice inside one SU holds no link above its leaves: its traffic turns there.
type LinkSet struct {
	// Whole: every SU but RestSU is the slice's own with all its nodes, spares
	// and dead ones included, and with all its uplinks in Spines.
	Whole bool `json:"whole,omitempty"`
	// RestSU is the id of the one SU that has fewer nodes, and fewer uplinks
	// ("" = none); RestPod of the one pod that has fewer leaves.
	RestSU  string `json:"rest_su,omitempty"`
	RestPod string `json:"rest_pod,omitempty"`
	// Flows is how many flows a core link carries at most, for any permutation:
	// 1, or the site's taper above the pods. A leaf's uplink carries one.
	Flows  int          `json:"flows,omitempty"`
	Planes []PlaneLinks `json:"planes,omitempty"`
	// Occupancy is the digest of the links and nodes that were held or failed.
	Occupancy claim.Digest `json:"occupancy"`
}

// PlaneLinks is the assignment in rail planes that have the same.
type PlaneLinks struct {
	Rails  Mask `json:"rails"`  // rail planes, 0 to 7
	Spines Mask `json:"spines"` // positions of the spines that every leaf's held uplinks lead to
	// Rest is the same of RestSU's leaf: a subset of Spines.
	Rest  Mask      `json:"rest,omitempty"`
	Cores []CoreSet `json:"cores,omitempty"` // none in a slice of one pod
	Tree  Tree      `json:"tree"`
}

// CoreSet is the core links of spines in these positions, in every pod of the
// slice.
type CoreSet struct {
	Spines Mask `json:"spines"`
	Cores  Mask `json:"cores"`          // core positions that each spine's held links lead to
	Rest   Mask `json:"rest,omitempty"` // the same in RestPod: a subset of Cores
}

// Tree is the root of the slice's in-network reduction tree of a plane: every
// leaf is below the spine in that position, every such spine below that core
// (-1: the slice has one pod, and the spine is the root). Its links are links of
// the slice, so trees of two hermetic slices share none.
type Tree struct {
	Spine int `json:"spine"`
	Core  int `json:"core"`
}

type linkKind int

const (
	uplink   linkKind = iota // at = SU number * Rails + rail
	coreLink                 // at = (pod * Rails + rail) * Spines + spine
)

// leafUse is an SU of a slice.
type leafUse struct{ su, pod, nodes int }

// leavesOf counts the nodes of a slice by SU. The nodes must be of the site.
func leavesOf(s *site.Site, nodes []site.Index) []leafUse {
	var out []leafUse
	at := map[int]int{}
	for _, n := range nodes {
		su := s.SUOf(n)
		i, ok := at[su]
		if !ok {
			i = len(out)
			at[su] = i
			out = append(out, leafUse{su: su, pod: s.SUs[su].Pod})
		}
		out[i].nodes++
	}
	return out
}

func podsOf(leaves []leafUse) []int {
	var out []int
	for _, l := range leaves {
		if !slices.Contains(out, l.pod) {
			out = append(out, l.pod)
		}
	}
	return out
}

// each visits the links that the slice of these nodes holds.
func (l *LinkSet) each(s *site.Site, nodes []site.Index, visit func(kind linkKind, at int, m Mask) error) error {
	if l == nil || len(l.Planes) == 0 {
		return nil
	}
	leaves := leavesOf(s, nodes)
	pods := podsOf(leaves)
	for _, plane := range l.Planes {
		for rail := range plane.Rails.all {
			if rail >= site.Rails {
				return fmt.Errorf("links: rail %d, expected 0 to %d", rail, site.Rails-1)
			}
			for _, leaf := range leaves {
				m := plane.Spines
				if s.SUs[leaf.su].ID == l.RestSU {
					m = plane.Rest
				}
				if err := visit(uplink, leaf.su*site.Rails+rail, m); err != nil {
					return err
				}
			}
			for _, set := range plane.Cores {
				for spine := range set.Spines.all {
					if spine >= s.Shape.Spines {
						return fmt.Errorf("links: spine position %d, expected below %d", spine, s.Shape.Spines)
					}
					for _, pod := range pods {
						m := set.Cores
						if s.Pods[pod].ID == l.RestPod {
							m = set.Rest
						}
						if err := visit(coreLink, (pod*site.Rails+rail)*s.Shape.Spines+spine, m); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return nil
}

// wholeSUs lists the SUs that a slice has whole.
func (l *LinkSet) wholeSUs(s *site.Site, nodes []site.Index) []int {
	if l == nil || !l.Whole {
		return nil
	}
	var out []int
	for _, leaf := range leavesOf(s, nodes) {
		if s.SUs[leaf.su].ID != l.RestSU {
			out = append(out, leaf.su)
		}
	}
	return out
}

// Territory returns every node that the slice keeps others out of: its slots,
// and all nodes of its whole SUs. What is no slot of these is the slice's own
// reserve: a replacement from it changes no link. The set is the caller's.
func (sl Slice) Territory(s *site.Site) (*site.Set, error) {
	out := site.NewSet(s.Nodes())
	for _, n := range sl.Nodes {
		if int(n) >= s.Nodes() {
			return nil, fmt.Errorf("slice: node %d, expected below %d", n, s.Nodes())
		}
		out.Add(n)
	}
	for _, su := range sl.Certificate.Links.wholeSUs(s, sl.Nodes) {
		for _, n := range s.SUs[su].Nodes {
			out.Add(n)
		}
	}
	return out, nil
}
