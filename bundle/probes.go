package bundle

import (
	"fmt"

	"bulkhead/claim"
	"bulkhead/prove"
)

var probeShape = claim.ShapeOf[prove.Probe]()

// readProbe opens a probe. Only the tenant's own keys make it one.
func (v *verifier) readProbe(o *opened, b *unnamedBody) (*prove.Probe, error) {
	s, err := v.signed(o, b, claim.PurposeProbe, prove.ProbePredicate)
	if err != nil {
		return nil, err
	}
	weight, err := v.budget.weigh(probeShape, s.Predicate, "a probe")
	if err != nil {
		return nil, err
	}
	v.budget.keep(weight, "a probe")
	return prove.DecodeProbe(s.Predicate)
}

// probed judges a probe that the tenant has filed. A policy without a key for
// probes can't tell the tenant's probes from the owner's inventions: they count
// as absent.
func (v *verifier) probed(b *prove.Probed) {
	l := v.leases[b.Lease]
	if l == nil {
		v.fail(v.at, CheckBound, b.Lease, "a probe is filed for a lease that was not bound")
		return
	}
	v.step(l, actProbe)
	at, o, now, served := v.at, v.opened[b.Statement], v.time, l.served
	if o == nil || !o.there {
		return
	}
	v.later(func() {
		absent := claim.Claim{Subject: b.Node, Sentence: "probed by the tenant", Grade: claim.Absent, Evidence: []claim.Digest{o.digest}}
		if len(v.policy.all(claim.PurposeProbe)) == 0 {
			absent.Note = "the policy names no key for probes: this may be anybody's"
			v.proved = append(v.proved, absent)
			return
		}
		if o.err != nil {
			v.fail(at, v.unread(o, CheckProbe), b.Node, "probe: %v", o.err)
			return
		}
		p, ok := o.says.(*prove.Probe)
		if !ok {
			return // named as something else: that was found before
		}
		leaks := p.Leaks()
		if p.Tenant != v.tenant || p.Site != v.policy.Site || p.Lease != b.Lease || p.Node != b.Node || len(p.Tries) != b.Tries || len(leaks) != b.Leaks {
			v.fail(at, CheckProbe, b.Node, "the entry says %d tries and %d leaks on %s for %s, the probe %d and %d on %s for %s of %s",
				b.Tries, b.Leaks, b.Node, b.Lease, len(p.Tries), len(leaks), p.Node, p.Lease, p.Tenant)
			return
		}
		if p.At.After(now.Add(skew)) || p.At.Before(served.Add(-skew)) {
			v.fail(at, CheckAge, b.Node, "the probe is of %s, filed at %s; the lease had nodes from %s on", stamp(p.At), stamp(now), stamp(served))
		}
		if len(leaks) > 0 {
			v.fail(at, CheckProbe, b.Node, "the tenant's own probe at %s reached what it must not: %s, %s (%d in all)", stamp(p.At), leaks[0].What, leaks[0].Target, len(leaks))
			return
		}
		note := fmt.Sprintf("%d ways tried at %s, with positive controls", len(p.Tries), stamp(p.At))
		if open := p.Open(); len(open) > 0 {
			note += fmt.Sprintf("; %d of them showed nothing, the first: %s", len(open), open[0].What)
		}
		v.claim(at, claim.Claim{
			Subject: b.Node, Sentence: "the tenant's own probe reached nothing that it must not", Grade: claim.TenantProven,
			Origin: p.Origin, Evidence: []claim.Digest{o.digest}, Note: note,
		}, claim.Absent)
	})
}
