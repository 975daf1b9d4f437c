package contract

import (
	"fmt"
	"math/big"
	"time"

	"bulkhead/claim"
)

// What rights are about, and what they give.
const (
	WhenLate        = "late"        // what was promised has not come
	WhenConvenience = "convenience" // nothing is wrong: after a notice
	WhenEarly       = "early"       // nothing is wrong: at the end of the day, for a fee

	RemedyTerminate = "terminate"
	RemedyReduce    = "reduce"

	EarlyEndRefund  = "refund"  // what is left of a prepayment when the contract ends early is paid back
	EarlyEndForfeit = "forfeit" // the owner keeps it, where the tenant has ended it without a reason
)

// Ending says by which act a version ends the contract early, and what that settles. No
// file says it: it follows from the version before, and from the act.
type Ending struct {
	Act     Act     `json:"act"`
	Party   string  `json:"party"` // that acted
	Clause  string  `json:"clause"`
	Fee     Decimal `json:"fee,omitempty"`     // for leaving early, due with the last invoice
	Refund  Decimal `json:"refund,omitempty"`  // left of what was prepaid, paid back with the last invoice
	Forfeit Decimal `json:"forfeit,omitempty"` // left of what was prepaid, which the owner keeps
}

// Asked is an act that a party wants to do.
type Asked struct {
	Act     Act
	Party   string
	Given   time.Time
	Tranche string // reduce, and terminate-late: which is late; "": the first that is
	Missing []Missing
}

// Missing is what has never been delivered of a tranche.
type Missing struct {
	Tranche string
	Slots   int64
}

// Outcome is what an act comes to.
type Outcome struct {
	Next    *Contract // the next version
	Preview Preview
}

// Perform says what an act comes to, without doing it: for the one who asks beforehand,
// for the book that does it, and for the verifier who judges it. It fails where the
// terms don't give the party this act now.
func (c *Contract) Perform(a Asked) (*Outcome, error) {
	if err := c.May(a.Act, a.Party); err != nil {
		return nil, err
	}
	rule, _ := RuleOf(a.Act)
	_, clause := rule.Parties(c)
	p := Preview{Act: a.Act, Party: a.Party, Contract: c.ID, Version: c.Version, Follows: c.Digest(), Currency: c.Currency, TimeZone: c.TimeZone, Clause: clause, WasEnd: c.End}
	var next *Contract
	var err error
	switch a.Act {
	case ActNotice:
		if at := c.right(WhenConvenience, RemedyTerminate, a.Party); at >= 0 {
			p.Clause = c.RightClause(at)
		}
		var ends time.Time
		if ends, err = c.NoticeEnd(a.Given); err == nil {
			next, err = c.ended(a, ends, &p)
		}
	case ActTerminateEarly:
		right := &c.Termination[c.right(WhenEarly, RemedyTerminate, a.Party)]
		p.Clause = c.RightClause(c.right(WhenEarly, RemedyTerminate, a.Party))
		var ends time.Time
		if ends, err = c.nextDay(a.Given); err == nil {
			p.Fee = c.share(right.Fee, Value(c, ends, c.End, nil))
			next, err = c.ended(a, ends, &p)
		}
	case ActTerminateLate:
		var ends time.Time
		if _, err = c.late(a, RemedyTerminate, &p); err == nil {
			ends, err = c.nextDay(a.Given)
		}
		if err == nil {
			next, err = c.ended(a, ends, &p)
		}
	case ActReduce:
		var missing int64
		if missing, err = c.late(a, RemedyReduce, &p); err == nil {
			next, err = c.reduced(a, missing, &p)
		}
	default:
		return nil, &claim.Problem{File: whole, Field: "act", Reason: fmt.Sprintf("%s makes no new version of a contract", a.Act)}
	}
	if err != nil {
		return nil, err
	}
	p.Next = next.without()
	return &Outcome{next, p}, nil
}

// nextDay is the first instant of the day after an instant, in the contract's zone.
func (c *Contract) nextDay(t time.Time) (time.Time, error) {
	loc := c.Location()
	year, month, day := t.In(loc).Date()
	return StartOfDay(loc, year, month, day+1), nil
}

// share is a part of an amount, rounded once to the currency's smallest unit.
func (c *Contract) share(part Decimal, of *big.Rat) Decimal {
	digits, _ := Digits(c.Currency)
	exact := part.Rat()
	return toDecimal(exact.Mul(exact, of), digits)
}

