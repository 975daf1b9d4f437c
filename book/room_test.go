package book_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// overTime proposes a quote as the loop does: planned over time.
func (s *stage) overTime(t *testing.T, quote string, c *contract.Contract, worsen bool) (book.OfferQuote, []book.Planned) {
	t.Helper()
	schedule, err := s.Schedule(s.now)
	must(t, err)
	planned, err := book.PlanTranches(schedule, c, s.AddedTranches(c), worsen)
	must(t, err)
	for _, p := range planned {
		if p.Refused != nil {
			t.Fatalf("refused: %v", p.Refused)
		}
	}
	o := book.OfferQuote{Quote: quote, Contract: c, Expires: s.now.Add(48 * time.Hour)}
	o.Slices, o.Moves = book.Proposals(planned)
	return o, planned
}

// TestScheduleIsWhatIsFree: what the schedule calls free is what the state does.
func TestScheduleIsWhatIsFree(t *testing.T) {
	for _, at := range []moment{atTenants, atUnsigned, atRunning, atNotice, atReturning, atSwap} {
		s := on(t, at)
		schedule, err := s.Schedule(s.now)
		must(t, err)
		must(t, schedule.Check())
		for _, days := range [][2]int{{0, 1}, {0, 400}, {20, 30}, {60, 90}, {90, 1000}} {
			begin, end := s.now.AddDate(0, 0, days[0]), s.now.AddDate(0, 0, days[1])
			if got, want := schedule.Free(begin, end), s.Free(begin, end); !got.Equal(want) {
				t.Errorf("days %v: the schedule has %d nodes free, the state %d", days, got.Len(), want.Len())
			}
		}
	}
}

// TestShortLeaseGoesFirst: a lease that is signed later and ends before another
// begins gets the node first, and gives it on.
func TestShortLeaseGoesFirst(t *testing.T) {
	s := on(t, atTenants)
	cut := func(id string, begin, end time.Time) *contract.Contract {
		return sold("tidewater", func(c *contract.Contract) {
			c.ID, c.Begin, c.Effective, c.End = id, begin, begin, end
			c.TakeOrPay, c.Prepaid, c.Storage = nil, nil, nil
			tr := &c.Tranches[0]
			tr.Delivery, tr.End, tr.GPUs, tr.Volumes = begin, end, 14*site.GPUs, nil
			c.Rates[0].From, c.Rates[0].To = begin, end
		})
	}
	june, july := time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 7, 0, 0, 0, time.UTC)
	for _, c := range []*contract.Contract{cut("tidewater-late", july, july.AddDate(1, 0, 0)), cut("tidewater-short", june, july)} {
		o, _ := s.overTime(t, c.ID, c, true)
		s.do(t, o)
		s.do(t, book.SignQuote{Quote: c.ID, By: "x", Signed: contract.ByTenant("x")})
	}
	late, _ := s.LeaseByID("tidewater-late/w1")
	short, _ := s.LeaseByID("tidewater-short/w1")
	if !site.SetOf(late.Slots...).Equal(site.SetOf(short.Slots...)) {
		t.Fatal("the two do not share their nodes: the test shows nothing")
	}
	for _, n := range short.Slots {
		if s.LeaseOn(n) != short {
			t.Fatalf("%s is held by %s until July", s.Site.NodeID[n], s.LeaseOn(n).ID)
		}
	}
	s.now = july
	s.do(t, book.ReturnLease{Lease: short.ID, Reason: "its time is over"})
	for _, n := range late.Slots {
		if s.LeaseOn(n) != late {
			t.Fatalf("%s was not given on", s.Site.NodeID[n])
		}
	}
}

