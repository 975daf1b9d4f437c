package fabric

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/site"
)

func members(t *rapid.T, name string, most int) []Member {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Member {
		m := Limited(rapid.Uint32Range(1, 9).Draw(t, "value"))
		if rapid.Bool().Draw(t, "full") {
			m |= FullBit
		}
		return m
	}), 0, most).Draw(t, name)
}

func row(t *rapid.T) Row {
	return Row{NIC: members(t, "nic", 9), Leaf: members(t, "leaf", 9), EnforceIn: rapid.Bool().Draw(t, "in"),
		EnforceOut: rapid.Bool().Draw(t, "out"), Class: rapid.Uint8Range(0, 7).Draw(t, "class")}
}

func reading(p site.Port, r Row) *Reading {
	return &Reading{Port: p, NIC: r.NIC, Leaf: r.Leaf, EnforceIn: r.EnforceIn, EnforceOut: r.EnforceOut, Class: r.Class}
}

// TestTables plays random settings against a map.
func TestTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables := NewTables(3)
		model := map[site.Port]Reading{}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				r := reading(site.Port(rapid.IntRange(0, tables.Len()-1).Draw(t, "port")), row(t))
				r.Full = rapid.Bool().Draw(t, "full table")
				r.Neighbour = rapid.Uint64().Draw(t, "neighbour")
				tables.Set(r)
				kept := *r
				kept.NIC, kept.Leaf = normal(slices.Clone(r.NIC)), normal(slices.Clone(r.Leaf))
				model[r.Port] = kept
				// The tables must not hold on to what they were given.
				for i := range r.Leaf {
					r.Leaf[i] = 0
				}
			},
			"clear": func(t *rapid.T) {
				p := site.Port(rapid.IntRange(0, tables.Len()-1).Draw(t, "port"))
				tables.Clear(p)
				delete(model, p)
			},
			"grow": func(t *rapid.T) { tables.Grow(tables.Len() + 1) },
			"": func(t *rapid.T) {
				for p := range site.Port(tables.Len()) {
					got, read := tables.Get(p)
					want, ok := model[p]
					if read != ok {
						t.Fatalf("port %d read: %t, expected %t", p, read, ok)
					}
					if !ok {
						continue
					}
					if !slices.Equal(got.NIC, want.NIC) || !slices.Equal(got.Leaf, want.Leaf) || got.Neighbour != want.Neighbour ||
						got.Full != want.Full || got.EnforceIn != want.EnforceIn || got.EnforceOut != want.EnforceOut || got.Class != want.Class {
						t.Fatalf("port %d is %+v, expected %+v", p, got, want)
					}
				}
				if _, read := tables.Get(site.Port(tables.Len())); read {
					t.Fatal("a port beyond the tables was read")
				}
			},
		})
		spilledPorts := 0
		for p := range tables.Len() {
			if tables.nicCount[p] == spilled || tables.leafCount[p] == spilled {
				spilledPorts++
			}
		}
		if len(tables.overflow) != spilledPorts {
			t.Fatalf("%d overflow rows for %d ports", len(tables.overflow), spilledPorts)
		}
	})
}

// TestPlan: carrying out a plan gives what was desired, and then there is
// nothing to plan; ports that are as desired are never touched.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ports = 6
		tables := NewTables(ports)
		var desired []PortRow
		for p := range site.Port(ports) {
			if rapid.Bool().Draw(t, "read") {
				tables.Set(reading(p, row(t)))
			}
			if rapid.Bool().Draw(t, "desired") {
				desired = append(desired, PortRow{p, row(t)})
			}
		}
		desired = rapid.Permutation(desired).Draw(t, "order")
		c, err := Plan("f", desired, tables)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range desired {
			got, read := tables.Get(d.Port)
			planned := slices.ContainsFunc(c.Ports, func(x PortRow) bool { return x.Port == d.Port })
			if differs := !read || !got.Row().Equal(d.Row); planned != differs {
				t.Fatalf("port %d: planned %t, differs %t", d.Port, planned, differs)
			}
		}
		for _, r := range c.Ports {
			tables.Set(reading(r.Port, r.Row))
		}
		again, err := Plan("f", desired, tables)
		if err != nil || len(again.Ports) > 0 {
			t.Fatalf("after the plan was carried out: %v, %v", again, err)
		}
		if NewChange("f", slices.Clone(c.Ports)).ID != c.ID {
			t.Fatal("the same change has two ids")
		}
	})
}

