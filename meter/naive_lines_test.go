package meter

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"bulkhead/contract"
)

// naiveFinish rounds the lines and works out those that follow from others.
func naiveFinish(exact map[string]*big.Rat, versions []*contract.Contract, last *contract.Contract, period Period, rat func(contract.Decimal) *big.Rat) map[string][]string {
	lines, sums := map[string][]string{}, map[string]*big.Rat{}
	total := new(big.Rat)
	put := func(key string, amount *big.Rat) *big.Rat {
		line, price, _ := strings.Cut(key, "|")
		cents := roundHalfAway(new(big.Rat).Mul(amount, big.NewRat(100, 1)))
		printed := new(big.Rat).SetFrac(cents, big.NewInt(100))
		lines[line] = append(lines[line], printed.FloatString(2))
		kind, _, _ := strings.Cut(line, "/")
		if kind == "sla" {
			_, level, _ := strings.Cut(price, "§")
			kind = level
		}
		if sums[kind] == nil {
			sums[kind] = new(big.Rat)
		}
		sums[kind].Add(sums[kind], printed)
		total.Add(total, printed)
		return printed
	}
	for key, amount := range exact {
		if line, _, _ := strings.Cut(key, "|"); line != "owed" && amount.Sign() != 0 {
			put(key, amount)
		}
	}
	get := func(kind string) *big.Rat {
		if sums[kind] == nil {
			return new(big.Rat)
		}
		return new(big.Rat).Set(sums[kind])
	}
	if p := last.TakeOrPay; p != nil {
		least := new(big.Rat)
		for key, amount := range exact {
			if strings.HasPrefix(key, "owed|") {
				least.Add(least, amount)
			}
		}
		least.Mul(least, rat(p.Share))
		used := new(big.Rat)
		for _, id := range p.Tranches {
			for _, a := range lines["usage/"+id] {
				r, _ := new(big.Rat).SetString(a)
				used.Add(used, r)
			}
		}
		if short := least.Sub(least, used); short.Sign() > 0 {
			put("take-or-pay", short)
		}
	}
	charges := get("fee")
	for _, kind := range []string{"usage", "take-or-pay", "late", "late-extra"} {
		charges.Add(charges, get(kind))
	}
	given := new(big.Rat)
	seen := map[string]bool{}
	capped := func(line string, share contract.Decimal, amount *big.Rat) *big.Rat {
		limit := new(big.Rat)
		if charges.Sign() > 0 {
			limit.Mul(charges, rat(share))
		}
		if over := new(big.Rat).Sub(amount, limit); share != "" && over.Sign() > 0 {
			return put(line, over)
		}
		return new(big.Rat)
	}
	for _, v := range versions {
		for _, rule := range v.SLA {
			if level := fmt.Sprint(rule); !seen[level] {
				seen[level] = true
				credit := get(level)
				credit.Neg(credit)
				credit.Sub(credit, capped("sla-cap/"+string(rule.Metric), rule.Cap, credit))
				given.Add(given, credit)
			}
		}
	}
	capped("sla-cap", last.CreditCap, given)
	if last.Tax != nil {
		put("tax", new(big.Rat).Mul(total, rat(last.Tax.Rate)))
	}
	if p := last.Prepaid; p != nil {
		loc, _ := time.LoadLocation(last.TimeZone)
		a, b := p.From.In(loc), period.From.In(loc)
		if n := (b.Year()-a.Year())*12 + int(b.Month()-a.Month()); n >= 0 && n < p.Months {
			put("prepaid", new(big.Rat).Quo(new(big.Rat).Neg(rat(p.Amount)), big.NewRat(int64(p.Months), 1)))
		}
	}
	// A contract that was cut short, and ends in this month, gives back what it had no
	// month for; by its own words the owner keeps it.
	if p := versions[0].Prepaid; p != nil && last.Ending != nil && !last.End.After(period.To) {
		left := rat(p.Amount)
		if last.Prepaid != nil {
			left.Sub(left, rat(last.Prepaid.Amount))
		}
		switch {
		case left.Sign() == 0:
		case p.EarlyEnd == "forfeit" && last.Ending.Party == "tenant":
			put("prepaid-forfeit", new(big.Rat))
		default:
			put("prepaid-refund", left.Neg(left))
		}
	}
	lines["total"] = []string{total.FloatString(2)}
	for _, amounts := range lines {
		slices.Sort(amounts)
	}
	return lines
}

// roundHalfAway rounds to a whole number, halves away from zero, in integers.
func roundHalfAway(r *big.Rat) *big.Int {
	doubled := new(big.Int).Mul(new(big.Int).Abs(r.Num()), big.NewInt(2))
	doubled.Add(doubled, r.Denom())
	q := doubled.Quo(doubled, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	if r.Sign() < 0 {
		q.Neg(q)
	}
	return q
}

func numbers(set string) []int {
	var out []int
	for part := range strings.SplitSeq(set, ",") {
		var a, b int
		if n, _ := fmt.Sscanf(part, "%d-%d", &a, &b); n < 2 {
			b = a
		}
		for ; a <= b; a++ {
			out = append(out, a)
		}
	}
	return out
}

// linesOf are an invoice's printed amounts in naive's form.
func linesOf(i *Invoice) map[string][]string {
	lines := map[string][]string{"total": {i.Total}}
	for _, l := range i.Lines {
		id, _, _ := strings.Cut(l.ID, "@")
		id, _, _ = strings.Cut(id, "#")
		lines[id] = append(lines[id], l.Amount)
	}
	for _, amounts := range lines {
		slices.Sort(amounts)
	}
	return lines
}
