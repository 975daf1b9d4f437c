package book_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// TestDomainsAreNeverShared: where racks are NVLink domains, no two projects are in one,
// although both contracts let racks be split: a rival is placed elsewhere or refused, and
// the writer takes no proposal that says otherwise. One project may be in it twice.
func TestDomainsAreNeverShared(t *testing.T) {
	s := on(t, atTenants)
	s.domains("H200") // each SU has a rack of 4 and one of 3 with a spare
	july, end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	split := func(id, tenant string, nodes int, begin, end time.Time) *contract.Contract {
		c := either(id, nodes, begin, end, "H200")
		c.Tenant, c.Tranches[0].SplitRacks = tenant, true
		return c
	}
	sign := func(c *contract.Contract) *book.Lease {
		t.Helper()
		p, o := s.settled(t, c)
		if p.Refused != nil {
			t.Fatalf("%s: %v", c.ID, p.Refused)
		}
		s.do(t, o)
		s.do(t, book.SignQuote{Quote: o.Quote, By: "x", Signed: contract.ByTenant("x")})
		l, _ := s.LeaseByID(book.LeaseIDOf(c.ID, "w1"))
		must(t, book.CheckInvariants(s.State))
		return l
	}
	racks := func(l *book.Lease) map[int]bool {
		out := map[int]bool{}
		for _, n := range l.Slots {
			out[s.Site.RackOf(n)] = true
		}
		return out
	}
	// What the rival would have been given on a site whose racks are no domains.
	s.domains("")
	_, beside := s.settled(t, split("rival", "flagship", 2, july, end))
	s.domains("H200")
	own := sign(split("own", "tidewater", 2, july, end))
	if beside.Slices[0].Slice.Nodes[0] != own.Slots[0] {
		t.Fatal("the rival would not have been beside it")
	}
	// A proposal that puts it beside, on trays that are free.
	rival := split("rival", "flagship", 2, july, end)
	_, forged := s.settled(t, rival)
	left := site.SetOf(s.Site.RackNodesOf(own.Slots[0])...)
	left.Intersect(s.Free(july, end))
	slice, err := solve.Among(s.Site, left, place.Ask{Nodes: 2, Fabric: "roce", Kind: "H200", Links: lease.Shared})
	must(t, err)
	forged.Slices[0].Slice, forged.Slices[0].Among, forged.Slices[0].Nodes = slice, left, slice.Nodes
	if _, err := s.decide(t, forged); err == nil || !strings.Contains(err.Error(), "placement") {
		t.Errorf("a rival in the same domain: %v", err)
	}
	l := sign(rival)
	for rack := range racks(l) {
		if racks(own)[rack] {
			t.Errorf("rack %s is of two projects", s.Site.RackID(rack))
		}
	}
	// The same project may.
	_, o := s.settled(t, split("again", "tidewater", 2, july, end))
	o.Slices[0].Slice, o.Slices[0].Among, o.Slices[0].Nodes = slice, left, slice.Nodes
	s.do(t, o)
	s.do(t, book.SignQuote{Quote: o.Quote, By: "x", Signed: contract.ByTenant("x")})
	must(t, book.CheckInvariants(s.State))
	// More than the domains hold that are nobody else's is refused.
	free, all := s.Free(july, end), s.Site.NodesOf("roce", "H200")
	free.Intersect(all)
	if p, _ := s.settled(t, split("more", "tidewater", free.Len(), july, end)); p.Refused == nil {
		t.Error("a rival was promised nodes of another's domains")
	}
	// When one is gone the next may come.
	after := sign(split("after", "flagship", all.Len()-4, end, end.AddDate(0, 6, 0)))
	if len(racks(after)) < 4 {
		t.Errorf("%d racks", len(racks(after)))
	}
	// A hermetic lease is kept out of them as well.
	alone := split("alone", "flagship", 2, july, end)
	alone.Tranches[0].Links = lease.Hermetic
	if p, o := s.settled(t, alone); p.Refused == nil {
		s.do(t, o)
		must(t, book.CheckInvariants(s.State))
	}
	// A state in which two projects are in one domain is found.
	last := split("last", "flagship", 3, end.AddDate(1, 0, 0), end.AddDate(2, 0, 0))
	_, o = s.settled(t, last)
	s.do(t, o)
	open, err := s.OpenQuote("", o.Quote)
	must(t, err)
	open.Parts[0].Nodes, open.Parts[0].Begin = site.FormatOrder(slice.Nodes), july
	if err := book.CheckInvariants(s.State); err == nil || !strings.Contains(err.Error(), "is one NVLink domain") {
		t.Errorf("two projects in one domain: %v", err)
	}
	if _, err := s.decide(t, book.SignQuote{Quote: o.Quote, By: "x", Signed: contract.ByTenant("x")}); err == nil || !strings.Contains(err.Error(), "never shared") {
		t.Errorf("its signature: %v", err)
	}
}
