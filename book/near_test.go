package book_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// TestTranchesLieNearEachOther: what of a tranche is far from the contract's other ones
// stands in its placement certificate and in the quote, whatever its links are; and the
// writer takes none that calls itself near to what is not the contract's.
func TestTranchesLieNearEachOther(t *testing.T) {
	s := on(t, atTenants)
	july, end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	c := either("near", 3, july, end, "H200")
	for i, links := range []lease.Links{lease.Shared, lease.Hermetic} {
		next := c.Tranches[0]
		next.ID, next.GPUs, next.Links, next.End = []string{"w2", "w3"}[i], 2*site.GPUs, links, end.AddDate(0, -1, 0)
		c.Tranches = append(c.Tranches, next)
	}
	c.Rates[0].Tranches = []string{"w1", "w2", "w3"}
	p, o := s.settled(t, c)
	if p.Refused != nil || len(o.Slices) != 3 {
		t.Fatalf("%d slices, %v", len(o.Slices), p.Refused)
	}
	before := site.NewSet(s.Site.Nodes())
	for i := range o.Slices {
		cert := o.Slices[i].Slice.Certificate
		if n := cert.Nearness; (n == nil) != (i == 0) || i > 0 && (!slices.Equal(n.Others, place.SUsOf(s.Site, before)) || n.Far.Halls+n.Far.Pods != 0) {
			t.Fatalf("%s: beside %s it says %+v", o.Slices[i].Tranche, before, n)
		}
		for _, n := range o.Slices[i].Slice.Nodes {
			before.Add(n)
		}
	}
	s.do(t, o)
	q := s.Quotes[book.QuoteKey{Tenant: c.Tenant, ID: o.Quote}]
	for i, part := range q.Parts {
		if strings.Contains(part.Where, " of it have no node of the contract's other tranches") != (i > 0) {
			t.Errorf("%s: %s", part.Tranche, part.Where)
		}
	}

	// Beside the nodes of nobody, with everything else as it has to be.
	s = on(t, atTenants)
	second := &o.Slices[1]
	stranger := site.SetOf(s.Site.SUs[len(s.Site.SUs)-1].Nodes[0])
	forged, err := solve.Near(s.Site, second.Among, second.Slice.Certificate.Ask, stranger)
	must(t, err)
	must(t, check.Among(s.Site, second.Among, forged))
	if before.Intersects(site.SetOf(s.Site.SUs[len(s.Site.SUs)-1].Nodes...)) {
		t.Fatal("the SU is the contract's: the test shows nothing")
	}
	second.Slice, second.Nodes = forged, forged.Nodes
	if _, err := s.decide(t, o); !errors.Is(err, place.ErrOccupancy) || !strings.Contains(err.Error(), "where the contract's other tranches have no node") {
		t.Errorf("a placement beside nodes of nobody: %v", err)
	}
}
