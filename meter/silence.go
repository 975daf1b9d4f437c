package meter

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// silence is a gap in what was looked at for one lease, and what it comes to in the
// period. It takes nothing away from what was said: a slot that is in it counts as what
// was last said of it and, once the grace of the contract's rule has passed, as that
// rule says besides. So no silence costs a tenant what it was credited anyway.
type silence struct {
	*Gap
	from, to int64 // Unix seconds
	turns    int64 // from when it counts as down by the owner's fault
	row      int32 // its first entry, as one of the fold's rows; its second one follows
	lease    string
	seconds  int64 // GPU-seconds of slots in the period that it makes unknown
}

// listen finds the gaps of each lease.
func (f *fold) listen() error {
	if f.looks == nil || f.looks.Since.IsZero() {
		return nil
	}
	to := time.Unix(f.to, 0)
	for i := range f.leases {
		h := &f.leases[i]
		fabrics, known := f.fabrics[h.name]
		if !known {
			return fmt.Errorf("lease %.70q: which fabrics it runs on is not given, so that nobody can say what was looked at", h.name)
		}
		gaps := f.looks.Gaps(fabrics, to)
		for j := range gaps {
			s := &silence{Gap: &gaps[j], from: gaps[j].From.Unix(), to: gaps[j].Until.Unix(), lease: h.name, row: int32(f.entriesNamed())}
			s.turns = f.turns(s.from, s.to)
			h.gaps = append(h.gaps, s)
			f.silences = append(f.silences, s)
		}
	}
	return nil
}

// turns is from when a silence counts as down by the owner's fault: the earliest that a
// version which rules in it says, each from when the silence begins or the version does.
// One look more, which cuts a silence in two, never makes it earlier.
func (t *terms) turns(from, to int64) int64 {
	turns := to
	for i, v := range t.versions {
		begins, ends := v.Effective.Unix(), to
		if i == 0 {
			begins = from
		}
		if i+1 < len(t.versions) {
			ends = min(ends, t.versions[i+1].Effective.Unix())
		}
		if begins = max(begins, from); begins < ends && v.Unknown.Then == "down-owner" {
			turns = min(turns, begins+v.Unknown.GraceS)
		}
	}
	return turns
}

// entriesNamed is how many rows there are that a line may follow from: the changes,
// then two for each gap.
func (t *terms) entriesNamed() int { return len(t.sortedRows) + 2*len(t.silences) }

// entryOf is the ledger entry of a row; 0: there is none.
func (t *terms) entryOf(row int) uint64 {
	if row < len(t.sortedRows) {
		return t.sortedRows[row].entry
	}
	s := t.silences[(row-len(t.sortedRows))/2]
	if (row-len(t.sortedRows))%2 == 0 {
		return s.Before
	}
	return s.After
}

// noteUnsaid notes that a slot is held while the log does not say yet what was looked at.
func (f *fold) noteUnsaid(s *slot, until int64) {
	if f.looks != nil && !f.looks.Since.IsZero() && s.handedOver() {
		f.unsaid = f.unsaid || max(s.since, f.from) < min(until, f.to, f.looks.Since.Unix())
	}
}

// handedOver says whether a slot was delivered and not given back.
func (s *slot) handedOver() bool { return s.state != undelivered && s.state != returned }

// countGaps is count for a slot that is held, where there are gaps.
func (f *fold) countGaps(h *leaseSlots, s *slot, n uint32, until int64, end int32) {
	turns, effect, start := until, s.effect, s.start
	if s.state == unknown {
		effect, start, turns = f.silence(s)
		turns = min(max(turns, s.since), until)
	}
	next := sort.Search(len(h.gaps), func(i int) bool { return h.gaps[i].to > s.since })
	for at := s.since; at < until; {
		var gap *silence
		to := until
		if next < len(h.gaps) && h.gaps[next].from < until {
			if g := h.gaps[next]; g.from > at {
				to = g.from
			} else {
				gap, to = g, min(g.to, until)
				if g.to <= until {
					next++
				}
			}
		}
		if a, b := max(at, f.from), min(to, f.to); f.yield != nil && a < b {
			f.emitGap(h, s, n, a, b, gap)
		}
		// What it counts as changes at most twice meanwhile.
		for at < to {
			part, was, since := to, s.effect, s.start
			if s.state == unknown && at >= turns {
				was, since = effect, start
			} else if s.state == unknown {
				part = min(part, turns)
			}
			silent := gap != nil && at >= gap.turns
			if gap != nil && !silent {
				part = min(part, gap.turns)
			}
			f.countPart(h, s, &view{was, since, gap, silent, end}, at, part)
			at = part
		}
	}
}

// view is what a slot counts as in a part of its time.
type view struct {
	effect code  // by what was said
	start  int64 // since when
	gap    *silence
	silent bool // the gap's grace has passed
	end    int32
}

