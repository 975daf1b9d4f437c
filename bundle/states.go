package bundle

import (
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

// alarms are what the log itself says is not proven: ports that drifted and leaves that
// can't be read. There are few at a time.
type alarms struct {
	drifting map[*nodeLog]bool
	unread   map[*unitLog]bool
}

// exposed is the first delivered node of a lease of which the log says that a port is
// red or unread; nil: it says that of none.
// Cost: O(ports that are, and nodes behind leaves that are).
func (v *verifier) exposed(l *leaseLog) *nodeLog {
	var found *nodeLog
	consider := func(n *nodeLog) {
		if n.owner == l && n.state == node.Delivered && n.exposed() && (found == nil || n.number < found.number) {
			found = n
		}
	}
	for n := range v.alarms.drifting {
		consider(n)
	}
	for u := range v.alarms.unread {
		for _, n := range u.nodes {
			consider(n)
		}
	}
	return found
}

// alarm keeps the alarms of a node.
func (v *verifier) alarm(n *nodeLog) {
	if n.drift != 0 {
		v.alarms.drifting[n] = true
	} else {
		delete(v.alarms.drifting, n)
	}
}

// alarmed notes since when, and until when, the log says of a lease that a port is red
// or unread.
func (v *verifier) alarmed(l *leaseLog) {
	if l == nil {
		return
	}
	switch open := v.exposed(l) != nil; {
	case open && (l.alarmFrom.IsZero() || !l.alarmUntil.IsZero()):
		l.alarmFrom, l.alarmUntil = v.time, time.Time{}
	case !open && !l.alarmFrom.IsZero() && l.alarmUntil.IsZero():
		l.alarmUntil = v.time
	}
}

// unreadable keeps the alarms of a scalable unit.
func (v *verifier) unreadable(u *unitLog) {
	if u.unread != 0 {
		v.alarms.unread[u] = true
	} else {
		delete(v.alarms.unread, u)
	}
}

// atWork says whether a lease of a project has a delivered node.
func (v *verifier) atWork(project string) *leaseLog {
	for _, l := range v.order {
		if l.Project == project && !l.inUse.Empty() {
			return l
		}
	}
	return nil
}

// allUp says whether every slot with a delivered node is billed as up or degraded.
func (l *leaseLog) allUp() bool {
	if l.inUse.Empty() {
		return false
	}
	for _, state := range l.billed {
		if !billedUp(state) && state != meter.Undelivered {
			return false
		}
	}
	return true
}
