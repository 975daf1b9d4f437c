package bundle

import (
	"strings"
	"time"

	"bulkhead/fabric"
	"bulkhead/storage"
)

// skew is how far the clock of a device or a backend may be from the log's.
const skew = 5 * time.Minute

// wipedLately is within which time of its wipe a node is handed over on a site that is
// in use: what was wiped before is told to the reader.
const wipedLately = 30 * 24 * time.Hour

// notFuture refuses evidence of a time after the entry that names it.
func (v *verifier) notFuture(subject, what string, at time.Time) {
	if at.After(v.time.Add(skew)) {
		v.fail(v.at, CheckAge, subject, "%s is of %s, and its entry of %s", what, stamp(at), stamp(v.time))
	}
}

// receiptAge holds a receipt for the end of access to the time in which there was any.
func (v *verifier) receiptAge(r *storage.RevokeReceipt, access accessLog) {
	v.notFuture(string(r.Volume), "the receipt for the end of access", r.Revoked)
	if r.Revoked.Before(access.since.Add(-skew)) {
		v.fail(v.at, CheckAge, string(r.Volume), "the receipt says that the access of %s ended at %s, and it was given at %s", r.Principal, stamp(r.Revoked), stamp(access.since))
	}
}

// erasureAge holds a receipt for a volume's end to the time after it was in use.
func (v *verifier) erasureAge(r *storage.ErasureReceipt, l *volumeLog) {
	v.notFuture(string(r.Volume), "the receipt for its end", r.Destroyed)
	if r.Destroyed.Before(l.used.Add(-skew)) {
		v.fail(v.at, CheckAge, string(r.Volume), "the receipt says that it was destroyed at %s, and it was in use until %s", stamp(r.Destroyed), stamp(l.used))
	}
}

// verdictAge holds a verdict to the time in which its evidence counts, and to the
// verdicts before it. It is asked when all statements are known, in order.
func (v *verifier) verdictAge(at logEntry, l *leaseLog, c *isolationSays, now time.Time) {
	if age := now.Sub(c.Issued); age > time.Duration(c.WindowSeconds)*time.Second {
		v.fail(at, CheckAge, string(l.Lease), "the verdict is on an isolation certificate of %s, %s before, which counts for %d seconds", stamp(c.Issued), days(age), c.WindowSeconds)
	}
	if c.Issued.Before(l.judgedAt) {
		v.fail(at, CheckAge, string(l.Lease), "the verdict is on an isolation certificate of %s, the one before on one of %s", stamp(c.Issued), stamp(l.judgedAt))
	}
	l.judgedAt = c.Issued
}

// cleanAge holds the statement that a node is clean to the steps that the log shows:
// what was wiped before the tenant's data could be on it, or could still come to it,
// says nothing. began is of the first wipe.
func (n *nodeLog) cleanAge(began, reclaimed, severed time.Time) (why string) {
	began = began.UTC()
	switch {
	case began.Before(reclaimed.Truncate(time.Second)):
		return "its wipe began at " + stamp(began) + ", and it was the tenant's until " + stamp(reclaimed)
	case began.Before(severed.Truncate(time.Second)):
		return "its wipe began at " + stamp(began) + ", before it was fenced at " + stamp(severed)
	}
	return ""
}

// longAgo notes a node that was handed over long after its wipe.
func (v *verifier) longAgo(n *nodeLog, wiped, now time.Time) {
	age := now.Sub(wiped)
	if age <= wipedLately {
		return
	}
	v.tally.longAgo++
	if age > v.tally.longest {
		v.tally.longest, v.tally.longestOf = age, n.id
	}
}

// labelReleased holds the release of a label to the nodes that carry it.
func (v *verifier) labelReleased(b *fabric.Labelled) {
	project, ours := strings.CutPrefix(string(b.Owner), "project/"+v.tenant+"/")
	if !ours {
		return
	}
	if n := v.working[project]; n > 0 {
		v.fail(v.at, CheckPhase, b.Label.String(), "the label is released while %d nodes of %s are delivered under it", n, project)
	}
}
