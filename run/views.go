package run

import (
	"context"
	"iter"
	"time"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/place"
	"bulkhead/prove"
	"bulkhead/site"
)

// Reading is a copy of what planning reads, and the time: long questions are
// answered from it, and the writer waits for none of them.
func (p *Plane) Reading() (*book.State, time.Time) {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	return p.view.state.Reading(), p.config.Clock.Now()
}

// Isolation is what the prover says of a lease now.
type Isolation struct {
	Verdict prove.Verdict
	// Apart and Together are its two halves: whether others are kept out, and whether its
	// own members reach each other (prove.Apart, prove.Together).
	Apart, Together          prove.Verdict
	Ports, Red, Cut, Unknown int
	Findings                 []string

	elsewhere bool // something was found at ports that are not its own
}

// Isolation judges the delivered nodes of a lease from what was last read back.
func (p *Plane) Isolation(id lease.ID) (Isolation, bool) {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	s := p.view.state
	l, ok := s.LeaseByID(id)
	if !ok || p.seen.prover == nil {
		return Isolation{}, false
	}
	var ports []site.Port
	var nodes []site.Index
	for slot, n := range l.Slots {
		if s.SlotUp(l, slot) {
			nodes = append(nodes, n)
			for _, nic := range s.Site.NICsOf(n) {
				ports = append(ports, site.PortOf(n, nic))
			}
		}
	}
	verdict, findings := p.seen.prover.Lease(ports)
	out := Isolation{Verdict: verdict, Ports: len(ports)}
	for _, f := range findings {
		out.Findings, out.elsewhere = append(out.Findings, f.String()), out.elsewhere || f.Elsewhere
	}
	out.count(p.seen.prover, ports)
	if l.Management != "" && len(nodes) > 0 {
		p.seen.zones.judge(&out, nodes)
	}
	out.Apart = prove.Apart(out.Ports, out.Red, out.Unknown, out.elsewhere)
	out.Together = prove.Together(out.Ports, out.Cut, out.Red, out.Unknown)
	return out, true
}

// count adds the ports that are red, cut off and unknown.
func (i *Isolation) count(p *prove.Prover, ports []site.Port) {
	for _, port := range ports {
		switch v, _ := p.Verdict(port); v {
		case prove.Red:
			i.Red++
		case prove.Cut:
			i.Cut++
		case prove.Unknown:
			i.Unknown++
		}
	}
}

// AsWanted calls look with the state and with whether a node's ports read back
// as they should.
func (p *Plane) AsWanted(look func(s *book.State, asWanted func(n site.Index) bool)) {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	look(p.view.state, func(n site.Index) bool {
		for _, nic := range p.view.state.Site.NICsOf(n) {
			if !p.seen.AsWanted(site.PortOf(n, nic)) {
				return false
			}
		}
		return true
	})
}

// ChooseReplacement proposes the nearest node for a slot.
func (p *Plane) ChooseReplacement(id lease.ID, slot uint32) (site.Index, bool) {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	s := p.view.state
	l, ok := s.LeaseByID(id)
	if !ok || int(slot) >= len(l.Slots) {
		return 0, false
	}
	to := place.ReplaceFailures(s.Site, s.CandidatesFor(l), []place.Failure{s.FailureOf(l, l.Slots[slot])}, s.LinksOf())
	return to[0], to[0] != place.NoNode
}

// EntriesFrom yields the entries of a scope that are durable now, from a number in the
// scope on, in order. Cost: O(entries that it
// yields), whatever other scopes hold.
func (p *Plane) EntriesFrom(ctx context.Context, scope string, number uint64) iter.Seq2[ledger.Entry, error] {
	var size uint64
	p.View(func(s *book.State) { size = s.Scopes[scope] })
	return p.scopeEntries(ctx, scope, number, size)
}

// Ports calls visit with every edge port, its verdict and the check that it
// follows from, as last read back.
func (p *Plane) Ports(visit func(port site.Port, verdict prove.Verdict, check prove.Check)) {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	s := p.view.state
	if p.seen.prover == nil || s.Site == nil {
		return
	}
	for port := range site.Port(min(s.Site.Ports(), p.seen.site.Ports())) {
		if !s.Site.HasPort(port) {
			continue
		}
		verdict, check := p.seen.prover.Verdict(port)
		visit(port, verdict, check)
	}
}

// FailedChecks lists every check that an edge port fails, as last read back, not
// only the first, which its verdict follows from.
func (p *Plane) FailedChecks(port site.Port) []prove.Check {
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	if p.seen.prover == nil || int(port) >= p.seen.site.Ports() {
		return nil
	}
	return p.seen.prover.Failed(port)
}
