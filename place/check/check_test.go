package check

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/placetest"
	"bulkhead/place/solve"
	"bulkhead/site"
)

func solved(t testing.TB, s *site.Site, free *site.Set, nodes int) place.Slice {
	t.Helper()
	slice, err := solve.Among(s, free, place.Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Shared})
	if err != nil {
		t.Fatalf("%d nodes: %v", nodes, err)
	}
	return slice
}

// checked returns a small site with a slice that checks.
func checked(t *testing.T) (*site.Site, *site.Set, place.Slice) {
	t.Helper()
	r := rand.New(rand.NewPCG(9, 9))
	s := placetest.Grow(placetest.Plot{RackNodes: 4, SUNodes: 16, Spares: 1, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{16, 16, 13}}, {Kinds: []string{"H100"}, SUs: []int{16, 16, 16}}},
		{{Kinds: []string{"H100"}, SUs: []int{16, 16}}, {Fabric: 1, Kinds: []string{"H100"}, SUs: []int{16}}},
		{{Kinds: []string{"H200"}, SUs: []int{16}}},
	}})
	free := placetest.RandomHalf(s, r)
	slice := solved(t, s, free, 33)
	if err := Among(s, free, slice); err != nil {
		t.Fatal(err)
	}
	return s, free, slice
}

// TestEveryMutatedCertificateIsRefused changes each field, one at a time.
func TestEveryMutatedCertificateIsRefused(t *testing.T) {
	s, free, slice := checked(t)
	fields := 0
	var mutate func(path string, v reflect.Value)
	mutate = func(path string, v reflect.Value) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		refused := func(how string) {
			fields++
			if err := Among(s, free, slice); err == nil {
				t.Errorf("%s %s: accepted", path, how)
			}
			v.Set(old)
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				mutate(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				mutate(path, v.Index(i))
			}
		case reflect.Uint8:
			v.SetUint(old.Uint() ^ 1)
			refused("with a bit flipped")
		case reflect.Int, reflect.Int64:
			v.SetInt(old.Int() + 1)
			refused("plus 1")
			v.SetInt(old.Int() - 1)
			refused("less 1")
		case reflect.String:
			v.SetString(old.String() + "x")
			refused("with a letter more")
			v.SetString("")
			refused("empty")
		case reflect.Bool:
			v.SetBool(!old.Bool())
			refused("negated")
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			refused("set")
		default:
			t.Fatalf("%s: the test does not know how to change a %s", path, v.Kind())
		}
	}
	mutate("certificate", reflect.ValueOf(&slice.Certificate).Elem())
	if fields < 100 {
		t.Errorf("only %d changes were tried", fields)
	}
	if err := Among(s, free, slice); err != nil {
		t.Fatalf("the test has not put everything back: %v", err)
	}
}

// TestEveryMutatedSliceIsRefused changes the nodes, with a digest that fits, as
// whoever forges would.
func TestEveryMutatedSliceIsRefused(t *testing.T) {
	s, free, slice := checked(t)
	r := rand.New(rand.NewPCG(1, 2))
	was := slice.Nodes
	try := func(name, want string, change func(nodes []site.Index) []site.Index) {
		t.Helper()
		slice.Nodes = change(slices.Clone(was))
		slice.Certificate.Slice = place.SliceDigest(slice.Nodes)
		if err := Among(s, free, slice); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", name, err, want)
		}
	}
	for range 200 {
		i, j := r.IntN(len(was)), r.IntN(len(was))
		if i != j {
			try("two ranks exchanged", "does not follow", func(n []site.Index) []site.Index { n[i], n[j] = n[j], n[i]; return n })
			try("a node twice", "does not follow", func(n []site.Index) []site.Index { n[i] = n[j]; return n })
		}
		try("a node dropped", "33 asked", func(n []site.Index) []site.Index { return slices.Delete(n, i, i+1) })
		try("a node beyond the site", "expected below", func(n []site.Index) []site.Index { n[i] = site.Index(s.Nodes() + j); return n })
		try("no node", "expected below", func(n []site.Index) []site.Index { n[i] = place.NoNode; return n })
		// Any node of the site that is not in the slice. What is free, and
		// touches no more, makes another slice that is as good: with its own
		// digest that is no forgery.
		stranger := site.Index(r.IntN(s.Nodes()))
		if slices.Contains(was, stranger) {
			continue
		}
		slice.Nodes = slices.Clone(was)
		slice.Nodes[i] = stranger
		place.RankOrder(s, slice.Nodes)
		slice.Certificate.Slice = place.SliceDigest(slice.Nodes)
		cost := place.CostOf(s, slice.Nodes)
		err := Among(s, free, slice)
		fair := free.Has(stranger) && !s.IsSpare(stranger) && s.KindOf(stranger) == "H100" && s.ComputeFabric(stranger) == 0
		if !fair && err == nil {
			t.Errorf("node %d instead of %d: accepted", stranger, was[i])
		}
		if fair && cost != slice.Certificate.Cost && err == nil {
			t.Errorf("cost %s passed as %s", cost, slice.Certificate.Cost)
		}
	}
	try("nothing", "33 asked", func([]site.Index) []site.Index { return nil })
}

