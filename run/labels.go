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
func (p *Plane) freeLabels(ctx context.Context) (bool, error) {
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
				return false, err
			}
		}
	}
	return false, nil
}

// shown reports whether every leaf of a fabric was shown this term's fence before it was
// read last, and has it planned where it was not. In a term that has written nothing yet
// an older writer's word still counts, and it could give a label again that it knows of.
func (p *Plane) shown(fabricID string, read time.Time) bool {
	if at, is := p.seen.shown[fabricID]; is {
		return read.After(at)
	}
	can := p.fabricLane(fabricID).can
	if can == nil {
		return false
	}
	if can.Fencing != fabric.FencedByDevice {
		return true // what an older writer began has ended when the driver writes
	}
	p.seen.note(func() { p.seen.toShow[fabricID] = true })
	return false
}

// showFences has the leaves of fabrics shown this term's fence, by a change of nothing.
// Leaves that do not answer are shown it before they are read.
func (p *Plane) showFences(ctx context.Context, fabrics []string) {
	for _, id := range fabrics {
		driver, fence, lane := p.devices().Fabrics[id], p.fence(), p.fabricLane(id)
		if driver == nil {
			continue
		}
		p.asking.ask(ctx, "show the fence of this term", func(ctx context.Context) heard {
			_, err := driver.Apply(ctx, fabric.NewChange(id, nil), fence)
			return func(context.Context) error {
				p.seen.note(func() { delete(p.seen.toShow, id) })
				if p.asking.answered(lane, err) != nil {
					p.log.Warn("the fence of this term can't be shown", "fabric", id, "why", err.Error())
					return nil
				}
				p.seen.shown[id] = p.config.Clock.Now()
				return nil
			}
		}, lane)
	}
}

// unseen counts the ports of a fabric whose nodes an owner had last and which do not
// read as they are to be: of an adapter that is silent only the leaf's half is known.
func (p *Plane) unseen(index int, owner fabric.Owner) (ports int) {
	s := p.w.state
	for _, n := range s.LastHeld(owner) {
		for _, nic := range s.Site.NICsOf(n) {
			if port := site.PortOf(n, nic); s.Site.FabricOf(port) == index && !p.seen.AsWanted(port) {
				ports++
			}
		}
	}
	return ports
}
