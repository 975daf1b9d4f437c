package whatif

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// MaxSlipDays is the longest slip that can be asked about.
const MaxSlipDays = 3650

// Slipped is what it would come to if a hall came into service later than
// planned.
type Slipped struct {
	Hall      string
	Was, Is   time.Time
	Contracts []SlippedContract // by id; none: nobody would notice
	Quotes    []string          // open ones that hold nodes of the hall for dates that it would miss
	Losses    []Loss            // by currency
}

// Loss is a sum in one currency.
type Loss struct {
	Currency string
	Change   string // of what the owner invoices: negative is a loss
}

// SlippedContract is what it would come to for one contract.
type SlippedContract struct {
	Contract, Tenant, Title string
	Currency                string
	Tranches                []SlippedTranche
	Lines                   []Money // invoice lines that would differ, by month
	Change                  string  // sum of them
	Rights                  []Arising
}

// SlippedTranche is what would come late of one tranche.
type SlippedTranche struct {
	Lease      string
	Kind       string
	GPUs       int64 // late ones
	Promised   time.Time
	Was, Is    time.Time // when they were, and would be, expected
	GraceEnd   time.Time // from when the discount is due
	Discount   string    // "50%" of the price on top; "" none
	Clause     string
	Elsewhere  int64 // GPUs of the late ones for which other nodes are free on time
	Discounted bool  // whether some of it comes after the grace
}

// Arising is a right that the slip would give, or that was there before.
type Arising struct {
	When      time.Time // from when
	By        string
	Remedy    string
	Clause    string
	Tranches  []string
	Already   bool   // it would arise without the slip too
	AtStake   string // value of what it reaches, from then until the contract's end
	AfterDays int
}

// Slip says what it would come to if a hall that is not in service yet came
// into service so many days later: which contracts, which discounts and rights,
// how much money. The money is the difference between the invoices that the
// meter makes of both accounts; what failed, and how much of the time, stays as
// it is in both. Nothing is written.
// Cost: two invoices a contract and month; under a second at 50,000 nodes.
func Slip(s *book.State, now time.Time, hall string, days int) (*Slipped, error) {
	if s.Site == nil {
		return nil, &book.Refusal{Field: "site", Reason: "no site has been imported yet"}
	}
	h, ok := s.Site.HallByID(hall)
	if !ok {
		var ids []string
		for i := range s.Site.Halls {
			ids = append(ids, s.Site.Halls[i].ID)
		}
		return nil, &book.Refusal{Field: "hall", Reason: fmt.Sprintf("the site has no hall %q: expected one of %v", hall, ids)}
	}
	if days < 1 || days > MaxSlipDays {
		return nil, &book.Refusal{Field: "days", Reason: fmt.Sprintf("%d: expected 1 to %d days", days, MaxSlipDays)}
	}
	out := &Slipped{Hall: hall, Was: s.Site.Halls[h].InService}
	out.Is = out.Was.AddDate(0, 0, days)
	if !out.Was.After(now) {
		return nil, &book.Refusal{Field: "hall", Reason: fmt.Sprintf("%s has been in service since %s: what is there can't slip", hall, out.Was.Format(time.DateOnly))}
	}
	elsewhere, err := newElsewhere(s, now, hall, out.Is)
	if err != nil {
		return nil, err
	}
	losses := map[string]*big.Rat{}
	for _, id := range s.ContractIDs() {
		k := s.Contracts[id]
		c, change, err := out.contract(s, now, k, h, elsewhere)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		out.Contracts = append(out.Contracts, *c)
		if losses[c.Currency] == nil {
			losses[c.Currency] = new(big.Rat)
		}
		losses[c.Currency].Add(losses[c.Currency], change)
	}
	for _, currency := range slices.Sorted(maps.Keys(losses)) {
		digits, _ := contract.Digits(currency)
		out.Losses = append(out.Losses, Loss{currency, losses[currency].FloatString(digits)})
	}
	out.quotes(s, h)
	return out, nil
}