// TestOthersMakeRoom plays the golden story's quote for which a lease that has
// not begun is placed again, and what is refused about such a quote.
func TestOthersMakeRoom(t *testing.T) {
	s := on(t, atContracts)
	o, planned := s.overTime(t, "room", forRoom(sold("tidewater", nil)), true)
	if len(o.Moves) == 0 {
		t.Fatal("nobody makes room: the test shows nothing")
	}
	for name, spoil := range map[string]func(o *book.OfferQuote){
		"no lease": func(o *book.OfferQuote) { o.Moves[0].Lease = "nobody/t1" },
		"twice":    func(o *book.OfferQuote) { o.Moves = append(o.Moves, o.Moves[0]) },
		"slots":    func(o *book.OfferQuote) { o.Moves[0].Nodes = o.Moves[0].Nodes[1:] },
		"certificate is about other nodes": func(o *book.OfferQuote) {
			o.Moves[0].Nodes = slices.Clone(o.Moves[0].Nodes)
			o.Moves[0].Nodes[0] = o.Slices[0].Slice.Nodes[0]
		},
		"does not say among which":     func(o *book.OfferQuote) { o.Moves[0].Among = nil },
		"not free for all of its time": func(o *book.OfferQuote) { o.Moves = nil; o.Slices[0].Nodes = o.Slices[0].Slice.Nodes },
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := o
			spoiled.Moves, spoiled.Slices = slices.Clone(o.Moves), slices.Clone(o.Slices)
			spoil(&spoiled)
			if _, err := s.decide(t, spoiled); err == nil || errors.Is(err, book.ErrNothing) {
				t.Fatalf("taken: %v", err)
			}
		})
	}
	was, _ := s.LeaseByID(o.Moves[0].Lease)
	before := slices.Clone(was.Slots)
	s.do(t, o)
	if l, _ := s.LeaseByID(o.Moves[0].Lease); slices.Equal(l.Slots, before) || !slices.Equal(l.Slots, o.Moves[0].Nodes) {
		t.Error("it was not placed again")
	}
	if planned[0].Plan == nil {
		t.Error("no plan")
	}
}

// TestWhatRunsStays: no quote moves a lease that runs or is about to.
func TestWhatRunsStays(t *testing.T) {
	s := on(t, atRunning)
	l, _ := s.LeaseByID("flagship/t1")
	o := s.offer("q", sold("tidewater", func(c *contract.Contract) {
		c.ID = "tidewater-x"
		c.Begin, c.Effective = s.now.AddDate(0, 0, 2), s.now.AddDate(0, 0, 2)
		c.TakeOrPay, c.Prepaid, c.Storage = nil, nil, nil
		c.Tranches[0].Delivery, c.Tranches[0].GPUs, c.Tranches[0].Volumes = c.Begin, 8, nil
		c.Rates[0].From = c.Begin
	}))
	o.Moves = []book.Rebook{{Lease: l.ID, Nodes: l.Slots, Slice: o.Slices[0].Slice, Among: site.NewSet(0)}}
	if _, err := s.decide(t, o); err == nil || !strings.Contains(err.Error(), "runs or is about to") {
		t.Fatal(err)
	}
}

// TestRampIsSignedAsPlanned: the steps of a ramp lie in the slice of its final
// size, and no certificate is about anything else.
func TestRampIsSignedAsPlanned(t *testing.T) {
	s := on(t, atTenants)
	c := sold("flagship", nil)
	o, planned := s.overTime(t, "q", c, true)
	ramps := 0
	for _, p := range planned {
		if len(p.Tranches) > 1 {
			ramps++
		}
	}
	if ramps == 0 {
		t.Fatal("no ramp: the test shows nothing")
	}
	spoiled := o
	spoiled.Slices = slices.Clone(o.Slices)
	other := spoiled.Slices[len(spoiled.Slices)-1]
	spoiled.Slices[0].Slice, spoiled.Slices[0].Among = other.Slice, other.Among
	if _, err := s.decide(t, spoiled); err == nil {
		t.Error("a certificate about another ramp's nodes is taken")
	}
	s.do(t, o)
	s.do(t, book.SignQuote{Quote: "q", By: "x", Signed: contract.ByTenant("x")})
	for _, p := range planned {
		final := site.SetOf(p.Plan.Final().Nodes...)
		total := 0
		for _, tr := range p.Tranches {
			l, _ := s.LeaseByID(lease.ID(c.ID + "/" + tr.ID))
			if !final.Contains(site.SetOf(l.Slots...)) {
				t.Errorf("%s lies outside of its ramp", l.ID)
			}
			total += len(l.Slots)
		}
		if total != final.Len() {
			t.Errorf("the steps have %d nodes, the ramp %d", total, final.Len())
		}
	}
}

