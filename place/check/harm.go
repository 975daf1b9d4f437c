package check

import (
	"fmt"

	"bulkhead/place"
	"bulkhead/site"
)

// harm counts the harm of a slice again, and looks whether a simple change would do
// less at no more cost: another rack of the same SU, another SU of the same pod, or,
// where the slice is in one SU, any other. Segments it counts only, and of a hermetic
// slice of several SUs it asks for no other SU: which of them go together is a question
// of links. A certificate that states no harm claims nothing of it.
func (c *census) harm(s *site.Site, o *place.Occupancy, sl *place.Slice) error {
	stated := sl.Certificate.Harm
	if err := c.harmBound(s, o, &sl.Certificate); err != nil {
		return err
	}
	if stated == nil {
		return nil
	}
	racks, sus := make([]int, len(c.racks)), make([]int, len(c.sus))
	pods, halls := make([]int, len(c.pods)), make([]int, len(c.halls))
	for _, n := range sl.Nodes {
		racks[s.RackOf(n)]++
		sus[s.SUOf(n)]++
		pods[s.PodOf(n)]++
		halls[s.HallOf(n)]++
	}
	broken := func(touched, free, all []int) (n int) {
		for i := range touched {
			if touched[i] > 0 && free[i] == all[i] {
				n++
			}
		}
		return n
	}
	is := place.Harm{Halls: broken(halls, c.halls, c.emptyHalls), Pods: broken(pods, c.pods, c.emptyPods),
		SUs: broken(sus, c.sus, c.emptySUs), Racks: broken(racks, c.racks, c.emptyRacks)}
	if is != *stated {
		return fmt.Errorf("placement certificate: harm %s, expected %s (whole halls/pods/SUs/racks before that are touched)", stated, is)
	}
	if sl.Certificate.Ask.Segment > 0 {
		return nil
	}
	per := s.Shape.RacksPerSU()
	for rack, nodes := range racks {
		if nodes == 0 || c.racks[rack] != c.emptyRacks[rack] {
			continue
		}
		for other := rack / per * per; other < rack/per*per+per && other < len(racks); other++ {
			if racks[other] == 0 && c.racks[other] >= nodes && c.racks[other] != c.emptyRacks[other] {
				return fmt.Errorf("placement certificate: harm %s: rack %s was whole, and rack %s, which is not, would do as well", is, s.RackID(rack), s.RackID(other))
			}
		}
	}
	if sl.Certificate.Links != nil && len(sl.Certificate.Links.Planes) > 0 {
		return nil
	}
	single := sl.Certificate.Cost.SUs == 1
	for su, nodes := range sus {
		if nodes == 0 {
			continue
		}
		was := c.broken(s, su)
		need := touchedRacks(racks, su, per)
		for other := range sus {
			pod := s.SUs[other].Pod
			if sus[other] > 0 || c.sus[other] < nodes || !single && pod != s.SUs[su].Pod {
				continue
			}
			would := c.broken(s, other)
			if !single {
				would.Halls, would.Pods = was.Halls, was.Pods
			}
			would.Racks, was.Racks = 0, 0
			if would.Compare(was) < 0 && c.fewestRacks(other, per, nodes, sl.Certificate.Ask.WholeRacks) <= need {
				return fmt.Errorf("placement certificate: harm %s: SU %s would do as well as %s, with less (%s for %s)", is, s.SUs[other].ID, s.SUs[su].ID, would, was)
			}
		}
	}
	return nil
}

// broken is the harm of touching an SU for the first time, but for racks.
func (c *census) broken(s *site.Site, su int) (h place.Harm) {
	pod := s.SUs[su].Pod
	hall := s.Pods[pod].Hall
	if c.sus[su] == c.emptySUs[su] {
		h.SUs = 1
	}
	if c.pods[pod] == c.emptyPods[pod] {
		h.Pods = 1
	}
	if c.halls[hall] == c.emptyHalls[hall] {
		h.Halls = 1
	}
	return h
}

func touchedRacks(racks []int, su, per int) (n int) {
	for _, nodes := range racks[su*per : (su+1)*per] {
		if nodes > 0 {
			n++
		}
	}
	return n
}

// fewestRacks of an SU have so many free nodes; where racks are taken whole, no more
// than so many either.
func (c *census) fewestRacks(su, per, nodes int, whole bool) int {
	racks := c.racks[su*per : (su+1)*per]
	if !whole {
		return fewest(racks, nodes)
	}
	few := make([]int, nodes+1) // of each number of nodes
	for n := range few[1:] {
		few[n+1] = len(racks) + 1
	}
	for _, size := range racks {
		for n := nodes; n >= size && size > 0; n-- {
			few[n] = min(few[n], few[n-size]+1)
		}
	}
	return few[nodes]
}
