package contract

import (
	"bytes"
	"fmt"
	"math/big"
	"time"

	"bulkhead/claim"
)

// Amend reports whether next may follow c as its next version. A version is
// never edited: what it ruled before next is effective stays as it was.
//
// The parties, the currency, the zone and the begin stay. A tranche that is
// running when next takes effect keeps its kind, fabric, delivery date and
// links; it may end earlier or later, and shrink, but more GPUs are a tranche
// of their own, because they have a delivery date of their own.
// It returns claim.Problems that name fields of next, or nil.
func (c *Contract) Amend(next *Contract) error {
	if err := next.Check(); err != nil {
		return err
	}
	f := &findings{}
	same := func(field, was, is string) {
		if was != is {
			f.add(field, "%q was %q: that needs a contract of its own, not an amendment", is, was)
		}
	}
	same("id", c.ID, next.ID)
	same("tenant", c.Tenant, next.Tenant)
	same("project", c.Project, next.Project)
	same("currency", c.Currency, next.Currency)
	same("time_zone", c.TimeZone, next.TimeZone)
	if !c.ZoneRules.agree(next.ZoneRules) {
		f.add("zone_rules", "the rules of %s have changed since version %d was made with those of %s: days and months of a contract stay as they were signed; copy zone_rules from it",
			c.TimeZone, c.Version, c.ZoneRules.Version)
	}
	same("begin", c.show(c.Begin), c.show(next.Begin))
	if next.Version != c.Version+1 {
		f.add("version", "%d: version %d is in force, expected %d", next.Version, c.Version, c.Version+1)
	}
	if next.Effective.Before(c.Effective) {
		f.add("effective", "%s is before %s, from when version %d rules", c.show(next.Effective), c.show(c.Effective), c.Version)
	}
	for i := range c.Tranches {
		c.amendTranche(f, &c.Tranches[i], next)
	}
	for i := range next.Tranches {
		t := &next.Tranches[i]
		if was := c.TrancheByID(t.ID); (was == nil || !was.Delivery.Before(next.Effective)) && t.Delivery.Before(next.Effective) {
			f.add(fmt.Sprintf("tranches[%d].delivery", i), "%s is before %s, when this version takes effect", c.show(t.Delivery), c.show(next.Effective))
		}
	}
	c.amendMoney(f, next)
	c.amendEnding(f, next)
	unchanged := next.Clone()
	unchanged.Version, unchanged.Effective = c.Version, c.Effective
	if bytes.Equal(unchanged.Encode(), c.Encode()) {
		f.add("", "changes nothing: an amendment differs from the version before it")
	}
	return f.err()
}

// amendTranche holds a tranche that is running at next's effective instant to
// what was promised.
func (c *Contract) amendTranche(f *findings, was *Tranche, next *Contract) {
	if !was.Delivery.Before(next.Effective) || !was.End.After(next.Effective) {
		return // not due yet, or over: next may say what it likes
	}
	at := -1
	for i := range next.Tranches {
		if next.Tranches[i].ID == was.ID {
			at = i
		}
	}
	if at < 0 {
		f.add("tranches", "%s is missing: it has been due since %s; end it instead", was.ID, c.show(was.Delivery))
		return
	}
	is, path := &next.Tranches[at], fmt.Sprintf("tranches[%d].", at)
	fixed := func(field, was, is string) {
		if was != is {
			f.add(path+field, "%q was %q: it can't change once the tranche is due; end it and add another", is, was)
		}
	}
	fixed("kind", was.Kind, is.Kind)
	fixed("node_gpus", fmt.Sprint(was.NodeGPUs), fmt.Sprint(is.NodeGPUs))
	fixed("fabric", was.Fabric, is.Fabric)
	fixed("links", string(was.Links), string(is.Links))
	fixed("split_racks", fmt.Sprint(was.SplitRacks), fmt.Sprint(is.SplitRacks))
	fixed("segment_gpus", fmt.Sprint(was.SegmentGPUs), fmt.Sprint(is.SegmentGPUs))
	fixed("delivery", c.show(was.Delivery), c.show(is.Delivery))
	if is.GPUs > was.GPUs {
		f.add(path+"gpus", "%d GPUs were %d: add a tranche for the %d more, with its own delivery date", is.GPUs, was.GPUs, is.GPUs-was.GPUs)
	}
	if is.End.Before(next.Effective) {
		f.add(path+"end", "%s is before %s, when this version takes effect", c.show(is.End), c.show(next.Effective))
	}
}

