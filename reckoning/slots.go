package reckoning

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// slot is one node of a tranche in a lease, with its life in stretches.
type slot struct {
	lease, tranche string
	life           []stretch
	noticed        int64 // announced maintenance in the month, so far
}

// stretch is a time in which what is said of a slot and what it counts as stay.
type stretch struct {
	from, to int64
	said     string // "unknown" where nobody can say
	counts   string
	cause    string
	ports    Ports
	since    int64 // when the outage began that this is part of
	silent   bool  // it counts as an outage by the owner beside that, since nobody looked
	down     int64 // when the outage by the owner began, where it is one by word or silence
}

// slotsOf writes down the life of each slot until an instant.
func slotsOf(versions []*version, events []Event, until int64) []*slot {
	type slotName struct {
		lease, tranche string
		slot           int
	}
	said, order := map[slotName][]Event{}, []slotName{}
	for _, e := range events {
		for _, n := range e.Slots {
			p := slotName{e.Lease, e.Tranche, n}
			if said[p] == nil {
				order = append(order, p)
			}
			said[p] = append(said[p], e)
		}
	}
	var out []*slot
	for _, p := range order {
		all := said[p]
		slices.SortStableFunc(all, func(a, b Event) int {
			if a.At != b.At {
				return int(a.At - b.At)
			}
			return int(a.Entry) - int(b.Entry)
		})
		if s := lifeOf(versions, all, until); s != nil {
			s.lease, s.tranche = p.lease, p.tranche
			out = append(out, s)
		}
	}
	return out
}

func lifeOf(versions []*version, said []Event, until int64) *slot {
	// What is heard: each event that says something new.
	var heard []Event
	state, cause, ports := "undelivered", "", Ports{}
	for _, e := range said {
		if e.At >= until || e.State == "unknown" && (state == "undelivered" || state == "returned") || len(heard) > 0 && e.State == state && e.Cause == cause && e.Ports == ports {
			continue
		}
		heard = append(heard, e)
		state, cause, ports = e.State, e.Cause, e.Ports
	}
	if len(heard) == 0 {
		return nil
	}
	s := &slot{}
	add := func(from, to int64, said, counts string, word Event) {
		since := from
		if n := len(s.life); n > 0 && s.life[n-1].counts == counts {
			since = s.life[n-1].since
		}
		s.life = append(s.life, stretch{from: from, to: to, said: said, counts: counts, cause: word.Cause, ports: word.Ports, since: since, down: since})
	}
	quiet, before, last := int64(0), "", Event{} // last: that was not of silence
	for i, e := range heard {
		to := until
		if i+1 < len(heard) {
			to = heard[i+1].At
		}
		if e.State != "unknown" {
			add(e.At, to, e.State, e.State, e)
			continue
		}
		if i == 0 || heard[i-1].State != "unknown" { // a silence begins
			quiet, before, last = e.At, s.life[len(s.life)-1].counts, heard[i-1]
		}
		rule := versions[0]
		for _, v := range versions {
			if v.from <= quiet {
				rule = v
			}
		}
		turns := quiet + span(rule.Unknown.Grace)
		if e.At < turns || e.At == turns && to == turns {
			word := e
			if before == "isolation-unproven" {
				word = last
			}
			add(e.At, min(to, turns), "unknown", before, word)
		}
		if to >= turns {
			add(max(e.At, turns), to, "unknown", rule.Unknown.Then, e)
		}
	}
	return s
}

// at is the stretch of a slot's life at an instant, or nil before its first event.
func (s *slot) at(t int64) *stretch {
	for i := len(s.life) - 1; i >= 0; i-- {
		if s.life[i].from <= t && t < s.life[i].to {
			return &s.life[i]
		}
	}
	return nil
}

// counted is what a level comes to, by tranche.
type counted struct {
	level              level
	name               string
	delivered, matched map[string]int64
}

// walk goes through the month, stretch by stretch of the terms and of each slot, and
// fills the heaps.
func (m *month) walk() []*counted {
	var levels []*counted
	numbers := map[*level]int{} // by the rule in its version
	find := func(v *version, i int) int {
		l := v.Levels[i]
		l.Clause = clauseOr(l.Clause, "sla", i)
		for n, c := range levels {
			if fmt.Sprintf("%q", c.level) == fmt.Sprintf("%q", l) {
				return n
			}
		}
		levels = append(levels, &counted{level: l, name: l.Metric, delivered: map[string]int64{}, matched: map[string]int64{}})
		return len(levels) - 1
	}
	for _, v := range m.versions {
		if max(v.from, m.from) < min(v.to, m.to) {
			for i := range v.Levels {
				numbers[&v.Levels[i]] = find(v, i)
			}
		}
	}
	m.stretches(func(v *version, t *tranche, key terms, a, z int64) {
		gpus := t.NodeGPUs
		if gpus == 0 {
			gpus = 8
		}
		// Cut further where a slot's life does, or where an outage comes of age.
		cuts := []int64{a, z}
		for _, s := range m.slots {
			if s.tranche != t.ID {
				continue
			}
			for _, l := range s.life {
				cuts = append(cuts, l.from)
				for i := range v.Levels {
					cuts = append(cuts, l.since+span(v.Levels[i].After), l.down+span(v.Levels[i].After))
				}
			}
		}
		cuts = slices.DeleteFunc(cuts, func(at int64) bool { return at < a || at > z })
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
		for n := 1; n < len(cuts); n++ {
			m.piece(v, t, key, gpus, cuts[n-1], cuts[n], levels, numbers)
		}
	})
	return levels
}

