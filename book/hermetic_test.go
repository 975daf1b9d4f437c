package book_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// alone is a contract beside those of the story: one tranche of hermetic links.
func alone(s *stage, id string, nodes int) *contract.Contract {
	return sold("tidewater", func(c *contract.Contract) {
		c.ID = id
		c.Tranches = c.Tranches[:1]
		c.Tranches[0].Links = lease.Hermetic
		c.Tranches[0].GPUs = int64(nodes * site.GPUs)
		c.Tranches[0].Volumes = nil
		c.Storage = nil
	})
}

func (s *stage) sign(t *testing.T, c *contract.Contract) *book.Lease {
	t.Helper()
	s.do(t, s.offer(c.ID, c))
	s.do(t, book.SignQuote{Quote: c.ID, By: "officer", Signed: contract.ByTenant("officer")})
	l, ok := s.LeaseByID(lease.ID(c.ID + "/" + c.Tranches[0].ID))
	if !ok {
		t.Fatal("no lease")
	}
	return l
}

// TestHermeticLease sells a hermetic lease: its links are in the tenant's copy of
// the placement certificate, others are kept out of them from the quote on, and
// they are free again when the quote lapses or the lease is over.
func TestHermeticLease(t *testing.T) {
	s := on(t, atTenants)
	unit := 0
	for i := range s.Site.SUs {
		unit = max(unit, len(s.Site.SUs[i].Nodes)-s.Site.SUs[i].Spares)
	}
	c := alone(s, "tidewater-h", unit+1)
	begin, end := book.Window(c, c.Tranches[0])
	before := s.Free(begin, end)
	offer := s.offer("first", c)
	// What was asked with hermetic links is not answered with shared ones.
	shared := offer
	ask := offer.Slices[0].Slice.Certificate.Ask
	ask.Links = lease.Shared
	slice, err := solve.On(s.Occupancy(begin, end), ask)
	must(t, err)
	shared.Slices = []book.TrancheSlice{{Tranche: offer.Slices[0].Tranche, Slice: slice}}
	if _, err := s.decide(t, shared); err == nil || !strings.Contains(err.Error(), "answers another ask") {
		t.Errorf("shared links for hermetic ones: %v", err)
	}
	s.do(t, offer)
	links := offer.Slices[0].Slice.Certificate.Links
	if len(links.Planes) == 0 || len(links.WholeSUs()) == 0 {
		t.Fatalf("the slice has no links: %+v", links)
	}
	territory, err := place.Territory(s.Site, offer.Slices[0].Slice.Nodes, links)
	must(t, err)
	if s.Free(begin, end).Intersects(territory) {
		t.Error("a quote does not keep others out of its SUs")
	}
	if got := s.Occupancy(begin, end).Apart(nil, links); !errors.Is(got, place.ErrOccupancy) {
		t.Errorf("a quote does not hold its links: %v", got)
	}
	s.now = s.now.Add(49 * time.Hour)
	s.do(t, book.LapseQuote{Quote: "first"})
	if !s.Free(begin, end).Equal(before) || s.Occupancy(begin, end).Apart(nil, links) != nil {
		t.Error("a quote that lapsed still holds something")
	}
	l := s.sign(t, c)
	if l.Links != lease.Hermetic || len(l.Assigned) == 0 {
		t.Fatalf("%s has %s links, held %q", l.ID, l.Links, l.Assigned)
	}
	tenant, err := place.DecodeCertificate(s.bodies.bodies[l.Certificate])
	must(t, err)
	if string(tenant.Links.Encode()) != string(l.Assigned) || !tenant.Links.Occupancy.IsZero() {
		t.Error("the tenant's placement certificate has other links than the lease, or tells of others'")
	}
	must(t, check.Links(tenant.Links, len(l.Slots), site.Rails))
	if s.Free(begin, end).Intersects(territory) {
		t.Error("a lease does not keep others out of its SUs")
	}
	// A snapshot keeps it.
	data, err := s.Snapshot()
	must(t, err)
	again, err := book.Restore(data, s.bodies)
	must(t, err)
	if !again.Free(begin, end).Equal(s.Free(begin, end)) {
		t.Error("the links are lost in a snapshot")
	}
	// Nor can a proposal that takes them be signed.
	rival := alone(s, "tidewater-r", 1)
	forged := book.OfferQuote{Quote: "rival", Contract: rival, Expires: s.now.Add(time.Hour), Slices: []book.TrancheSlice{{Tranche: rival.Tranches[0].ID, Slice: offer.Slices[0].Slice}}}
	if _, err := s.decide(t, forged); !errors.Is(err, place.ErrOccupancy) {
		t.Errorf("another's slice: %v", err)
	}
}

