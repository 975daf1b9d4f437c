package sites

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Holders of a node that are no tenant.
const (
	Free   int32 = 0
	Failed int32 = -1
)

// Occupancy is who holds each node: a tenant's number from 1, Free or Failed.
type Occupancy struct{ Holder []int32 }

// FreeNodes returns how many nodes are free.
func (o *Occupancy) FreeNodes() int {
	free := 0
	for _, h := range o.Holder {
		if h == Free {
			free++
		}
	}
	return free
}

// Taken returns the nodes that are not free, ascending.
func (o *Occupancy) Taken() []int32 {
	var out []int32
	for n, h := range o.Holder {
		if h != Free {
			out = append(out, int32(n))
		}
	}
	return out
}

// Occupy plays years of leases that come and go on an empty site, until about
// percent of it is taken and whoever was there first has gone: five times what is
// taken comes and goes again. Nothing is placed well on purpose: a lease takes the
// free nodes from a random rack on, in the order of their numbers, as a script would.
//
// Sizes are log-uniform from one rack to a sixteenth of the site; two in three
// are whole racks. One node in 100 has failed. At zero percent nothing is taken
// and nothing has failed.
func Occupy(t *Tree, percent int, seed uint64) *Occupancy {
	o := &Occupancy{Holder: make([]int32, t.Nodes())}
	if percent == 0 {
		return o
	}
	r := rand.New(rand.NewPCG(seed, uint64(percent)<<32|uint64(t.Nodes())))
	for range t.Nodes() / 100 {
		o.Holder[r.IntN(t.Nodes())] = Failed
	}
	target := t.Nodes() * percent / 100
	var starts []int32 // first node of each rack
	for n := range t.SU {
		if n == 0 || t.Rack[n] != t.Rack[n-1] {
			starts = append(starts, int32(n))
		}
	}
	held := map[int32][]int32{}
	var order []int32 // tenants, by coming
	taken, came := 0, 0
	for id := int32(1); came < 6*target || taken < target; id++ {
		want := LogUniform(r, t.Shape.RackNodes, t.Nodes()/16)
		if r.IntN(3) > 0 {
			want -= want % t.Shape.RackNodes
		}
		want = min(want, target)
		for taken+want > target && len(order) > 0 {
			if taken >= target*49/50 && came >= 6*target { // full enough: keep who is there
				break
			}
			i := r.IntN(len(order))
			for _, n := range held[order[i]] {
				o.Holder[n] = Free
			}
			taken -= len(held[order[i]])
			delete(held, order[i])
			order = slices.Delete(order, i, i+1)
		}
		want = min(want, target-taken)
		at := starts[r.IntN(len(starts))]
		for range t.Nodes() {
			if want == 0 {
				break
			}
			if o.Holder[at] == Free {
				o.Holder[at] = id
				held[id] = append(held[id], at)
				taken++
				came++
				want--
			}
			at = (at + 1) % int32(t.Nodes())
		}
		order = append(order, id)
	}
	return o
}

// LogUniform draws from low to high so that every doubling is equally likely.
func LogUniform(r *rand.Rand, low, high int) int {
	ratio := float64(high) / float64(low)
	return int(float64(low) * math.Pow(ratio, r.Float64()))
}

// Encode writes the occupancy as text: a line a holder, "free" left out, with
// node numbers in ranges.
func (o *Occupancy) Encode() []byte {
	by := map[int32][]int32{}
	for n, h := range o.Holder {
		if h != Free {
			by[h] = append(by[h], int32(n))
		}
	}
	holders := make([]int32, 0, len(by))
	for h := range by {
		holders = append(holders, h)
	}
	slices.Sort(holders)
	var b bytes.Buffer
	fmt.Fprintf(&b, "nodes %d\n", len(o.Holder))
	for _, h := range holders {
		if h == Failed {
			b.WriteString("failed ")
		} else {
			fmt.Fprintf(&b, "tenant-%d ", h)
		}
		b.WriteString(Ranges(by[h]))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// DecodeOccupancy reads what Encode wrote.
func DecodeOccupancy(data []byte) (*Occupancy, error) {
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	count, err := strconv.Atoi(strings.TrimPrefix(lines[0], "nodes "))
	if err != nil || count < 1 || count > 1<<20 {
		return nil, fmt.Errorf("occupancy: line 1: %q, expected \"nodes N\"", lines[0])
	}
	o := &Occupancy{Holder: make([]int32, count)}
	for i, line := range lines[1:] {
		who, list, _ := strings.Cut(line, " ")
		holder := Failed
		if who != "failed" {
			id, err := strconv.ParseInt(strings.TrimPrefix(who, "tenant-"), 10, 32)
			if err != nil || id < 1 {
				return nil, fmt.Errorf("occupancy: line %d: %q, expected failed or tenant-N", i+2, who)
			}
			holder = int32(id)
		}
		nodes, err := ParseRanges(list)
		if err != nil {
			return nil, fmt.Errorf("occupancy: line %d: %w", i+2, err)
		}
		for _, n := range nodes {
			if int(n) >= count || o.Holder[n] != Free {
				return nil, fmt.Errorf("occupancy: line %d: node %d is not there or held twice", i+2, n)
			}
			o.Holder[n] = holder
		}
	}
	return o, nil
}

// Ranges writes ascending node numbers as "0-63,70".
func Ranges(nodes []int32) string {
	var b []byte
	for i := 0; i < len(nodes); {
		j := i
		for j+1 < len(nodes) && nodes[j+1] == nodes[j]+1 {
			j++
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(nodes[i]), 10)
		if j > i {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(nodes[j]), 10)
		}
		i = j + 1
	}
	return string(b)
}

// ParseRanges reads what Ranges wrote, in any order.
func ParseRanges(text string) ([]int32, error) {
	var out []int32
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, err1 := strconv.ParseInt(first, 10, 32)
		b, err2 := strconv.ParseInt(last, 10, 32)
		if err1 != nil || err2 != nil || a < 0 || b < a || b > 1<<20 {
			return nil, fmt.Errorf("%.40q, expected numbers and ranges such as 0-63,70", part)
		}
		for n := a; n <= b; n++ {
			out = append(out, int32(n))
		}
	}
	return out, nil
}
