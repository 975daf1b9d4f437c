package book_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lab/story"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// sold is a contract of the story, changed.
func sold(id string, change func(c *contract.Contract)) *contract.Contract {
	cast, err := story.LoadParts("tiny")
	if err != nil {
		panic(err)
	}
	c := map[string]*contract.Contract{"flagship": cast.Flagship, "amendment": cast.Amendment, "tidewater": cast.Tidewater, "research": cast.Research}[id]
	again, err := contract.Decode(c.Encode())
	if err != nil {
		panic(err)
	}
	if change != nil {
		change(again)
	}
	return again
}

// offer places a contract as whoever asks for a quote does.
func (s *stage) offer(quote string, c *contract.Contract) book.OfferQuote {
	o := book.OfferQuote{Quote: quote, Contract: c, Expires: s.now.Add(48 * time.Hour)}
	if s.Site == nil {
		return o
	}
	schedule, err := s.Schedule(s.now)
	if err != nil {
		panic(err)
	}
	for _, t := range s.AddedTranches(c) {
		begin, end := book.Window(c, t)
		on := schedule.Occupancy(begin, begin, end)
		for _, before := range o.Slices {
			if err := on.Keep(before.Slice.Nodes, before.Slice.Certificate.Links); err != nil {
				panic(err)
			}
		}
		slice, err := solve.On(on, place.Ask{Nodes: int(t.GPUs / site.GPUs), Fabric: t.Fabric, Kind: t.Kind, Links: t.Links})
		if err != nil {
			panic(err)
		}
		o.Slices = append(o.Slices, book.TrancheSlice{Tranche: t.ID, Slice: slice})
	}
	return o
}

func offering(id string, change func(c *contract.Contract), spoil func(o *book.OfferQuote)) func(s *stage) book.Command {
	return func(s *stage) book.Command {
		o := s.offer("q", sold(id, change))
		if spoil != nil {
			spoil(&o)
		}
		return o
	}
}

func TestOfferQuoteRefuses(t *testing.T) {
	small := func(c *contract.Contract) { c.ID = "tidewater-b" }
	refuseAll(t, []refused{
		{"before there is a site", atNothing, offering("tidewater", nil, nil), "site", "no site has been imported"},
		{"a contract that is none", atTenants, func(s *stage) book.Command {
			return book.OfferQuote{Quote: "q", Contract: sold("tidewater", func(c *contract.Contract) { c.Currency = "" }), Expires: s.now.Add(time.Hour)}
		}, "", "currency"},
		{"a tenant that nobody registered", atSite, offering("tidewater", nil, nil), "contract.tenant", "register it first"},
		{"another contract under the id of a quote of the other party's", atUnsigned, func(s *stage) book.Command {
			o := s.offer("unsigned", sold("tidewater", func(c *contract.Contract) { c.ID = "tidewater-c" }))
			o.Offered = contract.Signature{Party: contract.Tenant, By: "officer"}
			return o
		}, "quote", "the other party has offered it"},
		{"the same again", atUnsigned, func(s *stage) book.Command {
			return book.OfferQuote{Quote: "unsigned", Contract: s.Quotes[unsigned].Contract, Expires: s.now.Add(time.Hour)}
		}, "", ""},
		{"one that has expired", atTenants, offering("tidewater", small, func(o *book.OfferQuote) { o.Expires = o.Expires.Add(-72 * time.Hour) }), "quote.expires", "has passed"},
		{"version 2 of what has no version 1", atTenants, offering("amendment", nil, func(o *book.OfferQuote) {}), "contract.version", "no version 1 in force"},
		{"fewer placements than tranches", atTenants, offering("tidewater", small, func(o *book.OfferQuote) { o.Slices = nil }), "slices", "0 placements were given for 1"},
		{"more than the site has", atTenants, func(s *stage) book.Command {
			o := s.offer("q", sold("tidewater", small))
			o.Contract = sold("tidewater", func(c *contract.Contract) { small(c); c.Tranches[0].GPUs = 8 * 15 })
			return o
		}, "", "tranche w1"},
		{"a placement of another tranche", atTenants, offering("tidewater", small, func(o *book.OfferQuote) { o.Slices[0].Tranche = "w2" }), "slices", `of tranche "w2"`},
		{"a date that has passed", atRunning, func(s *stage) book.Command {
			s.later(time.Hour)
			return s.offer("q", sold("tidewater", func(c *contract.Contract) { small(c); c.Tranches[0].GPUs = 8 }))
		}, "tranche w1.delivery", "has passed"},
		{"nodes that are taken", atUnsigned, func(s *stage) book.Command {
			o := s.offer("q", sold("tidewater", small))
			nodes, err := site.ParseOrder(s.Quotes[unsigned].Parts[0].Nodes, s.Site.Nodes())
			if err != nil {
				panic(err)
			}
			o.Slices[0].Slice.Nodes[0] = nodes[0]
			return o
		}, "", "placement"},
		{"two tranches on the same nodes", atTenants, func(s *stage) book.Command {
			c := sold("tidewater", func(c *contract.Contract) {
				small(c)
				second := c.Tranches[0]
				second.ID, second.Clause = "w2", "2.2"
				c.Tranches = append(c.Tranches, second)
				c.Rates[0].Tranches = append(c.Rates[0].Tranches, "w2")
			})
			o := s.offer("q", c)
			o.Slices[1].Slice = o.Slices[0].Slice
			return o
		}, "", "tranche w2: placement"},
		{"a placement that answers another ask", atTenants, func(s *stage) book.Command {
			o := s.offer("q", sold("tidewater", small))
			o.Contract = sold("tidewater", func(c *contract.Contract) { small(c); c.Tranches[0].GPUs = 16 })
			return o
		}, "tranche w1", "answers another ask"},
		{"a version of a contract that is closed", atClosed, offering("tidewater", func(c *contract.Contract) { c.Version = 3 }, nil), "contract", "is closed"},
		{"a version that does not follow", atRunning, offering("tidewater", func(c *contract.Contract) { c.Title = "another" }, nil), "", "version"},
		{"somebody else's contract", atRunning, offering("tidewater", func(c *contract.Contract) { c.Tenant = "research"; c.Version = 2 }, nil), "contract", "not a contract of this tenant"},
		{"another size of a volume that is there", atRunning, offering("flagship", func(c *contract.Contract) { c.Version = 2; c.Storage[0].CapacityTB++ }, nil), "storage.datasets", "can't change"},
	})
}

