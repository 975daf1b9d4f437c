package solve

import (
	"math/bits"
	"slices"
)

// dense keeps the cheapest point for every number of nodes.
type dense struct {
	at     []int32  // 1 + index into points
	set    []uint64 // which numbers of nodes have a point
	words  []uint64 // which words of set are not zero
	points []point
}

// put keeps a point, of at most want nodes, if it is the cheapest of its nodes so far.
func (d *dense) put(want int, p point) {
	if len(d.at) <= want {
		d.at, d.set, d.words = make([]int32, want+1), make([]uint64, want/64+1), make([]uint64, want/64/64+1)
	}
	if i := d.at[p.nodes]; i != 0 {
		if p.cost < d.points[i-1].cost {
			d.points[i-1] = p
		}
		return
	}
	d.points = append(d.points, p)
	d.at[p.nodes] = int32(len(d.points))
	word := p.nodes / 64
	d.set[word] |= 1 << (p.nodes % 64)
	d.words[word/64] |= 1 << (word % 64)
}

// drain adds to out the points that are cheaper than all with more nodes, in
// ascending order, and empties the table.
func (d *dense) drain(out []point) []point {
	from := len(out)
	cheapest := never
	for at := len(d.words) - 1; at >= 0; at-- {
		for words := d.words[at]; words != 0; {
			bit := bits.Len64(words) - 1
			words &^= 1 << bit
			word := at*64 + bit
			for left := d.set[word]; left != 0; {
				top := bits.Len64(left) - 1
				left &^= 1 << top
				n := word*64 + top
				if p := &d.points[d.at[n]-1]; p.cost < cheapest {
					cheapest = p.cost
					out = append(out, *p)
				}
				d.at[n] = 0
			}
			d.set[word] = 0
		}
		d.words[at] = 0
	}
	slices.Reverse(out[from:])
	d.points = d.points[:0]
	return out
}