// countPart counts a part of a slot's time in which it counts as one thing throughout.
func (f *fold) countPart(h *leaseSlots, s *slot, v *view, from, to int64) {
	if v.silent || v.effect == downOwner {
		// A running outage goes on, whatever tells of it.
		goesOn := s.downTo == from && s.down < s.downTo
		if !goesOn || !v.silent && !s.downSilent && v.start == from {
			s.down = from
			if v.effect == downOwner {
				s.down = min(v.start, from)
			}
		}
		s.downTo, s.downSilent = to, v.silent
	}
	from, to = max(from, f.from), min(to, f.to)
	for _, seg := range h.tranche.segments {
		a, b := max(from, seg.from), min(to, seg.to)
		if a >= b {
			continue
		}
		seg.handOvers.add(s.handed, f.entriesNamed())
		if v.gap == nil {
			seg.usage[s.state] += b - a
		} else {
			seg.usage[unknown] += b - a
			v.gap.seconds += seg.gpus(b - a)
		}
		f.creditPart(seg, s, v, a, b)
	}
}

// creditPart gives a part of a slot's time to the first rule that matches what was
// said of it and, where none does, to the first that matches the silence.
func (f *fold) creditPart(seg *segment, s *slot, v *view, a, b int64) {
	start := v.start
	if v.effect == downOwner {
		start = s.down
	}
	if !v.silent {
		if v.effect != up && v.effect != downTenant {
			f.credit(seg, s, v.effect, start, a, b, v.end)
		}
		return
	}
	cuts := []int64{a, b}
	cut := func(at int64) {
		if a < at && at < b {
			cuts = append(cuts, at)
		}
	}
	var said []step
	given := b // from here on, noticed maintenance has taken
	if v.effect == maintenanceNoticed {
		used := int64(s.noticed)
		s.noticed += int32(b - a)
		given = b - f.creditNoticed(seg, s, used, a, b, v.end)
		cut(given)
	} else if v.effect != up && v.effect != downTenant {
		said = f.plan(seg, v.effect, s.why(v.effect))
	}
	unsaid := f.plan(seg, downOwner, f.unasked)
	for _, st := range said {
		cut(start + st.age)
	}
	for _, st := range unsaid {
		cut(s.down + st.age)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i := 1; i < len(cuts); i++ {
		x, y := cuts[i-1], cuts[i]
		one, two := stepAt(said, x-start), stepAt(unsaid, x-s.down)
		for _, rule := range one.match {
			seg.matched[rule] += one.of(seg, rule, y-x)
		}
		for _, rule := range two.match {
			if !slices.Contains(one.match, rule) {
				seg.matched[rule] += seg.gpus(y - x)
			}
		}
		switch {
		case one.taker >= 0:
			f.take(seg, one.taker, s.row, v.end, one.of(seg, one.taker, y-x))
		case two.taker >= 0 && x < given:
			after := v.gap.row + 1
			if v.gap.After == 0 {
				after = -1
			}
			f.take(seg, two.taker, v.gap.row, after, seg.gpus(y-x))
			seg.unasked[two.taker] += seg.gpus(y - x)
		}
	}
}

// stepAt is what holds at an age.
func stepAt(plan []step, age int64) step {
	for i := len(plan) - 1; i >= 0; i-- {
		if plan[i].age <= age {
			return plan[i]
		}
	}
	return step{taker: -1}
}

// emitGap hands out a stretch of a slot that is held, in a gap or not.
func (f *fold) emitGap(h *leaseSlots, s *slot, n uint32, from, to int64, gap *silence) {
	if gap == nil {
		f.emit(h, s, n, from, to)
		return
	}
	if f.stopped {
		return
	}
	f.stopped = !f.yield(Interval{
		Lease: h.name, Tranche: h.tranche.id, Slot: n, From: time.Unix(from, 0).UTC(), To: time.Unix(to, 0).UTC(),
		State: Unknown, Cause: "nobody looked at " + gap.Named(), Entry: gap.Before,
	})
}

// silence writes the gaps that made slots unknown into the invoice.
func (b *bill) silence() {
	if b.looks == nil || b.looks.Since.IsZero() {
		return
	}
	if b.unsaid {
		b.invoice.LooksFrom = b.looks.Since.UTC()
		if end := time.Unix(b.to, 0).UTC(); b.invoice.LooksFrom.After(end) {
			b.invoice.LooksFrom = end
		}
	}
	for _, s := range b.silences {
		if s.seconds == 0 {
			continue
		}
		one := Silence{Lease: s.lease, What: s.Named(), From: time.Unix(max(s.from, b.from), 0).UTC(), To: time.Unix(s.to, 0).UTC(), GPUSeconds: s.seconds}
		for _, entry := range []uint64{s.Before, s.After} {
			if entry != 0 {
				one.Entries = append(one.Entries, entry)
			}
		}
		slices.Sort(one.Entries)
		one.Entries = slices.Compact(one.Entries)
		b.invoice.Silence = append(b.invoice.Silence, one)
	}
}