// piece is a stretch in which nothing changes but how much maintenance a slot has had.
func (m *month) piece(v *version, t *tranche, key terms, gpus, a, z int64, levels []*counted, numbers map[*level]int) {
	missing, back := t.GPUs/gpus, int64(0)
	for _, s := range m.slots {
		if s.tranche != t.ID {
			continue
		}
		now := s.at(a)
		switch {
		case now == nil:
		case now.said == "returned":
			back++
		case now.said == "undelivered": // it fills no place, and nobody else's return does for it
		default:
			missing--
			m.handedOverPiece(v, key, gpus, s, now, a, z, levels, numbers)
		}
	}
	named := int64(0) // slots that somebody was told of, and not undelivered since
	for _, s := range m.slots {
		if now := s.at(a); s.tranche == t.ID && now != nil && now.said == "undelivered" {
			named++
		}
	}
	missing -= min(back, missing-named)
	if missing == 0 {
		return
	}
	m.missing[key] += missing * gpus * (z - a)
	if a >= v.grace(t) && ratio(t.Discount).Sign() > 0 {
		late := key
		late.discount = t.Discount
		m.extra[late] += missing * gpus * (z - a)
	}
}

// handedOverPiece is a piece of a slot that was handed over.
func (m *month) handedOverPiece(v *version, key terms, gpus int64, s *slot, now *stretch, a, z int64, levels []*counted, numbers map[*level]int) {
	if key.basis == "gpu-hour" {
		m.used[key] += gpus * (z - a)
	}
	// Only the allowance of announced maintenance can run out within the piece.
	cuts := []int64{a, z}
	for _, l := range v.Levels {
		if at := a + span(l.Allowance) - s.noticed; now.counts == "maintenance-noticed" && a < at && at < z {
			cuts = append(cuts, at)
		}
	}
	slices.Sort(cuts)
	for n := 1; n < len(cuts); n++ {
		from, seconds := cuts[n-1], cuts[n]-cuts[n-1]
		age := from - now.since
		if now.counts == "down-owner" {
			age = from - now.down
		}
		said := slices.ContainsFunc(v.Levels, func(l level) bool { return matches(&l, now, age, s.noticed) })
		taken := false
		for i := range v.Levels {
			l := &v.Levels[i]
			number, counted := numbers[l], gpus
			levels[number].delivered[key.tranche] += gpus * seconds
			byWord := matches(l, now, age, s.noticed)
			if byWord {
				counted = l.gpus(now, gpus)
			} else if !now.silent || metrics[l.Metric] != "down-owner" || from-now.down < span(l.After) {
				continue
			}
			levels[number].matched[key.tranche] += counted * seconds
			if !taken && (byWord || !said) { // what was said comes first
				taken = true
				credit := key
				credit.level = number
				m.credits[credit] += counted * seconds
			}
		}
		if now.counts == "maintenance-noticed" {
			s.noticed += seconds
		}
	}
}

// gpus is how many GPUs of a node a level counts.
func (l *level) gpus(now *stretch, node int64) int64 {
	if now.counts != "isolation-unproven" || now.ports == (Ports{}) {
		return node
	}
	ports := now.ports.Owner
	if l.Unclear == "credited" {
		ports += now.ports.Either
	}
	if l.Ports == "node" && ports > 0 {
		return node
	}
	return min(ports, node)
}

// metrics are the states that levels are about.
var metrics = map[string]string{
	"node-availability": "down-owner", "replacement-time": "down-owner", "degraded": "degraded", "isolation-proven": "isolation-unproven",
}

// matches is a level read aloud, of what was said.
func matches(l *level, now *stretch, age, noticed int64) bool {
	if l.gpus(now, 1) == 0 {
		return false
	}
	for _, e := range l.Exclusions {
		if now.cause == e || strings.HasPrefix(now.cause, e+":") {
			return false
		}
	}
	if l.Metric == "maintenance" {
		return now.counts == "maintenance-unnoticed" || now.counts == "maintenance-noticed" && noticed >= span(l.Allowance)
	}
	return metrics[l.Metric] == now.counts && age >= span(l.After)
}

// creditLines turns what levels took into lines, and gives back what exceeds caps.
func (m *month) creditLines(levels []*counted) {
	charges := m.sum("")
	if charges.Sign() < 0 {
		charges.SetInt64(0)
	}
	all := new(big.Rat)
	for n, c := range levels {
		given := new(big.Rat)
		for t, seconds := range m.credits {
			if t.level != n {
				continue
			}
			credit := ""
			for _, tier := range c.level.Tiers {
				held, good := c.delivered[t.tranche], c.delivered[t.tranche]-c.matched[t.tranche]
				if big.NewRat(good, held).Cmp(ratio(tier.Below)) < 0 {
					credit = tier.Credit
				}
			}
			if credit == "" {
				continue
			}
			cost := m.price(t, seconds)
			given.Sub(given, m.line("sla/"+c.name+"/"+t.tranche, cost.Mul(cost, new(big.Rat).Neg(ratio(credit)))))
		}
		all.Add(all, given.Sub(given, m.beyond("sla-cap/"+c.name, c.level.Cap, charges, given)))
	}
	m.beyond("sla-cap", m.last.Cap, charges, all)
}

// beyond gives back what credits exceed a share of the charges by.
func (m *month) beyond(name, share string, charges, credits *big.Rat) *big.Rat {
	limit := new(big.Rat).Mul(charges, ratio(share))
	if over := new(big.Rat).Sub(credits, limit); share != "" && over.Sign() > 0 {
		return m.line(name, over)
	}
	return new(big.Rat)
}
