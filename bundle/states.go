package bundle

import (
	"fmt"
	"time"

	"bulkhead/meter"
	"bulkhead/node"
)

// phase is where a lease is in its life, as its log tells. The phases follow each other
// in this order, and a lease never goes back.
type phase uint8

const (
	promised  phase = iota // bound, and not begun
	running                // from its begin until its end, as notices have moved it
	over                   // its end has passed and nobody has taken it back
	returning              // its nodes are being taken back
	gone                   // returned
	phases
)

func (p phase) String() string {
	return [...]string{"has not begun", "runs", "is over", "is being taken back", "was returned"}[p]
}

// phase is the lease's at an instant.
func (l *leaseLog) phase(at time.Time) phase {
	switch {
	case !l.returned.IsZero():
		return gone
	case !l.returning.IsZero():
		return returning
	case !at.Before(l.end):
		return over
	case !at.Before(l.Begin):
		return running
	}
	return promised
}

// act is what a log can say of a lease.
type act string

const (
	actRebook  act = "it is placed again"
	actDeliver act = "nodes are handed over"
	actSlots   act = "slots are billed otherwise"
	actPropose act = "another node is proposed"
	actAnswer  act = "a replacement is acknowledged"
	actSwap    act = "a node is swapped"
	actMove    act = "moves of its nodes are proposed or agreed"
	actJudge   act = "its isolation is judged"
	actLate    act = "it is late"
	actGrant   act = "it is let into a volume"
	actProbe   act = "a probe is filed"
	actReturn  act = "it is taken back"
	actEnd     act = "it counts as returned"
)

// mayBe is the table of the states of a lease over time: what a log may say of it in
// which phase. Everything else contradicts what the same log has said before. What has
// no row is not held to a phase; that the states of nodes in its slots follow each
// other is the table of node.Allowed, and of what is billed meanwhile judgeSlot's.
var mayBe = map[act][phases]bool{
	//          promised running over   returning gone
	actRebook:  {true, false, false, false, false},
	actDeliver: {false, true, false, false, false},
	actSlots:   {false, true, true, false, false},
	actPropose: {true, true, true, false, false},
	actAnswer:  {true, true, true, false, false},
	actSwap:    {true, true, true, false, false},
	actMove:    {false, true, true, true, true}, // it may end in every phase
	actJudge:   {false, true, true, true, false},
	actLate:    {true, true, true, false, false},
	actGrant:   {true, true, true, false, false},
	actProbe:   {false, true, true, true, true}, // filed by the tenant, in its own time
	actReturn:  {false, false, true, false, false},
	actEnd:     {false, false, false, true, false},
}

// step holds an entry about a lease to the table.
func (v *verifier) step(l *leaseLog, a act) {
	if p := l.phase(v.time); !mayBe[a][p] {
		v.fail(v.at, CheckPhase, string(l.Lease), "%s at %s, and by the entries before the lease %s (from %s until %s)", a, stamp(v.time), p, stamp(l.Begin), stamp(l.end))
	}
}

// recount keeps how many delivered nodes of a lease the log calls red or unread, and
// since when there are some. It is asked whenever something of it may have changed of a
// node; no verdict has to look at nodes.
func (v *verifier) recount(n *nodeLog) {
	var now *leaseLog
	if n.state == node.Delivered && n.exposed() {
		now = n.owner
	}
	was := n.counted
	if was == now {
		return
	}
	if was != nil {
		if was.alarms--; was.alarms == 0 {
			was.alarmUntil = v.time
		}
	}
	if n.counted = now; now != nil {
		if now.alarms++; now.alarms == 1 {
			now.alarmFrom, now.alarmUntil = v.time, time.Time{}
		}
		now.alarmed = n
	}
}

// alarm says what the log calls red or unread of a lease now; "" where it calls nothing so.
func (l *leaseLog) alarm() string {
	switch {
	case l.alarms == 0:
		return ""
	case l.alarmed.counted == l:
		return fmt.Sprintf("%s is not proven isolated (%s)", l.alarmed.id, l.alarmed.exposure())
	}
	return fmt.Sprintf("%s of it are not proven isolated", count(l.alarms, "node"))
}

// works notes that a node is a lease's, or is not any more.
func (v *verifier) works(l *leaseLog, n *nodeLog, now bool) {
	if n.works == now {
		return
	}
	if n.works = now; now {
		l.inUse.add(n.number)
		v.working[l.Project]++
	} else {
		l.inUse.remove(n.number)
		v.working[l.Project]--
	}
}

// bill notes what a slot is billed as from an instant on.
func (l *leaseLog) bill(slot uint32, state meter.SlotState, at time.Time) {
	down := func(s meter.SlotState) bool { return !billedUp(s) && s != meter.Undelivered }
	if down(l.billed[slot]) {
		l.down--
	}
	if down(state) {
		l.down++
	}
	l.billed[slot], l.billedAt[slot] = state, at
}
