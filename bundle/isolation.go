package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/prove"
	"bulkhead/site"
)

// isolationSays is what an isolation certificate says, once it has checked.
type isolationSays struct{ *prove.Certificate }

// why is the checks that an isolation certificate says have failed.
func (c *isolationSays) why() string {
	var parts []string
	for _, f := range c.Failed {
		where := ""
		if f.Elsewhere {
			where = " that are not the lease's"
		}
		parts = append(parts, fmt.Sprintf("%s at %d ports of %s%s", f.Check, f.Ports, f.Fabric, where))
	}
	if n := c.NVLink; n != nil && n.Alone < n.Domains {
		parts = append(parts, fmt.Sprintf("%d of %d NVLink domains hold nodes of another project", n.Domains-n.Alone, n.Domains))
	}
	return strings.Join(parts, ", ")
}

var isolationShape = claim.ShapeOf[prove.Certificate]()

// ownFailed is how many ports of the lease's own the certificate does not call proven.
func (c *isolationSays) ownFailed() int {
	n := c.Ports
	for i := range c.Fabrics {
		n -= c.Fabrics[i].Proven
	}
	return n
}

// readIsolation opens an isolation certificate and has it add up: its verdict
// must follow from its own figures, and nothing that it must print be left out.
func (v *verifier) readIsolation(o *opened, b *unnamedBody) (*isolationSays, error) {
	s, err := v.signed(o, b, claim.PurposeStatement, prove.PredicateType)
	if err != nil {
		return nil, err
	}
	weight, err := v.budget.weigh(isolationShape, s.Predicate, "an isolation certificate")
	if err != nil {
		return nil, err
	}
	c, err := prove.DecodeCertificate(s.Predicate)
	if err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil && v.skip != CheckIsolation {
		return nil, err
	}
	nodes, err := c.NodeSet(maxNodes)
	if err != nil {
		return nil, err
	}
	// Each time that it is compared its set is made again, a bit a node up to the last,
	// and the collector is behind: half of one is counted as if it stayed.
	last := site.Index(0)
	for n := range nodes.All() {
		last = n
	}
	v.budget.spend(nodes.Len()/8, "nodes of isolation certificates")
	v.budget.keep(int64(last)/16, "nodes of isolation certificates")
	// Once they are those that they must be, these are the same for all.
	before := weightOf(c.Checks) + weightOf(c.NotProven) + weightOf(c.Assumptions)
	c.Checks, c.NotProven, c.Assumptions = nil, nil, v.once.list(c.Assumptions, v.budget)
	v.budget.keep(max(weight-before, 0), "an isolation certificate")
	return &isolationSays{c}, nil
}

// isolationShown judges the certificate on which nodes are delivered.
func (v *verifier) isolationShown(l *leaseLog, nodes []*nodeLog, o *opened) {
	at, now, labels := v.at, v.time, v.labelsOf(l)
	reserved := make([]time.Time, len(nodes))
	for i, n := range nodes {
		reserved[i] = n.reserved
	}
	v.budget.keep(24*int64(len(nodes)), "nodes that are handed over")
	v.later(func() {
		c := v.certificate(at, l, labels, o, now)
		if c == nil {
			return
		}
		if c.Verdict != prove.Proven.String() {
			v.fail(at, CheckIsolation, string(l.Lease), "nodes are delivered on an isolation certificate with the verdict %q: %s", c.Verdict, c.why())
		}
		if age := now.Sub(c.Issued); age > time.Duration(c.WindowSeconds)*time.Second {
			v.fail(at, CheckIsolation, string(l.Lease), "nodes are delivered on an isolation certificate of %s, which counts for %d seconds", stamp(c.Issued), c.WindowSeconds)
		}
		covered := c.covered()
		for i, n := range nodes {
			if c.Issued.Before(reserved[i]) {
				v.fail(at, CheckAge, n.id, "it is delivered on an isolation certificate of %s, and was reserved at %s only", stamp(c.Issued), stamp(reserved[i]))
			}
			if !covered.Has(site.Index(n.number)) {
				v.fail(at, CheckCovers, n.id, "it is delivered on an isolation certificate that is about nodes %.100s", c.Nodes)
			}
		}
		v.isolatedOn(at, string(l.Lease), "when its nodes were handed over", c, o)
	})
}

// certificate is what an isolation certificate says of a lease; nil where it
// can't be used.
func (v *verifier) certificate(at logEntry, l *leaseLog, labels map[string]labelLog, o *opened, now time.Time) *isolationSays {
	id := string(l.Lease)
	if !o.there {
		return nil
	}
	if o.err != nil {
		v.fail(at, v.unread(o, CheckIsolation), id, "isolation certificate: %v", o.err)
		return nil
	}
	c, ok := o.says.(*isolationSays)
	if !ok {
		return nil // named as something else: that was found before
	}
	v.budget.spend(l.sizeOf(c.Certificate)+len(c.Assumptions)*(2+len(v.assumptions)/4), "isolation certificates")
	if c.Lease != id || c.Tenant != v.tenant || c.Issued.After(now) {
		v.fail(at, CheckIsolation, id, "the isolation certificate is of lease %s of %s, issued at %s", c.Lease, c.Tenant, stamp(c.Issued))
	}
	if why := l.spanned(c.Certificate); why != "" {
		v.fail(at, CheckSpans, id, "%s", why)
	}
	for _, part := range c.Fabrics {
		for _, seen := range part.Labels {
			if own, has := labels[part.Fabric]; !has || own.label != seen.Label {
				v.fail(at, CheckLabel, id, "the isolation certificate is about label %s in %s, which the log does not give to %s", seen.Label, part.Fabric, l.Project)
			}
		}
	}
	for _, a := range c.Assumptions {
		if line := "isolation assumes " + a; !slices.Contains(v.assumptions, line) && len(v.assumptions) < maxFindings {
			v.assumptions = append(v.assumptions, line)
		}
	}
	return c
}

