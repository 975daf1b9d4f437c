package evaluate

import (
	"slices"

	"bulkhead/bench/sites"
)

// Whole is what of a site can still be leased whole: domains all of whose nodes are
// free. A node that has failed makes its domains no less whole: it is nobody's.
type Whole struct {
	Halls, Pods, SUs, Racks int

	// SUsOfHall and SUsOfPod are the whole SUs of the hall and of the pod that have
	// most of them: the largest ask for whole SUs in one hall or pod that fits.
	SUsOfHall, SUsOfPod int
}

// WholeOf counts it from who holds which node alone.
func WholeOf(t *sites.Tree, o *sites.Occupancy) Whole {
	halls, pods, sus, racks := t.Count()
	taken := func(domain []int32, count int) []bool {
		out := make([]bool, count)
		for n, h := range o.Holder {
			if h > sites.Free {
				out[domain[n]] = true
			}
		}
		return out
	}
	free := func(taken []bool) (n int) {
		for _, is := range taken {
			if !is {
				n++
			}
		}
		return n
	}
	takenSUs := taken(t.SU, sus)
	w := Whole{Halls: free(taken(t.Hall, halls)), Pods: free(taken(t.Pod, pods)), SUs: free(takenSUs), Racks: free(taken(t.Rack, racks))}
	inHall, inPod := make([]int, halls), make([]int, pods)
	for n, su := range t.SU {
		if (n == 0 || t.SU[n-1] != su) && !takenSUs[su] {
			inHall[t.Hall[n]]++
			inPod[t.Pod[n]]++
		}
	}
	w.SUsOfHall, w.SUsOfPod = slices.Max(inHall), slices.Max(inPod)
	return w
}

// MostWholeSUs is the most SUs that can be whole while that many nodes are leased,
// wherever they are, and even if all of them moved: the largest SUs hold them, to
// the last node.
func MostWholeSUs(t *sites.Tree, leased int) int {
	var sizes []int
	for n, su := range t.SU {
		if n == 0 || t.SU[n-1] != su {
			sizes = append(sizes, 0)
		}
		sizes[len(sizes)-1]++
	}
	slices.SortFunc(sizes, func(a, b int) int { return b - a })
	used := 0
	for ; used < len(sizes) && leased > 0; used++ {
		leased -= sizes[used]
	}
	return len(sizes) - used
}