func TestCheckSaysWhenItIsOnlyTooLate(t *testing.T) {
	s, free, slice := checked(t)
	for n := range free.Clone().All() {
		if s.KindOf(n) != "H100" || s.ComputeFabric(n) != 0 || s.IsSpare(n) {
			continue
		}
		free.Remove(n)
		if err := Among(s, free, slice); !errors.Is(err, place.ErrOccupancy) {
			t.Fatalf("node %d was taken meanwhile: %v", n, err)
		}
		free.Add(n)
	}
	if err := Among(s, free, slice); err != nil {
		t.Fatal(err)
	}
	slice.Certificate.Ask.Links = lease.Hermetic
	if err := Among(s, free, slice); err == nil {
		t.Fatal("a slice without links passed as hermetic")
	}
}

// TestCheckRefusesWorseSlices takes random slices that are valid but not best,
// with a certificate that is honest about their cost. Where halls are too many
// the checker sees it by itself; elsewhere it must at least not prove it.
func TestCheckRefusesWorseSlices(t *testing.T) {
	s, free, best := checked(t)
	census := takeCensus(s, free, 0, "H100")
	r := rand.New(rand.NewPCG(3, 3))
	var class []site.Index
	for n := range free.All() {
		if s.KindOf(n) == "H100" && s.ComputeFabric(n) == 0 && !s.IsSpare(n) {
			class = append(class, n)
		}
	}
	seen := 0
	for range 300 {
		r.Shuffle(len(class), func(i, j int) { class[i], class[j] = class[j], class[i] })
		slice := place.Slice{Nodes: slices.Clone(class[:33]), Certificate: best.Certificate}
		place.RankOrder(s, slice.Nodes)
		spread, cost := census.of(s, slice.Nodes)
		c := &slice.Certificate
		c.Slice, c.Cost, c.Optimum = place.SliceDigest(slice.Nodes), cost, cost
		c.Gap = cost.Sub(c.Bound)
		c.AllReduce, c.AllToAll = boundsOf(s.Shape, 8, spread, census.ideal(33))
		c.Proof = c.Words()
		if !best.Certificate.Cost.Less(cost) {
			continue
		}
		seen++
		err := Among(s, free, slice)
		if cost.Halls > best.Certificate.Cost.Halls && err == nil {
			t.Fatalf("%s accepted, %s would do", cost, best.Certificate.Cost)
		}
		if err == nil && !strings.Contains(c.Proof, "asserted by the solver: that") {
			t.Fatalf("%s is called proven: %s", cost, c.Proof)
		}
	}
	if seen < 100 {
		t.Fatalf("only %d worse slices", seen)
	}
}

// TestIdealOnAnEmptySite asks for whole domains of an empty site: then the
// slice is the ideal one.
func TestIdealOnAnEmptySite(t *testing.T) {
	s := placetest.Large(4, 4)
	for _, nodes := range []int{1, 8, 64, 640, 3125, 12_500, 50_000} {
		slice := solved(t, s, placetest.All(s), nodes)
		c := slice.Certificate
		if c.AllReduce.SliceNS != c.AllReduce.IdealNS || c.AllToAll.SliceNS != c.AllToAll.IdealNS || c.Gap.Halls+c.Gap.Pods+c.Gap.SUs != 0 {
			t.Errorf("%d nodes: %+v, %+v, gap %s", nodes, c.AllReduce, c.AllToAll, c.Gap)
		}
		if err := Among(s, placetest.All(s), slice); err != nil {
			t.Error(err)
		}
	}
}
