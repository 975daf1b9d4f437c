package solve

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"

	"pgregory.net/rapid"
)

func hermeticAsk(nodes int) place.Ask {
	return place.Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Hermetic}
}

// threePods is a slice of three pods, with a smaller leaf in the smallest pod, in
// which a link of one plane failed.
func threePods(t *testing.T) (*place.Occupancy, place.Slice) {
	t.Helper()
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
	}})
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
	o := place.NewOccupancy(s)
	o.FailUplink(place.Uplink{SU: 1, Rail: 3, Spine: 0}, true)
	o.FailUplink(place.Uplink{SU: 4, Rail: 3, Spine: 0}, true)
	slice, err := On(o, hermeticAsk(31))
	if err != nil {
		t.Fatal(err)
	}
	if err := check.On(o, slice); err != nil {
		t.Fatal(err)
	}
	l := slice.Certificate.Links
	if len(l.Pods) != 3 || l.RestSU == "" || l.RestPod == "" || len(l.Planes) != 2 || len(l.Planes[0].Cores) != 2 {
		t.Fatalf("not the slice that the test is about: %+v", l)
	}
	return o, slice
}

// TestEveryMutatedLinkSetIsRefused changes everything that a link assignment
// says, one thing at a time.
func TestEveryMutatedLinkSetIsRefused(t *testing.T) {
	o, slice := threePods(t)
	changes := 0
	var mutate func(path string, v reflect.Value)
	mutate = func(path string, v reflect.Value) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		refused := func(how string) {
			t.Helper()
			changes++
			if err := check.On(o, slice); err == nil {
				t.Errorf("%s %s: accepted", path, how)
			}
			v.Set(old)
		}
		switch v.Kind() {
		case reflect.Pointer:
			mutate(path, v.Elem())
			v.Set(reflect.Zero(v.Type()))
			refused("left out")
		case reflect.Struct:
			for i := range v.NumField() {
				mutate(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				mutate(path, v.Index(i))
			}
			v.Set(old.Slice(0, old.Len()-1))
			refused("without the last")
			v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, 0), reflect.Append(old.Slice3(0, old.Len(), old.Len()), old.Index(0))))
			refused("with the first twice")
		case reflect.Array:
			for i := range v.Len() {
				mutate(path, v.Index(i))
			}
		case reflect.Uint64:
			for bit := range 64 {
				v.SetUint(old.Uint() ^ 1<<bit)
				refused("with a bit flipped")
			}
		case reflect.Uint8:
			v.SetUint(old.Uint() ^ 1)
			refused("with a bit flipped")
		case reflect.Int:
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
		default:
			t.Fatalf("%s: the test does not know how to change a %s", path, v.Kind())
		}
	}
	mutate("links", reflect.ValueOf(&slice.Certificate).Elem().FieldByName("Links"))
	if changes < 1000 {
		t.Errorf("only %d changes were tried", changes)
	}
	if err := check.On(o, slice); err != nil {
		t.Fatalf("the test has not put everything back: %v", err)
	}
}

// TestLinkSetVerifiesAlone is what a tenant can do: without the site.
func TestLinkSetVerifiesAlone(t *testing.T) {
	_, slice := threePods(t)
	l, err := place.DecodeLinks(slice.Certificate.Links.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := check.Links(l, 31, site.Rails); err != nil {
		t.Fatal(err)
	}
	if err := check.Links(l, 30, site.Rails); err == nil {
		t.Error("a slice of another size passed")
	}
	l.Planes[0].Spines = l.Planes[0].Spines.Minus(place.MaskOf(l.Planes[0].Spines.First()))
	if err := check.Links(l, 31, site.Rails); err == nil {
		t.Error("too few uplinks passed")
	}
	tenant := slice.Certificate.Tenant()
	if !tenant.Links.Occupancy.IsZero() || slice.Certificate.Links.Occupancy.IsZero() {
		t.Error("the tenant's copy tells of others' links, or the whole does not")
	}
	if err := check.Links(tenant.Links, 31, site.Rails); err != nil {
		t.Error(err)
	}
}

// TestHermeticSlicesShareNoLink lets slices of both classes come and go, and
// counts for every link who holds it.
func TestHermeticSlicesShareNoLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 8))
		o := tinyFabric(r)
		s := o.Site()
		*o = *place.NewOccupancy(s)
		for range 3 {
			o.FailUplink(place.Uplink{SU: r.IntN(len(s.SUs)), Rail: r.IntN(site.Rails), Spine: r.IntN(s.Shape.Spines)}, true)
		}
		var held []place.Slice
		for range 12 {
			if len(held) > 0 && r.IntN(4) == 0 {
				i := r.IntN(len(held))
				if err := o.Release(held[i]); err != nil {
					t.Fatal(err)
				}
				held = append(held[:i], held[i+1:]...)
				continue
			}
			ask := hermeticAsk(1 + r.IntN(5))
			if r.IntN(4) == 0 {
				ask.Links = lease.Shared
			}
			slice, err := On(o, ask)
			if err != nil {
				continue
			}
			if err := check.On(o, slice); err != nil {
				t.Fatal(err)
			}
			if err := o.Commit(slice); err != nil {
				t.Fatal(err)
			}
			if err := o.Commit(slice); !errors.Is(err, place.ErrOccupancy) {
				t.Fatalf("committed twice: %v", err)
			}
			held = append(held, slice)
		}
		type link struct {
			kind, at, port int
		}
		holder, node := map[link]int{}, map[site.Index]int{}
		for i, slice := range held {
			alone := place.NewOccupancy(s)
			if err := alone.Keep(nil, slice.Certificate.Links); err != nil {
				t.Fatal(err)
			}
			for kind, masks := range [][]place.Mask{alone.AssignedUp, alone.AssignedCore} {
				for at, m := range masks {
					for port := range m.All {
						l := link{kind, at, port}
						if other, taken := holder[l]; taken && other != i {
							t.Fatalf("slices %d and %d share a link: %+v", other, i, l)
						}
						holder[l] = i
					}
				}
			}
			nodes, err := place.Territory(s, slice.Nodes, slice.Certificate.Links)
			if err != nil {
				t.Fatal(err)
			}
			for n := range nodes.All() {
				if other, taken := node[n]; taken {
					t.Fatalf("slices %d and %d have node %d", other, i, n)
				}
				node[n] = i
			}
		}
		// Everything is given back.
		empty := place.NewOccupancy(s)
		empty.FailedUp = o.FailedUp
		for _, slice := range held {
			if err := o.Release(slice); err != nil {
				t.Fatal(err)
			}
		}
		if o.LinksDigest(0) != empty.LinksDigest(0) || !o.Taken.Empty() {
			t.Fatal("something is still held")
		}
	})
}

