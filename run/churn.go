package run

import (
	"slices"
	"time"

	"bulkhead/prove"
	"bulkhead/site"
)

// An answer is older than its judgement: commands come between the question and it.
// What was read is a violation if it is one in every state from the question on. What
// is allowed in one of them and not in another says nothing: it is asked again, and is
// unknown when the window has passed. So churn hides no leak, and a change in flight
// does not look like one.

// expected is what was expected of a port until an entry of the ledger.
type expected struct {
	until   uint64 // from this position on something else is
	holder  uint32
	want    uint32
	settled bool
}

// remember keeps what was expected of a port until now, for the answers that are on
// their way.
func (v *seen) remember(port site.Port, until uint64) {
	if len(v.askedAt) == 0 {
		return
	}
	v.was[port] = append(v.was[port], expected{until, v.prover.Facts().Holder(port), v.want[port], v.settled[port]})
}

// forgetChurn drops what no answer that is on its way needs.
func (v *seen) forgetChurn() {
	if len(v.askedAt) == 0 && len(v.was) > 0 {
		clear(v.was)
	}
}

// verdictSince is the verdict of a port's last reading over everything that was expected
// of it since a position, and whether it had settled then. Not sure: the states between
// disagree about what was read.
func (v *seen) verdictSince(port site.Port, position uint64) (verdict prove.Verdict, check prove.Check, settled, sure bool) {
	verdict, check = v.prover.Verdict(port)
	was := slices.DeleteFunc(slices.Clone(v.was[port]), func(e expected) bool { return e.until <= position })
	if len(was) == 0 {
		return verdict, check, false, true
	}
	if verdict != prove.Red {
		return verdict, check, false, false
	}
	now := v.prover.Facts().Holder(port)
	sure = true
	for _, e := range was {
		v.prover.Hold(port, e.holder)
		then, _ := v.prover.Verdict(port)
		sure = sure && then == prove.Red
	}
	v.prover.Hold(port, now)
	return verdict, check, was[0].settled, sure
}

// makeUnsure notes whether the last reading of a port counts for nothing.
func (v *seen) makeUnsure(port site.Port, unsure bool, now time.Time) {
	switch _, known := v.unsure[port]; {
	case unsure && !known:
		v.unsure[port] = now
	case !unsure && known:
		delete(v.unsure, port)
	}
}

// unsureLeaves lists the leaves of a fabric that are to be read again.
func (v *seen) unsureLeaves(index int) []site.Leaf {
	return v.unsureSince(index, time.Time{})
}

// unsureSince lists the leaves of a fabric whose readings have counted for nothing since
// a time; zero: since any.
func (v *seen) unsureSince(index int, since time.Time) (leaves []site.Leaf) {
	for port, begun := range v.unsure {
		leaf := v.site.LeafOf(port)
		if v.site.FabricOfLeaf(leaf) == index && (since.IsZero() || begun.Before(since) && !v.unread[leaf]) {
			leaves = append(leaves, leaf)
		}
	}
	slices.Sort(leaves)
	return slices.Compact(leaves)
}
