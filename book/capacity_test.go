package book_test

import (
	"slices"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/node"
)

// Free and the calendar agree with what was sold, whoever asks when.
func TestFree(t *testing.T) {
	s := on(t, atRunning)
	from, to := s.now, s.now.AddDate(0, 1, 0)
	free := s.Free(from, to)
	for n := range free.All() {
		if s.Site.IsSpare(n) || s.Site.InService(n).After(from) || s.Nodes.Cordoned[n] {
			t.Errorf("node %d is free", n)
		}
		if l := s.LeaseOn(n); l != nil && l.Begin.Before(to) {
			t.Errorf("node %d of %s is free", n, l.ID)
		}
	}
	for _, l := range s.Leases {
		for _, n := range l.Slots {
			if free.Has(n) && l.Begin.Before(to) && from.Before(l.End) {
				t.Errorf("node %d of %s is free", n, l.ID)
			}
		}
	}
	some := free.Slice()
	if len(some) == 0 {
		t.Skip("the golden story has sold everything")
	}
	n := some[0]
	for name, change := range map[string]func(s *stage){
		"cordoned":    func(s *stage) { s.do(t, book.Cordon{Node: s.id(n)}) },
		"failed":      func(s *stage) { s.do(t, fail(n, true)) },
		"quarantined": func(s *stage) { s.Nodes.State[n] = node.Quarantined },
		"in repair":   func(s *stage) { s.Nodes.State[n] = node.Repair },
		"retired":     func(s *stage) { s.Nodes.State[n] = node.Retired },
	} {
		s := on(t, atRunning)
		change(s)
		if s.Free(from, to).Has(n) {
			t.Errorf("a node that is %s is free", name)
		}
	}
	s.Nodes.Health[n] = book.Degraded
	if !s.Free(from, to).Has(n) {
		t.Error("a degraded node can't be sold for later")
	}
}

func TestCalendar(t *testing.T) {
	s := on(t, atRunning)
	c := sold("tidewater", func(c *contract.Contract) { c.ID = "more" })
	for gpus, fits := range map[int64]bool{8: true, 12 * 8: false} {
		c.Tranches[0].GPUs = gpus
		if err := s.CheckCalendar(c, c.Tranches); (err == nil) != fits {
			t.Errorf("%d GPUs: %v", gpus, err)
		}
	}
	// What was given back is there again.
	begin := s.Contracts["tidewater"].Current().End
	c.Begin, c.Tranches[0].Delivery, c.Tranches[0].GPUs = begin, begin, 12*8
	c.End, c.Tranches[0].End = begin.AddDate(1, 0, 0), begin.AddDate(1, 0, 0)
	if err := s.CheckCalendar(c, c.Tranches); err != nil {
		t.Errorf("after the last lease has ended: %v", err)
	}
}

// Replacements under way keep their nodes from being sold.
func TestPromisedNodesAreHeld(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	s.do(t, fail(n, true))
	c := s.replacement(n)
	s.do(t, c)
	if s.Free(s.now, s.now.Add(time.Hour)).Has(c.Node) || s.Candidates().Has(c.Node) {
		t.Error("a node that was promised to a slot can be sold")
	}
}

func TestLookUps(t *testing.T) {
	s := on(t, atRunning)
	if ids := s.ContractIDs(); !slices.Equal(ids, []string{"flagship", "research", "tidewater"}) {
		t.Errorf("contracts %v", ids)
	}
	if got := len(s.LeasesOf("tidewater")); got != 1 {
		t.Errorf("%d leases", got)
	}
	if _, ok := s.LeaseByID("x"); ok {
		t.Error("a lease that is none was found")
	}
	for h, name := range map[book.Health]string{book.Healthy: "healthy", book.Degraded: "degraded", book.Failed: "failed", book.Dead: "dead"} {
		if h.String() != name {
			t.Errorf("%s is called %s", name, h)
		}
	}
}
