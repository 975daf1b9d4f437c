package bundle

import (
	"bulkhead/place/check"
	"bytes"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	placement "bulkhead/place"
	"bulkhead/site"
)

// hermetic holds a lease to the class of links that its tranche promises, and a
// hermetic one to its link assignment: it is the placement certificate's, it is
// about the lease's nodes, and whatever permutation of traffic they send fits on
// it. That no other lease holds these links, and that the fabric routes so, is
// the owner's word: the tenant sees neither.
func (v *verifier) hermetic(l *leaseLog) {
	v.budget.spend(len(l.Assigned), "the links of a lease")
	v.budget.keep(16*int64(len(l.Assigned)), "the links of a lease")
	id := string(l.Lease)
	t := (*contract.Tranche)(nil)
	if len(l.contract.versions) > 0 {
		t = l.contract.current().TrancheByID(l.Tranche)
	}
	if t != nil && (t.Links == lease.Hermetic) != (l.Links == lease.Hermetic) {
		v.fail(v.at, CheckHermetic, id, "%s links, the tranche promises %s", l.Bound.Links, t.Links)
	}
	links, err := placement.DecodeLinks(l.Assigned)
	switch {
	case err != nil:
		v.fail(v.at, CheckHermetic, id, "%v", err)
		return
	case l.Links != lease.Hermetic:
		if links != nil {
			v.fail(v.at, CheckHermetic, id, "a link assignment for shared links")
		}
		return
	case links == nil:
		v.fail(v.at, CheckHermetic, id, "hermetic, and no link assignment")
		return
	}
	v.tally.hermetic++
	l.units = map[string]bool{}
	for _, p := range links.Pods {
		for _, su := range p.SUs {
			l.units[su] = true
		}
	}
	v.budget.keep(4*int64(len(l.slots)), "the nodes of a lease")
	order := make([]site.Index, len(l.slots))
	for i, n := range l.slots {
		order[i] = site.Index(n)
	}
	at, o := v.at, v.opened[l.Certificate]
	v.later(func() {
		if o == nil || o.err != nil {
			v.fail(at, CheckHermetic, id, "its placement certificate can't be read: %v", errOf(o))
			return
		}
		c, ok := o.says.(*placement.Certificate)
		switch {
		case !ok:
			return // named as something else: that was found before
		case c.Ask.Links != lease.Hermetic || c.Links == nil || !bytes.Equal(c.Links.Encode(), l.Assigned):
			v.fail(at, CheckHermetic, id, "the placement certificate has another link assignment than the lease")
			return
		case c.Slice != placement.SliceDigest(order):
			v.fail(at, CheckHermetic, id, "the placement certificate is about other nodes")
			return
		}
		v.budget.spend(32*len(order)*max(l.gpus, 1), "the links of a lease")
		if err := check.Links(links, len(order), l.gpus); err != nil {
			v.fail(at, CheckHermetic, id, "%v", err)
		}
	})
}

// placed holds a placement certificate to the nodes of the lease that it is named for:
// their order, their number, their class. The certificate of a step of a ramp is about
// all that the ramp holds, so that one about others is counted, and not refused.
func (v *verifier) placed(l *leaseLog, certificate claim.Digest, order []site.Index) {
	o := v.opened[certificate]
	v.tally.placed++
	if o == nil {
		return
	}
	// Its digest stands for the order: a lease may be placed again and again.
	v.budget.spend(len(order)/16, "placement certificates")
	slice, nodes := placement.SliceDigest(order), len(order)
	v.later(func() {
		if o.err != nil {
			return
		}
		c, ok := o.says.(*placement.Certificate)
		if ok && c.Slice == slice && c.Ask.Nodes == nodes && c.Ask.Kind == l.Kind && c.Ask.Fabric == l.Fabric {
			v.tally.placements++
		}
	})
}

func errOf(o *opened) error {
	if o == nil {
		return errMissing
	}
	return o.err
}

// onOwnLinks holds a hand-over to the SUs that the links of a hermetic lease lead from.
func (v *verifier) onOwnLinks(l *leaseLog, su string) {
	if l.units == nil {
		return
	}
	if len(l.units) == 0 {
		l.units[su] = true // a slice inside one SU: the first says which
	}
	if !l.units[su] {
		v.fail(v.at, CheckHermetic, string(l.Lease), "a node of SU %s is delivered, and its links are not among the lease's", su)
	}
}

var placementShape = claim.ShapeOf[placement.Certificate]()

// readPlacement reads a placement certificate. It is no statement: nobody signs it,
// and what it says is held against the lease that names it.
func (v *verifier) readPlacement(b *unnamedBody) (*placement.Certificate, error) {
	weight, err := v.budget.weigh(placementShape, b.data, "a placement certificate")
	if err != nil {
		return nil, err
	}
	v.budget.keep(weight, "a placement certificate")
	c, err := placement.DecodeCertificate(b.data)
	if err != nil {
		return nil, err
	}
	return &c, nil
}
