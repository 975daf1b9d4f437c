package reckoning

import (
	"fmt"
	"math/big"
	"slices"
)

// Act is what made a version that no party signed. No file says it.
type Act struct {
	Version int    // 1 is the first
	Kind    string // notice, terminate-early, terminate-late or reduce
	Party   string // owner or tenant
}

// ending is what the act that made the last version of a month comes to.
type ending struct {
	ends            bool // in this month
	owed            *big.Rat
	refund, forfeit *big.Rat
}

func (m *month) ending(acts []Act) *ending {
	e := &ending{owed: new(big.Rat), refund: new(big.Rat), forfeit: new(big.Rat)}
	act, before := madeBy(acts, slices.Index(m.versions, m.last))
	if act == nil {
		return e
	}
	e.ends = m.last.end <= m.to
	if was := m.versions[before]; act.Kind == "terminate-early" {
		for _, r := range was.Rights {
			if r.When == "early" && r.Remedy == "terminate" && (r.By == act.Party || r.By == "either") {
				e.owed.Mul(ratio(r.Fee), was.worth(m.last.end))
				break
			}
		}
	}
	// What acts in a row have left, each of the version before it.
	for ; act != nil; act, before = madeBy(acts, before) {
		if was := m.versions[before]; was.Prepaid != nil {
			into := e.refund
			if was.Prepaid.Early == "forfeit" && act.Party == "tenant" && act.Kind != "terminate-late" {
				into = e.forfeit
			}
			into.Add(into, ratio(was.Prepaid.Amount))
			into.Sub(into, was.drawn(m.versions[before+1].end))
		}
	}
	return e
}

// madeBy is the act that a version counts as made by, and the version before that act:
// what a reduce makes counts as made by what made the version before it.
func madeBy(acts []Act, version int) (act *Act, before int) {
	for ; version >= 0; version-- {
		at := slices.IndexFunc(acts, func(a Act) bool { return a.Version == version+1 })
		if at < 0 {
			break
		}
		if acts[at].Kind != "reduce" {
			return &acts[at], version - 1
		}
	}
	return nil, -1
}

// fee adds what leaving early costs.
func (e *ending) fee(m *month) {
	if e.ends && m.rounded(e.owed).Sign() > 0 {
		m.line("early-end", e.owed)
	}
}

// settle adds what becomes of what is left.
func (e *ending) settle(m *month) {
	if e.ends && e.refund.Sign() > 0 {
		m.line("prepaid-refund", new(big.Rat).Neg(e.refund))
	}
	if e.ends && e.forfeit.Sign() > 0 {
		m.line("prepaid-forfeit", new(big.Rat))
	}
}

// balance is paid, drawn and left.
func (e *ending) balance(m *month) string {
	settled := new(big.Rat).Add(e.refund, e.forfeit)
	if m.last.Prepaid == nil && settled.Sign() == 0 {
		return ""
	}
	paid, drawn := new(big.Rat).Set(settled), new(big.Rat)
	if p := m.last.Prepaid; p != nil {
		paid.Add(paid, ratio(p.Amount))
		drawn = m.last.drawn(m.to)
	}
	left := new(big.Rat).Sub(paid, drawn)
	if e.ends {
		left.Sub(left, settled)
	}
	return fmt.Sprintf("paid %s, drawn %s, left %s", m.show(paid), m.show(drawn), m.show(left))
}

// drawn is the instalments of the months that begin before an instant.
func (v *version) drawn(before int64) *big.Rat {
	p, sum := v.Prepaid, new(big.Rat)
	y, mo, _ := dateOf(v.zone.local(v.zone.instant(p.From)) / 86400)
	for n := range p.Months {
		if begins, _ := v.zone.month(y, mo+n); begins < before {
			sum.Add(sum, new(big.Rat).Quo(ratio(p.Amount), big.NewRat(p.Months, 1)))
		}
	}
	return sum
}

// worth is what a version is worth from an instant to its end, all delivered on its date.
func (v *version) worth(from int64) *big.Rat {
	sum := new(big.Rat)
	for _, r := range v.Rates {
		cuts := []int64{from, v.end, v.zone.instant(r.From), v.at(r.To, v.end)}
		for i := range v.Tranches {
			cuts = append(cuts, v.zone.instant(v.Tranches[i].Delivery), v.at(v.Tranches[i].End, v.end))
		}
		slices.Sort(cuts)
		for n := 1; n < len(cuts); n++ {
			a, z := cuts[n-1], cuts[n]
			if a < max(from, v.zone.instant(r.From)) || z > min(v.end, v.at(r.To, v.end)) {
				continue
			}
			gpus := int64(0)
			for i := range v.Tranches {
				if t := &v.Tranches[i]; slices.Contains(r.Tranches, t.ID) && v.due(t, a) {
					gpus += t.GPUs
				}
			}
			switch {
			case gpus == 0:
			case r.Basis == "gpu-hour":
				sum.Add(sum, new(big.Rat).Mul(ratio(r.Price), big.NewRat(gpus*(z-a), 3600)))
			default:
				sum.Add(sum, new(big.Rat).Mul(ratio(r.Price), v.zone.months(a, z)))
			}
		}
	}
	return sum
}

// months counts calendar months, each by its own seconds.
func (z zone) months(from, to int64) *big.Rat {
	sum := new(big.Rat)
	for from < to {
		y, mo, _ := dateOf(z.local(from) / 86400)
		first, next := z.month(y, mo)
		sum.Add(sum, big.NewRat(min(next, to)-from, next-first))
		from = next
	}
	return sum
}
