package solve

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// sized grows a site of one class: pods of 49 SUs of 64 nodes, one spare each,
// four pods a hall, as many as make so many nodes.
func sized(nodes int) *site.Site {
	p := placetest.Plot{RackNodes: 8, SUNodes: 64, Spares: 1}
	for nodes > 0 {
		var hall []placetest.PodPlot
		for range 4 {
			pod := placetest.PodPlot{Kinds: []string{"H100"}}
			for size := min(3125, nodes); size > 0; size -= 64 {
				pod.SUs = append(pod.SUs, min(size, 64))
			}
			nodes -= min(3125, nodes)
			if len(pod.SUs) > 0 {
				hall = append(hall, pod)
			}
		}
		p.Halls = append(p.Halls, hall)
	}
	s := placetest.Grow(p)
	s.Shape.PodTaper = 1
	return s
}

// logUniform draws a size from low to high: as many small ones as large ones.
func logUniform(r *rand.Rand, low, high int) int {
	return int(float64(low) * math.Pow(float64(high)/float64(low), r.Float64()))
}

// crowd fills a part of a site with hermetic slices that come and go, and breaks
// nodes and links: one node in a hundred, one link in brokenLinks (0: none).
func crowd(tb testing.TB, s *site.Site, r *rand.Rand, part float64, brokenLinks int) *place.Occupancy {
	tb.Helper()
	o := place.NewOccupancy(s)
	for n := range site.Index(s.Nodes()) {
		if r.IntN(100) == 0 {
			o.Broken.Add(n)
		}
	}
	if brokenLinks > 0 {
		for range len(s.SUs) * site.Rails * s.Shape.Spines / brokenLinks {
			o.FailUplink(place.Uplink{SU: r.IntN(len(s.SUs)), Rail: r.IntN(site.Rails), Spine: r.IntN(s.Shape.Spines)}, true)
			o.FailCoreLink(place.CoreLink{Pod: r.IntN(len(s.Pods)), Rail: r.IntN(site.Rails), Spine: r.IntN(s.Shape.Spines), Core: r.IntN(s.Shape.CoreLinks())}, true)
		}
	}
	var held []place.Slice
	all := o.Free().Len()
	taken, misses := 0, 0
	for round := 0; misses < 20 && round < 2000; round++ {
		if float64(taken) >= part*float64(all) {
			if round > 400 || len(held) == 0 {
				break
			}
			i := r.IntN(len(held))
			if err := o.Release(held[i]); err != nil {
				tb.Fatal(err)
			}
			taken -= len(held[i].Nodes)
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
			continue
		}
		slice, err := On(o, place.Ask{Nodes: logUniform(r, 4, all/16), Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
		if err != nil {
			misses++
			continue
		}
		if err := o.Commit(slice); err != nil {
			tb.Fatal(err)
		}
		held = append(held, slice)
		taken += len(slice.Nodes)
	}
	return o
}

// cpu is the processor time that this process has taken: what other programs take at
// the same time is no part of it.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHermetic asks for a random number of nodes, small ones as often as
// large ones, with hermetic links, of 50,000 nodes of one class that hermetic
// slices which came and went have taken half of, or nothing. An operation is one
// Solve with its placement certificate, or one refusal with the sizes that do
// fit. Its times are of the processor. Limit: p99 under 500 ms.
func BenchmarkHermetic(b *testing.B) {
	s := sized(50_000)
	for _, row := range []struct {
		name  string
		part  float64
		links int
	}{{"empty", 0, 0}, {"half", 0.5, 0}, {"three-quarters", 0.75, 0}, {"half-links", 0.5, 10_000}} {
		b.Run(row.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(5, 5))
			o := crowd(b, s, r, row.part, row.links)
			free := o.Free().Len()
			var took []time.Duration
			none, cut := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				ask := place.Ask{Nodes: logUniform(r, 1, free), Fabric: "roce", Kind: "H100", Links: lease.Hermetic}
				start := cpu(b)
				slice, err := On(o, ask)
				took = append(took, cpu(b)-start)
				if e, ok := errors.AsType[*place.NoSliceError](err); ok {
					none++
					if e.Cut {
						cut++
					}
				} else if err != nil {
					b.Fatal(err)
				} else if slice.Certificate.Cut {
					cut++
				}
			}
			percentiles(b, took)
			b.ReportMetric(float64(none)/float64(len(took)), "refused")
			b.ReportMetric(float64(cut)/float64(len(took)), "cut")
		})
	}
}

// BenchmarkHermeticGrowth is BenchmarkHermetic half taken, on sites of one to
// eight times 6,250 nodes.
func BenchmarkHermeticGrowth(b *testing.B) {
	for _, nodes := range []int{6_250, 12_500, 25_000, 50_000} {
		s := sized(nodes)
		for _, links := range []lease.Links{lease.Hermetic, lease.Shared} {
			b.Run(fmt.Sprintf("%s/%d", links, nodes), func(b *testing.B) {
				r := rand.New(rand.NewPCG(5, 5))
				o := crowd(b, s, r, 0.5, 0)
				free := o.Free().Len()
				var took []time.Duration
				for b.Loop() {
					ask := place.Ask{Nodes: logUniform(r, 1, free), Fabric: "roce", Kind: "H100", Links: links}
					start := cpu(b)
					_, _ = On(o, ask)
					took = append(took, cpu(b)-start)
				}
				percentiles(b, took)
			})
		}
	}
}
