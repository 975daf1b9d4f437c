package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/ledger"
	"bulkhead/meter"
)

// ReportLooked records from when to when devices were looked at: in the site's scope
// and, of the nodes and the fabrics of its own leases, in each tenant's. What no
// interval covers is unknown. An interval that begins where the recorded one ends goes
// on with it; intervals of one fabric come in the order of time.
type ReportLooked struct {
	Looks []meter.Look
	All   bool // tell tenants now, not only as often as their logs say it
}

// tellEvery is how far a tenant's log may be behind the site's in what it says of looks:
// it is taken home whole, and a writer that begins anew catches up with the site's.
const tellEvery = time.Hour

func (c ReportLooked) decide(s *State, env Env) (*Decision, error) {
	if s.Site == nil || !s.leased() {
		return nil, ErrNothing // nobody is billed for what it would say
	}
	d := &Decision{}
	now := s.Looks.Clone()
	if now == nil {
		s.silenceFrom(d, SiteScope, env.Now)
		now = &meter.Looks{Since: env.Now}
	} else if looks := s.newLooks(c.Looks, env.Now); len(looks) > 0 {
		entry := s.observed(s.Policy.RecordLooks, looks)
		d.add(SiteScope, meter.KindObserved, entry)
		if err := now.Add(s.Scopes[SiteScope]+1, env.Now, entry); err != nil {
			return nil, refuse("looks", "%v", err)
		}
	}
	for _, id := range s.TenantIDs() {
		if fabrics := s.fabricsOf(id); len(fabrics) > 0 {
			s.tell(d, id, append(fabrics, ""), now, c.All, env.Now)
		}
	}
	return d.orNothing()
}

// sayable is for how long something can be said of a look after it: what was not
// recorded by then is not recorded any more.
func (s *State) sayable() time.Duration {
	return s.Policy.Apart() + s.Policy.RecordLooks + s.Policy.Poll
}

// observed is an entry of a log that may be so far behind the looks.
func (s *State) observed(behind time.Duration, looks []meter.Look) meter.Observed {
	return meter.Observed{WithinS: int64(s.Policy.Apart() / time.Second), BehindS: int64((behind + s.Policy.Poll) / time.Second), Looks: looks}
}

// newLooks is what of looks the site's log does not say yet, and still may.
func (s *State) newLooks(looks []meter.Look, now time.Time) (out []meter.Look) {
	end := map[string]time.Time{}
	for _, look := range looks {
		last, some := end[look.Fabric]
		if !some {
			last = s.Looks.Until(look.Fabric)
		}
		for _, least := range [...]time.Time{last, now.Add(-s.sayable())} {
			if look.From.Before(least) {
				look.From = least
			}
		}
		if look.Until.Before(look.From) || look.Until.Equal(last) {
			continue // it says nothing new
		}
		end[look.Fabric] = look.Until
		out = append(out, look)
	}
	return out
}

// tell drafts what a tenant's log lacks of what the site's says of the nodes and some
// fabrics. Its first entry says only that from now on silence counts.
func (s *State) tell(d *Decision, tenant string, scopes []string, site *meter.Looks, all bool, now time.Time) {
	known := s.Tenants[tenant].Looks
	if known == nil {
		s.silenceFrom(d, TenantScope(tenant), now)
		return
	}
	slices.Sort(scopes)
	behind := max(tellEvery, s.Policy.RecordLooks)
	var looks []meter.Look
	for _, scope := range scopes {
		last := known.Until(scope)
		all = all || site.Until(scope).Sub(last) >= behind
		seen := site.Seen[scope]
		first, _ := slices.BinarySearchFunc(seen, last, func(st meter.Stretch, at time.Time) int {
			if st.Until.After(at) {
				return 1
			}
			return -1
		})
		for _, st := range seen[first:] {
			from := st.From
			if from.Before(last) {
				from = last
			}
			looks = append(looks, meter.Look{Fabric: scope, From: from, Until: st.Until})
		}
	}
	if all && len(looks) > 0 {
		d.add(TenantScope(tenant), meter.KindObserved, s.observed(behind, looks))
	}
}

