package place

import (
	"bytes"
	"encoding/json"
	"fmt"

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
	// Pods are the SUs of the slice by pod, in rank order, with their nodes: what
	// makes the link assignment readable without the site.
	Pods []PodLeaves `json:"pods,omitempty"`
	// Occupancy is the digest of the links and nodes that were held or failed.
	Occupancy claim.Digest `json:"occupancy"`
}

// PodLeaves is the SUs of a slice in one pod, with the slice's nodes in each.
type PodLeaves struct {
	Pod   string   `json:"pod"`
	SUs   []string `json:"sus"`
	Nodes []int    `json:"nodes"`
}

// PlaneLinks is the assignment in rail planes that have the same.
type PlaneLinks struct {
	Rails  Mask `json:"rails"`  // rail planes, from 0: one a GPU of a node
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
// the slice, so trees of two hermetic slices share none. Of several roots it is
// the one in the lowest position.
type Tree struct {
	Spine int `json:"spine"`
	Core  int `json:"core"`
}

type linkKind int

const (
	uplink   linkKind = iota // at = SU number * Rails + rail
	coreLink                 // at = (pod * Rails + rail) * Spines + spine
)

// numbers finds the SUs and pods of the link set in a site.
func (l *LinkSet) numbers(s *site.Site) (sus, pods map[string]int, err error) {
	sus, pods = map[string]int{}, map[string]int{}
	for _, p := range l.Pods {
		pods[p.Pod] = -1
		for _, su := range p.SUs {
			sus[su] = -1
		}
	}
	for i := range s.SUs {
		if _, ok := sus[s.SUs[i].ID]; ok {
			sus[s.SUs[i].ID] = i
			pods[s.Pods[s.SUs[i].Pod].ID] = s.SUs[i].Pod
		}
	}
	for id, n := range sus {
		if n < 0 {
			return nil, nil, fmt.Errorf("links: SU %.60q, expected one of the site", id)
		}
	}
	for id, n := range pods {
		if n < 0 {
			return nil, nil, fmt.Errorf("links: pod %.60q, expected the pod of the slice's SUs", id)
		}
	}
	return sus, pods, nil
}

// each visits the links that the slice holds.
func (l *LinkSet) each(s *site.Site, visit func(kind linkKind, at int, m Mask) error) error {
	if l == nil || len(l.Planes) == 0 {
		return nil
	}
	sus, pods, err := l.numbers(s)
	if err != nil {
		return err
	}
	for _, plane := range l.Planes {
		for rail := range plane.Rails.All {
			for id, su := range sus {
				if rails := s.SUs[su].Rails(); rail >= rails {
					return fmt.Errorf("links: rail %d, expected 0 to %d", rail, rails-1)
				}
				m := plane.Spines
				if id == l.RestSU {
					m = plane.Rest
				}
				if err := visit(uplink, su*site.Rails+rail, m); err != nil {
					return err
				}
			}
			for _, set := range plane.Cores {
				for spine := range set.Spines.All {
					if spine >= s.Shape.Spines {
						return fmt.Errorf("links: spine position %d, expected below %d", spine, s.Shape.Spines)
					}
					for id, pod := range pods {
						m := set.Cores
						if id == l.RestPod {
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

// WholeSUs lists the ids of the SUs that the slice has whole: all its SUs but
// the smaller one, where it is larger than an SU.
func (l *LinkSet) WholeSUs() []string {
	if l == nil || !l.Whole {
		return nil
	}
	var out []string
	for _, p := range l.Pods {
		for _, su := range p.SUs {
			if su != l.RestSU {
				out = append(out, su)
			}
		}
	}
	return out
}

// Uplinks is the fewest uplinks that each leaf but the smaller one holds, over all
// planes; 0 where no link is held.
func (l *LinkSet) Uplinks() int {
	if l == nil || len(l.Planes) == 0 {
		return 0
	}
	n := MaskBits
	for i := range l.Planes {
		n = min(n, l.Planes[i].Spines.Count())
	}
	return n
}

// wholeNumbers are the numbers of WholeSUs in a site.
func (l *LinkSet) wholeNumbers(s *site.Site) ([]int, error) {
	if l == nil || !l.Whole {
		return nil, nil
	}
	sus, _, err := l.numbers(s)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, id := range l.WholeSUs() {
		out = append(out, sus[id])
	}
	return out, nil
}

// Territory returns every node that a slice of these nodes and links keeps others
// out of: its slots, and all nodes of its whole SUs. What is no slot of these is
// the slice's own reserve: a replacement from it changes no link. Nil links are
// none. The set is the caller's.
func Territory(s *site.Site, nodes []site.Index, links *LinkSet) (*site.Set, error) {
	out := site.NewSet(s.Nodes())
	for _, n := range nodes {
		if int(n) >= s.Nodes() {
			return nil, fmt.Errorf("slice: node %d, expected below %d", n, s.Nodes())
		}
		out.Add(n)
	}
	whole, err := links.wholeNumbers(s)
	for _, su := range whole {
		for _, n := range s.SUs[su].Nodes {
			out.Add(n)
		}
	}
	return out, err
}

// CutOff returns every node of the SUs of which a slice of these links holds the
// last uplink: nobody with shared links may have one of them, for as long as the
// slice is there. Nil links cut off nothing. The set is the caller's.
func CutOff(s *site.Site, links *LinkSet) (*site.Set, error) {
	out := site.NewSet(s.Nodes())
	err := links.each(s, func(kind linkKind, at int, m Mask) error {
		if kind == uplink && m.Has(s.Shape.Spines-1) {
			for _, n := range s.SUs[at/site.Rails].Nodes {
				out.Add(n)
			}
		}
		return nil
	})
	return out, err
}

// Encode returns the canonical JSON of the link set, without what it says of
// other slices.
func (l *LinkSet) Encode() []byte {
	own := *l
	own.Occupancy = claim.Digest{}
	data, err := json.Marshal(own)
	if err != nil {
		panic(err) // plain numbers and strings always encode
	}
	return data
}

// DecodeLinks reads what Encode wrote, and nothing else; nothing is nil.
func DecodeLinks(data []byte) (*LinkSet, error) {
	if len(data) == 0 {
		return nil, nil
	}
	l := &LinkSet{}
	// Lenient JSON: the canonical form is compared byte for byte below, which is stricter.
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	if !bytes.Equal(l.Encode(), data) {
		return nil, fmt.Errorf("links: not in canonical form")
	}
	return l, nil
}
