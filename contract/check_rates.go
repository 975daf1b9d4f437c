package contract

import (
	"fmt"
	"slices"
	"time"
)

func (c *Contract) checkTrancheList(f *findings, field string, ids []string) {
	if len(ids) == 0 {
		f.add(field, "expected at least one tranche")
	}
	for i, id := range ids {
		if c.TrancheByID(id) == nil {
			f.add(fmt.Sprintf("%s[%d]", field, i), "no tranche %.70q", id)
		}
		if contains(ids[:i], id) {
			f.add(fmt.Sprintf("%s[%d]", field, i), "%.70q is listed twice", id)
		}
	}
}

// checkRates makes sure that each tranche has exactly one price at every
// instant between its delivery and its end.
func (c *Contract) checkRates(f *findings) {
	if len(c.Rates) == 0 {
		f.add("rates", "expected at least one rate")
	}
	if len(c.Rates) > MaxRates {
		f.add("rates", "%d rates: at most %d", len(c.Rates), MaxRates)
		return
	}
	sound := len(c.Tranches) <= MaxTranches
	for i := range c.Rates {
		r, path := &c.Rates[i], fmt.Sprintf("rates[%d].", i)
		c.checkTrancheList(f, path+"tranches", r.Tranches)
		c.checkRateKind(f, path, r)
		sound = c.span(f, path, "from", "to", r.From, r.To) && sound
		if r.Basis != PerMonth && r.Basis != PerGPUHour {
			f.add(path+"basis", "%.20q: expected month or gpu-hour", string(r.Basis))
		}
		checkPrice(f, path+"price", r.Price)
		checkText(f, path+"clause", r.Clause, 80)
	}
	if !sound {
		return // what follows would only repeat it
	}
	for i := range c.Tranches {
		c.checkCover(f, i)
	}
	for i := range c.Rates {
		if c.Rates[i].Basis == PerMonth {
			c.checkFeeSpan(f, i)
		}
	}
}

// checkCover walks the rates of one tranche in time.
func (c *Contract) checkCover(f *findings, tranche int) {
	t := &c.Tranches[tranche]
	var of []int
	for i := range c.Rates {
		if contains(c.Rates[i].Tranches, t.ID) {
			of = append(of, i)
		}
	}
	slices.SortStableFunc(of, func(a, b int) int { return c.Rates[a].From.Compare(c.Rates[b].From) })
	priced := t.Delivery // every second before it has a price
	unpriced := func(from, to time.Time) {
		name := t.ID
		if len(t.Kinds) > 0 {
			name += " as " + t.Kind
		}
		f.add(fmt.Sprintf("tranches[%d].id", tranche), "%s has no price from %s until %s: add a rate", name, c.show(from), c.show(to))
	}
	for at, i := range of {
		r := &c.Rates[i]
		if at > 0 {
			if before := of[at-1]; c.Rates[before].To.After(r.From) {
				f.add(fmt.Sprintf("rates[%d].from", max(i, before)), "overlaps rates[%d] for tranche %s from %s: a tranche has one price at a time",
					min(i, before), t.ID, c.show(r.From))
			}
		}
		if r.From.After(priced) && priced.Before(t.End) {
			unpriced(priced, earliest(r.From, t.End))
		}
		if r.To.After(priced) {
			priced = r.To
		}
	}
	if priced.Before(t.End) {
		unpriced(priced, t.End)
	}
}

// checkFeeSpan refuses a flat fee for a time in which nothing is owed for it.
func (c *Contract) checkFeeSpan(f *findings, rate int) {
	r := &c.Rates[rate]
	owed := r.From // at every instant before it one of the tranches is due
	for moved := true; moved; {
		moved = false
		for i := range c.Tranches {
			t := &c.Tranches[i]
			if contains(r.Tranches, t.ID) && !t.Delivery.After(owed) && t.End.After(owed) {
				owed, moved = t.End, true
			}
		}
	}
	if owed.Before(r.To) {
		f.add(fmt.Sprintf("rates[%d].from", rate), "none of its tranches is due at %s: a fee begins with a delivery and ends with a tranche", c.show(owed))
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
