package main

import (
	"testing"

	"bulkhead/bench/evaluate"
	"bulkhead/bench/sites"
)

// packing contenders: one takes the first free nodes, one scatters a lease over SUs.
type inOrder struct{ o *sites.Occupancy }

func (inOrder) Name() string                       { return "in order" }
func (inOrder) Close() error                       { return nil }
func (c *inOrder) Occupy(o *sites.Occupancy) error { c.o = o; return nil }
func (c *inOrder) Place(nodes int) (d sites.Decision, err error) {
	for n, h := range c.o.Holder {
		if h == sites.Free && len(d.Nodes) < nodes {
			d.Nodes = append(d.Nodes, int32(n))
		}
	}
	return d, nil
}

type scattering struct{ inOrder }

func (scattering) Name() string { return "scattering" }
func (c *scattering) Place(nodes int) (d sites.Decision, err error) {
	for first := range 64 {
		for n := first; n < len(c.o.Holder) && len(d.Nodes) < nodes; n += 64 {
			if c.o.Holder[n] == sites.Free {
				d.Nodes = append(d.Nodes, int32(n))
			}
		}
	}
	return d, nil
}

// Who scatters leaves less whole, is never above the bound, and the bars notice.
func TestWholeTellsWhoScatters(t *testing.T) {
	tree := sites.NewTree("test", 2, 2, 640)
	bookings := sites.Mixed(tree.Nodes(), 1)
	var all []lived
	for _, c := range []contender{&inOrder{}, &scattering{}} {
		l, err := live(tree, bookings, c, &inOrder{})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.months) != 36 || l.leases < 36 {
			t.Fatalf("%s: %d months, %d leases", l.who, len(l.months), l.leases)
		}
		for i, m := range l.months {
			if m.whole.SUs > m.most || m.leased == 0 {
				t.Errorf("%s, month %d: %d SUs are whole of at most %d, %d nodes are leased", l.who, i+1, m.whole.SUs, m.most, m.leased)
			}
			if (i+1)%12 == 0 && m.tidied.SUs > m.most {
				t.Errorf("%s, month %d: tidied, %d SUs are whole of at most %d", l.who, i+1, m.tidied.SUs, m.most)
			}
		}
		all = append(all, l)
	}
	if all[0].mean(wholeSUs) <= all[1].mean(wholeSUs) {
		t.Errorf("in order leaves %.1f SUs whole, scattering %.1f", all[0].mean(wholeSUs), all[1].mean(wholeSUs))
	}
	all[0].who, all[1].who = "Slurm", "Bulkhead"
	if bars := wholeBars("test", all); bars[0].Met || bars[1].Met {
		t.Errorf("Bulkhead scatters, and the bars are met: %v", bars)
	}
	all[0].who, all[1].who = "Bulkhead", "Slurm"
	if bars := wholeBars("test", all); !bars[0].Met {
		t.Errorf("Slurm scatters: %v", bars)
	}
}

func TestWholeOf(t *testing.T) {
	tree := sites.NewTree("test", 2, 2, 150) // SUs of 64, 64 and 22
	o := &sites.Occupancy{Holder: make([]int32, tree.Nodes())}
	o.Holder[3], o.Holder[70] = 1, sites.Failed
	if got, want := evaluate.WholeOf(tree, o), (evaluate.Whole{Halls: 1, Pods: 3, SUs: 11, Racks: 75, SUsOfHall: 6, SUsOfPod: 3}); got != want {
		t.Errorf("%+v, expected %+v", got, want)
	}
	for leased, want := range map[int]int{0: 12, 1: 11, 64: 11, 65: 10, 8 * 64: 4, 8*64 + 1: 3, 600: 0} {
		if got := evaluate.MostWholeSUs(tree, leased); got != want {
			t.Errorf("%d leased: at most %d SUs whole, expected %d", leased, got, want)
		}
	}
}
