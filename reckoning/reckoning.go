package reckoning

import (
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// Event is an entry of the ledger about slots of a lease.
type Event struct {
	Entry   uint64
	Lease   string
	Tranche string
	Slots   []int
	At      int64 // Unix seconds
	State   string
	Cause   string
	Ports   Ports
}

// Ports is how many of a node's ports are not proven, by who could have made it.
type Ports struct{ Owner, Either, Tenant int64 }

// Invoice is what a month comes to: printed amounts by line, each list ascending. A line
// is named as in docs/contracts.md; how many there are of one name follows from the terms.
type Invoice struct {
	Lines   map[string][]string
	Total   string
	Charges string // the sum of all lines but corrections, the fee for leaving, tax and what was prepaid
	Prepaid string // the balance: paid, drawn, left; "": nothing was
}

// Billed is what earlier invoices billed for a month: its charges and all corrections of
// them.
type Billed struct {
	Year, Month int64
	Amount      string
}

// Told is all that an invoice follows from.
type Told struct {
	Files  []string // of the contract's versions, the first one first
	Acts   []Act    // that made some of them
	Events []Event
	Seen   *Sightings // nil: the ledger does not say when devices were looked at
	Billed []Billed
}

// Month reckons the invoice of a calendar month.
func Month(told Told, year, month int64) Invoice {
	versions := read(told.Files)
	m := newMonth(versions, told, year, month)
	m.charges()
	corrected := new(big.Rat)
	for _, b := range told.Billed {
		now := newMonth(versions, told, b.Year, b.Month)
		now.charges()
		corrected.Add(corrected, now.sum(""))
		corrected.Sub(corrected, ratio(b.Amount))
	}
	charges := m.sum("")
	if corrected.Sign() != 0 {
		m.line("correction", corrected)
	}
	over := m.ending(told.Acts)
	over.fee(m)
	if t := m.last.Tax; t != nil {
		m.line("tax", new(big.Rat).Mul(m.sum(""), ratio(t.Rate)))
	}
	if p := m.last.Prepaid; p != nil {
		y, mo, _ := dateOf(m.last.zone.local(m.last.zone.instant(p.From)) / 86400)
		if n := 12*(year-y) + month - mo; n >= 0 && n < p.Months {
			m.line("prepaid", new(big.Rat).Mul(ratio(p.Amount), big.NewRat(-1, p.Months)))
		}
	}
	over.settle(m)
	out := Invoice{Lines: map[string][]string{}, Total: m.show(m.sum("")), Charges: m.show(charges), Prepaid: over.balance(m)}
	for _, l := range m.lines {
		out.Lines[l.name] = append(out.Lines[l.name], m.show(l.amount))
	}
	for _, amounts := range out.Lines {
		slices.Sort(amounts)
	}
	return out
}

// month is an invoice while it is reckoned.
type month struct {
	versions []*version
	last     *version // that rules last in the month
	from, to int64
	unit     int64 // smallest units in one of the currency
	slots    []*slot
	lines    []line

	used, missing, extra, credits heap
}

type line struct {
	name   string
	amount *big.Rat
}

// terms are what GPU-seconds of one line have in common.
type terms struct {
	tranche, clause, basis, price, discount string
	owed                                    int64
	level                                   int // of month.levels; -1: of none
}

// heap is GPU-seconds by their terms.
type heap map[terms]int64

func newMonth(versions []*version, told Told, year, number int64) *month {
	m := &month{versions: versions, used: heap{}, missing: heap{}, extra: heap{}, credits: heap{}}
	longest := versions[0] // whose rules of the zone reach the furthest
	for _, v := range versions {
		if v.end > longest.end {
			longest = v
		}
	}
	m.from, m.to = longest.zone.month(year, number)
	for _, v := range versions {
		if max(v.from, m.from) < min(v.to, m.to) {
			m.last = v
		}
	}
	m.unit = unitOf(m.last.Currency)
	m.slots = slotsOf(versions, told.Events, m.to)
	for _, s := range m.slots {
		s.listen(told.Seen.counting(versions, s.lease, m.to))
	}
	return m
}

// unitOf is the smallest units in one of a currency.
func unitOf(currency string) int64 {
	if unit := map[string]int64{"JPY": 1, "KRW": 1, "BHD": 1000, "KWD": 1000}[currency]; unit != 0 {
		return unit
	}
	return 100
}

// line adds a line, rounded.
func (m *month) line(name string, exact *big.Rat) *big.Rat {
	amount := m.rounded(exact)
	m.lines = append(m.lines, line{name, amount})
	return amount
}

// rounded is rounded half away from zero.
func (m *month) rounded(exact *big.Rat) *big.Rat {
	scaled := new(big.Rat).Mul(exact, big.NewRat(m.unit, 1))
	whole, rest := new(big.Int).QuoRem(new(big.Int).Abs(scaled.Num()), scaled.Denom(), new(big.Int))
	if rest.Lsh(rest, 1).Cmp(scaled.Denom()) >= 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if exact.Sign() < 0 {
		whole.Neg(whole)
	}
	return new(big.Rat).SetFrac(whole, big.NewInt(m.unit))
}

func (m *month) show(r *big.Rat) string { return r.FloatString(len(fmt.Sprint(m.unit)) - 1) }

// sum is what lines whose names begin so come to.
func (m *month) sum(prefix string) *big.Rat {
	sum := new(big.Rat)
	for _, l := range m.lines {
		if strings.HasPrefix(l.name, prefix) {
			sum.Add(sum, l.amount)
		}
	}
	return sum
}

// price is what GPU-seconds of some terms cost.
func (m *month) price(t terms, seconds int64) *big.Rat {
	cost := new(big.Rat).Mul(ratio(t.price), new(big.Rat).SetInt64(seconds))
	if t.basis == "gpu-hour" {
		return cost.Quo(cost, big.NewRat(3600, 1))
	}
	whole := new(big.Int).Mul(big.NewInt(t.owed), big.NewInt(m.to-m.from))
	return cost.Quo(cost, new(big.Rat).SetInt(whole))
}

// charges reckons all lines that follow from contract and events.
func (m *month) charges() {
	m.fees()
	levels := m.walk()
	for t, seconds := range m.used {
		m.line("usage/"+t.tranche, m.price(t, seconds))
	}
	m.takeOrPay()
	for t, seconds := range m.missing {
		if t.basis == "month" {
			m.line("late/"+t.tranche, new(big.Rat).Neg(m.price(t, seconds)))
		}
	}
	for t, seconds := range m.extra {
		cost := m.price(t, seconds)
		m.line("late-extra/"+t.tranche, cost.Mul(cost, new(big.Rat).Neg(ratio(t.discount))))
	}
	m.creditLines(levels)
	m.storage()
}

func clauseOr(own, list string, i int) string {
	if own != "" {
		return own
	}
	return fmt.Sprint(list, ", item ", i+1)
}

func (m *month) fees() {
	type fee struct{ clause, price, tranches string }
	seconds := map[fee]int64{}
	for _, v := range m.versions {
		for i, r := range v.Rates {
			a, z := max(m.from, v.from, v.zone.instant(r.From)), min(m.to, v.to, v.at(r.To, v.end))
			if r.Basis == "month" && a < z {
				seconds[fee{clauseOr(r.Clause, "rates", i), r.Price, fmt.Sprintf("%q", r.Tranches)}] += z - a
			}
		}
	}
	for f, s := range seconds {
		m.line("fee", new(big.Rat).Mul(ratio(f.price), big.NewRat(s, m.to-m.from)))
	}
}

func (m *month) storage() {
	type use struct {
		volume, price, clause string
		capacity              int64
	}
	seconds := map[use]int64{}
	for _, v := range m.versions {
		for i, s := range v.Storage {
			a, z := max(m.from, v.from, v.zone.instant(s.From)), min(m.to, v.to, v.at(s.To, v.end))
			if a < z && ratio(s.Price).Sign() > 0 {
				seconds[use{s.ID, s.Price, clauseOr(s.Clause, "storage", i), s.Capacity}] += z - a
			}
		}
	}
	for u, s := range seconds {
		cost := new(big.Rat).Mul(ratio(u.price), big.NewRat(u.capacity, 1))
		m.line("storage/"+u.volume, cost.Mul(cost, big.NewRat(s, m.to-m.from)))
	}
}

func (m *month) takeOrPay() {
	p := m.last.Take
	if p == nil {
		return
	}
	least, used := new(big.Rat), new(big.Rat)
	owed := heap{}
	for t, seconds := range m.missing {
		owed[t] -= seconds
	}
	for t, seconds := range m.promised() {
		owed[t] += seconds
	}
	for t, seconds := range owed {
		if t.basis == "gpu-hour" && slices.Contains(p.Tranches, t.tranche) {
			least.Add(least, m.price(t, seconds))
		}
	}
	for _, l := range m.lines {
		if id, is := strings.CutPrefix(l.name, "usage/"); is && slices.Contains(p.Tranches, id) {
			used.Add(used, l.amount)
		}
	}
	if short := least.Sub(least.Mul(least, ratio(p.Share)), used); short.Sign() > 0 {
		m.line("take-or-pay", short)
	}
}

// promised is the GPU-seconds that are owed in the month.
func (m *month) promised() heap {
	out := heap{}
	m.stretches(func(v *version, t *tranche, key terms, a, z int64) { out[key] += t.GPUs * (z - a) })
	return out
}

// stretches visits each tranche's time in the month, cut wherever a term can change.
func (m *month) stretches(visit func(v *version, t *tranche, key terms, a, z int64)) {
	for _, v := range m.versions {
		cuts := []int64{m.from, m.to, v.from, v.to}
		for _, t := range v.Tranches {
			cuts = append(cuts, v.zone.instant(t.Delivery), v.at(t.End, v.end), v.grace(&t))
		}
		for _, r := range v.Rates {
			cuts = append(cuts, v.zone.instant(r.From), v.at(r.To, v.end))
		}
		sort.Slice(cuts, func(i, j int) bool { return cuts[i] < cuts[j] })
		for n := 1; n < len(cuts); n++ {
			a, z := cuts[n-1], cuts[n]
			if a >= z || a < max(m.from, v.from) || z > min(m.to, v.to) {
				continue
			}
			for i := range v.Tranches {
				t := &v.Tranches[i]
				if !v.due(t, a) {
					continue
				}
				visit(v, t, v.termsAt(t, a), a, z)
			}
		}
	}
}

// grace is from when a tranche is late by more than its grace.
func (v *version) grace(t *tranche) int64 {
	return v.zone.daysLater(v.zone.instant(t.Delivery), t.GraceDays)
}

func (v *version) due(t *tranche, at int64) bool {
	return v.zone.instant(t.Delivery) <= at && at < v.at(t.End, v.end)
}

// termsAt are the terms of a tranche's GPU-seconds at an instant.
func (v *version) termsAt(t *tranche, at int64) terms {
	for i, r := range v.Rates {
		if !slices.Contains(r.Tranches, t.ID) || v.zone.instant(r.From) > at || v.at(r.To, v.end) <= at {
			continue
		}
		key := terms{tranche: t.ID, clause: clauseOr(r.Clause, "rates", i), basis: r.Basis, price: r.Price, level: -1}
		for j := range v.Tranches {
			if o := &v.Tranches[j]; r.Basis == "month" && slices.Contains(r.Tranches, o.ID) && v.due(o, at) {
				key.owed += o.GPUs
			}
		}
		return key
	}
	panic("no price of " + t.ID)
}