func TestSignQuoteRefuses(t *testing.T) {
	refuseAll(t, []refused{
		{"no such quote", atUnsigned, func(*stage) book.Command { return book.SignQuote{Quote: "q9"} }, "quote", `no open quote "q9"`},
		{"one that was signed", atContracts, func(*stage) book.Command { return book.SignQuote{Quote: "flagship-v1"} }, "quote", "no open quote"},
		{"one that has expired", atUnsigned, func(s *stage) book.Command {
			s.later(31 * time.Minute)
			return book.SignQuote{Quote: "unsigned"}
		}, "quote", "expired at"},
		{"one of two of the same contract", atTenants, func(s *stage) book.Command {
			c := sold("tidewater", nil)
			s.fold(t, drafts(s, s.offer("one", c))...)
			s.fold(t, drafts(s, s.offer("two", c))...)
			s.fold(t, drafts(s, book.SignQuote{Quote: "one", By: "x", Signed: contract.ByTenant("x")})...)
			return book.SignQuote{Quote: "two", By: "x", Signed: contract.ByTenant("x")}
		}, "", "version"},
	})
}

// drafts is what a command comes to, on the way to what a test is about.
func drafts(s *stage, c book.Command) []book.Draft {
	d, err := book.Decide(s.State, c, book.Env{Now: s.now})
	if err != nil {
		panic(err)
	}
	return d.Drafts
}

