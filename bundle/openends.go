package bundle

import (
	"fmt"
	"time"
)

// days writes a length of time for a person: whole days from two days on.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// judgedLately is how old the last verdict about a running lease may be before the
// reader is told: leases whose ports don't change are judged once a day at most.
const judgedLately = 7 * 24 * time.Hour

// openEnds says what should have happened by the end of the log, by what the log itself
// says before, and is not in it.
func (v *verifier) openEnds(add func(format string, args ...any)) {
	add("the log ends at %s: what happened since then is not in it", stamp(v.time))
	for _, l := range v.order {
		switch phase := l.phase(v.time); {
		case phase == over:
			add("return: %s ended at %s, and %s later, at the end of this log, nobody has taken it back: its nodes count as delivered, and nothing says who is on them", l.Lease, stamp(l.end), days(v.time.Sub(l.end)))
		case phase == returning:
			add("return: %s has been taken back since %s and is not returned at the end of this log, %s later", l.Lease, stamp(l.returning), days(v.time.Sub(l.returning)))
		case phase == running && l.inUse.count > 0 && l.judgedEnd.IsZero():
			add("isolation of %s was not judged since its nodes were handed over", l.Lease)
		}
		if missing := len(l.slots) - l.upOnce; missing > 0 && l.phase(v.time) != promised && v.time.Sub(l.Begin) > 24*time.Hour {
			add("delivery: %d of %d slots of %s were not handed over by the end of this log, %s after its begin", missing, len(l.slots), l.Lease, days(v.time.Sub(l.Begin)))
		}
		if l.inUse.count > 0 && !l.judgedEnd.IsZero() && v.time.Sub(l.judgedEnd) > judgedLately {
			add("isolation of %s was judged last at %s, %s before the end of this log: for the time since then there is only what the log says of drifts", l.Lease, stamp(l.judgedEnd), days(v.time.Sub(l.judgedEnd)))
		}
	}
	for _, id := range sorted(v.volumes) {
		l := v.volumes[id]
		if end := l.over(); !l.destroyed && end.Before(v.time) {
			add("storage: volume %s was sold until %s and is not shown to be destroyed at the end of this log, %s later", id, stamp(end), days(v.time.Sub(end)))
		}
	}
	if n := v.tally.longAgo; n > 0 {
		add("wipes: %s handed over more than %s after the wipe, %s (%s) by %s: nothing here says what was on them in between", count(n, "node"), days(wipedLately), "the longest", v.tally.longestOf, days(v.tally.longest))
	}
	if n := v.tally.taken.count; n > 0 {
		add("replacements: %s taken out while working, on the word of the owner's people, when the tenant's time was up; the first: %s", count(n, "node"), v.tally.taken.first)
	}
	if n := v.tally.billedUp.count; n > 0 {
		add("money: %s of ports that were not proven while every slot of the lease was billed as up or degraded and the log names no drift; the first: %s", count(n, "verdict"), v.tally.billedUp.first)
	}
}

// over is until when a volume is sold, as the contract in force says.
func (l *volumeLog) over() time.Time {
	if sold := l.sold(); sold != nil {
		return sold.To
	}
	return l.contract.current().End
}