func TestPlanRefuses(t *testing.T) {
	tables := NewTables(2)
	closed := Closed()
	if _, err := Plan("f", []PortRow{{2, closed}}, tables); !errors.Is(err, ErrUnknownPort) {
		t.Errorf("a port beyond the site: %v", err)
	}
	for _, twice := range [][]PortRow{{{1, closed}, {1, closed}}, {{1, closed}, {0, closed}, {1, closed}}} {
		if _, err := Plan("f", twice, tables); err == nil {
			t.Errorf("a port desired twice was planned: %v", twice)
		}
	}
	bad := NewChange("f", []PortRow{{0, closed}, {0, closed}})
	if bad.Check("f", claim.Digest{}, site.RoCE, 4) == nil {
		t.Error("a change with a port twice was accepted")
	}
}

func BenchmarkPlan(b *testing.B) {
	const ports = 450_000
	tables := NewTables(ports)
	desired := make([]PortRow, ports)
	for p := range site.Port(ports) {
		r := Compile(site.RoCE, 5000)
		desired[p] = PortRow{p, r}
		tables.Set(reading(p, r))
	}
	for i := range 1024 {
		desired[i*400].Row = Compile(site.RoCE, 5001)
	}
	b.ReportAllocs()
	for b.Loop() {
		if c, err := Plan("f", desired, tables); err != nil || len(c.Ports) != 1024 {
			b.Fatal(len(c.Ports), err)
		}
	}
}

// BenchmarkPlanLease plans a lease of 512 ports on a fabric of 4,096 ports and on
// one of 409,600: it costs what changes, not what there is.
func BenchmarkPlanLease(b *testing.B) {
	const changed = 512
	var took [2]time.Duration
	for b.Loop() {
		for i, ports := range []int{4096, 409_600} {
			tables := NewTables(ports)
			for p := range site.Port(ports) {
				tables.Set(&Reading{Port: p, NIC: Closed().NIC, EnforceIn: true, EnforceOut: true})
			}
			rows := make([]PortRow, changed)
			for r := range rows {
				rows[r] = PortRow{site.Port(ports/2 + r), Compile(site.InfiniBand, 7)}
			}
			began := time.Now()
			for range 100 {
				c, err := Plan("ib", rows, tables)
				if err != nil || len(c.Ports) != changed {
					b.Fatal(len(c.Ports), err)
				}
			}
			took[i] += time.Since(began) / 100
		}
	}
	b.ReportMetric(float64(took[0].Nanoseconds())/float64(b.N)/changed, "ns/port-of-4096")
	b.ReportMetric(float64(took[1].Nanoseconds())/float64(b.N)/changed, "ns/port-of-409600")
	b.ReportMetric(float64(took[1])/float64(took[0]), "x-of-100-times-the-fabric")
}

// A port with a fault that writing mends is planned to be written again, and is not as
// it is to be; other faults are for the prover.
func TestMendedFaultsAreWrittenAgain(t *testing.T) {
	row := Compile(site.RoCE, 5000)
	for fault, want := range map[Faults]bool{0: false, FaultClass: true, FaultPolicy: true, FaultRoutes: false} {
		tables := NewTables(1)
		tables.Set(&Reading{Port: 0, EnforceIn: true, EnforceOut: true, Leaf: row.Leaf, Class: row.Class, Faults: fault})
		c, err := Plan("compute", []PortRow{{Port: 0, Row: row}}, tables)
		if err != nil || (len(c.Ports) == 0) == want || tables.Carries(0, site.RoCE, 5000) == want {
			t.Errorf("fault %05b: planned %v (%v), carries %t; expected to be written again: %t", fault, c.Ports, err, tables.Carries(0, site.RoCE, 5000), want)
		}
	}
}
