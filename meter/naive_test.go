package meter

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/contract"

	"pgregory.net/rapid"
)

// stepS is the grain of the naive meter: every instant and duration that the
// generated cases hold is a multiple of it.
const stepS = 3600

// naive rates a month a second time, in the dumbest way that is right: it walks
// every slot through every step of its life, asks the events what is reported,
// the contract what that means, and adds one step at a time. It shares no code
// with the fold. It returns printed amounts by line, sorted, under the line's id
// without what tells apart lines of different prices.
func naive(versions []*contract.Contract, events []Event, period Period) map[string][]string {
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Entry, b.Entry))
	})
	// line | price -> how often that price was due for a step
	type due struct {
		count int64
		unit  *big.Rat
	}
	dues := map[string]*due{}
	add := func(line, price string, unit *big.Rat) {
		key := line + "|" + price
		if dues[key] == nil {
			dues[key] = &due{unit: unit}
		}
		dues[key].count++
	}
	month := period.To.Unix() - period.From.Unix()
	rat := func(d contract.Decimal) *big.Rat { r, _ := new(big.Rat).SetString("0" + string(d)); return r }

	type life struct {
		reported, effect, before SlotState
		cause                    string
		age, silent, noticed     int64
	}
	type key struct {
		lease, tranche string
		slot           int
	}
	lives := map[key]*life{}
	var order []key
	held, match := map[string]int64{}, map[string]int64{}
	type taken struct {
		line, price, tranche, level string
		amount                      *big.Rat
		rule                        contract.SLA
	}
	var credits []taken
	last := versions[0]
	next := 0
	zone, _ := time.LoadLocation(last.TimeZone)
	start := versions[0].Begin.Unix() - 2*86400
	for t := start; t < period.To.Unix(); t += stepS {
		v := versions[0]
		for _, w := range versions {
			if w.Effective.Unix() <= t {
				v = w
			}
		}
		// 1. what is reported from t on
		for ; next < len(events) && events[next].At.Unix() <= t; next++ {
			e := events[next]
			for _, n := range numbers(e.Slots) {
				k := key{e.Lease, e.Tranche, n}
				l := lives[k]
				if l == nil {
					l = &life{reported: Undelivered, effect: Undelivered, age: -stepS}
					lives[k] = l
					order = append(order, k)
				}
				if e.State == Unknown && (l.reported == Undelivered || l.reported == Returned) {
					continue
				}
				if e.State == Unknown && l.reported != Unknown {
					l.silent, l.before = 0, l.effect
				}
				l.reported, l.cause = e.State, e.Cause
			}
		}
		// 2. what that counts as, and for how long it has
		for _, k := range order {
			l := lives[k]
			was := l.effect
			l.effect = l.reported
			if l.reported == Unknown {
				w := versions[0]
				for _, x := range versions {
					if x.Effective.Unix() <= t-l.silent {
						w = x
					}
				}
				l.effect = l.before
				if l.silent >= w.Unknown.GraceS {
					l.effect = SlotState(w.Unknown.Then)
				}
				l.silent += stepS
			}
			l.age += stepS
			if l.effect != was {
				l.age = 0
			}
		}
		if t < period.From.Unix() || t < v.Begin.Unix() || t >= v.End.Unix() {
			continue
		}
		last = v
		// 3. flat fees and storage run with the clock
		for _, r := range v.Rates {
			if r.Basis == contract.PerMonth && r.From.Unix() <= t && t < r.To.Unix() {
				add("fee", fmt.Sprint(r.Price, r.Tranches, r.Clause), new(big.Rat).Mul(rat(r.Price), big.NewRat(stepS, month)))
			}
		}
		for _, s := range v.Storage {
			if s.From.Unix() <= t && t < s.To.Unix() && s.Price != "0" {
				add("storage/"+s.ID, fmt.Sprint(s.Price, s.CapacityTB), new(big.Rat).Mul(rat(s.Price), big.NewRat(stepS*s.CapacityTB, month)))
			}
		}
		// 4. each promised slot
		for _, tr := range v.Tranches {
			if t < tr.Delivery.Unix() || t >= tr.End.Unix() {
				continue
			}
			var rate contract.Rate
			for _, r := range v.Rates {
				if slices.Contains(r.Tranches, tr.ID) && r.From.Unix() <= t && t < r.To.Unix() {
					rate = r
				}
			}
			perStep := new(big.Rat).Mul(rat(rate.Price), big.NewRat(8*stepS, 3600))
			priceKey := fmt.Sprint(rate.Price, rate.Basis, rate.Clause)
			if rate.Basis == contract.PerMonth {
				var all int64
				for _, o := range v.Tranches {
					if slices.Contains(rate.Tranches, o.ID) && o.Delivery.Unix() <= t && t < o.End.Unix() {
						all += o.GPUs
					}
				}
				perStep = new(big.Rat).Mul(rat(rate.Price), big.NewRat(8*stepS, all*month))
				priceKey += fmt.Sprint(all)
			}
			undelivered, back := int(tr.GPUs/8), 0
			for _, k := range order {
				l := lives[k]
				if k.tranche != tr.ID {
					continue
				}
				if l.reported == Returned {
					back++
					continue
				}
				if l.reported == Undelivered {
					continue
				}
				undelivered--
				for _, rule := range v.SLA {
					held[fmt.Sprint(rule)+tr.ID]++
				}
				if rate.Basis == contract.PerGPUHour {
					add("usage/"+tr.ID, priceKey, perStep)
				}
				got := false
				for _, rule := range v.SLA {
					if !naiveMatches(rule, l.effect, l.cause, l.age, l.noticed) {
						continue
					}
					level := fmt.Sprint(rule)
					match[level+tr.ID]++
					if !got {
						got = true
						credits = append(credits, taken{"sla/" + string(rule.Metric) + "/" + tr.ID, priceKey, tr.ID, level, perStep, rule})
					}
				}
				if l.effect == MaintenanceNoticed {
					l.noticed += stepS
				}
			}
			// Slots that were given back fill up what no other slot fills.
			gone := min(back, undelivered)
			undelivered -= gone
			for range undelivered {
				if rate.Basis == contract.PerMonth {
					add("late/"+tr.ID, priceKey, new(big.Rat).Neg(perStep))
				}
				if grace := tr.Delivery.In(zone).AddDate(0, 0, tr.GraceDays); t >= grace.Unix() && tr.LateDiscount != "" && tr.LateDiscount != "0" {
					add("late-extra/"+tr.ID, priceKey+string(tr.LateDiscount), new(big.Rat).Neg(new(big.Rat).Mul(perStep, rat(tr.LateDiscount))))
				}
			}
			if p := last.TakeOrPay; rate.Basis == contract.PerGPUHour && p != nil && slices.Contains(p.Tranches, tr.ID) {
				for range int(tr.GPUs/8) - undelivered {
					add("owed", priceKey, perStep)
				}
			}
		}
	}
	for _, c := range credits {
		var credit contract.Decimal
		for _, tier := range c.rule.Tiers {
			limit := new(big.Rat).Mul(rat(tier.Below), big.NewRat(held[c.level+c.tranche], 1))
			if big.NewRat(held[c.level+c.tranche]-match[c.level+c.tranche], 1).Cmp(limit) < 0 {
				credit = tier.Credit
			}
		}
		if credit != "" {
			add(c.line, c.price+"§"+c.level, new(big.Rat).Neg(new(big.Rat).Mul(c.amount, rat(credit))))
		}
	}
	exact := map[string]*big.Rat{}
	for key, d := range dues {
		exact[key] = new(big.Rat).Mul(d.unit, big.NewRat(d.count, 1))
	}
	return naiveFinish(exact, versions, last, period, rat)
}

// naiveMatches is one rule of the contract, read aloud.
func naiveMatches(rule contract.SLA, effect SlotState, cause string, age, noticed int64) bool {
	for _, e := range rule.Exclusions {
		if cause == e || strings.HasPrefix(cause, e+":") {
			return false
		}
	}
	switch rule.Metric {
	case contract.NodeAvailability, contract.ReplacementTime:
		return effect == DownOwner && age >= rule.AfterS
	case contract.DegradedNodes:
		return effect == Degraded && age >= rule.AfterS
	case contract.IsolationProven:
		return effect == IsolationUnproven && age >= rule.AfterS
	case contract.Maintenance:
		return effect == MaintenanceUnnoticed || effect == MaintenanceNoticed && noticed >= rule.AllowanceS
	}
	return false
}

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

func TestIndependentRecomputationAgreesToZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		period := drawPeriod(t, versions)
		got, err := Rate(versions, events, period, "N-1")
		if err != nil {
			t.Fatal(err)
		}
		want, have := naive(versions, events, period), linesOf(got)
		if a, b := fmt.Sprint(want), fmt.Sprint(have); a != b {
			t.Fatalf("the naive meter gives\n%s\nthe invoice says\n%s\n%s", a, b, got.Text())
		}
	})
}