func TestSell(t *testing.T) {
	s := on(t, atTenants)
	c := sold("tidewater", nil)
	offered := contract.Signature{Party: "owner", By: "sales"}
	o := s.offer("q", c)
	o.Offered = offered
	free := s.Free(c.Begin, c.End).Len()
	got := s.do(t, o)
	if want := "site placement.certified/1, tenant/tidewater contract.quoted/1"; kinds(got) != want {
		t.Errorf("a quote is %s, expected %s", kinds(got), want)
	}
	q := s.Quotes[book.QuoteKey{Tenant: "tidewater", ID: "q"}]
	if q == nil || q.Tenant != "tidewater" || len(q.Parts) != 1 || q.Parts[0].Slots != 4 || q.Parts[0].Fabric != "ib" || s.Placements[q.Parts[0].Certificate].IsZero() {
		t.Fatalf("quote %+v", q)
	}
	if held := s.Free(c.Begin, c.End).Len(); held != free-4 {
		t.Errorf("an open quote holds %d nodes, expected 4", free-held)
	}
	if before := s.Free(c.Begin.AddDate(0, -1, 0), c.Begin).Len(); before != free {
		t.Errorf("it holds %d nodes before it begins", free-before)
	}
	signed := contract.Signature{Party: "tenant", By: "officer"}
	got = s.do(t, book.SignQuote{Quote: "q", By: "officer", Signed: []contract.Signature{signed}})
	if want := "tenant/tidewater contract.signed/2, tenant/tidewater lease.bound/1, site fabric.labelled/1, tenant/tidewater fabric.labelled/1, site fabric.labelled/1, tenant/tidewater fabric.labelled/1"; kinds(got) != want {
		t.Errorf("a signature is %s, expected %s", kinds(got), want)
	}
	l, ok := s.LeaseByID("tidewater/w1")
	if !ok || len(l.Slots) != 4 || l.Begin != c.Tranches[0].Delivery || s.Quotes[book.QuoteKey{Tenant: "tidewater", ID: "q"}] != nil {
		t.Fatalf("lease %+v", l)
	}
	if k := s.Contracts["tidewater"]; len(k.Signatures) != 2 || k.Signatures[0] != offered || k.Signatures[1] != signed || !k.Signed.Equal(s.now) {
		t.Errorf("signed %s by %+v", k.Signed, k.Signatures)
	}
	for _, fabric := range []string{"ib", "frontend"} {
		if _, has := s.Labels[fabric].ValueOf("project/tidewater/forecast"); !has {
			t.Errorf("the project has no label in %s", fabric)
		}
	}
	if _, has := s.Labels["roce"].ValueOf("project/tidewater/forecast"); has {
		t.Error("the project has a label in a fabric that it is not in")
	}
	for slot, n := range l.Slots {
		if s.LeaseOn(n) != l || int(s.Nodes.Slot[n]) != slot {
			t.Errorf("slot %d: node %d does not know it", slot, n)
		}
	}
	// Another project of the tenant has labels of its own; the same one does not
	// get any twice.
	more := sold("tidewater", func(c *contract.Contract) { c.ID = "tidewater-b" })
	s.do(t, s.offer("more", more))
	if got := kinds(s.do(t, book.SignQuote{Quote: "more", By: "officer", Signed: contract.ByTenant("officer")})); strings.Contains(got, "labelled") {
		t.Errorf("a project got labels twice: %s", got)
	}
}

func TestLapse(t *testing.T) {
	s := on(t, atUnsigned)
	if _, err := s.decide(t, book.LapseQuote{Quote: "unsigned"}); err != book.ErrNothing {
		t.Errorf("a quote that is open lapses: %v", err)
	}
	s.later(30 * time.Minute)
	if got := kinds(s.do(t, book.LapseQuote{Quote: "unsigned"})); got != "tenant/tidewater contract.lapsed/1" {
		t.Errorf("lapsing is %s", got)
	}
	if len(s.Quotes) != 0 {
		t.Error("it holds nodes still")
	}
	if _, err := s.decide(t, book.LapseQuote{Quote: "unsigned"}); err != book.ErrNothing {
		t.Errorf("a quote lapses twice: %v", err)
	}
}

func TestNotice(t *testing.T) {
	refuseAll(t, []refused{
		{"no such contract", atRunning, func(*stage) book.Command { return book.PerformAct{Contract: "k9", Act: contract.ActNotice} }, "contract", `no contract "k9"`},
		{"given before", atNotice, func(*stage) book.Command {
			return book.PerformAct{Contract: "tidewater", Act: contract.ActNotice, By: officer("tidewater")}
		}, "contract", "given on"},
	})
	s := on(t, atRunning)
	l, _ := s.LeaseByID("tidewater/w1")
	end := l.End
	if got := kinds(s.act(t, contract.ActNotice, "tidewater", officer("tidewater"))); got != "tenant/tidewater contract.notice/1" {
		t.Errorf("a notice is %s", got)
	}
	k := s.Contracts["tidewater"]
	if !l.End.Before(end) || l.End.Before(s.now.AddDate(0, 0, 30)) || !k.Noticed.Equal(s.now) || len(k.Versions) != 2 {
		t.Errorf("the lease ends at %s, noticed %s", l.End, k.Noticed)
	}
}
