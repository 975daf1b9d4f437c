package book_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/site"
)

func TestRegisterTenant(t *testing.T) {
	register := func(id, name string) func(*stage) book.Command {
		return func(*stage) book.Command { return book.RegisterTenant{Tenant: id, Name: name} }
	}
	refuseAll(t, []refused{
		{"no id", atSite, register("", "x"), "tenant", "1 to 40"},
		{"a capital", atSite, register("Acme", "x"), "tenant", "a-z"},
		{"a slash", atSite, register("a/b", "x"), "tenant", "a-z"},
		{"41 letters", atSite, register(strings.Repeat("a", 41), "x"), "tenant", "1 to 40"},
		{"the same again", atTenants, register("flagship", "Northstar"), "", ""},
		{"another name", atTenants, register("flagship", "Southstar"), "tenant", `registered already, as "Northstar"`},
	})
	s := on(t, atTenants)
	got := kinds(s.do(t, book.RegisterTenant{Tenant: strings.Repeat("a-0", 13) + "9", Name: "x", Internal: true}))
	if got != "site tenant.registered/1, tenant/"+strings.Repeat("a-0", 13)+"9 tenant.registered/1" {
		t.Errorf("a tenant is %s", got)
	}
	if ids := s.TenantIDs(); len(ids) != 4 || ids[0] != strings.Repeat("a-0", 13)+"9" || !s.Tenants[ids[0]].Internal || !s.Tenants[ids[0]].Since.Equal(s.now) {
		t.Errorf("tenants %q", ids)
	}
}

func TestImport(t *testing.T) {
	g := newest(t)
	var units []book.ImportedUnit
	s := on(t, atSite)
	header := s.Site.Header()
	encoded, err := header.Encode()
	must(t, err)
	for i := range s.Site.SUs {
		data := g.bodies[s.Site.SUs[i].Inventory]
		inventory, err := site.DecodeSU(data)
		must(t, err)
		units = append(units, book.ImportedUnit{Inventory: inventory, Body: data})
	}
	other := header
	other.Name = "elsewhere"
	refuseAll(t, []refused{
		{"nothing", atSite, func(*stage) book.Command { return book.ImportSite{Header: header, HeaderBody: encoded} }, "", ""},
		{"another site", atSite, func(*stage) book.Command { return book.ImportSite{Header: other, SUs: units[:1]} }, "site", "a ledger of its own"},
		{"a unit again", atSite, func(*stage) book.Command { return book.ImportSite{Header: header, SUs: units[:1]} }, "site.su", "imported before"},
		{"a unit twice", atNothing, func(*stage) book.Command {
			return book.ImportSite{Header: header, SUs: []book.ImportedUnit{units[0], units[0]}}
		}, "site.su", "imported before"},
	})
	// A header that the site can't take over is refused before it is folded: an
	// entry that no fold takes would be the end of the writer.
	edited := func(edit func(h *site.Header)) func(*stage) book.Command {
		return func(s *stage) book.Command {
			h := s.Site.Header()
			edit(&h)
			body, _ := h.Encode() // none of a header that can't be
			return book.ImportSite{Header: h, HeaderBody: body}
		}
	}
	hall := func(id string, days int) func(h *site.Header) {
		return func(h *site.Header) {
			for i := range h.Halls {
				if h.Halls[i].ID == id {
					h.Halls[i].InService = h.Halls[i].InService.AddDate(0, 0, days)
				}
			}
		}
	}
	refuseAll(t, []refused{
		{"other firmware", atSite, edited(func(h *site.Header) { h.Kinds[0].BMC.Firmware = "new" }), "site", "nodes that exist cannot be changed"},
		{"a header that can't be", atSite, edited(func(h *site.Header) { h.Halls[0].InService = time.Time{} }), "site", "expected a time in UTC"},
		{"a hall in service", atRunning, edited(hall("hall-a", 10)), "site.hall", "has been in service since 2026-04-01"},
	})
	running := on(t, atRunning)
	if got := kinds(running.do(t, edited(hall("hall-d", 30))(running))); !strings.HasPrefix(got, "site site.imported/1") || !strings.Contains(got, "tenant/flagship lease.late/1") {
		t.Errorf("a file that moves a hall past a tranche's date is %s", got)
	}
	if at, _ := running.Site.HallByID("hall-d"); running.Site.Halls[at].InService.Month() != time.July {
		t.Error("the hall has not moved")
	}
	if got := kinds(running.do(t, edited(func(h *site.Header) { h.Policy.Poll, h.Policy.LabelCoolDown = time.Minute, time.Hour })(running))); got != "site site.imported/1" {
		t.Errorf("a file with another policy is %s", got)
	}
	if pool, _ := running.Labels["roce"].MarshalJSON(); running.Policy.Poll != time.Minute || !strings.Contains(string(pool), `"cool_down":"1h0m0s"`) {
		t.Errorf("the policy is %+v, the labels %.100s", running.Policy, pool)
	}
	s = on(t, atNothing)
	s.now = g.entries[0].Time
	s.do(t, book.ImportSite{Header: header, HeaderBody: encoded, SUs: units[:3]})
	s.do(t, book.ImportSite{Header: header, HeaderBody: encoded, SUs: units[3:]})
	if s.Site.Nodes() != 64 || len(s.Nodes.State) != 64 || len(s.Labels) != 3 {
		t.Errorf("%d nodes, %d columns, labels of %d fabrics", s.Site.Nodes(), len(s.Nodes.State), len(s.Labels))
	}
}

func TestReschedule(t *testing.T) {
	move := func(hall string, days int) func(*stage) book.Command {
		return func(s *stage) book.Command {
			return book.RescheduleHall{Hall: hall, InService: time.Date(2026, 6, 24+days, 0, 0, 0, 0, time.UTC), Reason: "late"}
		}
	}
	refuseAll(t, []refused{
		{"no such hall", atRunning, move("hall-z", 1), "hall", "no hall"},
		{"one in service", atRunning, move("hall-a", 1), "hall", "has been in service since 2026-04-01"},
		{"the same date", atRunning, move("hall-d", 0), "", ""},
	})
	s := on(t, atRunning)
	if got := kinds(s.do(t, move("hall-d", 3)(s))); got != "site site.rescheduled/1" {
		t.Errorf("a slip that makes nobody late is %s", got)
	}
	got := kinds(s.do(t, move("hall-d", 30)(s)))
	if !strings.Contains(got, "tenant/flagship lease.late/1") {
		t.Errorf("a slip past a tranche's date is %s", got)
	}
	l, _ := s.LeaseByID("flagship/t3")
	if l.LateNoted {
		t.Error("it is late before its date")
	}
	for _, c := range book.Due(s.State, l.Begin.Add(s.Policy.Turnover.Deliver-1)) {
		if n, ok := c.(book.NoteLate); ok && n.Lease == l.ID {
			t.Error("it is late before a hand-over may take that long")
		}
	}
	// When the date passes, that it is late is said again, and once.
	s.now = l.Begin.Add(s.Policy.Turnover.Deliver)
	var note book.Command
	for _, c := range book.Due(s.State, s.now) {
		if n, ok := c.(book.NoteLate); ok && n.Lease == l.ID {
			note = c
		}
	}
	if note == nil {
		t.Fatal("nobody says that it is late")
	}
	s.do(t, note)
	if !l.LateNoted || note.(book.NoteLate).Expected.Before(l.Begin) {
		t.Errorf("late: %+v", note)
	}
	if _, err := s.decide(t, note); err != book.ErrNothing {
		t.Errorf("late twice: %v", err)
	}
}
