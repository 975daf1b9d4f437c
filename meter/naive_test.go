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
	"bulkhead/lease"

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
	return naiveLooks(versions, events, period, nil)
}

// naiveLooks is naive with what was looked at, as watched says.
func naiveLooks(versions []*contract.Contract, events []Event, period Period, looks *watched) map[string][]string {
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
		cause, found             string // found: what was not proven, also while nobody can say more
		ports                    lease.Ports
		age, silent, noticed     int64
		down                     int64 // for how long it has counted as down, by word or silence; -1: it does not
		wasSilent                bool
	}
	// unseen is for how long nobody has looked at a lease, by each version that ruled
	// meanwhile.
	type unseen map[*contract.Contract]int64
	quiet := map[string]unseen{}
	down := func(q unseen) bool {
		for v, steps := range q {
			if v.Unknown.Then == "down-owner" && steps*stepS >= v.Unknown.GraceS {
				return true
			}
		}
		return false
	}
	// silence is what a slot counts as that has been unknown for a while.
	silence := func(l *life, t int64) SlotState {
		w := versions[0]
		for _, x := range versions {
			if x.Effective.Unix() <= t-l.silent {
				w = x
			}
		}
		if l.silent >= w.Unknown.GraceS {
			return SlotState(w.Unknown.Then)
		}
		return l.before
	}
	// become makes a slot count as a state; its next step is the first one.
	become := func(l *life, effect SlotState) {
		if l.effect != effect {
			l.effect, l.age = effect, -stepS
		}
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
		amount                      *big.Rat // of one GPU
		gpus                        int64
		rule                        contract.SLA
	}
	var credits []taken
	names := map[*contract.Contract][]string{}
	for _, v := range versions {
		for _, rule := range v.SLA {
			names[v] = append(names[v], fmt.Sprint(rule))
		}
	}
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
					l = &life{reported: Undelivered, effect: Undelivered, age: -stepS, down: -1}
					lives[k] = l
					order = append(order, k)
				}
				if e.State == Unknown && (l.reported == Undelivered || l.reported == Returned) {
					continue
				}
				switch {
				case e.State != Unknown:
					// Each event counts, even one that another supersedes in the
					// same second.
					if l.reported == Unknown {
						become(l, silence(l, t))
					}
					become(l, e.State)
				case l.reported != Unknown:
					l.silent, l.before = 0, l.reported
				}
				l.reported, l.cause = e.State, e.Cause
				if e.State != Unknown {
					l.ports, l.found = e.Ports, e.Cause
				}
			}
		}
		// 2. what that counts as, and for how long it has
		for _, k := range order {
			l := lives[k]
			l.age += stepS
			if l.reported == Unknown {
				effect := silence(l, t)
				l.silent += stepS
				if effect != l.effect {
					l.effect, l.age = effect, 0
				}
			}
		}
		// 2b. what nobody looked at, and for how long that has been so
		for name := range looks.leases() {
			if !looks.missed(name, t) {
				delete(quiet, name)
			} else if quiet[name] == nil || looks.seenAt(name, t) {
				quiet[name] = unseen{} // a silence begins
			}
			if q, silent := quiet[name]; silent {
				if _, ruled := q[v]; !ruled {
					q[v] = 0
				}
			}
		}
		for _, k := range order {
			l, q := lives[k], quiet[k.lease]
			silent := down(q)
			switch {
			case l.reported == Undelivered || l.reported == Returned || !silent && l.effect != DownOwner:
				l.down, silent = -1, false
			case l.down >= 0 && (l.wasSilent || silent || l.age > 0):
				l.down += stepS
			case l.effect == DownOwner:
				l.down = l.age
			default:
				l.down = 0
			}
			l.wasSilent = silent
		}
		for _, q := range quiet {
			for v := range q {
				q[v]++
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
				for _, level := range names[v] {
					held[level+tr.ID] += 8
				}
				if rate.Basis == contract.PerGPUHour {
					add("usage/"+tr.ID, priceKey, perStep)
				}
				got := false
				for i, rule := range v.SLA {
					age := l.age
					if l.effect == DownOwner {
						age = l.down
					}
					why := l.cause
					if l.effect == IsolationUnproven {
						why = l.found
					}
					count := naivePorts(rule, l.ports, l.effect)
					said := count > 0 && naiveMatches(rule, l.effect, why, age, l.noticed)
					if !said && !(l.wasSilent && naiveMatches(rule, DownOwner, "", l.down, 0)) {
						continue
					}
					level := names[v][i]
					if !said {
						count = 8
					}
					match[level+tr.ID] += count
					// What was said comes before what was not.
					before := false
					for _, other := range v.SLA {
						before = before || !said && naivePorts(other, l.ports, l.effect) > 0 && naiveMatches(other, l.effect, why, age, l.noticed)
					}
					if !got && !before {
						got = true
						credits = append(credits, taken{"sla/" + string(rule.Metric) + "/" + tr.ID, priceKey, tr.ID, level, new(big.Rat).Mul(perStep, big.NewRat(1, 8)), count, rule})
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
			one := new(big.Rat).Neg(new(big.Rat).Mul(c.amount, rat(credit)))
			for range c.gpus { // those of one line may be of more or fewer ports
				add(c.line, c.price+"§"+c.level, one)
			}
		}
	}
	exact := map[string]*big.Rat{}
	for key, d := range dues {
		exact[key] = new(big.Rat).Mul(d.unit, big.NewRat(d.count, 1))
	}
	return naiveFinish(exact, versions, last, period, rat)
}

// naivePorts is how many of a node's eight GPUs a rule counts, by the ports that are not
// proven, each the way out of one GPU.
func naivePorts(rule contract.SLA, p lease.Ports, effect SlotState) int64 {
	if effect != IsolationUnproven || p.Owner+p.Either+p.Tenant == 0 {
		return 8
	}
	n := p.Owner
	if rule.Unclear == "credited" {
		n += p.Either
	}
	switch {
	case n == 0:
		return 0
	case rule.Ports == "node" || n > 8:
		return 8
	}
	return int64(n)
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