// contract is nil where nothing of it is in the hall.
func (out *Slipped) contract(s *book.State, now time.Time, k *book.Contract, hall int, elsewhere *elsewhere) (*SlippedContract, *big.Rat, error) {
	c := k.Current()
	digits, _ := contract.Digits(c.Currency)
	got := &SlippedContract{Contract: c.ID, Tenant: c.Tenant, Title: c.Title, Currency: c.Currency}
	leases := s.LeasesOfContract(c.ID)
	late := map[string]int64{} // GPUs by tranche
	var first, last time.Time
	for _, l := range leases {
		if !l.Returning.IsZero() || !l.Returned.IsZero() || !out.Is.After(l.Begin) {
			continue
		}
		slots := 0
		for slot, n := range l.Slots {
			if !l.Up[slot] && !l.GaveUp(slot) && s.Site.HallOf(n) == hall {
				slots++
			}
		}
		if slots == 0 {
			continue
		}
		t := SlippedTranche{Lease: string(l.ID), Kind: l.Kind, GPUs: int64(slots * s.Site.NodeGPUs(l.Kind)), Promised: l.Begin,
			Was: later(l.Begin, out.Was), Is: out.Is, Elsewhere: int64(elsewhere.take(l, slots) * s.Site.NodeGPUs(l.Kind))}
		for i := range c.Tranches {
			if tranche := &c.Tranches[i]; tranche.ID == l.Tranche {
				t.GraceEnd, t.Clause = c.GraceEnd(tranche), c.TrancheClause(i)
				if tranche.LateDiscount.Sign() > 0 {
					t.Discount, t.Discounted = tranche.LateDiscount.Percent(), t.Is.After(t.GraceEnd)
				}
			}
		}
		got.Tranches = append(got.Tranches, t)
		late[l.Tranche] = t.GPUs
		if first.IsZero() || t.Was.Before(first) {
			first = t.Was
		}
		last = later(last, t.Is)
	}
	if len(got.Tranches) == 0 {
		return nil, nil, nil
	}
	at := func(inService time.Time) arrival {
		return func(l *book.Lease, slot int) time.Time {
			from := s.Site.InService(l.Slots[slot])
			if s.Site.HallOf(l.Slots[slot]) == hall {
				from = inService
			}
			return later(l.Begin, from, now)
		}
	}
	lines, change, err := compare(k.Versions, leases, first, last, at(out.Was), at(out.Is))
	if err != nil {
		return nil, nil, err
	}
	got.Lines, got.Change = lines, change.FloatString(digits)
	got.Rights = out.rights(c, now, late, digits)
	return got, change, nil
}

// rights are those that lateness gives.
func (out *Slipped) rights(c *contract.Contract, now time.Time, late map[string]int64, digits int) []Arising {
	loc := c.Location()
	var rights []Arising
	for i := range c.Termination {
		r := &c.Termination[i]
		if r.When != "late" {
			continue
		}
		a := Arising{By: r.By, Remedy: r.Remedy, Clause: r.Clause, AfterDays: r.AfterDays, Already: true}
		stake := new(big.Rat)
		for _, t := range c.Tranches {
			if late[t.ID] == 0 {
				continue
			}
			from := t.Delivery.In(loc).AddDate(0, 0, r.AfterDays).UTC()
			if !out.Is.After(from) {
				continue
			}
			a.Tranches = append(a.Tranches, t.ID)
			a.Already = a.Already && later(t.Delivery, out.Was).After(from)
			if a.When.IsZero() || from.Before(a.When) {
				a.When = from
			}
			if r.Remedy == "reduce" { // of the GPUs that did not come
				share := contract.Value(c, later(from, now), c.End, []string{t.ID})
				stake.Add(stake, share.Mul(share, big.NewRat(late[t.ID], t.GPUs)))
			}
		}
		if len(a.Tranches) == 0 {
			continue
		}
		if r.Remedy != "reduce" {
			stake = contract.Value(c, later(a.When, now), c.End, nil)
		}
		if a.Clause == "" {
			a.Clause = fmt.Sprintf("termination, item %d", i+1)
		}
		a.AtStake = stake.FloatString(digits)
		rights = append(rights, a)
	}
	return rights
}

// quotes lists open quotes that would promise what is not there.
func (out *Slipped) quotes(s *book.State, hall int) {
	for key, q := range s.Quotes {
		for _, p := range q.Parts {
			nodes, err := site.ParseOrder(p.Nodes, s.Site.Nodes())
			if err == nil && out.Is.After(p.Begin) && slices.ContainsFunc(nodes, func(n site.Index) bool { return s.Site.HallOf(n) == hall }) {
				out.Quotes = append(out.Quotes, key.String())
				break
			}
		}
	}
	slices.Sort(out.Quotes)
}

// elsewhere counts the nodes that could stand in for those of a hall.
type elsewhere struct {
	now   time.Time
	free  func(begin, end time.Time) *site.Set
	site  *site.Site
	taken *site.Set
}

func newElsewhere(s *book.State, now time.Time, hall string, is time.Time) (*elsewhere, error) {
	moved := s.Site.Snapshot()
	if err := moved.SetHallInService(hall, is); err != nil {
		return nil, err
	}
	schedule, err := s.ScheduleOn(moved, now)
	if err != nil {
		return nil, err
	}
	return &elsewhere{now, schedule.Free, moved, site.NewSet(moved.Nodes())}, nil
}

// take is for how many of some late slots of a lease other nodes are free on
// time, until its end. What stands in for one lease can't for the next.
func (e *elsewhere) take(l *book.Lease, slots int) int {
	free := e.free(later(l.Begin, e.now), l.End)
	free.Subtract(e.taken)
	free.Intersect(e.site.NodesOf(l.Fabric, l.Kind))
	n := min(slots, free.Len())
	if n == 0 {
		return 0
	}
	slice, err := solve.Among(e.site, free, place.Ask{Nodes: n, Fabric: l.Fabric, Kind: l.Kind, Links: "shared", WholeRacks: e.site.NVLinkRacks(l.Kind)})
	if err != nil {
		return 0
	}
	for _, node := range slice.Nodes {
		e.taken.Add(node)
	}
	return n
}

// ranges writes ascending slot numbers as a range set.
func ranges(slots []int) string {
	set := site.NewSet(0)
	for _, slot := range slots {
		set.Add(site.Index(slot))
	}
	return set.String()
}