// TestHermeticReplacement: a node of a whole SU is replaced from the lease's own
// reserve, and nobody else gets that.
func TestHermeticReplacement(t *testing.T) {
	s := on(t, atTenants)
	unit := 0
	for i := range s.Site.SUs {
		unit = max(unit, len(s.Site.SUs[i].Nodes)-s.Site.SUs[i].Spares)
	}
	l := s.sign(t, alone(s, "tidewater-h", unit+1))
	links, err := place.DecodeLinks(l.Assigned)
	must(t, err)
	for _, n := range l.Slots {
		f := s.FailureOf(l, n)
		su := s.Site.SUOf(n)
		whole := s.Site.SUs[su].ID
		if !slices.Contains(links.WholeSUs(), whole) {
			if f.Links != 0 || f.Within != place.SameSU {
				t.Errorf("%s is in the SU that is shared: %+v", s.Site.NodeID[n], f)
			}
			continue
		}
		spares := site.NewSet(0)
		for m := range site.Index(s.Site.Nodes()) {
			if s.Site.IsSpare(m) {
				spares.Add(m)
			}
		}
		got := place.ReplaceFailures(s.Site, spares, []place.Failure{f}, s.LinksOf())[0]
		if got == place.NoNode || s.Site.SUOf(got) != su {
			t.Fatalf("%s is replaced by %d, expected the spare of %s", s.Site.NodeID[n], got, whole)
		}
		if s.LinksOf()(got) != f.Links || f.Links == 0 {
			t.Error("the spare of a whole SU is not the lease's")
		}
		// A rival in trouble nearby does not get it.
		near := site.SetOf(got)
		if to := place.ReplaceFailures(s.Site, near, []place.Failure{{Node: n, Within: place.SameFabric}}, s.LinksOf())[0]; to != place.NoNode {
			t.Errorf("a lease on shared links gets %s", s.Site.NodeID[to])
		}
	}
}

// TestNobodyIsPutWhereNoCommonLinkIsLeft: where hermetic leases have all the
// uplinks of a leaf, nodes that come free serve hermetic leases in that SU only.
func TestNobodyIsPutWhereNoCommonLinkIsLeft(t *testing.T) {
	s := on(t, atTenants)
	unit := 0
	for i := range s.Site.SUs {
		unit = max(unit, len(s.Site.SUs[i].Nodes)-s.Site.SUs[i].Spares)
	}
	beside := alone(s, "tidewater-s", 2)
	beside.Tranches[0].Links = lease.Shared
	s.sign(t, beside)
	l := s.sign(t, alone(s, "tidewater-h", unit+1))
	links, err := place.DecodeLinks(l.Assigned)
	must(t, err)
	var slot site.Index
	for _, n := range l.Slots {
		if s.Site.SUs[s.Site.SUOf(n)].ID == links.RestSU {
			slot = n
		}
	}
	su := s.Site.SUOf(slot)
	free := s.Free(l.Begin, l.End)
	there := 0
	for _, n := range s.Site.SUs[su].Nodes {
		if free.Has(n) {
			there++
		}
	}
	if there == 0 {
		t.Fatal("nothing is free beside the smaller leaf: the test is about another site")
	}
	must(t, book.CheckInvariants(s.State))
	// As if the others of the SU had been hermetic leases, and had ended.
	for i := range links.Planes {
		must(t, links.Planes[i].Rest.UnmarshalText([]byte(strconv.Itoa(s.Site.Shape.Spines-1))))
	}
	l.Assigned = links.Encode()
	free = s.Free(l.Begin, l.End)
	for _, n := range s.Site.SUs[su].Nodes {
		if free.Has(n) {
			t.Errorf("%s has no common link, and is free for leases with shared ones", s.Site.NodeID[n])
		}
		if got := s.LinksOf()(n); got != -su-1 {
			t.Errorf("%s is among the links of %d, expected of its SU", s.Site.NodeID[n], got)
		}
	}
	near := site.SetOf(s.Site.SUs[su].Nodes...)
	near.Remove(slot)
	f := s.FailureOf(l, slot)
	if to := place.ReplaceFailures(s.Site, near, []place.Failure{f}, s.LinksOf())[0]; to == place.NoNode {
		t.Error("a hermetic lease gets no node of its own SU")
	}
	f.Links, f.Within = 0, place.SameFabric
	if to := place.ReplaceFailures(s.Site, near, []place.Failure{f}, s.LinksOf())[0]; to != place.NoNode {
		t.Errorf("a lease on shared links gets %s", s.Site.NodeID[to])
	}
	// Where a lease with shared links is, nobody may do that.
	for _, other := range s.Leases {
		if other.Links != lease.Shared || !other.Overlaps(l.Begin, l.End) {
			continue
		}
		for _, n := range other.Slots {
			id := s.Site.SUs[s.Site.SUOf(n)].ID
			for i := range links.Pods {
				links.Pods[i].SUs = slices.DeleteFunc(links.Pods[i].SUs, func(su string) bool { return su == links.RestSU })
			}
			links.Pods = append(links.Pods, place.PodLeaves{Pod: s.Site.Pods[s.Site.PodOf(n)].ID, SUs: []string{id}})
			links.RestSU = id
			l.Assigned = links.Encode()
			if err := book.CheckInvariants(s.State); err == nil || !strings.Contains(err.Error(), "last uplink") {
				t.Errorf("%s has shared links and no common uplink, and the invariants say %v", other.ID, err)
			}
			return
		}
	}
	t.Error("no lease with shared links is there to tell by")
}

// TestAQuoteSaysWhatIsNotProven: a slice whose search was ended before it was through is
// sold, and the page that is signed says so.
func TestAQuoteSaysWhatIsNotProven(t *testing.T) {
	s := on(t, atTenants)
	for _, cut := range []bool{false, true} {
		offer := s.offer(fmt.Sprint("cut-", cut), alone(s, fmt.Sprint("tidewater-", cut), 3))
		if c := &offer.Slices[0].Slice.Certificate; cut {
			c.Cut = true
			c.Proof = c.Words()
		}
		var q contract.Quoted
		decodeDraft(t, s.do(t, offer), contract.KindQuoted, &q)
		if said := strings.Contains(q.Parts[0].Where, "not proven optimal: the search was ended"); said != cut {
			t.Errorf("cut %v: the quote says %q", cut, q.Parts[0].Where)
		}
	}
}
