package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/lineage"
	"bulkhead/run"
	"bulkhead/site"
)

// copyLog is a ledger with the entries and bodies of another.
func copyLog(ctx context.Context, log ledger.Log) (ledger.Log, error) {
	short := memory.New()
	var entries []ledger.Entry
	for e, err := range log.Read(ctx, 1) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return bodied{short, log}, short.Append(ctx, 0, entries, nil)
}

func (w *world) copied(t *testing.T) ledger.Log {
	t.Helper()
	log, err := copyLog(t.Context(), w.log)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// named is a lineage of epoch 1.
func named(id string) func(lineage.Lineage) (lineage.Lineage, error) {
	return func(lineage.Lineage) (lineage.Lineage, error) { return lineage.Lineage{Epoch: 1, ID: id}, nil }
}

// bodied has the bodies of another log beside its own.
type bodied struct {
	ledger.Log
	bodies ledger.Log
}

func (b bodied) Body(ctx context.Context, digest claim.Digest) ([]byte, error) {
	if data, err := b.Log.Body(ctx, digest); err == nil {
		return data, nil
	}
	return b.bodies.Body(ctx, digest)
}

// written opens a plane over a log as one run of a lineage.
func (w *world) written(t *testing.T, log ledger.Log, l lineage.Lineage, name string) *run.Plane {
	t.Helper()
	p, err := run.Open(t.Context(), run.Config{Log: log, Signers: w.keys, Clock: w.clock, Writer: name, Audit: book.CheckInvariants,
		Lineage: func(lineage.Lineage) (lineage.Lineage, error) { return l, nil }, Run: fmt.Sprintf("%x", name),
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pass lets time pass while nobody looks.
func (w *world) pass(t *testing.T, by time.Duration) {
	t.Helper()
	now := w.clock.Now().Add(by)
	if err := w.sim.Advance(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(now)
}

func head(p *run.Plane) (seq uint64) {
	p.View(func(s *book.State) { seq = s.Seq })
	return seq
}

func steppedDown(p *run.Plane) bool {
	var why *run.SteppedDown
	return errors.As(p.ReadOnly(), &why)
}

// A plane over a copy of the ledger steps down at its first look, before it decides or
// writes anything, and answers what it holds. The other one never notices. When somebody
// lets a copy take over, it is the other one that steps down, and only once.
func TestACopyStepsDown(t *testing.T) {
	w := imported(t)
	own := lineage.Lineage{Epoch: 1, ID: "0a"}
	first := w.written(t, w.log, own, "first")
	w.sell(t, first)
	w.until(t, first, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
	if delivered(first) == 0 {
		t.Fatal("nothing is delivered")
	}
	log := w.copied(t)
	second := w.written(t, log, lineage.Lineage{Epoch: 1, ID: "0b"}, "second")
	began := head(second)
	must(t, first.ActAsShown(t.Context(), "", noticeOf("tidewater"), nil))
	for range 10 {
		w.pass(t, time.Hour)
		for _, p := range []*run.Plane{second, first} {
			if err := p.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !steppedDown(second) || steppedDown(first) || second.Broken() != nil {
		t.Fatalf("the copy: %v, the other: %v", second.ReadOnly(), first.ReadOnly())
	}
	if got := head(second); got != began {
		t.Errorf("the copy has appended %d entries after its term began", got-began)
	}
	for what, err := range map[string]error{
		"a command": func() error {
			_, err := second.Submit(t.Context(), "", book.RegisterTenant{Tenant: "x", Name: "X"})
			return err
		}(),
		"checkpoint": func() error { _, err := second.Checkpoint(book.SiteScope); return err }(),
	} {
		if !errors.Is(err, run.ErrReadOnly) {
			t.Errorf("%s at the copy: %v", what, err)
		}
	}
	if got := head(second); got != began {
		t.Errorf("the copy has appended %d entries after its term began", got-began)
	}
	if held := strings.Join(second.Plan(t.Context()).Deferred, " "); !strings.Contains(held, "stepped down") {
		t.Errorf("the copy's plan holds %q", held)
	}
	if delivered(second) == 0 {
		t.Error("the copy answers nothing any more")
	}

	// A copy takes over, and the other one is told so.
	third := w.written(t, w.copied(t), lineage.Lineage{Epoch: 2, ID: "0c"}, "third")
	for range 3 {
		w.pass(t, 12*time.Hour)
		for _, p := range []*run.Plane{third, first} {
			if err := p.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if steppedDown(third) || !steppedDown(first) {
		t.Fatalf("who took over: %v, the other: %v", third.ReadOnly(), first.ReadOnly())
	}
}

// A folder that was copied with its lineage, as a machine's image is: of the two, one is
// obeyed at a time. The later term is, and of one term the first that showed itself.
func TestAnImageOfAWholeMachine(t *testing.T) {
	w := imported(t)
	own := lineage.Lineage{Epoch: 1, ID: "0a"}
	log := w.copied(t)
	first := w.written(t, w.log, own, "first")
	image := w.written(t, log, own, "image") // of the same term
	for _, p := range []*run.Plane{first, image, first} {
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if steppedDown(first) || !steppedDown(image) {
		t.Fatalf("the first: %v, the image: %v", first.ReadOnly(), image.ReadOnly())
	}
	again := w.written(t, log, own, "again") // a later term
	w.pass(t, 24*time.Hour)
	for _, p := range []*run.Plane{again, first, again} {
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !steppedDown(first) || steppedDown(again) {
		t.Fatalf("the first: %v, a later term: %v", first.ReadOnly(), again.ReadOnly())
	}
}

// What was opened to read appends nothing, from its first moment on.
func TestReadOnly(t *testing.T) {
	w := imported(t)
	before := w.told(t)
	p, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "reader", Observe: true, ReadOnly: "it is a copy"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Submit(t.Context(), "", book.RegisterTenant{Tenant: "x", Name: "X"}); !errors.Is(err, run.ErrReadOnly) {
		t.Errorf("a command: %v", err)
	}
	if err := errors.Join(p.Publish(t.Context()), p.SaveSnapshot(t.Context())); err != nil {
		t.Error(err)
	}
	if after := w.told(t); after != before || p.Broken() != nil || p.ReadOnly() == nil {
		t.Errorf("the ledger changed, or it is broken: %v, or writes: %v", p.Broken(), p.ReadOnly())
	}
	p.View(func(s *book.State) {
		if s.Site == nil || site.Index(s.Site.Nodes()) == 0 {
			t.Error("it answers nothing")
		}
	})
}

// Who wrote where a writer wanted to is said by name, with what to do; nobody is told to
// restore a backup, which would only lose what is there.
func TestASecondWriterIsNamed(t *testing.T) {
	w := imported(t)
	one, two := w.written(t, w.log, lineage.Lineage{}, "one"), w.written(t, w.log, lineage.Lineage{}, "two")
	w.submit(t, two, book.RegisterTenant{Tenant: "x", Name: "X"})
	_, err := one.Submit(t.Context(), "", book.RegisterTenant{Tenant: "y", Name: "Y"})
	if !errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("the first writer: %v, expected ErrConflict", err)
	}
	for _, want := range []string{`"two" in its term`, "restore no backup", "stop both"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: expected %q in it", err, want)
		}
	}
}
