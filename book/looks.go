package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/ledger"
	"bulkhead/meter"
)

// ReportLooked records from when to when devices were looked at, in the site's scope
// and, for the fabrics of its own leases and their nodes, in each tenant's. What no
// interval covers is unknown. An interval that begins where the recorded one ends goes
// on with it; intervals of one fabric come in the order of time.
type ReportLooked struct{ Looks []meter.Look }

func (c ReportLooked) decide(s *State, env Env) (*Decision, error) {
	if s.Site == nil {
		return nil, ErrNothing
	}
	d := &Decision{}
	floor := env.Now.Add(-s.sayable())
	s.observed(d, SiteScope, s.Looks, func(string) bool { return true }, c.Looks, floor, env.Now)
	for _, id := range s.TenantIDs() {
		fabrics := s.fabricsOf(id)
		if len(fabrics) == 0 {
			continue
		}
		from := floor
		for _, i := range s.Invoices { // what was invoiced is not told anew
			if to, err := time.Parse(time.RFC3339, i.To); err == nil && i.Tenant == id && to.After(from) {
				from = to
			}
		}
		s.observed(d, TenantScope(id), s.Tenants[id].Looks, func(f string) bool { return f == "" || slices.Contains(fabrics, f) }, c.Looks, from, env.Now)
	}
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	return d, nil
}

// sayable is for how long something can be said of a look after it: what was not
// recorded by then is not recorded any more.
func (s *State) sayable() time.Duration {
	return s.Policy.Apart() + s.Policy.RecordLooks + s.Policy.Poll
}

// observed drafts what a scope learns of looks: what it does not know yet of those at
// what it has, from an instant on. Its first entry says only that from now on silence
// counts.
func (s *State) observed(d *Decision, scope string, known *meter.Looks, has func(fabric string) bool, looks []meter.Look, from, now time.Time) {
	entry := meter.Observed{WithinS: int64(s.Policy.Apart() / time.Second)}
	if known == nil {
		entry.Since = now
		d.add(scope, meter.KindObserved, entry)
		return
	}
	end := map[string]time.Time{}
	for _, look := range looks {
		if !has(look.Fabric) {
			continue
		}
		last, some := end[look.Fabric]
		if !some {
			last = known.Until(look.Fabric)
		}
		for _, least := range [...]time.Time{last, from} {
			if look.From.Before(least) {
				look.From = least
			}
		}
		if look.Until.Before(look.From) || look.Until.Equal(last) {
			continue // it says nothing new
		}
		end[look.Fabric] = look.Until
		entry.Looks = append(entry.Looks, look)
	}
	if len(entry.Looks) > 0 {
		d.add(scope, meter.KindObserved, entry)
	}
}

// silenceCounts drafts, for a term that begins on a ledger without a word of looks, that
// from its last entry on silence counts: whoever wrote that one saw devices until then
// or not, and of the time after it nobody can say anything.
func (s *State) silenceCounts(d *Decision) {
	if s.Site == nil {
		return
	}
	begin := func(scope string, known *meter.Looks) {
		if known == nil {
			d.add(scope, meter.KindObserved, meter.Observed{Since: s.Time, WithinS: int64(s.Policy.Apart() / time.Second)})
		}
	}
	begin(SiteScope, s.Looks)
	for _, id := range s.TenantIDs() {
		if len(s.fabricsOf(id)) > 0 {
			begin(TenantScope(id), s.Tenants[id].Looks)
		}
	}
}

// fabricsOf is the fabrics of the leases that a tenant has not returned.
func (s *State) fabricsOf(tenant string) (fabrics []string) {
	for _, l := range s.Leases {
		if l.Tenant == tenant && l.Returned.IsZero() && !slices.Contains(fabrics, l.Fabric) {
			fabrics = append(fabrics, l.Fabric)
		}
	}
	return fabrics
}

func (s *State) applyObserved(e *ledger.Entry, b meter.Observed, _ Bodies) error {
	looks := &s.Looks
	if e.Scope != SiteScope {
		t, ok := s.Tenants[tenantOf(e.Scope)]
		if !ok {
			return fmt.Errorf("looks in the scope %q: no such tenant", e.Scope)
		}
		looks = &t.Looks
	}
	if *looks == nil {
		*looks = &meter.Looks{}
	}
	return (*looks).Add(e.ScopeSeq, e.Time, b)
}

func tenantOf(scope string) string {
	if prefix := TenantScope(""); len(scope) > len(prefix) && scope[:len(prefix)] == prefix {
		return scope[len(prefix):]
	}
	return ""
}

// LooksOf is what the tenant's log of a contract says of looks, and which fabrics each
// of the contract's leases runs on: what the meter takes silence from. Both are the
// caller's.
func (s *State) LooksOf(contractID string) (*meter.Looks, map[string][]string) {
	k, ok := s.Contracts[contractID]
	if !ok {
		return nil, nil
	}
	fabrics := map[string][]string{}
	for _, l := range s.LeasesOfContract(contractID) {
		fabrics[string(l.ID)] = []string{l.Fabric}
	}
	return s.Tenants[k.Current().Tenant].Looks.Clone(), fabrics
}

// LooksSettled says whether nothing more can be said of what was looked at for a
// contract's leases before an instant: it is recorded that they were, or too long ago.
func (s *State) LooksSettled(contractID string, end, now time.Time) bool {
	k, ok := s.Contracts[contractID]
	if !ok || !now.Before(end.Add(s.sayable())) {
		return true
	}
	looks := s.Tenants[k.Current().Tenant].Looks
	for _, l := range s.LeasesOfContract(contractID) {
		least := end
		if l.End.Before(least) {
			least = l.End
		}
		if !l.Returned.IsZero() && !l.Returned.After(least) {
			continue
		}
		if looks == nil || looks.Until("").Before(least) || looks.Until(l.Fabric).Before(least) {
			return false
		}
	}
	return true
}

// Unwatched is a stretch, not over yet, in which nobody has looked at what a lease runs on.
func (s *State) Unwatched(l *Lease, now time.Time) (meter.Gap, bool) {
	gaps := s.Tenants[l.Tenant].Looks.Gaps([]string{l.Fabric}, now)
	if n := len(gaps); n > 0 && gaps[n-1].After == 0 && now.Sub(gaps[n-1].From) > s.sayable() {
		return gaps[n-1], true
	}
	return meter.Gap{}, false
}
