package meter

import (
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strings"

	"bulkhead/contract"
)

// priced is GPU-seconds of one tranche at one exact price.
type priced struct {
	segment *segment // the first one: all have the same terms
	seconds int64    // GPU-seconds
	rows    rowSet
}

// byPrice collects GPU-seconds in the order of their first segment.
type byPrice struct {
	order []oneLine
	by    map[oneLine]*priced
}

// oneLine are the terms of one line: what differs in any of them is never added up.
type oneLine struct {
	tranche, clause string
	basis           contract.Basis
	price           contract.Decimal
	owed            int64
	extra           string
}

// add adds GPU-seconds of a segment. extra tells apart what else must not be
// mixed on one line.
func (p *byPrice) add(s *segment, extra string, seconds int64, rows *rowSet) {
	if seconds == 0 {
		return
	}
	key := oneLine{s.theTranche().ID, s.version.RateClause(s.rate), s.theRate().Basis, s.theRate().Price, s.owed, extra}
	if p.by == nil {
		p.by = map[oneLine]*priced{}
	}
	one := p.by[key]
	if one == nil {
		one = &priced{segment: s}
		p.by[key] = one
		p.order = append(p.order, key)
	}
	one.seconds += seconds
	if rows != nil {
		one.rows.merge(rows)
	}
}

func (p *byPrice) each(visit func(*priced)) {
	for _, key := range p.order {
		visit(p.by[key])
	}
}

func (r *rowSet) merge(o *rowSet) {
	if r.bits == nil {
		r.bits = slices.Clone(o.bits)
		return
	}
	for i, word := range o.bits {
		r.bits[i] |= word
	}
}

// entries are the ledger entries of the changes in the set.
func (b *bill) entries(r *rowSet) Entries {
	count := 0
	for _, word := range r.bits {
		count += bits.OnesCount64(word)
	}
	if count == 0 {
		return nil
	}
	out, ordered := make(Entries, 0, count), true
	for i, word := range r.bits {
		for ; word != 0; word &= word - 1 {
			entry := b.entryOf(i*64 + bits.TrailingZeros64(word))
			ordered = ordered && (len(out) == 0 || out[len(out)-1] <= entry)
			out = append(out, entry)
		}
	}
	if !ordered {
		slices.Sort(out)
	}
	return slices.Compact(out)
}

// priceFormula is seconds times the price of a segment, for a person:
// "1,250,000,000 USD × 5 GPU-s / (350,000 GPU × 2,678,400 s)".
func (b *bill) priceFormula(s *segment, seconds int64) string {
	if s.owed == 0 {
		return fmt.Sprintf("%s × %s GPU-s / 3,600 s", b.money(s.theRate().Price), group(seconds))
	}
	return fmt.Sprintf("%s × %s GPU-s / (%s GPU × %s s)", b.money(s.theRate().Price), group(seconds), group(s.owed), group(b.month))
}

// value is GPU-seconds times the exact price of a segment.
func (b *bill) value(s *segment, seconds int64) *big.Rat {
	v := s.gpuSecond(b.month)
	return v.Mul(v, big.NewRat(seconds, 1))
}

func (b *bill) segments(visit func(*tranche, *segment)) {
	for _, tr := range b.terms.tranches {
		for _, s := range tr.segments {
			visit(tr, s)
		}
	}
}

// tranchesUsed bills what is priced by the GPU-hour: delivered, not returned.
func (b *bill) tranchesUsed() {
	var used byPrice
	b.segments(func(_ *tranche, s *segment) {
		if s.theRate().Basis == contract.PerGPUHour {
			used.add(s, "", s.gpus(s.deliveredSeconds()), &s.handOvers)
		}
	})
	used.each(func(p *priced) {
		s := p.segment
		b.add(Line{
			ID: b.id("usage/"+s.theTranche().ID, s.from), Kind: LineUsage, Clause: s.version.RateClause(s.rate),
			Text:     fmt.Sprintf("%s in %s, by the GPU-hour", s.theTranche().Kind, s.theTranche().ID),
			Formula:  b.priceFormula(s, p.seconds),
			Quantity: fmt.Sprint(p.seconds), Unit: "GPU-s", Price: string(s.theRate().Price), Per: "GPU-hour",
			Entries: b.entries(&p.rows),
		}, b.value(s, p.seconds))
	})
}