// silenceFrom drafts the first entry of a scope about looks.
func (s *State) silenceFrom(d *Decision, scope string, since time.Time) {
	entry := s.observed(s.Policy.RecordLooks, nil)
	if scope != SiteScope {
		entry = s.observed(max(tellEvery, s.Policy.RecordLooks), nil)
	}
	entry.Since = since
	d.add(scope, meter.KindObserved, entry)
}

// silenceCounts drafts, for a term that begins on a ledger without a word of looks, that
// from its last entry on silence counts: whoever wrote that one saw devices until then
// or not, and of the time after it nobody can say anything.
func (s *State) silenceCounts(d *Decision) {
	if s.Site == nil || !s.leased() {
		return
	}
	if s.Looks == nil {
		s.silenceFrom(d, SiteScope, s.Time)
	}
	for _, id := range s.TenantIDs() {
		if len(s.fabricsOf(id)) > 0 && s.Tenants[id].Looks == nil {
			s.silenceFrom(d, TenantScope(id), s.Time)
		}
	}
}

// fabricsOf is the fabrics of the leases that a tenant has not returned, or whose last
// hours its log does not tell of yet.
func (s *State) fabricsOf(tenant string) (fabrics []string) {
	for _, l := range s.Leases {
		if l.Tenant == tenant && (l.Returned.IsZero() || s.untold(l)) && !slices.Contains(fabrics, l.Fabric) {
			fabrics = append(fabrics, l.Fabric)
		}
	}
	return fabrics
}

// leased says whether some lease has not been returned, or is not told of to its end.
func (s *State) leased() bool {
	return slices.ContainsFunc(s.Leases, func(l *Lease) bool { return l.Returned.IsZero() || s.untold(l) })
}

func (s *State) untold(l *Lease) bool {
	looks := s.Tenants[l.Tenant].Looks
	return looks != nil && (looks.Until("").Before(l.End) || looks.Until(l.Fabric).Before(l.End))
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
// contract's leases before an instant: its tenant's log says that they were, or it is
// too long ago and all that the site's says is told.
func (s *State) LooksSettled(contractID string, end, now time.Time) bool {
	k, ok := s.Contracts[contractID]
	if !ok {
		return true
	}
	looks := s.Tenants[k.Current().Tenant].Looks
	if looks == nil || s.Looks == nil {
		return true // from when on silence counts will be said from now on
	}
	over := !now.Before(end.Add(s.sayable()))
	for _, l := range s.LeasesOfContract(contractID) {
		least := end
		if l.End.Before(least) {
			least = l.End
		}
		for _, scope := range [...]string{"", l.Fabric} {
			told := looks.Until(scope)
			if !told.Before(least) {
				continue
			}
			if there := s.Looks.Until(scope); !over || told.Before(there) {
				return false
			}
		}
	}
	return true
}

// SilencesOf lists the stretches since its first delivery in which nobody looked at what
// a lease runs on. The last one lasts where its After is 0. What the loop has not
// recorded yet is none: it still may.
func (s *State) SilencesOf(l *Lease, now time.Time) []meter.Gap {
	told := s.Tenants[l.Tenant].Looks
	if told == nil || s.Looks == nil || len(l.Events) == 0 {
		return nil
	}
	since := told.Since
	if first := l.Events[0].At; first.After(since) {
		since = first
	}
	end := now
	if l.End.Before(end) {
		end = l.End
	}
	gaps := s.Looks.Gaps([]string{l.Fabric}, end)
	gaps = slices.DeleteFunc(gaps, func(g meter.Gap) bool {
		return !g.Until.After(since) || g.After == 0 && end.Equal(now) && now.Sub(g.From) <= s.sayable()
	})
	if len(gaps) > 0 && gaps[0].From.Before(since) {
		gaps[0].From = since
	}
	return gaps
}
