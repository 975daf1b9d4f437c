package sim_test

import (
	"os"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/node/nodetest"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage/storagetest"
)

var start = time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)

func template(t testing.TB, size string) *site.Template {
	t.Helper()
	file := "../examples/" + size + "/site.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := site.ParseTemplate(file, data)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// quiet is a site without failures by chance.
func quiet(seed uint64) sim.Config {
	c := sim.DefaultConfig(seed, start)
	c.FailureRate, c.DeadShare, c.SlowShare = 0, 0, 0
	return c
}

func open(t testing.TB, size string, config sim.Config) *sim.Sim {
	t.Helper()
	s, err := sim.FromTemplate(template(t, size), config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fabricHooks are a fixture's hooks into a simulated fabric.
func fabricHooks(t *testing.T, s *sim.Sim, driver fabric.Driver, index int) *fabrictest.Fixture {
	ctx := t.Context()
	inject := func(f sim.Fault) { must(t, s.Inject(ctx, time.Time{}, f)) }
	return &fabrictest.Fixture{Driver: driver, Site: s.Site(), Fabric: index,
		SetReachable: func(l site.Leaf, reachable bool) {
			if reachable {
				inject(sim.Fault{Kind: sim.Cleared})
			} else {
				inject(sim.Fault{Kind: sim.LeafDown, Leaf: l})
			}
		},
		SetFailing: func(p site.Port, failing bool) {
			if failing {
				inject(sim.Fault{Kind: sim.PortFails, Node: p.Node(), NIC: p.NIC()})
			} else {
				inject(sim.Fault{Kind: sim.Cleared})
			}
		},
		Tamper: s.Tamper,
	}
}

func TestFabricsConform(t *testing.T) {
	for index, f := range template(t, "tiny").Header().Fabrics {
		t.Run(f.ID, func(t *testing.T) {
			fabrictest.Run(t, func(t *testing.T) *fabrictest.Fixture {
				s := open(t, "tiny", quiet(1))
				return fabricHooks(t, s, s.Fabrics()[f.ID], index)
			})
		})
	}
}

func TestNodesConform(t *testing.T) {
	nodetest.Run(t, func(t *testing.T) *nodetest.Fixture {
		s := open(t, "tiny", quiet(2))
		now := start
		return &nodetest.Fixture{Driver: s.Nodes(), Site: s.Site(),
			Pass: func(d time.Duration) { now = now.Add(d); must(t, s.Advance(t.Context(), now)) },
			Kill: func(n site.Index) { must(t, s.Inject(t.Context(), now, sim.Fault{Kind: sim.Dead, Node: n})) },
			Lie:  func(n site.Index) { must(t, s.Inject(t.Context(), now, sim.Fault{Kind: sim.Liar, Node: n})) },
		}
	})
}

func TestStorageConforms(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) *storagetest.Fixture {
		s := open(t, "tiny", quiet(3))
		return &storagetest.Fixture{Driver: s.Storage(), Mount: s.Mount}
	})
}
