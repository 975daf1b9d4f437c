package run

import (
	"context"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/site"
)

// freeLabels makes released labels available again once their cool-down is over,
// read-back shows them nowhere, and every port that had them last has been read. What
// a leaf carries that does not answer, or that this writer has not read yet, nobody
// knows: then none is free.
func (p *Plane) freeLabels(ctx context.Context) error {
	now := p.config.Clock.Now()
	for index, f := range p.w.state.Site.Fabrics {
		pool, read := p.w.state.Labels[f.ID], p.seen.confirmed[f.ID]
		var cool []fabric.Allocation
		for _, a := range pool.Allocations() {
			if until, cooling := pool.CoolUntil(a.Value); cooling && !now.Before(until) && !read.Before(until) {
				cool = append(cool, a)
			}
		}
		if len(cool) == 0 || !p.seen.whole(index) || !p.shown(f.ID, read) {
			continue
		}
		for _, a := range cool {
			c := book.FreeLabel{
				Label:       fabric.Label{Fabric: f.ID, Kind: fabric.KindOf(f.Family), Value: a.Value},
				Occurrences: p.seen.prover.Occurrences(index, a.Value), Unseen: p.unseen(index, a.Owner),
			}
			if c.Occurrences+c.Unseen > 0 {
				continue // the book would refuse it at every look
			}
			if err := p.carry(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// shown reports whether every leaf of a fabric was shown this term's fence before it was
// read last. In a term that has written nothing yet an older writer's word still counts,
// and it could give a label again that it knows of.
func (p *Plane) shown(fabricID string, read time.Time) bool {
	if can := p.fabricLane(fabricID).can; can == nil {
		return false
	} else if can.Fencing != fabric.FencedByDevice {
		return true // what an older writer began has ended when the driver writes
	}
	at, is := p.seen.shown[fabricID]
	return is && read.After(at)
}

// unseen counts the ports of a fabric whose nodes an owner had last and which do not
// read as they are to be: of an adapter that is silent only the leaf's half is known.
func (p *Plane) unseen(index int, owner fabric.Owner) (ports int) {
	s := p.w.state
	for _, n := range s.LastLeased(owner) {
		for _, nic := range s.Site.NICsOf(n) {
			if port := site.PortOf(n, nic); s.Site.FabricOf(port) == index && !p.seen.AsWanted(port) {
				ports++
			}
		}
	}
	return ports
}
