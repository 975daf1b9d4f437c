package bulkhead

import (
	"testing"

	"bulkhead/bench/evaluate"
	"bulkhead/bench/sites"
)

// The evaluator and the certificate count the same domains and the same
// all-to-all bound, though they share no code.
func TestEvaluatorAndCertificateAgree(t *testing.T) {
	tree := sites.NewTree("test", 2, 2, 150)
	b, err := New(tree)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(40) {
		o := sites.Occupy(tree, []int{0, 25, 50, 75}[seed%4], seed)
		if err := b.Occupy(o); err != nil {
			t.Fatal(err)
		}
		asked := 1 + int(seed*37)%o.FreeNodes()
		d, err := b.Place(asked)
		if err != nil {
			t.Fatal(err)
		}
		counts, err := evaluate.Count(tree, o, asked, d.Nodes)
		if err != nil {
			t.Fatal(err)
		}
		if c := b.Last.Certificate.Cost; counts != (evaluate.Counts{Halls: c.Halls, Pods: c.Pods, SUs: c.SUs, Racks: c.Racks}) {
			t.Errorf("evaluated %s, certified %s", counts, c)
		}
		if c := b.Last.Certificate.Bound; evaluate.Bound(tree, o, asked) != (evaluate.Counts{Halls: c.Halls, Pods: c.Pods, SUs: c.SUs, Racks: c.Racks}) {
			t.Errorf("bound evaluated %s, certified %s", evaluate.Bound(tree, o, asked), c)
		}
		if ns := evaluate.AllToAllNS(tree, d.Nodes); int64(ns) != b.Last.Certificate.AllToAll.SliceNS {
			t.Errorf("all-to-all evaluated %.1f ns, certified %d", ns, b.Last.Certificate.AllToAll.SliceNS)
		}
	}
}
