package run

import (
	"context"
	"time"

	"bulkhead/book"
	"bulkhead/meter"
)

// lookedAt is the looks at one fabric, or at the nodes, that the ledger does not hold
// yet.
type lookedAt struct {
	closed []meter.Look // intervals that a silence ended
	open   meter.Look   // the one that goes on
}

// RecordLooks records until when devices were looked at: a writer that stops in peace
// leaves no silence that was none.
func (p *Plane) RecordLooks(ctx context.Context) error {
	p.mu.Lock()
	defer p.unlock()
	if p.ReadOnly() != nil {
		return nil // another writer's looks count
	}
	if _, err := p.recordLooks(ctx, true); err != nil {
		return err
	}
	return p.w.flush(ctx)
}

// LastRound is when the loop last went round, by the site's clock; zero: it has not yet.
func (p *Plane) LastRound() time.Time {
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	return p.seen.round
}

// recordLooks takes over when each fabric and the nodes were looked at last, and
// records it: when the policy says, when a month that is over waits for it, when
// something is looked at again after a silence, or now. It returns how many entries it
// wrote.
func (p *Plane) recordLooks(ctx context.Context, now bool) (entries uint64, err error) {
	s := p.w.state
	if s.Site == nil {
		return 0, p.w.broken
	}
	clock, err := p.w.now()
	if err != nil {
		return 0, err
	}
	p.seen.note(func() { p.seen.round = clock })
	tell := now || p.lacksLooks() // what a tenant's log may not wait for
	due := tell
	if p.seen.looks == nil {
		p.seen.looks = map[string]*lookedAt{}
	}
	var all []meter.Look
	scopes := []string{""}
	for _, f := range s.Site.Fabrics {
		scopes = append(scopes, f.ID)
	}
	for _, scope := range scopes {
		at := p.seen.nodesAt // neither is later than when it was heard
		if scope != "" {
			at = p.seen.confirmed[scope]
		}
		known := p.seen.looks[scope]
		if known == nil {
			if at.IsZero() {
				continue // this writer has not looked yet
			}
			known = &lookedAt{}
			// The first look goes on with what the writer before recorded, if it comes in time.
			if s.Looks != nil && len(s.Looks.Seen[scope]) > 0 {
				until := s.Looks.Until(scope)
				known.open = meter.Look{Fabric: scope, From: until, Until: until}
			}
			p.seen.looks[scope] = known
		}
		p.looked(known, scope, at, clock)
		all = append(all, known.closed...)
		all = append(all, known.open)
		if s.Looks == nil {
			continue
		}
		recorded := s.Looks.Until(scope)
		switch until := known.open.Until; {
		case len(known.closed) > 0 || len(s.Looks.Seen[scope]) == 0:
			due, tell = true, true
		case until.Sub(recorded) >= s.Policy.RecordLooks:
			due = true
		}
	}
	// Months end on the hour in every zone that anybody bills in.
	if hour := clock.Truncate(time.Hour); !tell && !hour.Equal(p.invoiced) && waiting(s, clock) {
		due, tell = true, true
	}
	if !due {
		return 0, nil
	}
	before := s.Seq
	if err := p.carry(ctx, book.ReportLooked{Looks: all, All: tell}); err != nil {
		return 0, err
	}
	for _, known := range p.seen.looks {
		known.closed = nil
		known.open.From = known.open.Until
	}
	return s.Seq - before, nil
}

// looked takes over a look. One that is no later than those before adds nothing, and
// of a clock in doubt only what is certain to have come counts.
func (p *Plane) looked(known *lookedAt, scope string, at, now time.Time) {
	if at.After(now) {
		at = now
	}
	switch apart := at.Sub(known.open.Until); {
	case known.open.Until.IsZero():
		known.open = meter.Look{Fabric: scope, From: at, Until: at}
	case apart <= 0:
	case apart <= p.w.state.Policy.Apart():
		known.open.Until = at
	default: // a silence
		known.closed = append(known.closed, known.open)
		known.open = meter.Look{Fabric: scope, From: at, Until: at}
	}
}

// lacksLooks says whether a scope has not begun to say when devices were looked at: the
// site's, or that of a tenant with a new lease.
func (p *Plane) lacksLooks() bool {
	s := p.w.state
	if s.Looks == nil {
		return true
	}
	for _, l := range s.Leases {
		if l.Returned.IsZero() && s.Tenants[l.Tenant].Looks == nil {
			return true
		}
	}
	return false
}
