package story

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
	"bulkhead/sim"
)

func TestFakeStory(t *testing.T) {
	cast, err := LoadCast(cmp.Or(os.Getenv("STORY"), "small"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(1, Begin))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keystore.InMemory(rand.Reader, Begin)
	if err != nil {
		t.Fatal(err)
	}
	clock := run.NewVirtualClock(Begin)
	devices := run.Devices{Fabrics: w.Fabrics(), Nodes: w.Nodes()}
	var log ledger.Log = memory.New()
	if os.Getenv("STORY") == "full" {
		if log, err = sqlite.Open(t.TempDir() + "/ledger.db"); err != nil {
			t.Fatal(err)
		}
	}
	plane, err := run.Open(context.Background(), run.Config{Log: log, Signers: keys, Clock: clock, Devices: devices, Writer: "test", Notify: func(es []ledger.Entry) {
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
	last := time.Now()
	telling := New(cast, plane, w, clock, func(now time.Time, line string) { t.Log(now.Format(time.DateTime), line) })
	telling.Progress = func(now time.Time, what string) {
		if time.Since(last) > 3*time.Second {
			last = time.Now()
			t.Log(now.Format(time.DateTime), what)
		}
	}
	began := time.Now()
	if err := telling.Run(context.Background()); err != nil {
		t.Error(err)
	}
	t.Log(time.Since(began))
	trust, err := keys.Trust(cast.Site.Header().Name)
	if err != nil {
		t.Fatal(err)
	}
	encoded, _ := trust.Encode()
	for _, tenant := range []string{"flagship", "tidewater", "research"} {
		var b bytes.Buffer
		if _, err := plane.WriteBundle(context.Background(), tenant, &b); err != nil {
			t.Fatal(err)
		}
		policy, err := bundle.PolicyFromTrust("trust.json", encoded, tenant)
		if err != nil {
			t.Fatal(err)
		}
		policy.Origins = []claim.Origin{claim.Simulated}
		report, err := bundle.Verify(bytes.NewReader(b.Bytes()), int64(b.Len()), policy, bundle.Options{})
		t.Log(tenant, b.Len(), err)
		if report != nil {
			for i, f := range report.Rejected {
				if i < 12 {
					t.Logf("%+v", f)
				}
			}
		}
	}
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
