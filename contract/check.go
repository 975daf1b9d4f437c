package contract

import (
	"fmt"
	"math/big"
	"time"
	"unicode"
	"unicode/utf8"

	"bulkhead/lease"
)

// Check applies every rule that a single version can be held to. It returns
// claim.Problems, or nil. Rules between two versions are Amend's.
func (c *Contract) Check() error {
	f := &findings{}
	c.checkHead(f)
	c.checkTerm(f)
	c.checkTranches(f)
	c.checkRates(f)
	c.checkMoney(f)
	c.checkSLA(f)
	c.checkStorage(f)
	c.checkRights(f)
	c.checkEnding(f)
	return f.err()
}

func (c *Contract) checkHead(f *findings) {
	checkID(f, "id", c.ID)
	checkID(f, "tenant", c.Tenant)
	checkID(f, "project", c.Project)
	checkText(f, "title", c.Title, 120)
	if c.Title == "" {
		f.add("title", "expected a title")
	}
	checkText(f, "note", c.Note, 2000)
	if c.Version < 1 || c.Version > 1_000_000 {
		f.add("version", "%d: expected 1 for a new contract, and the next number for each amendment", c.Version)
	}
	if _, ok := Digits(c.Currency); !ok {
		f.add("currency", "unknown currency %.20q: expected an ISO 4217 code such as USD or EUR", c.Currency)
	}
	c.checkZone(f)
	if c.NoticeDays < 0 || c.NoticeDays > 3650 {
		f.add("notice_days", "%d: expected 0 (no right of notice) to 3650", c.NoticeDays)
	}
}

// instant reports whether t is an instant that a contract can hold.
func instant(f *findings, field string, t time.Time) bool {
	if t.IsZero() {
		f.add(field, "expected a date such as 2026-05-01")
		return false
	}
	if y := t.UTC().Year(); y < 2000 || y > 2200 {
		f.add(field, "year %d: expected 2000 to 2200", y)
		return false
	}
	if t.Nanosecond() != 0 {
		f.add(field, "expected whole seconds")
		return false
	}
	return true
}

// span checks an interval that must lie within the term.
func (c *Contract) span(f *findings, path, fromField, toField string, from, to time.Time) bool {
	ok := instant(f, path+fromField, from)
	if !instant(f, path+toField, to) || !ok {
		return false
	}
	if !to.After(from) {
		f.add(path+toField, "%s is not after %s, its %s", c.show(to), c.show(from), fromField)
		return false
	}
	if from.Before(c.Begin) || !from.Before(c.End) {
		f.add(path+fromField, "%s is outside the term, %s until %s", c.show(from), c.show(c.Begin), c.show(c.End))
		return false
	}
	if to.After(c.End) {
		f.add(path+toField, "%s is after the contract's end, %s", c.show(to), c.show(c.End))
		return false
	}
	return true
}

func (c *Contract) checkTerm(f *findings) {
	okBegin, okEnd := instant(f, "begin", c.Begin), instant(f, "end", c.End)
	if okBegin && okEnd {
		switch {
		case !c.End.After(c.Begin):
			f.add("end", "%s is not after %s, the begin", c.show(c.End), c.show(c.Begin))
		case c.End.After(c.Begin.AddDate(MaxTermYears, 0, 0)):
			f.add("end", "%s is more than %d years after the begin", c.show(c.End), MaxTermYears)
		}
	}
	if instant(f, "effective", c.Effective) && okBegin && okEnd {
		switch {
		case c.Version == 1 && !c.Effective.Equal(c.Begin):
			f.add("effective", "%s: version 1 is effective from the begin, %s", c.show(c.Effective), c.show(c.Begin))
		case c.Effective.Before(c.Begin) || !c.Effective.Before(c.End):
			f.add("effective", "%s is outside the term, %s until %s", c.show(c.Effective), c.show(c.Begin), c.show(c.End))
		}
	}
	if !c.FirmUntil.IsZero() && instant(f, "firm_until", c.FirmUntil) && (c.FirmUntil.Before(c.Begin) || c.FirmUntil.After(c.End)) {
		f.add("firm_until", "%s is outside the term, %s until %s", c.show(c.FirmUntil), c.show(c.Begin), c.show(c.End))
	}
}