// TestPartialDeliveryIsQuoted: what a hall brings later is promised with it, and
// takes nothing of the calendar before.
func TestPartialDeliveryIsQuoted(t *testing.T) {
	s := on(t, atTenants)
	large := func(split bool) *contract.Contract {
		return sold("tidewater", func(c *contract.Contract) {
			c.ID = "tidewater-large"
			c.TakeOrPay, c.Prepaid, c.Storage = nil, nil, nil
			june := time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC)
			tr := &c.Tranches[0]
			tr.Kind, tr.Fabric, tr.GPUs, tr.Delivery, tr.Volumes, tr.Split = "H200", "roce", 20*site.GPUs, june, nil, split
		})
	}
	schedule, err := s.Schedule(s.now)
	must(t, err)
	planned, err := book.PlanTranches(schedule, large(false), large(false).Tranches, true)
	must(t, err)
	if planned[0].Refused == nil || planned[0].Refused.Earliest.IsZero() {
		t.Fatalf("what may not be delivered in parts is not refused: %+v", planned[0])
	}
	o, _ := s.overTime(t, "q", large(true), true)
	whole := o
	whole.Contract = large(false)
	if _, err := s.decide(t, whole); err == nil {
		t.Error("nodes that come late are taken for a tranche that may not be delivered in parts")
	}
	s.do(t, o)
	s.do(t, book.SignQuote{Quote: "q", By: "x", Signed: contract.ByTenant("x")})
	l, _ := s.LeaseByID("tidewater-large/w1")
	late := 0
	for _, n := range l.Slots {
		if s.Site.InService(n).After(l.Begin) {
			late++
		}
	}
	if late != 6 {
		t.Errorf("%d slots come late, expected 6: 14 nodes are there in June", late)
	}
	for _, segment := range s.Calendar().Segments() {
		if segment.Free() < 0 {
			t.Errorf("overbooked: %+v", segment)
		}
	}
	// What is free in June is still sold.
	if err := s.Calendar().Fits(lease.Booking{ID: "x", Fabric: "roce", Kind: "H200", Nodes: 8, Begin: time.Date(2026, 6, 24, 0, 0, 0, 0, time.UTC), End: time.Date(2027, 6, 24, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Error(err)
	}
}

// TestTenantWorsensNobody: a tenant's own quote gives nobody a worse shape.
func TestTenantWorsensNobody(t *testing.T) {
	s := on(t, atContracts)
	s.Policy.Tenants = site.TenantLimits{Quotes: 1, Share: 100, Valid: 48 * time.Hour, Least: time.Hour} // exact answers
	o, _ := s.overTime(t, "room", forRoom(sold("tidewater", nil)), true)
	worse := false
	for _, m := range o.Moves {
		l, _ := s.LeaseByID(m.Lease)
		worse = worse || place.CostOf(s.Site, l.Slots).Less(place.CostOf(s.Site, m.Nodes))
	}
	o.Offered = contract.Signature{Party: contract.Tenant, By: "x"}
	_, err := s.decide(t, o)
	if worse != (err != nil) {
		t.Errorf("worse: %v, refused: %v", worse, err)
	}
	var short *dated.ShortError
	if errors.As(err, &short) {
		t.Error("a refusal of the planner from the book")
	}
}
