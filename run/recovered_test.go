package run_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/site"
)

// shortened is a log that has lost its end. What its bodies were is still there.
type shortened struct {
	*memory.Log
	whole ledger.Log
}

func (l shortened) Body(ctx context.Context, d claim.Digest) ([]byte, error) {
	if data, err := l.Log.Body(ctx, d); err == nil {
		return data, nil
	}
	return l.whole.Body(ctx, d)
}

// TestWhatARecoveredLedgerDoesNotKnow loses every entry from a lease's signature
// on, after its nodes were handed over, and recovers. By what is left of the ledger
// they are clean and free; a tenant was on them. They are wiped before anybody
// gets them, and devices take the new writer's word.
func TestWhatARecoveredLedgerDoesNotKnow(t *testing.T) {
	ctx := context.Background()
	w := imported(t)
	w.live(t, w.open(t), 24)
	cut, err := w.log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.open(t)
	p := w.lease(t, w.sim.Storage(), 2) // another writer: two terms are lost, and devices have seen the second
	var used []site.Index
	p.View(func(s *book.State) {
		l, ok := s.LeaseByID("tidewater/w1")
		if !ok || l.Delivered != len(l.Slots) {
			t.Fatalf("tidewater/w1: %+v", l)
		}
		used = append(used, l.Slots...)
	})

	short := shortened{memory.New(), w.log}
	var kept []ledger.Entry
	state := book.New()
	for e, err := range w.log.Read(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq > cut {
			break
		}
		if err := book.Apply(state, &e, run.BodiesOf(w.log)); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, e)
	}
	for _, n := range used {
		if state.Nodes.State[n] != node.Ready {
			t.Fatalf("node %d is %s by what is left: expected ready", n, state.Nodes.State[n])
		}
	}
	body, err := json.Marshal(ledger.Recovered{PublishedSize: cut, HeadSize: cut, By: "test", Reason: "a disk was lost"})
	if err != nil {
		t.Fatal(err)
	}
	kept = append(kept, ledger.Entry{Seq: cut + 1, Time: w.clock.Now(), Term: state.Term, Kind: ledger.KindRecovered, Scope: book.SiteScope,
		ScopeSeq: state.Scopes[book.SiteScope] + 1, Body: body})
	if err := short.Append(ctx, 0, kept, nil); err != nil {
		t.Fatal(err)
	}
	after, err := run.Open(ctx, run.Config{
		Log: short, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if held := after.Plan(ctx).Deferred; len(held) != 1 {
		t.Errorf("before anything was read back the plan holds %q", held)
	}
	w.live(t, after, 1)
	after.View(func(s *book.State) {
		if s.Control.Recovering {
			t.Error("the recovery has not ended")
		}
		for _, n := range used {
			if s.Nodes.State[n] != node.Quarantined {
				t.Errorf("node %d, which a tenant was on, is %s", n, s.Nodes.State[n])
			}
		}
		for n := range state.Nodes.By[node.Ready].All() {
			if !slices.Contains(used, n) && s.Nodes.State[n] == node.Quarantined {
				t.Errorf("node %d, which the ledger explains, is quarantined", n)
			}
		}
	})
	w.submit(t, after, book.SendToRepair{Nodes: used, Reason: "looked at"})
	w.until(t, after, w.clock.Now().AddDate(0, 0, 12).Truncate(time.Hour))
	after.View(func(s *book.State) {
		for _, n := range used {
			if s.Nodes.State[n] != node.Ready || s.Nodes.Turnover[n] < 2 && s.Nodes.Seq[n] < 6 {
				t.Errorf("node %d is %s after %d moves", n, s.Nodes.State[n], s.Nodes.Seq[n])
			}
		}
	})
}