// amendMoney keeps what was paid in advance, and storage that is in use.
func (c *Contract) amendMoney(f *findings, next *Contract) {
	if was := c.Prepaid; was != nil && was.From.Before(next.Effective) {
		is := next.Prepaid
		if is == nil || !is.From.Equal(was.From) || is.Instalment().Cmp(was.Instalment()) != 0 {
			f.add("prepaid", "was drawn down from %s: its begin and its instalment can't change", c.show(was.From))
		}
	}
	for i := range c.Storage {
		was := &c.Storage[i]
		if was.From.Before(next.Effective) && was.To.After(next.Effective) && next.volume(was.ID) == nil {
			f.add("storage", "%s is missing: it is in use since %s; end it instead", was.ID, c.show(was.From))
		}
	}
}

// NoticeEnd is the instant at which a notice that is given at an instant ends
// the contract: NoticeDays full calendar days after the day on which it is
// given, in the contract's zone, and not before FirmUntil. It is an error when
// the contract has no right of notice, or ends by itself no later.
func (c *Contract) NoticeEnd(given time.Time) (time.Time, error) {
	if c.NoticeDays == 0 {
		return time.Time{}, &claim.Problem{File: whole, Field: "notice_days", Reason: "this contract gives no right of notice"}
	}
	loc := c.Location()
	year, month, day := given.In(loc).Date()
	ends := latest(StartOfDay(loc, year, month, day+1+c.NoticeDays), c.FirmUntil)
	if !ends.Before(c.End) {
		return time.Time{}, &claim.Problem{File: whole, Field: "end", Reason: fmt.Sprintf("a notice given on %s would end the contract on %s; it ends by itself on %s",
			given.In(loc).Format(time.DateOnly), c.show(ends), c.show(c.End))}
	}
	return ends, nil
}

// Notice is the next version of the contract, which a notice given at an instant ends
// early, as the party that the terms name gives it. See Perform for the others.
func (c *Contract) Notice(given time.Time) (*Contract, error) {
	rule, _ := RuleOf(ActNotice)
	party := Tenant
	if parties, _ := rule.Parties(c); len(parties) > 0 {
		party = parties[len(parties)-1]
	}
	if _, err := c.NoticeEnd(given); err != nil {
		return nil, err
	}
	out, err := c.Perform(Asked{Act: ActNotice, Party: party, Given: given})
	if err != nil {
		return nil, err
	}
	return out.Next, nil
}

// cut is the next version, which ends at an instant: tranches, rates and storage are cut
// there, and what would only begin after it is dropped.
func (c *Contract) cut(given, ends time.Time) *Contract {
	next := c.inUTC()
	next.Version++
	next.Effective = latest(given.UTC().Truncate(time.Second), c.Effective)
	next.End = ends
	kept := func(id string) bool { return next.TrancheByID(id) != nil }
	keepList := func(ids []string) (out []string) {
		for _, id := range ids {
			if kept(id) {
				out = append(out, id)
			}
		}
		return out
	}
	cut := func(from, to time.Time) (time.Time, bool) { return earliest(to, ends), from.Before(ends) }

	next.Tranches, next.Rates, next.Storage = nil, nil, nil
	for _, t := range c.inUTC().Tranches {
		var keep bool
		if t.End, keep = cut(t.Delivery, t.End); keep {
			next.Tranches = append(next.Tranches, t)
		}
	}
	for _, v := range c.inUTC().Storage {
		var keep bool
		if v.To, keep = cut(v.From, v.To); keep {
			next.Storage = append(next.Storage, v)
		}
	}
	for i := range next.Tranches {
		t := &next.Tranches[i]
		var volumes []string
		for _, id := range t.Volumes {
			if next.volume(id) != nil {
				volumes = append(volumes, id)
			}
		}
		t.Volumes = volumes
	}
	for _, r := range c.inUTC().Rates {
		var keep bool
		r.To, keep = cut(r.From, r.To)
		if r.Tranches = keepList(r.Tranches); keep && len(r.Tranches) > 0 {
			next.Rates = append(next.Rates, r)
		}
	}
	if next.TakeOrPay != nil {
		if next.TakeOrPay.Tranches = keepList(next.TakeOrPay.Tranches); len(next.TakeOrPay.Tranches) == 0 {
			next.TakeOrPay = nil
		}
	}
	if p := next.Prepaid; p != nil {
		// What is left of it is paid back, not drawn down.
		months, each := p.monthsBefore(ends, c.Location()), p.Instalment()
		if months == 0 {
			next.Prepaid = nil
		} else {
			p.Amount = decimalOf(each.Mul(each, big.NewRat(int64(months), 1)))
			p.Months = months
		}
	}
	return next
}
