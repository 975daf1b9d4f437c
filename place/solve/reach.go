package solve

import "bulkhead/place"

// reach bounds what the rest of the site can still give, so that the merges
// skip what cannot be completed. halls and pods are the joint optimum of the
// two upper levels: they are cheap to find exactly, and because cost is
// lexicographic every optimal slice has them.
type reach struct {
	halls, pods int
	slack       int     // the most nodes that `pods` pods in `halls` halls offer, less the ask
	rest        [][]int // rest[i][h*width+p]: most nodes of halls i.. with at most h halls and p pods
	width       int     // 0: rest[i][0] is an upper bound for any h and p
}

// newReach needs t.nodes >= want.
// Cost: O(pods² * halls) steps, thousands on a site of 16 pods.
func newReach(t *tree, want int) *reach {
	r := &reach{}
	// Halls are in descending order, so the first few are the largest.
	for sum := 0; sum < want; r.halls++ {
		sum += t.halls[r.halls].nodes
	}
	if (len(t.halls)+1)*(r.halls+1)*(t.most.Pods+1) > tableLimit {
		return looseReach(t, want)
	}
	width := t.most.Pods + 1
	r.rest = restTable(t, r.halls, t.most.Pods)
	for r.rest[0][r.halls*width+r.pods] < want {
		r.pods++
	}
	r.slack = r.rest[0][r.halls*width+r.pods] - want
	r.width = width
	return r
}

// tableLimit is the most cells of the table: 32 MB. A site has far fewer unless
// its pods are as small as racks.
const tableLimit = 4 << 20

// looseReach skips less, and so takes longer, but needs no table. Any upper
// bound keeps the program exact.
func looseReach(t *tree, want int) *reach {
	r := &reach{halls: len(t.halls), pods: t.most.Pods, slack: t.nodes - want}
	r.rest = make([][]int, len(t.halls)+1)
	sum := 0
	for i := len(t.halls); i >= 0; i-- {
		if i < len(t.halls) {
			sum += t.halls[i].nodes
		}
		r.rest[i] = []int{sum}
	}
	return r
}

func restTable(t *tree, halls, pods int) [][]int {
	width := pods + 1
	rest := make([][]int, len(t.halls)+1)
	cells := make([]int, (len(t.halls)+1)*(halls+1)*width)
	for i := range rest {
		rest[i], cells = cells[:(halls+1)*width], cells[(halls+1)*width:]
	}
	for i := len(t.halls) - 1; i >= 0; i-- {
		below := rest[i+1]
		copy(rest[i], below)
		sum := 0
		for q := range t.halls[i].pods { // its q+1 largest pods; they are in descending order
			sum += t.halls[i].pods[q].nodes
			for h := 1; h <= halls; h++ {
				for p := q + 1; p <= pods; p++ {
					if v := sum + below[(h-1)*width+p-q-1]; v > rest[i][h*width+p] {
						rest[i][h*width+p] = v
					}
				}
			}
		}
	}
	return rest
}

// after returns the most nodes that the halls from i on can add to a partial
// slice that has used these many halls and pods, and false when it has used
// more than the optimum has.
func (r *reach) after(i int, used place.Cost) (int, bool) {
	h, p := r.halls-used.Halls, r.pods-used.Pods
	if h < 0 || p < 0 {
		return 0, false
	}
	if r.width == 0 {
		return r.rest[i][0], true
	}
	return r.rest[i][h*r.width+p], true
}