func (c *Contract) checkTranches(f *findings) {
	if len(c.Tranches) == 0 {
		f.add("tranches", "expected at least one tranche")
	}
	if len(c.Tranches) > MaxTranches {
		f.add("tranches", "%d tranches: at most %d", len(c.Tranches), MaxTranches)
		return
	}
	seen := map[string]bool{}
	var total int64
	for i := range c.Tranches {
		t, path := &c.Tranches[i], fmt.Sprintf("tranches[%d].", i)
		checkID(f, path+"id", t.ID)
		if seen[t.ID] {
			f.add(path+"id", "%q is used by an earlier tranche: ids are unique", t.ID)
		}
		seen[t.ID] = true
		if checkKinds(f, i, t); t.open() {
			f.add(path+"kinds", "none of %.80s has been chosen yet: a quote does that", t.KindText())
		} else {
			checkWord(f, path+"kind", t.Kind)
		}
		checkWord(f, path+"fabric", t.Fabric)
		if t.checkNodes(f, path) {
			if total += t.GPUs; total > MaxGPUs {
				f.add(path+"gpus", "%d GPUs with the tranches before it: a contract holds at most %d", total, MaxGPUs)
			}
		}
		c.span(f, path, "delivery", "end", t.Delivery, t.End)
		if t.GraceDays < 0 || t.GraceDays > 366 {
			f.add(path+"grace_days", "%d: expected 0 to 366", t.GraceDays)
		}
		checkShare(f, path+"late_discount", t.LateDiscount, true, "1")
		if t.Links != lease.Shared && t.Links != lease.Hermetic {
			f.add(path+"links", "%.20q: expected shared or hermetic", string(t.Links))
		}
		t.checkSegments(f, path, c.Version == 1)
		if t.Acceptance != OnDelivery {
			f.add(path+"acceptance", "%.40q: expected %s", t.Acceptance, OnDelivery)
		}
		checkText(f, path+"clause", t.Clause, 80)
		for j, id := range t.Volumes {
			if c.volume(id) == nil {
				f.add(fmt.Sprintf("%svolumes[%d]", path, j), "no volume %.70q under storage", id)
			}
		}
	}
}

// OnDelivery is the acceptance profile of all tranches so far: a slot is
// accepted, and billed, from the second at which it is handed over proven.
const OnDelivery = "on-delivery"

func (c *Contract) checkMoney(f *findings) {
	if p := c.TakeOrPay; p != nil {
		c.checkTrancheList(f, "take_or_pay.tranches", p.Tranches)
		for i, id := range p.Tranches {
			for _, r := range c.Rates {
				if r.Basis == PerMonth && contains(r.Tranches, id) {
					f.add(fmt.Sprintf("take_or_pay.tranches[%d]", i), "%q is priced by the month: its fee is due anyway", id)
					break
				}
			}
		}
		checkShare(f, "take_or_pay.share", p.Share, false, "1")
		checkText(f, "take_or_pay.clause", p.Clause, 80)
	}
	if p := c.Prepaid; p != nil {
		c.checkPrepaid(f, p)
	}
	checkShare(f, "credit_cap", c.CreditCap, true, "1")
	if t := c.Tax; t != nil {
		checkText(f, "tax.name", t.Name, 80)
		if t.Name == "" {
			f.add("tax.name", "expected the name of the tax")
		}
		checkShare(f, "tax.rate", t.Rate, false, "1")
		checkText(f, "tax.clause", t.Clause, 80)
	}
}

