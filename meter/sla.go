package meter

import (
	"fmt"
	"math/big"

	"bulkhead/claim"
	"bulkhead/contract"
)

// level is one service level with what it comes to in the month: the same
// rule in several versions is one level.
type level struct {
	rule      *contract.SLA
	clause    string
	id        string // "node-availability", "replacement-time-4h"
	delivered map[string]int64
	match     map[string]int64 // GPU-seconds that match, by tranche
	quiet     map[string]int64 // those that it credits because nobody looked, by tranche
	taken     byPrice
}

// credits adds a line for each service level, tranche and price, then what
// exceeds the caps. Every second of a slot is in at most one of these lines.
func (b *bill) credits() {
	var levels []*level
	by, same := map[int]*level{}, claim.Chain{}
	for i, v := range b.versions {
		if from, to := b.rules(i); max(from, b.from) >= min(to, b.to) {
			continue
		}
		for j := range v.SLA {
			key := levelKey(same, v, j)
			if by[key] == nil {
				by[key] = &level{rule: &v.SLA[j], clause: v.SLAClause(j), id: levelID(v, j), delivered: map[string]int64{}, match: map[string]int64{}, quiet: map[string]int64{}}
				levels = append(levels, by[key])
			}
		}
	}
	b.segments(func(tr *tranche, s *segment) {
		for j := range s.version.SLA {
			l := by[levelKey(same, s.version, j)]
			l.delivered[tr.id] += s.gpus(s.deliveredSeconds())
			l.match[tr.id] += s.matched[j]
			l.quiet[tr.id] += s.unasked[j]
			l.taken.add(s, "", s.taken[j], &s.rows[j])
		}
	})
	charges := b.sum(LineFee, LineUsage, LineTakeOrPay, LineLate, LineLateExtra)
	all := new(big.Rat)
	for _, l := range levels {
		sum := b.creditLines(l)
		if l.rule.Cap != "" {
			sum.Add(sum, b.capLine("sla-cap/"+l.id, l.clause, "Credits of "+l.clause+" beyond their cap", l.rule.Cap, charges, sum))
		}
		all.Add(all, sum)
	}
	if b.last.CreditCap != "" {
		b.capLine("sla-cap", "credit_cap", "Credits beyond the cap of all service levels", b.last.CreditCap, charges, all)
	}
}

// levelKey tells levels apart by every term that they have.
func levelKey(same claim.Chain, v *contract.Contract, i int) int {
	s := &v.SLA[i]
	terms := []any{v.SLAClause(i), s.Metric, s.AfterS, s.AllowanceS, s.Cap, s.Ports, s.Unclear, len(s.Tiers)}
	for _, t := range s.Tiers {
		terms = append(terms, t)
	}
	return same.Of(append(terms, claim.Strings(s.Exclusions)...)...)
}

// levelID is the metric, with the time where several rules share it.
func levelID(v *contract.Contract, i int) string {
	same := 0
	for j := range v.SLA {
		if v.SLA[j].Metric == v.SLA[i].Metric {
			same++
		}
	}
	if same > 1 {
		return fmt.Sprintf("%s-%ds", v.SLA[i].Metric, v.SLA[i].AfterS)
	}
	return string(v.SLA[i].Metric)
}

// creditLines adds the lines of one level and returns their printed sum, which
// is negative or 0.
func (b *bill) creditLines(l *level) *big.Rat {
	sum := new(big.Rat)
	l.taken.each(func(p *priced) {
		s, id := p.segment, p.segment.theTranche().ID
		tier := l.tier(id)
		if tier == nil {
			return // the month was good enough
		}
		exact := b.value(s, p.seconds)
		exact.Mul(exact, tier.Credit.Rat())
		quiet := ""
		if n := l.quiet[id]; n > 0 {
			quiet = fmt.Sprintf(", in %s of them because nobody looked", group(n))
		}
		sum.Add(sum, b.add(Line{
			ID: b.id("sla/"+l.id+"/"+id, s.from), Kind: LineCredit, Clause: l.clause,
			Text: fmt.Sprintf("%s of %s: %s of %s GPU-s were not as promised (%s %%)%s; below %s the credit is %s", l.rule.Metric, id,
				group(l.match[id]), group(l.delivered[id]), percent(l.match[id], l.delivered[id]), quiet, tier.Below.Percent(), tier.Credit.Percent()),
			Formula:  fmt.Sprintf("- %s × %s", tier.Credit.Percent(), b.priceFormula(s, p.seconds)),
			Quantity: fmt.Sprint(p.seconds), Unit: "GPU-s", Price: string(s.theRate().Price), Per: perOf(s),
			Entries: b.entries(&p.rows),
		}, exact.Neg(exact)))
	})
	return sum
}

// tier is the worst tier that the month's availability of a tranche falls
// into, or nil.
func (l *level) tier(tranche string) *contract.Tier {
	var worst *contract.Tier
	for i := range l.rule.Tiers {
		t := &l.rule.Tiers[i]
		// (held - match) / held < below, without a division
		good := big.NewRat(l.delivered[tranche]-l.match[tranche], 1)
		limit := t.Below.Rat()
		if good.Cmp(limit.Mul(limit, big.NewRat(l.delivered[tranche], 1))) < 0 {
			worst = t
		}
	}
	return worst
}

// capLine gives back what credits exceed a share of the month's charges by. It
// returns the printed amount, 0 when they don't.
func (b *bill) capLine(id, clause, text string, share contract.Decimal, charges, credits *big.Rat) *big.Rat {
	limit := share.Rat()
	if charges.Sign() <= 0 {
		limit.SetInt64(0)
	} else {
		limit.Mul(limit, charges)
	}
	given := new(big.Rat).Neg(credits)
	over := new(big.Rat).Sub(given, limit)
	if over.Sign() <= 0 {
		return new(big.Rat)
	}
	formula := fmt.Sprintf("%s - %s × %s", b.amount(given), share.Percent(), b.amount(charges))
	if charges.Sign() <= 0 {
		formula = b.amount(given) + " - 0"
	}
	return b.add(Line{
		ID: id, Kind: LineCap, Clause: clause, Text: text, Formula: formula,
		Quantity: charges.FloatString(b.digits), Unit: b.last.Currency, Price: string(share), Per: b.last.Currency,
	}, over)
}

// percent prints part of whole with four digits, cut off, for the eye only.
func percent(part, whole int64) string {
	if whole == 0 {
		return "0"
	}
	r := big.NewRat(part, whole)
	return r.Mul(r, big.NewRat(100, 1)).FloatString(4)
}