// toDecimal rounds half away from zero.
func toDecimal(r *big.Rat, digits int) Decimal {
	rounded, _ := new(big.Rat).SetString(r.FloatString(digits))
	if rounded.Sign() == 0 {
		return ""
	}
	return decimalOf(rounded)
}

// late finds the right that has arisen, and how many slots of its tranche are missing.
func (c *Contract) late(a Asked, remedy string, p *Preview) (missing int64, err error) {
	loc := c.Location()
	var soonest time.Time
	for _, m := range a.Missing {
		t := c.TrancheByID(m.Tranche)
		if t == nil || m.Slots <= 0 || a.Tranche != "" && a.Tranche != m.Tranche {
			continue
		}
		for i := range c.Termination {
			r := &c.Termination[i]
			if r.When != WhenLate || r.Remedy != remedy || r.By != a.Party && r.By != "either" {
				continue
			}
			from := t.Delivery.In(loc).AddDate(0, 0, r.AfterDays).UTC()
			if a.Given.Before(from) {
				if soonest.IsZero() || from.Before(soonest) {
					soonest = from
				}
				continue
			}
			p.Clause, p.Tranche, p.Since = c.RightClause(i), t.ID, from
			return m.Slots, nil
		}
	}
	if !soonest.IsZero() {
		return 0, &claim.Problem{File: whole, Field: "act", Reason: fmt.Sprintf("%s: the right arises on %s, if it is still late then", a.Act, c.show(soonest))}
	}
	return 0, &claim.Problem{File: whole, Field: "tranche", Reason: fmt.Sprintf("%s: nothing of contract %s%s is late: all that is due was delivered", a.Act, c.ID, ofTranche(a.Tranche))}
}

func ofTranche(id string) string {
	if id == "" {
		return ""
	}
	return ", tranche " + id + ","
}

// ended is the next version, which ends at an instant, with what that settles.
func (c *Contract) ended(a Asked, ends time.Time, p *Preview) (*Contract, error) {
	if !ends.Before(c.End) {
		return nil, &claim.Problem{File: whole, Field: "end", Reason: fmt.Sprintf("the contract ends by itself on %s, which is no later than %s would", c.show(c.End), a.Act)}
	}
	next := c.cut(a.Given, ends)
	next.Ending = &Ending{Act: a.Act, Party: a.Party, Clause: p.Clause, Fee: p.Fee}
	c.settlePrepaid(a, next, p)
	p.From, p.Ends, p.Refund, p.Forfeit = ends, ends, next.Ending.Refund, next.Ending.Forfeit
	digits, _ := Digits(c.Currency)
	p.Value = toDecimal(Value(c, ends, c.End, nil), digits)
	if err := c.Amend(next); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", a.Act, c.show(a.Given.Truncate(time.Second)), err)
	}
	return next, nil
}

// settlePrepaid says what becomes of what is left of a prepayment. What an earlier act
// has settled stays so.
func (c *Contract) settlePrepaid(a Asked, next *Contract, p *Preview) {
	refund, forfeit := new(big.Rat), new(big.Rat)
	if was := c.Ending; was != nil {
		refund, forfeit = was.Refund.Rat(), was.Forfeit.Rat()
	}
	paid, drawn := new(big.Rat).Add(refund, forfeit), new(big.Rat)
	if next.Prepaid != nil {
		drawn = next.Prepaid.Amount.Rat()
	}
	if was := c.Prepaid; was != nil {
		paid.Add(paid, was.Amount.Rat())
		left := new(big.Rat).Sub(was.Amount.Rat(), drawn)
		if was.EarlyEnd == EarlyEndForfeit && a.Party == Tenant && a.Act != ActTerminateLate {
			forfeit.Add(forfeit, left)
		} else {
			refund.Add(refund, left)
		}
	}
	exact := func(r *big.Rat) Decimal {
		if r.Sign() == 0 {
			return ""
		}
		return decimalOf(r)
	}
	p.Prepaid, p.Drawn = exact(paid), exact(drawn)
	next.Ending.Refund, next.Ending.Forfeit = exact(refund), exact(forfeit)
}