// judgedNodes holds a verdict to the nodes that are delivered: all of them, and no others.
func (v *verifier) judgedNodes(at logEntry, l *leaseLog, c *isolationSays, inUse *site.Set) {
	covered := c.covered()
	if !covered.Contains(inUse) {
		missing := inUse.Clone()
		missing.Subtract(covered)
		v.fail(at, CheckCovers, string(l.Lease), "the verdict leaves out %d delivered nodes: %.100s", missing.Len(), missing)
	} else if more := covered.Len() - inUse.Len(); more > 0 {
		v.fail(at, CheckCovers, string(l.Lease), "the verdict is about %d nodes that are not delivered to it", more)
	}
}

// judged judges a verdict by its certificate.
func (v *verifier) judged(b *prove.Judged) {
	l := v.leases[b.Lease]
	if l == nil {
		v.fail(v.at, CheckBound, b.Lease, "no lease of this id was bound")
		return
	}
	if b.Epoch != l.epoch+1 {
		v.fail(v.at, CheckEpoch, b.Lease, "verdict %d, the one before was %d", b.Epoch, l.epoch)
	}
	v.step(l, actJudge)
	l.epoch, l.judgedEnd = b.Epoch, v.time
	v.budget.keep(newWord(l.verdicts, b.Verdict), "isolation verdicts")
	alarm, allUp := l.alarm(), l.down == 0 && l.inUse.count > 0
	if alarm != "" && b.Verdict == prove.Proven.String() {
		v.fail(v.at, CheckContradiction, b.Lease, "the verdict is %s, and by the entries before %s", b.Verdict, alarm)
	}
	l.verdicts[b.Verdict]++
	o := v.opened[b.Certificate]
	if o == nil {
		v.fail(v.at, CheckEvidence, b.Lease, "the verdict has no isolation certificate")
		return
	}
	at, now, labels, inUse, red, mended := v.at, v.time, v.labelsOf(l), l.inUse.position(), l.alarmFrom, l.alarmUntil
	v.budget.spend(16+l.inUse.most/16, "isolation verdicts")
	v.later(func() {
		c := v.certificate(at, l, labels, o, now)
		if c == nil {
			return
		}
		v.verdictAge(at, l, c, now)
		if c.Verdict == prove.Proven.String() && !c.Issued.Before(red) && c.Issued.Before(mended) {
			v.fail(at, CheckContradiction, b.Lease, "the isolation certificate says proven at %s, and the log says that a port was red or unread from %s until %s", stamp(c.Issued), stamp(red), stamp(mended))
		}
		v.judgedNodes(at, l, c, l.inUse.at(inUse))
		reds, unknown := 0, 0
		for _, part := range c.Fabrics {
			reds += part.Red
			unknown += part.Unknown
		}
		if c.Epoch != b.Epoch || c.Verdict != b.Verdict || c.Ports != b.Ports || reds != b.Red || unknown != b.Unknown {
			v.fail(at, CheckVerdict, b.Lease, "the entry says %s at %d ports, %d red, %d unknown, epoch %d; the isolation certificate says %s at %d, %d, %d, epoch %d",
				b.Verdict, b.Ports, b.Red, b.Unknown, b.Epoch, c.Verdict, c.Ports, reds, unknown, c.Epoch)
		}
		if c.Verdict == prove.Proven.String() {
			v.isolatedOn(at, b.Lease, "at a later time", c, o)
			return
		}
		if own := c.ownFailed(); own > 0 && alarm == "" && allUp {
			v.tally.billedUp.add("%s at %s, %d of %d ports (verdict %d)", b.Lease, stamp(c.Issued), own, c.Ports, b.Epoch)
		}
		v.budget.spend(4*len(c.Failed), "isolation verdicts")
		apart := c.Apart() == prove.Proven
		if c.Together() == prove.Cut {
			isolated := map[bool]string{true: "; it was isolated all the same"}[apart]
			v.tally.unproven.add("that the members of %s reached each other at %s (verdict %d): %s%s", b.Lease, stamp(c.Issued), b.Epoch, c.why(), isolated)
		}
		if apart {
			return
		}
		v.tally.unproven.add("isolation of %s was %s at %s (verdict %d): %s", b.Lease, c.Verdict, stamp(c.Issued), b.Epoch, c.why())
	})
}
