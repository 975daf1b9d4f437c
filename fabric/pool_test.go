package fabric

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/site"
)

var noon = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// TestPool plays random commands against a model of what the pool promises.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom([]site.Family{site.RoCE, site.InfiniBand}).Draw(t, "family")
		const coolDown = 10 * time.Minute
		p := NewPool("f", family, coolDown)
		now := noon
		inUse := map[Owner]uint32{}
		released := map[uint32]time.Time{}
		cooling := map[Owner]uint32{}
		owners := rapid.SampledFrom([]Owner{"project/a/x", "project/b/x", "project/c/x", "project/d/x"})
		values := rapid.Uint32Range(pkeyPoolFirst, pkeyPoolFirst+5)
		if family == site.RoCE {
			values = rapid.Uint32Range(vniPoolFirst, vniPoolFirst+5)
		}
		t.Repeat(map[string]func(*rapid.T){
			"assign": func(t *rapid.T) {
				o := owners.Draw(t, "owner")
				label, err := p.Assign(o, now)
				if err != nil {
					t.Fatal(err)
				}
				for other, v := range inUse {
					if other != o && v == label.Value {
						t.Fatalf("%d given to %s and %s", v, o, other)
					}
				}
				if v, ok := cooling[o]; ok && v != label.Value {
					t.Fatalf("%s gets %d while its %d cools down", o, label.Value, v)
				} else if ok {
					delete(released, v)
					delete(cooling, o)
				} else if _, rests := released[label.Value]; rests {
					t.Fatalf("%d given to %s while it cools down", label.Value, o)
				}
				inUse[o] = label.Value
			},
			"release": func(t *rapid.T) {
				o := owners.Draw(t, "owner")
				v, ok := inUse[o]
				if err := p.Release(o, now); (err == nil) != ok {
					t.Fatalf("release of %s (in use: %t): %v", o, ok, err)
				}
				if ok {
					delete(inUse, o)
					cooling[o], released[v] = v, now
				}
			},
			"free": func(t *rapid.T) {
				v := values.Draw(t, "value")
				occurrences := rapid.IntRange(0, 2).Draw(t, "occurrences")
				at, rests := released[v]
				may := rests && occurrences == 0 && !now.Before(at.Add(coolDown))
				if err := p.Free(v, occurrences, now); (err == nil) != may {
					t.Fatalf("free %d with %d occurrences: %v, expected success %t", v, occurrences, err, may)
				}
				if may {
					delete(released, v)
					for o, w := range cooling {
						if w == v {
							delete(cooling, o)
						}
					}
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "minutes")) * time.Minute)
			},
			"": func(t *rapid.T) {
				data, err := json.Marshal(p)
				if err != nil {
					t.Fatal(err)
				}
				var q Pool
				if err := json.Unmarshal(data, &q); err != nil {
					t.Fatal(err)
				}
				again, _ := json.Marshal(&q)
				if !bytes.Equal(data, again) {
					t.Fatalf("%s became %s", data, again)
				}
				for o, v := range inUse {
					if label, ok := q.ValueOf(o); !ok || label.Value != v {
						t.Fatalf("%s uses %v (%t) after a round trip, expected %d", o, label, ok, v)
					}
					if owner, ok := q.OwnerOf(v); !ok || owner != o {
						t.Fatalf("%d belongs to %s, expected %s", v, owner, o)
					}
				}
				for o := range cooling {
					if label, ok := p.ValueOf(o); ok {
						t.Fatalf("%s uses %v, which cools down", o, label)
					}
				}
				// What a restored pool gives next is what the pool itself gives.
				a, errA := p.Clone().Assign("project/new/x", now)
				b, errB := q.Clone().Assign("project/new/x", now)
				if a != b || (errA == nil) != (errB == nil) {
					t.Fatalf("next label is %v, and %v after a round trip", a, b)
				}
			},
		})
	})
}

