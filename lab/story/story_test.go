package story

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/run"
)

func TestFakeStory(t *testing.T) {
	cast, err := LoadCast("small")
	if err != nil {
		t.Fatal(err)
	}
	w, err := newFake(cast.Site)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keystore.InMemory(rand.Reader, Begin)
	if err != nil {
		t.Fatal(err)
	}
	clock := run.NewVirtualClock(Begin)
	w.now = Begin
	devices := run.Devices{Fabrics: map[string]fabric.Driver{}, Nodes: fakeNodes{w}}
	for i, f := range w.s.Fabrics {
		devices.Fabrics[f.ID] = fakeFabric{w, i}
	}
	plane, err := run.Open(context.Background(), run.Config{Log: memory.New(), Signers: keys, Clock: clock, Devices: devices, Writer: "test", Notify: func(es []ledger.Entry) {
			for _, e := range es {
				if e.Kind == "node.moved/1" && e.Scope == "site" && strings.Contains(string(e.Body), "quarantined") {
					t.Log(e.Time, string(e.Body[:min(600, len(e.Body))]))
				}
			}
		},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	telling := New(cast, plane, w, clock, func(now time.Time, line string) { t.Log(now.Format(time.DateTime), line) })
	began := time.Now()
	if err := telling.Run(context.Background()); err != nil {
		t.Error(err)
	}
	t.Log(time.Since(began))
	plane.View(func(s *book.State) {
		for st, set := range s.Nodes.By {
			t.Log(st, set.Len())
		}
		for _, l := range s.Leases {
			t.Log(l.ID, l.Delivered, len(l.Slots), l.Verdict, l.Returned)
		}
		for _, i := range s.Invoices {
			t.Log(i.Number, i.From, i.Total)
		}
		t.Log(s.Seq)
	})
}
