package book_test

import (
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/ledger"
	"bulkhead/meter"
)

const flagship = "flagship"

// lookedAt gives looks of the nodes and every fabric, from some minutes before now until
// some others.
func lookedAt(s *stage, from, until time.Duration, all bool) book.ReportLooked {
	c := book.ReportLooked{All: all}
	scopes := []string{""}
	for _, f := range s.Site.Fabrics {
		scopes = append(scopes, f.ID)
	}
	for _, scope := range scopes {
		c.Looks = append(c.Looks, meter.Look{Fabric: scope, From: s.now.Add(-from), Until: s.now.Add(-until)})
	}
	return c
}

// Looks are told to the site at once, and to a tenant by the hour or when it matters.
func TestWhoIsToldOfLooks(t *testing.T) {
	s := on(t, atRunning)
	s.Policy.RecordLooks = 5 * time.Minute
	sites, tenants := 0, 0
	for range 24 {
		s.later(5 * time.Minute)
		for _, draft := range s.do(t, lookedAt(s, 5*time.Minute, 0, false)) {
			if draft.Scope == book.SiteScope {
				sites++
			} else if draft.Scope == book.TenantScope(flagship) {
				tenants++
			}
		}
	}
	if sites != 24 || tenants != 2 {
		t.Errorf("in two hours %d entries of the site, %d of a tenant", sites, tenants)
	}
	s.later(5 * time.Minute)
	if got := kinds(s.do(t, lookedAt(s, 5*time.Minute, 0, true))); got != "site devices.observed/1, tenant/flagship devices.observed/1, tenant/research devices.observed/1, tenant/tidewater devices.observed/1" {
		t.Errorf("all are told by %s", got)
	}
	if _, err := s.decide(t, lookedAt(s, 5*time.Minute, 0, true)); err == nil {
		t.Error("it is told twice")
	}
	looks := s.Tenants[flagship].Looks
	for fabric := range looks.Seen {
		if fabric != "" && fabric != "roce" && fabric != "ib" {
			t.Errorf("a tenant is told of fabric %s, which it has no lease on", fabric)
		}
	}
	if !looks.Until("").Equal(s.Looks.Until("")) {
		t.Errorf("the tenant is told until %s, the site until %s", looks.Until(""), s.Looks.Until(""))
	}
}

// What was not recorded while it could be is silence for ever.
func TestLooksAreNotFoundLater(t *testing.T) {
	s := on(t, atRunning)
	until := s.Looks.Until("")
	s.later(60 * time.Hour)
	s.do(t, lookedAt(s, 60*time.Hour, 0, true))
	gaps := s.Looks.Gaps([]string{"roce"}, s.now)
	last := gaps[len(gaps)-1]
	sayable := s.Policy.Apart() + s.Policy.RecordLooks + s.Policy.Poll
	if last.Until.Sub(until) < 60*time.Hour-sayable-time.Second {
		t.Errorf("the last gap is %s until %s, the looks recorded before were of %s", last.From, last.Until, until)
	}
}

// A ledger without a word of looks is silent from its last entry on.
func TestATermOnAnOldLedgerBeginsSilence(t *testing.T) {
	s := on(t, func(s *book.State) bool { return atRunning(s) && s.Looks != nil })
	s.Looks = nil
	for _, tenant := range s.Tenants {
		tenant.Looks = nil
	}
	last := s.Time
	s.later(90 * 24 * time.Hour)
	s.do(t, book.BeginTerm{Writer: "this release"})
	for _, looks := range []*meter.Looks{s.Looks, s.Tenants[flagship].Looks, s.Tenants["tidewater"].Looks} {
		if looks == nil || !looks.Since.Equal(last) {
			t.Errorf("silence counts by %+v, expected from %s on", looks, last)
		}
	}
	if got := kinds(s.do(t, book.BeginTerm{Writer: "again"})); got != "site writer.began/1" {
		t.Errorf("another term is %s", got)
	}
}

func TestLooksThatDoNotFold(t *testing.T) {
	s := on(t, atRunning)
	if s.apply("tenant/nobody", meter.KindObserved, meter.Observed{Since: s.now, WithinS: 60}) == nil {
		t.Error("looks of nobody were folded")
	}
	if s.apply(book.SiteScope, meter.KindObserved, meter.Observed{WithinS: 60, Looks: []meter.Look{{From: s.now, Until: s.now.Add(time.Hour)}}}) == nil {
		t.Error("looks of the future were folded")
	}
	if s.apply(book.SiteScope, meter.KindObserved, map[string]any{"within_s": 60, "by": "x"}) == nil {
		t.Error("an unknown field was folded")
	}
}

// FuzzObserved folds any body as an entry about looks.
func FuzzObserved(f *testing.F) {
	f.Add([]byte(`{"since":"2026-05-01T00:00:00Z","within_s":900,"behind_s":3600}`), []byte(`{"within_s":900,"behind_s":3600,"looks":[{"fabric":"roce","from":"2026-05-01T00:00:00Z","until":"2026-05-02T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := book.New()
		at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		for i, body := range [][]byte{first, second} {
			e := ledger.Entry{Seq: uint64(i + 1), ScopeSeq: uint64(i + 1), Time: at, Kind: meter.KindObserved, Scope: book.SiteScope, Body: body}
			if book.Apply(s, &e, nil) != nil {
				return
			}
		}
		last := s.Looks.Since
		for _, g := range s.Looks.Gaps([]string{"roce", "ib"}, at) {
			if !g.From.Before(g.Until) || g.From.Unix() < last.Unix() {
				t.Fatalf("gap %+v after %s", g, last)
			}
			last = g.Until
		}
	})
}
