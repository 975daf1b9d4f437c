package run_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// TestLateAnswers: what a fabric answered late is judged against all that was true since
// it was asked. Between, the node moves on: what it carried for its tenant is not wanted
// any more when the answer is heard.
func TestLateAnswers(t *testing.T) {
	for _, leak := range []bool{true, false} {
		name := "a change in flight is no leak"
		if leak {
			name = "a leak is not hidden by a change"
		}
		t.Run(name, func(t *testing.T) {
			w := imported(t)
			late := false
			p, err := run.Open(t.Context(), run.Config{
				Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
				Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
				Fate: func(lane, what string) (f run.Fate) {
					if late && strings.HasPrefix(lane, "fabric") && what == "read back" {
						f.Late = 20 * time.Second
					}
					return f
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			w.sell(t, p)
			w.until(t, p, time.Date(2026, 4, 30, 20, 0, 0, 0, time.UTC)) // hours before it is handed over
			var n site.Index
			p.AsWanted(func(s *book.State, as func(site.Index) bool) {
				for at := range s.Nodes.By[node.Reserved].All() {
					if as(at) {
						n = at
					}
				}
				if s.Nodes.State[n] != node.Reserved {
					t.Fatal("no node is ready to be handed over")
				}
			})
			port := site.PortOf(n, 0)
			if leak {
				if err := w.sim.Inject(t.Context(), w.clock.Now(), sim.Fault{Kind: sim.Misconfigured, Node: n, NIC: 0, Label: 77}); err != nil {
					t.Fatal(err)
				}
			} else if err := w.sim.Inject(t.Context(), w.clock.Now(), sim.Fault{Kind: sim.PortFails, Node: n, NIC: 1, For: time.Second}); err != nil {
				t.Fatal(err)
			}
			late = true
			w.clock.Set(w.clock.Now().Add(w.sweep(p))) // every leaf is listed
			if err := p.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.kinds(t)[fabric.KindDrifted] != 0 {
				t.Fatal("the answer was not late")
			}
			w.submit(t, p, book.Quarantine{Nodes: []site.Index{n}, Reason: []string{"test"}})
			late = false
			w.clock.Set(w.clock.Now().Add(25 * time.Second))
			if err := p.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			drifted := w.drifted(t)
			if leak != drifted[uint32(port)] || !leak && len(drifted) > 0 {
				t.Errorf("drifted ports %v", drifted)
			}
			w.until(t, p, w.clock.Now().Add(3*time.Hour))
			if !leak && len(w.drifted(t)) > 0 {
				t.Errorf("drifted later: %v", w.drifted(t))
			}
			p.View(func(s *book.State) {
				if len(s.Drifted) > 0 {
					t.Errorf("still locked: %v", s.Drifted)
				}
			})
			p.AsWanted(func(s *book.State, as func(site.Index) bool) {
				if !as(n) {
					t.Errorf("%s does not read as wanted", s.Site.NodeID[n])
				}
			})
		})
	}
}

// sweep is after how long everything is read again.
func (w *world) sweep(p *run.Plane) (d time.Duration) {
	p.View(func(s *book.State) { d = s.Policy.Sweep })
	return d
}

// drifted lists the ports that the ledger says have drifted.
func (w *world) drifted(t *testing.T) map[uint32]bool {
	t.Helper()
	out := map[uint32]bool{}
	for e, err := range w.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == fabric.KindDrifted && e.Scope == book.SiteScope {
			var body fabric.Drifted
			if err := json.Unmarshal(e.Body, &body); err != nil {
				t.Fatal(err)
			}
			for _, p := range body.Ports {
				out[p.Port] = true
			}
		}
	}
	return out
}
