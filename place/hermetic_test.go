package place

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/site"

	"pgregory.net/rapid"
)

func hermeticAsk(nodes int) Ask {
	return Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Hermetic}
}

// threePods is a slice of three pods, with a smaller leaf in the smallest pod, in
// which a link of one plane failed.
func threePods(t *testing.T) (*Occupancy, Slice) {
	t.Helper()
	s := grow(plot{rackNodes: 2, suNodes: 4, halls: [][]podPlot{
		{{kinds: []string{"H100"}, sus: []int{4, 4, 4}}, {kinds: []string{"H100"}, sus: []int{4, 4, 4}}},
		{{kinds: []string{"H100"}, sus: []int{4, 4, 4}}},
	}})
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
	o := NewOccupancy(s)
	o.FailUplink(Uplink{SU: 1, Rail: 3, Spine: 0}, true)
	o.FailUplink(Uplink{SU: 4, Rail: 3, Spine: 0}, true)
	slice, err := o.Solve(hermeticAsk(31))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Check(slice); err != nil {
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
			if err := o.Check(slice); err == nil {
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
	if err := o.Check(slice); err != nil {
		t.Fatalf("the test has not put everything back: %v", err)
	}
}

// TestLinkSetVerifiesAlone is what a tenant can do: without the site.
func TestLinkSetVerifiesAlone(t *testing.T) {
	_, slice := threePods(t)
	l, err := DecodeLinks(slice.Certificate.Links.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(31, site.Rails); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(30, site.Rails); err == nil {
		t.Error("a slice of another size passed")
	}
	l.Planes[0].Spines = l.Planes[0].Spines.without(one(l.Planes[0].Spines.first()))
	if err := l.Verify(31, site.Rails); err == nil {
		t.Error("too few uplinks passed")
	}
	tenant := slice.Certificate.Tenant()
	if !tenant.Links.Occupancy.IsZero() || slice.Certificate.Links.Occupancy.IsZero() {
		t.Error("the tenant's copy tells of others' links, or the whole does not")
	}
	if err := tenant.Links.Verify(31, site.Rails); err != nil {
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
		*o = *NewOccupancy(s)
		for range 3 {
			o.FailUplink(Uplink{r.IntN(len(s.SUs)), r.IntN(site.Rails), r.IntN(s.Shape.Spines)}, true)
		}
		var held []Slice
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
			slice, err := o.Solve(ask)
			if err != nil {
				continue
			}
			if err := o.Check(slice); err != nil {
				t.Fatal(err)
			}
			if err := o.Commit(slice); err != nil {
				t.Fatal(err)
			}
			if err := o.Commit(slice); !errors.Is(err, ErrOccupancy) {
				t.Fatalf("committed twice: %v", err)
			}
			held = append(held, slice)
		}
		type link struct {
			kind     linkKind
			at, port int
		}
		holder, node := map[link]int{}, map[site.Index]int{}
		for i, slice := range held {
			if err := slice.Certificate.Links.each(s, func(kind linkKind, at int, m Mask) error {
				for port := range m.all {
					l := link{kind, at, port}
					if other, taken := holder[l]; taken && other != i {
						t.Fatalf("slices %d and %d share a link: %+v", other, i, l)
					}
					holder[l] = i
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			nodes, err := Territory(s, slice.Nodes, slice.Certificate.Links)
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
		empty := NewOccupancy(s)
		empty.failedUp = o.failedUp
		for _, slice := range held {
			if err := o.Release(slice); err != nil {
				t.Fatal(err)
			}
		}
		if o.linksDigest(0) != empty.linksDigest(0) || !o.Held().Empty() {
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
		before, err := o.Solve(hermeticAsk(nodes))
		if err != nil || before.Certificate.Cut {
			return
		}
		for range 4 {
			o.out.Remove(site.Index(r.IntN(o.site.Nodes())))
			o.failedUp[r.IntN(len(o.failedUp))] = Mask{}
			o.failedCore[r.IntN(len(o.failedCore))] = Mask{}
		}
		after, err := o.Solve(hermeticAsk(nodes))
		if err != nil || before.Certificate.Cost.Less(after.Certificate.Cost) {
			t.Fatalf("%d nodes cost %s, with more in order %s, %v", nodes, before.Certificate.Cost, after.Certificate.Cost, err)
		}
	})
}

// TestHermeticRelabelling shuffles halls, pods and SUs: the cost stays.
func TestHermeticRelabelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 10))
		p := randomPlot(r, 14)
		p.spares = 0
		s := grow(p)
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 1+r.IntN(8), 4, 1
		free := randomHalf(s, r)
		if usable(s, free) == 0 {
			return
		}
		other, otherFree := relabel(s, free, r)
		ask := hermeticAsk(1 + r.IntN(usable(s, free)))
		a, errA := Solve(s, free, ask)
		b, errB := Solve(other, otherFree, ask)
		if (errA == nil) != (errB == nil) || a.Certificate.Cost != b.Certificate.Cost {
			t.Fatalf("%s, %v; relabelled %s, %v", a.Certificate.Cost, errA, b.Certificate.Cost, errB)
		}
		if errB == nil {
			if err := Check(other, otherFree, b); err != nil {
				t.Fatal(err)
			}
		} else if errA.Error() != errB.Error() {
			t.Fatalf("%v; relabelled: %v", errA, errB)
		}
	})
}

// TestRefusalsNameTheCondition builds one fabric for each condition.
func TestRefusalsNameTheCondition(t *testing.T) {
	pods := func(sizes ...int) [][]podPlot {
		var hall []podPlot
		for _, n := range sizes {
			hall = append(hall, podPlot{kinds: []string{"H100"}, sus: repeat(4, n)})
		}
		return [][]podPlot{hall}
	}
	for _, row := range []struct {
		name    string
		halls   [][]podPlot
		spoil   func(o *Occupancy)
		ask     int
		want    string
		smaller int
	}{
		{"two units are shared", pods(2), func(o *Occupancy) { o.Hold(site.SetOf(0, 4)) }, 5, "condition 1", 4},
		{"uplinks failed", pods(2), func(o *Occupancy) {
			o.Hold(site.SetOf(0, 1, 4, 5))
			for spine := range 6 {
				o.FailUplink(Uplink{0, 0, spine}, true)
			}
		}, 4, "condition 2", 2},
		{"uplinks failed in different places", pods(2), func(o *Occupancy) {
			for spine := range 2 {
				o.FailUplink(Uplink{0, 0, spine}, true)
				o.FailUplink(Uplink{1, 0, spine + 2}, true)
			}
		}, 8, "condition 3", 6},
		{"uneven pods", pods(3, 3, 3), func(o *Occupancy) { o.Hold(site.SetOf(0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15)) }, 21, "condition 4", 20},
		{"cores", pods(1, 1), func(o *Occupancy) {
			for rail := range site.Rails {
				for spine := range 6 {
					for core := range 4 {
						o.FailCoreLink(CoreLink{core % 2, rail, spine, core}, true)
					}
				}
			}
		}, 8, "condition 5", 4},
	} {
		s := grow(plot{rackNodes: 2, suNodes: 4, halls: row.halls})
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
		o := NewOccupancy(s)
		row.spoil(o)
		_, err := o.Solve(hermeticAsk(row.ask))
		e, ok := errors.AsType[*NoSliceError](err)
		if !ok || !strings.Contains(err.Error(), row.want) || e.Smaller != row.smaller {
			t.Errorf("%s: %v, expected %s and %d nodes", row.name, err, row.want, row.smaller)
			continue
		}
		slice, err := o.Solve(hermeticAsk(e.Smaller))
		if err != nil {
			t.Errorf("%s: the size that was offered: %v", row.name, err)
		} else if err := o.Check(slice); err != nil {
			t.Error(err)
		}
	}
}
