package run

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// zones is what was read of the management network last, and what follows from it. It
// lives in memory only, as all that was seen does.
type zones struct {
	reads  map[string]*fabric.Zones // by the fabric whose driver read; none: this writer has not heard yet
	prover *prove.Prover            // of all of them; nil: nothing was read
	nodes  int                      // of the site when it was made
	moved  map[int]bool             // leases, by number, whose BMCs' verdict is another than when it was recorded last
	judged map[int]prove.Verdict    // by lease: what it was then
}

func newZones() zones {
	return zones{reads: map[string]*fabric.Zones{}, moved: map[int]bool{}, judged: map[int]prove.Verdict{}}
}

// hearZones takes over what a driver read of the management network. Without an answer
// what was read before goes on counting, until it is too old.
func (p *Plane) hearZones(fabricID string, read *fabric.Zones, now time.Time) {
	if p.w.state.Site == nil || p.w.state.Site.Management == "" {
		return
	}
	z := &p.seen.zones
	if read != nil {
		mine := *read
		if mine.At.After(now) {
			mine.At = now
		}
		last := z.reads[fabricID]
		z.reads[fabricID] = &mine // for the loop alone
		same := last != nil && !mine.Digest.IsZero() && mine.Digest == last.Digest && z.nodes == p.w.state.Site.Nodes()
		if same && len(z.reads) == 1 && now.Sub(last.At) <= p.w.state.Policy.IsolationWindow { // so that nothing has expired either
			p.seen.note(func() { z.prover.MarkAllRead(mine.At) })
			return
		}
		p.proveZones()
		p.paths[p.w.state.Site.Management] = prove.Path{Fencing: fabric.FencedByDevice, Source: read.Source}
	}
	p.compareZones(now)
}

// proveZones makes the prover of all that was read.
func (p *Plane) proveZones() {
	z, s := &p.seen.zones, p.w.state.Site
	var reads []*fabric.Zones
	for _, id := range slices.Sorted(maps.Keys(z.reads)) {
		reads = append(reads, z.reads[id])
	}
	prover := prove.Zones(s, reads...)
	p.seen.note(func() { z.prover, z.nodes = prover, s.Nodes() })
}

// zonesNow is what was read of the management network, as far as it is not too old.
func (p *Plane) zonesNow(now time.Time) *prove.Prover {
	z := &p.seen.zones
	if z.prover == nil || z.nodes != p.w.state.Site.Nodes() {
		p.proveZones() // nodes were imported meanwhile
	}
	p.seen.note(func() { z.prover.Expire(now.Add(-p.w.state.Policy.IsolationWindow)) })
	return z.prover
}

// judge adds to what is said of a lease now what is known of the BMCs of its nodes. For
// whoever reads: it waits for no look.
func (z *zones) judge(out *Isolation, nodes []site.Index) {
	out.Ports += len(nodes)
	if z.prover == nil || slices.Max(nodes) >= site.Index(z.nodes) {
		out.Verdict, out.Unknown = prove.Worse(out.Verdict, prove.Unknown), out.Unknown+len(nodes)
		out.Findings = append(out.Findings, fmt.Sprintf("BMCs: nobody has said yet who reaches those of %d nodes", len(nodes)))
		return
	}
	ports := prove.ZonePorts(slices.Values(nodes))
	verdict, findings := z.prover.Lease(ports)
	out.Verdict = prove.Worse(out.Verdict, verdict)
	for _, f := range findings {
		out.Findings, out.elsewhere = append(out.Findings, "BMCs: "+f.String()), out.elsewhere || f.Elsewhere
	}
	out.count(z.prover, ports)
}

// proven says whether a node's BMC is a zone of its own.
func (z *zones) proven(n site.Index) bool {
	if z.prover == nil || n >= site.Index(z.nodes) {
		return false
	}
	v, _ := z.prover.Verdict(site.PortOf(n, site.Frontend))
	return v == prove.Proven
}

// zoneVerdict is the worst of the verdicts of nodes' BMCs.
func (p *Plane) zoneVerdict(nodes []site.Index, now time.Time) prove.Verdict {
	verdict, _ := p.zonesNow(now).Lease(prove.ZonePorts(slices.Values(nodes)))
	return verdict
}

// compareZones notes the leases whose BMCs' verdict is not what was recorded of it.
func (p *Plane) compareZones(now time.Time) {
	z, s := &p.seen.zones, p.w.state
	for i, l := range s.Leases {
		if l.Management == "" || l.Delivered == 0 || !l.Returned.IsZero() {
			delete(z.moved, i)
			delete(z.judged, i)
			continue
		}
		was, known := z.judged[i]
		if !known { // this writer has recorded none yet: the ledger knows the whole lease's
			was, _ = prove.ParseVerdict(l.Verdict)
		}
		z.moved[i] = p.zoneVerdict(p.deliveredNodes(l), now) != was
	}
}

// recorded notes that a verdict of a lease, by its number, was recorded, and what that of
// its BMCs was then.
func (z *zones) recorded(number int, v prove.Verdict) {
	z.judged[number] = v
	delete(z.moved, number)
}

// deliveredNodes are the nodes that a lease has, by slot.
func (p *Plane) deliveredNodes(l *book.Lease) (nodes []site.Index) {
	s := p.w.state
	for _, n := range l.Slots {
		if s.Nodes.State[n] == node.Delivered && s.LeaseOn(n) == l {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