// TestMoreFreeNeverCostsMoreHermetic gives nodes and links back.
func TestMoreFreeNeverCostsMoreHermetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 9))
		o := tinyFabric(r)
		nodes := 1 + r.IntN(6)
		before, err := On(o, hermeticAsk(nodes))
		if err != nil || before.Certificate.Cut {
			return
		}
		for range 4 {
			o.Broken.Remove(site.Index(r.IntN(o.Site().Nodes())))
			o.FailedUp[r.IntN(len(o.FailedUp))] = place.Mask{}
			o.FailedCore[r.IntN(len(o.FailedCore))] = place.Mask{}
		}
		after, err := On(o, hermeticAsk(nodes))
		if err != nil || before.Certificate.Cost.Less(after.Certificate.Cost) {
			t.Fatalf("%d nodes cost %s, with more in order %s, %v", nodes, before.Certificate.Cost, after.Certificate.Cost, err)
		}
	})
}

// TestHermeticRelabelling shuffles halls, pods and SUs: the cost stays.
func TestHermeticRelabelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 10))
		p := placetest.RandomPlot(r, 14)
		p.Spares = 0
		s := placetest.Grow(p)
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 1+r.IntN(8), 4, 1
		free := placetest.RandomHalf(s, r)
		if usable(s, free) == 0 {
			return
		}
		other, otherFree := relabel(s, free, r)
		ask := hermeticAsk(1 + r.IntN(usable(s, free)))
		a, errA := Among(s, free, ask)
		b, errB := Among(other, otherFree, ask)
		if (errA == nil) != (errB == nil) || a.Certificate.Cost != b.Certificate.Cost {
			t.Fatalf("%s, %v; relabelled %s, %v", a.Certificate.Cost, errA, b.Certificate.Cost, errB)
		}
		if errB == nil {
			if err := check.Among(other, otherFree, b); err != nil {
				t.Fatal(err)
			}
		} else if errA.Error() != errB.Error() {
			t.Fatalf("%v; relabelled: %v", errA, errB)
		}
	})
}

// TestRefusalsNameTheCondition builds one fabric for each condition.
func TestRefusalsNameTheCondition(t *testing.T) {
	pods := func(sizes ...int) [][]placetest.PodPlot {
		var hall []placetest.PodPlot
		for _, n := range sizes {
			hall = append(hall, placetest.PodPlot{Kinds: []string{"H100"}, SUs: slices.Repeat([]int{4}, n)})
		}
		return [][]placetest.PodPlot{hall}
	}
	for _, row := range []struct {
		name    string
		halls   [][]placetest.PodPlot
		spoil   func(o *place.Occupancy)
		ask     int
		want    string
		smaller int
	}{
		{"two units are shared", pods(2), func(o *place.Occupancy) { o.Take(site.SetOf(0, 4)) }, 5, "condition 1", 4},
		{"uplinks failed", pods(2), func(o *place.Occupancy) {
			o.Take(site.SetOf(0, 1, 4, 5))
			for spine := range 6 {
				o.FailUplink(place.Uplink{SU: 0, Rail: 0, Spine: spine}, true)
			}
		}, 4, "condition 2", 2},
		{"uplinks failed in different places", pods(2), func(o *place.Occupancy) {
			for spine := range 2 {
				o.FailUplink(place.Uplink{SU: 0, Rail: 0, Spine: spine}, true)
				o.FailUplink(place.Uplink{SU: 1, Rail: 0, Spine: spine + 2}, true)
			}
		}, 8, "condition 3", 6},
		{"uneven pods", pods(3, 3, 3), func(o *place.Occupancy) { o.Take(site.SetOf(0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15)) }, 21, "condition 4", 20},
		{"cores", pods(1, 1), func(o *place.Occupancy) {
			for rail := range site.Rails {
				for spine := range 6 {
					for core := range 4 {
						o.FailCoreLink(place.CoreLink{Pod: core % 2, Rail: rail, Spine: spine, Core: core}, true)
					}
				}
			}
		}, 8, "condition 5", 4},
	} {
		s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: row.halls})
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
		o := place.NewOccupancy(s)
		row.spoil(o)
		_, err := On(o, hermeticAsk(row.ask))
		e, ok := errors.AsType[*place.NoSliceError](err)
		if !ok || !strings.Contains(err.Error(), row.want) || e.Smaller != row.smaller {
			t.Errorf("%s: %v, expected %s and %d nodes", row.name, err, row.want, row.smaller)
			continue
		}
		slice, err := On(o, hermeticAsk(e.Smaller))
		if err != nil {
			t.Errorf("%s: the size that was offered: %v", row.name, err)
		} else if err := check.On(o, slice); err != nil {
			t.Error(err)
		}
	}
}
