package run

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// stragglers is how long the ready nodes of a scalable unit wait for the others
// after their lease has begun, before they are handed over without them.
const stragglers = time.Hour

// deliver hands over, scalable unit by scalable unit, what is clean, labelled
// and proven.
func (p *Plane) deliver(ctx context.Context) error {
	now, err := p.w.now()
	if err != nil {
		return err
	}
	s := p.w.state
	if s.Site != nil && s.Site.Management != "" {
		p.zonesNow(now) // what is too old counts no more
	}
	held := map[lease.ID]bool{}
	for _, g := range p.deliverable(now) {
		if held[g.lease.ID] {
			continue
		}
		if why := p.unguarded(g.lease.Fabric); why != "" {
			p.log.Warn("not handed over", "lease", g.lease.ID, "why", why)
			held[g.lease.ID] = true
			continue
		}
		if missing := s.MissingVolumes(g.lease, now); len(missing) > 0 {
			p.log.Info("not handed over yet", "lease", g.lease.ID, "volumes", fmt.Sprint(missing))
			held[g.lease.ID] = true
			continue
		}
		found, certificate, err := p.certificate(g.lease, g.nodes)
		if err != nil {
			return err
		}
		if found.Verdict != prove.Proven.String() {
			// These nodes are proven by themselves, so what fails is elsewhere
			// in the fabric, and fails for the whole lease: the next round looks
			// again.
			p.log.Info("not handed over yet", "lease", g.lease.ID, "su", s.Site.SUs[g.su].ID, "verdict", found.Verdict, "failed", fmt.Sprint(found.Failed))
			held[g.lease.ID] = true
			continue
		}
		if err := p.carry(ctx, book.Deliver{Lease: g.lease.ID, SU: g.su, Nodes: g.nodes, Isolation: certificate, Reason: g.reason}); err != nil {
			return err
		}
	}
	return p.recordVerdicts(ctx, now)
}

// handOver is the nodes of one lease in one scalable unit that can be handed
// over now.
type handOver struct {
	lease  *book.Lease
	su     int
	nodes  []site.Index
	reason string
}

func (p *Plane) deliverable(now time.Time) []handOver {
	s := p.w.state
	type key struct {
		lease int32
		su    uint32
	}
	groups := map[key]*handOver{}
	var order []key
	for n := range s.Nodes.By[node.Reserved].All() {
		l := s.LeaseOn(n)
		if l == nil || now.Before(l.Begin) || !now.Before(l.End) || !l.Returning.IsZero() || s.GivenUpNode(n) {
			continue
		}
		k := key{s.Nodes.Lease[n], s.Site.NodeSU[n]}
		if groups[k] == nil {
			groups[k] = &handOver{lease: l, su: int(k.su)}
			order = append(order, k)
		}
		if p.proven(n) && s.HealthOf(n) <= book.Degraded && !s.Nodes.Cordoned[n] {
			groups[k].nodes = append(groups[k].nodes, n)
		}
	}
	var ready []handOver
	for _, k := range order {
		g := groups[k]
		if len(g.nodes) == 0 {
			continue
		}
		waiting, sick := p.waiting(k.lease, int(k.su))
		switch {
		case waiting == 0 && sick == 0:
			g.reason = fmt.Sprintf("all %d nodes are clean, labelled and proven", len(g.nodes))
		case waiting == 0:
			g.reason = fmt.Sprintf("%d nodes are clean, labelled and proven; %d are being replaced", len(g.nodes), sick)
		case now.Sub(g.lease.Begin) >= stragglers:
			g.reason = fmt.Sprintf("%d nodes are clean, labelled and proven; %d of the slots here are not yet", len(g.nodes), waiting+sick)
		default:
			continue
		}
		ready = append(ready, *g)
	}
	return ready
}

