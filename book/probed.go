package book

import (
	"bytes"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/prove"
	"bulkhead/site"
)

// MaxProbeAhead is how far the clock of a tenant's node may be ahead.
const MaxProbeAhead = 10 * time.Minute

// FileProbe files a probe that a tenant has signed into the tenant's log. The
// owner can't refuse one for what it says: only for being of somebody else, or
// no probe at all.
type FileProbe struct {
	Tenant    string
	Lease     string
	Statement []byte // the signed envelope, canonical
}

func (c FileProbe) decide(s *State, env Env) (*Decision, error) {
	payload, keyID, signature, err := claim.DecodeEnvelope(c.Statement)
	if err != nil || len(signature) == 0 {
		return nil, refuse("statement", "it is no signed statement in canonical form: %v", err)
	}
	if !bytes.Equal(claim.EncodeEnvelope(payload, keyID, signature), c.Statement) {
		return nil, refuse("statement", "it is no signed statement in canonical form")
	}
	predicate, err := claim.Peek(c.Statement)
	if err != nil {
		return nil, refuse("statement", "%v", err)
	}
	p, err := prove.DecodeProbe(predicate)
	if err != nil {
		return nil, refuse("statement", "%v", err)
	}
	if p.Lease != c.Lease {
		return nil, refuse("lease", "the probe is of lease %.80q", p.Lease)
	}
	if s.Site == nil || p.Site != s.Site.Name || p.Tenant != c.Tenant {
		return nil, refuse("statement", "it is of tenant %.80s at %.80s", p.Tenant, p.Site)
	}
	if p.At.After(env.Now.Add(MaxProbeAhead)) {
		return nil, refuse("statement", "it is of %s, which is to come: set the node's clock", p.At)
	}
	l, ok := s.LeaseByID(lease.ID(p.Lease))
	if !ok || l.Tenant != c.Tenant {
		return nil, refuse("statement", "lease %.80q is none of this tenant's", p.Lease)
	}
	n, known := s.Site.Lookup(p.Node)
	if !known || !s.everIn(l, n) {
		return nil, refuse("statement", "node %.80q is in no slot of %s", p.Node, l.ID)
	}
	d := &Decision{}
	d.add(TenantScope(c.Tenant), prove.KindProbed, prove.Probed{
		Lease: p.Lease, Node: p.Node, KeyID: keyID, Tries: len(p.Tries), Leaks: len(p.Leaks()), Statement: d.body(c.Statement),
	})
	return d, nil
}

// everIn says whether a slot of a lease holds a node now and has been up.
func (s *State) everIn(l *Lease, n site.Index) bool {
	for slot, in := range l.Slots {
		if in == n {
			return l.Up[slot]
		}
	}
	return false
}

func (s *State) applyProbed(e *ledger.Entry, b prove.Probed, _ Bodies) error {
	l, ok := s.LeaseByID(lease.ID(b.Lease))
	if !ok || e.Scope != TenantScope(l.Tenant) {
		return fmt.Errorf("no lease %q of this tenant", b.Lease)
	}
	l.Probes++
	if b.Leaks > 0 {
		l.ProbeLeaks = e.Time
	}
	return nil
}