func (c *Contract) checkPrepaid(f *findings, p *Prepaid) {
	checkText(f, "prepaid.clause", p.Clause, 80)
	okAmount := checkPrice(f, "prepaid.amount", p.Amount)
	if p.Months < 1 || p.Months > 12*MaxTermYears {
		f.add("prepaid.months", "%d: expected 1 to %d", p.Months, 12*MaxTermYears)
	} else if digits, ok := Digits(c.Currency); ok && okAmount {
		unit := new(big.Rat).SetFrac(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil), big.NewInt(int64(p.Months)))
		if !unit.Mul(unit, p.Amount.Rat()).IsInt() {
			f.add("prepaid.amount", "%s in %d months are not whole instalments of the smallest unit of %s", p.Amount, p.Months, c.Currency)
		}
	}
	if !instant(f, "prepaid.from", p.From) {
		return
	}
	loc := c.Location()
	if month, _ := MonthOf(loc, p.From); !month.Equal(p.From) {
		f.add("prepaid.from", "%s is not the first instant of a calendar month", c.show(p.From))
	}
	year, month, _ := p.From.In(loc).Date()
	last := StartOfDay(loc, year, month+time.Month(min(max(p.Months, 1), 12*MaxTermYears)-1), 1)
	if first, _ := MonthOf(loc, c.Begin); p.From.Before(first) || !last.Before(c.End) {
		f.add("prepaid.from", "%d months from %s are outside the term, %s until %s", p.Months, c.show(p.From), c.show(c.Begin), c.show(c.End))
	}
}

func (c *Contract) volume(id string) *Volume {
	for i := range c.Storage {
		if c.Storage[i].ID == id {
			return &c.Storage[i]
		}
	}
	return nil
}

// TrancheByID finds a tranche, or nil.
func (c *Contract) TrancheByID(id string) *Tranche {
	for i := range c.Tranches {
		if c.Tranches[i].ID == id {
			return &c.Tranches[i]
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

func checkID(f *findings, field, id string) {
	ok := len(id) > 0 && len(id) <= 63 && id[0] != '-'
	for _, r := range id {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}
	if !ok {
		f.add(field, "%.70q: expected 1 to 63 lower-case letters, digits and dashes", id)
	}
}

func checkWord(f *findings, field, word string) {
	ok := len(word) > 0 && len(word) <= 32
	for _, r := range word {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	if !ok {
		f.add(field, "%.40q: expected 1 to 32 letters, digits and dashes", word)
	}
}

// checkText refuses what would break a page: control characters, invalid UTF-8.
func checkText(f *findings, field, text string, limit int) {
	if len(text) > limit {
		f.add(field, "%d bytes: at most %d", len(text), limit)
		return
	}
	if !utf8.ValidString(text) {
		f.add(field, "is not valid UTF-8")
		return
	}
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			f.add(field, "holds a character that can't be printed (%U)", r)
			return
		}
	}
}

// checkShare checks a share between 0 and limit; optional allows "" and 0.
func checkShare(f *findings, field string, d Decimal, optional bool, limit Decimal) bool {
	if optional && d == "" {
		return true
	}
	if !d.Valid() || d.Sign() < 0 || d.Rat().Cmp(limit.Rat()) > 0 || !optional && d.Sign() == 0 {
		f.add(field, "%.40q: expected a share of at most %s, such as 0.97 or 97%%", string(d), limit)
		return false
	}
	return true
}

// maxPrice bounds a single price or sum.
const maxPrice = Decimal("1000000000000")

func checkPrice(f *findings, field string, d Decimal) bool {
	switch {
	case !d.Valid():
		f.add(field, "%.40q: expected a decimal number such as 3.95", string(d))
	case d.Sign() < 0:
		f.add(field, "%s is negative: discounts and credits have fields of their own", d)
	case d.Rat().Cmp(maxPrice.Rat()) > 0:
		f.add(field, "%s: at most %s", d, maxPrice)
	default:
		return true
	}
	return false
}