func TestPoolRunsOut(t *testing.T) {
	p := NewPool("ib", site.InfiniBand, 0)
	for i := range pkeyPoolLast {
		if _, err := p.Assign(Owner(fmt.Sprintf("project/t/%d", i)), noon); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Assign("project/t/last", noon); err == nil || !strings.Contains(err.Error(), "no label is free") {
		t.Fatalf("the pool gave more than it has: %v", err)
	}
	for _, o := range []Owner{"", Quarantine, Service, TurnoverOwner("n1")} {
		if _, err := NewPool("ib", site.InfiniBand, 0).Assign(o, noon); err == nil {
			t.Errorf("owner %q got a label from the pool", o)
		}
	}
}

func TestPoolRefusesBadJSON(t *testing.T) {
	for name, text := range map[string]string{
		"two owners":     `{"fabric":"f","family":"roce","cool_down":"1h","labels":[{"value":5000,"owner":"project/a/x"},{"value":5000,"owner":"project/b/x"}]}`,
		"two labels":     `{"fabric":"f","family":"roce","cool_down":"1h","labels":[{"value":5000,"owner":"project/a/x"},{"value":5001,"owner":"project/a/x"}]}`,
		"out of range":   `{"fabric":"f","family":"infiniband","cool_down":"1h","labels":[{"value":32767,"owner":"project/a/x"}]}`,
		"turnover":       `{"fabric":"f","family":"roce","cool_down":"1h","labels":[{"value":5000,"owner":"turnover/n1"}]}`,
		"family":         `{"fabric":"f","family":"token ring","cool_down":"1h","labels":[]}`,
		"cool-down":      `{"fabric":"f","family":"roce","cool_down":"-1h","labels":[]}`,
		"unknown field":  `{"fabric":"f","family":"roce","cool_down":"1h","labels":[],"x":1}`,
		"truncated JSON": `{"fabric":"f"`,
	} {
		var p Pool
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestLabelsHaveOneOwner: the three ways in which labels come to their owners
// never give the same value.
func TestLabelsHaveOneOwner(t *testing.T) {
	for _, family := range []site.Family{site.RoCE, site.InfiniBand} {
		first, last := poolRange(family)
		top := uint32(MaxValue)
		if family == site.InfiniBand {
			top = pkeyService
		}
		for value := uint32(0); value <= top; value++ {
			ways := 0
			if value >= first && value <= last {
				ways++
			}
			n, turnover := TurnoverNode(family, value)
			if turnover {
				ways++
				if got := TurnoverLabel("f", family, n); got.Value != value {
					t.Fatalf("turnover label of node %d is %d, not %d", n, got.Value, value)
				}
			}
			if IsShared(family, value) {
				ways++
			}
			if ways > 1 || value == 0 && ways != 0 {
				t.Fatalf("%s value %d comes to owners in %d ways", family, value, ways)
			}
		}
		for _, v := range Shared(family) {
			if !IsShared(family, v) {
				t.Errorf("%s: %d is shared and is not", family, v)
			}
		}
		beyond := TurnoverLabel("f", family, site.Index(TurnoverNodes(family)))
		if beyond.Value != 0 || !Compile(family, beyond.Value).Equal(Closed()) {
			t.Errorf("%s: a node beyond the range gets label %d", family, beyond.Value)
		}
	}
}

func TestCompile(t *testing.T) {
	both := []Member{Limited(0x7fff), Full(5)}
	for _, c := range []struct {
		family site.Family
		own    uint32
		want   Row
	}{
		{site.InfiniBand, 5, Row{NIC: both, Leaf: both, EnforceIn: true, EnforceOut: true}},
		{site.InfiniBand, pkeyQuarantine, Row{NIC: []Member{Limited(pkeyQuarantine), Limited(0x7fff)}, Leaf: []Member{Limited(pkeyQuarantine), Limited(0x7fff)}, EnforceIn: true, EnforceOut: true}},
		{site.InfiniBand, pkeyService, Row{NIC: []Member{Limited(0x7fff)}, Leaf: []Member{Limited(0x7fff)}, EnforceIn: true, EnforceOut: true}},
		{site.InfiniBand, 0, Closed()},
		{site.InfiniBand, 0x8000, Closed()},
		{site.RoCE, 5000, Row{Leaf: []Member{Full(5000)}, EnforceIn: true, EnforceOut: true, Class: 3}},
		{site.RoCE, vniQuarantine, Row{Leaf: []Member{Limited(vniQuarantine)}, EnforceIn: true, EnforceOut: true}},
		{site.RoCE, 0, Closed()},
		{site.RoCE, MaxValue + 1, Closed()},
		{"other", 7, Closed()},
	} {
		got := Compile(c.family, c.own)
		if !got.Equal(c.want) {
			t.Errorf("Compile(%s, %#x) = %s, expected %s", c.family, c.own, got, c.want)
		}
		if err := got.Check(c.family, 4); err != nil {
			t.Errorf("Compile(%s, %#x): %v", c.family, c.own, err)
		}
		if reflect.DeepEqual(c.want, Closed()) {
			continue
		}
		// What is compiled and read back is carried, and nothing else is.
		tables := NewTables(1)
		tables.Set(&Reading{NIC: got.NIC, Leaf: got.Leaf, EnforceIn: true, EnforceOut: true, Class: got.Class})
		if c.own != pkeyService && !tables.Carries(0, c.family, c.own) || tables.Carries(0, c.family, c.own+1) {
			t.Errorf("Carries(%s, %#x) does not say what Compile says", c.family, c.own)
		}
		tables.Set(&Reading{NIC: got.NIC, Leaf: got.Leaf, EnforceIn: true})
		if tables.Carries(0, c.family, c.own) {
			t.Errorf("Carries(%s, %#x) without enforcement", c.family, c.own)
		}
	}
}