// reduced is the next version, with what has come of a late tranche and no more. A flat
// fee is lower by the share of its GPUs that has not come, rounded to the smallest unit;
// a price by the GPU-hour stays.
func (c *Contract) reduced(a Asked, missing int64, p *Preview) (*Contract, error) {
	next := c.inUTC()
	next.Version++
	next.Effective = latest(a.Given.UTC().Truncate(time.Second), c.Effective)
	t := next.TrancheByID(p.Tranche)
	p.WasGPUs = t.GPUs
	p.GPUs = t.GPUs - missing*int64(t.GPUsANode())
	if p.GPUs <= 0 {
		return nil, &claim.Problem{File: whole, Field: "tranche", Reason: fmt.Sprintf("reduce: nothing of %s has come: there is nothing to keep", t.ID)}
	}
	t.GPUs = p.GPUs
	digits, _ := Digits(c.Currency)
	for i := range next.Rates {
		r := &next.Rates[i]
		if r.Basis != PerMonth || !contains(r.Tranches, t.ID) || !r.To.After(next.Effective) {
			continue
		}
		var was, is int64
		for _, id := range r.Tranches {
			was += c.TrancheByID(id).GPUs
			is += next.TrancheByID(id).GPUs
		}
		price := r.Price.Rat()
		if lower := toDecimal(price.Mul(price, big.NewRat(is, was)), digits); lower != "" {
			r.Price = lower
		} else {
			r.Price = "0"
		}
	}
	p.From, p.Ends = next.Effective, c.End
	value := Value(c, next.Effective, c.End, nil)
	p.Value = toDecimal(value.Sub(value, Value(next, next.Effective, c.End, nil)), digits)
	if err := c.Amend(next); err != nil {
		return nil, fmt.Errorf("reduce of %s: %w", c.show(a.Given.Truncate(time.Second)), err)
	}
	return next, nil
}

// without is the digest of a version apart from the second at which it was made: what an
// act shows beforehand holds for as long as the act would come to the same.
func (c *Contract) without() string {
	same := c.Clone()
	same.Effective = c.End.Add(-time.Second)
	return same.Digest().String()
}

// amendEnding refuses a version that is signed after an act has ended the contract, and
// that would forget what the act settled: it may only take the ending back, whole.
func (c *Contract) amendEnding(f *findings, next *Contract) {
	e := c.Ending
	if e == nil || next.Ending != nil || e.Fee+e.Refund+e.Forfeit == "" {
		return
	}
	if !next.End.After(c.End) {
		f.add("end", "%s: %s of the %s ends the contract then, and settles a fee or what is left of a prepayment, which a version that is signed after it forgets: expected a later end, which takes the act back",
			c.show(next.End), e.Act, e.Party)
	}
	paid, is := new(big.Rat).Add(e.Refund.Rat(), e.Forfeit.Rat()), new(big.Rat)
	if paid.Sign() == 0 {
		return
	}
	if c.Prepaid != nil {
		paid.Add(paid, c.Prepaid.Amount.Rat())
	}
	if next.Prepaid != nil {
		is = next.Prepaid.Amount.Rat()
	}
	if is.Cmp(paid) != 0 {
		f.add("prepaid.amount", "expected %s, what was prepaid before %s of the %s: what that leaves of it is not paid back once it is taken back", decimalOf(paid), e.Act, e.Party)
	}
}

func (c *Contract) checkEnding(f *findings) {
	if p := c.Prepaid; p != nil && p.EarlyEnd != "" && p.EarlyEnd != EarlyEndForfeit {
		f.add("prepaid.early_end", "%.20q: expected forfeit, or nothing, which is a refund", p.EarlyEnd)
	}
	e := c.Ending
	if e == nil {
		return
	}
	if e.Act != ActNotice && e.Act != ActTerminateEarly && e.Act != ActTerminateLate {
		f.add("ending.act", "%.40q: expected an act that ends a contract", string(e.Act))
	}
	if e.Party != Owner && e.Party != Tenant {
		f.add("ending.party", "%.20q: expected owner or tenant", e.Party)
	}
	checkText(f, "ending.clause", e.Clause, 120)
	for field, d := range map[string]Decimal{"ending.fee": e.Fee, "ending.refund": e.Refund, "ending.forfeit": e.Forfeit} {
		if d != "" && checkPrice(f, field, d) && d.Sign() == 0 {
			f.add(field, "0: expected to be left out")
		}
	}
}