// takeOrPay is what usage lacks of the promised share of what was owed and not
// late. Its own terms are those of the version in force at the end.
func (b *bill) takeOrPay() {
	p := b.last.TakeOrPay
	if p == nil {
		return
	}
	var owed byPrice
	b.segments(func(tr *tranche, s *segment) {
		if slices.Contains(p.Tranches, tr.id) && s.owed == 0 {
			owed.add(s, "", s.gpus(s.slots*(s.to-s.from)-s.usage[undelivered]), nil)
		}
	})
	least, terms := new(big.Rat), []string{}
	owed.each(func(o *priced) {
		least.Add(least, b.value(o.segment, o.seconds))
		terms = append(terms, b.priceFormula(o.segment, o.seconds))
	})
	used := new(big.Rat)
	for _, l := range b.invoice.Lines {
		if l.Kind == LineUsage && slices.ContainsFunc(p.Tranches, func(id string) bool { return lineOfTranche(l.ID, id) }) {
			amount, _ := new(big.Rat).SetString(l.Amount)
			used.Add(used, amount)
		}
	}
	least.Mul(least, p.Share.Rat())
	short := least.Sub(least, used)
	if short.Sign() <= 0 {
		return
	}
	b.add(Line{
		ID: "take-or-pay", Kind: LineTakeOrPay, Clause: orElse(p.Clause, "take_or_pay"),
		Text:     "What usage lacks of the least that was agreed, for " + strings.Join(p.Tranches, ", "),
		Formula:  fmt.Sprintf("%s × (%s) - %s", p.Share.Percent(), strings.Join(terms, " + "), b.amount(used)),
		Quantity: "1", Unit: "month", Price: short.FloatString(b.digits), Per: "month",
	}, short)
}

// lineOfTranche reports whether a usage line is of a tranche: ids may carry a
// date or a number behind the tranche's own.
func lineOfTranche(line, tranche string) bool {
	rest, ok := strings.CutPrefix(line, "usage/"+tranche)
	return ok && (rest == "" || rest[0] == '@' || rest[0] == '#')
}

// late takes off what a flat fee counts for slots that were not delivered, and
// the discount on top for those that are late beyond the grace.
func (b *bill) late() {
	var missing, extra byPrice
	b.segments(func(tr *tranche, s *segment) {
		seconds := s.gpus(s.usage[undelivered])
		if s.theRate().Basis == contract.PerMonth {
			missing.add(s, "", seconds, &tr.deliveries)
		}
		if t := s.theTranche(); s.late && t.LateDiscount.Sign() > 0 {
			extra.add(s, string(t.LateDiscount), seconds, &tr.deliveries)
		}
	})
	missing.each(func(p *priced) {
		s := p.segment
		exact := b.value(s, p.seconds)
		b.add(Line{
			ID: b.id("late/"+s.theTranche().ID, s.from), Kind: LineLate, Clause: s.version.TrancheClause(s.index),
			Text:     "Not delivered of " + s.theTranche().ID + ": no fee",
			Formula:  "- " + b.priceFormula(s, p.seconds),
			Quantity: fmt.Sprint(p.seconds), Unit: "GPU-s", Price: string(s.theRate().Price), Per: "month",
			Entries: b.entries(&p.rows),
		}, exact.Neg(exact))
	})
	extra.each(func(p *priced) {
		s, t := p.segment, p.segment.theTranche()
		exact := b.value(s, p.seconds)
		exact.Mul(exact, t.LateDiscount.Rat())
		b.add(Line{
			ID: b.id("late-extra/"+t.ID, s.from), Kind: LineLateExtra, Clause: s.version.TrancheClause(s.index),
			Text:     fmt.Sprintf("%s late by more than the grace of %d days: %s of the price on top", t.ID, t.GraceDays, t.LateDiscount.Percent()),
			Formula:  fmt.Sprintf("- %s × %s", t.LateDiscount.Percent(), b.priceFormula(s, p.seconds)),
			Quantity: fmt.Sprint(p.seconds), Unit: "GPU-s", Price: string(s.theRate().Price), Per: perOf(s),
			Entries: b.entries(&p.rows),
		}, exact.Neg(exact))
	})
}

func perOf(s *segment) string {
	if s.owed == 0 {
		return "GPU-hour"
	}
	return "month"
}