// waiting counts the slots of a lease in a scalable unit that are on their way:
// waiting ones will come by themselves, sick ones need another node.
func (p *Plane) waiting(lease int32, su int) (waiting, sick int) {
	s := p.w.state
	for _, n := range s.Site.SUs[su].Nodes {
		if s.Nodes.Lease[n] != lease || s.Nodes.State[n] == node.Delivered || s.GivenUpNode(n) {
			continue
		}
		switch st := s.Nodes.State[n]; {
		case s.NeedsAnother(n):
			sick++
		case st == node.Reserved && p.proven(n) && s.HealthOf(n) <= book.Degraded && !s.Nodes.Cordoned[n]:
		default:
			waiting++
		}
	}
	return waiting, sick
}

// proven says whether every port of a node is, and its BMC where its lease spans those:
// a node whose BMC nobody heard holds no other.
func (p *Plane) proven(n site.Index) bool {
	if l := p.w.state.LeaseOn(n); l != nil && l.Management != "" && !p.seen.zones.proven(n) {
		return false
	}
	for _, nic := range p.w.state.Site.NICsOf(n) {
		port := site.PortOf(n, nic)
		if v, _ := p.seen.prover.Verdict(port); v != prove.Proven || !p.seen.AsWanted(port) {
			return false
		}
	}
	return true
}

// verdictEvery is how long a lease's verdict stands before a change of its ports
// makes a new one: a day while all is well, an hour while something is red,
// unread or not proven. A certificate of a large lease hashes every reading.
func (p *Plane) verdictEvery(l *book.Lease) time.Duration {
	if l.Verdict != prove.Proven.String() || len(p.w.state.Drifted)+len(p.w.state.Unread) > 0 {
		return time.Hour
	}
	return 24 * time.Hour
}

// inTransit says whether a verdict that is not proven only shows a change that
// the loop itself is making: a node that has left its slot and whose ports still
// carry the label until they are written and read back. Nothing has drifted and
// nothing is unread then; or this writer has only just begun, and has not heard of BMCs
// yet. What lasts for an hour is recorded all the same.
func (p *Plane) inTransit(l *book.Lease, c book.RecordVerdict, now time.Time) bool {
	unheard := l.Management != "" && len(p.seen.zones.reads) == 0
	if c.Verdict == prove.Proven.String() || !unheard && len(p.w.state.Drifted)+len(p.w.state.Unread) > 0 {
		delete(p.seen.doubt, l.ID)
		return false
	}
	since, known := p.seen.doubt[l.ID]
	if !known {
		p.seen.doubt[l.ID], since = now, now
	}
	return now.Sub(since) < time.Hour
}

// recordVerdicts records the verdict of leases whose ports have changed since
// the last certificate.
func (p *Plane) recordVerdicts(ctx context.Context, now time.Time) error {
	s := p.w.state
	for i, l := range s.Leases {
		moved := p.seen.zones.moved[i]
		due := l.Dirty && now.Sub(p.seen.judged[l.ID]) >= p.verdictEvery(l)
		if l.Delivered == 0 || !l.Returned.IsZero() || !due && !moved {
			continue
		}
		nodes := p.deliveredNodes(l)
		exposed := slices.ContainsFunc(nodes, func(n site.Index) bool { return s.Nodes.Exposed[n] != 0 })
		command, err := p.verdict(l, nodes)
		if err != nil {
			return err
		}
		if exposed && command.Verdict == prove.Proven.String() {
			continue // read back well, and the ledger does not say yet that it is restored
		}
		apart := prove.Proven // of its BMCs, which no change of the loop's is on the way to
		if l.Management != "" {
			apart = p.zoneVerdict(nodes, now)
		}
		if apart != prove.Red && p.inTransit(l, command, now) {
			continue
		}
		p.seen.judged[l.ID] = now
		if l.Management != "" {
			p.seen.zones.recorded(i, apart)
		}
		if err := p.carry(ctx, command); err != nil {
			return err
		}
	}
	return nil
}
