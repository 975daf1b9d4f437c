package run

import (
	"context"
	"fmt"
	"slices"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/site"
)

// lockDown closes drifted ports, as the plan says: at most as many as the brake allows
// by one cause. A lockdown is recorded when its driver says that it is done; where it
// does not, the next plan has it again.
func (p *Plane) lockDown(ctx context.Context) (locking bool, err error) {
	p.mu.Lock()
	defer p.unlock()
	if p.config.Observe || p.w.broken != nil || len(p.w.state.Drifted) == 0 {
		return false, nil
	}
	now, err := p.w.now()
	if err != nil {
		return false, err
	}
	p.seen.follow()
	byFabric := map[int][]book.PortFinding{}
	for _, w := range book.NextLockdowns(p.w.state, p.seen, now).Lockdowns {
		index := p.w.state.Site.FabricOf(w.Port)
		byFabric[index] = append(byFabric[index], book.PortFinding{Port: w.Port, Check: w.Check})
	}
	for index, f := range p.w.state.Site.Fabrics {
		lane := p.fabricLane(f.ID)
		if len(byFabric[index]) > 0 && p.devices().Fabrics[f.ID] != nil && p.asking.idle(lane) {
			p.lockPorts(ctx, index, byFabric[index], lane)
			locking = true
		}
	}
	return locking, nil
}

// lockPorts asks a fabric's driver to close ports.
func (p *Plane) lockPorts(ctx context.Context, index int, close []book.PortFinding, lane *lane) {
	id := p.w.state.Site.Fabrics[index].ID
	driver, fence, numbering := p.devices().Fabrics[id], p.fence(), p.numberings.of(p, index)
	ports := make([]site.Port, len(close))
	for i := range close {
		ports[i] = close[i].Port
	}
	p.asking.ask(ctx, fmt.Sprintf("lock %d ports down", len(ports)), func(ctx context.Context) handler {
		// Lockdown does not say how ports are numbered, as changes do.
		can, err := driver.Capabilities(ctx)
		if err == nil {
			err = fabric.SameNumbering(id, can.Numbering, numbering)
		}
		if err == nil {
			err = driver.Lockdown(ctx, ports, fence)
		}
		return func(ctx context.Context) error {
			if p.asking.answered(lane, err) != nil {
				p.heed(ctx, id, err)
				p.log.Error("lockdown failed", "fabric", id, "ports", len(ports), "why", err.Error())
				return nil
			}
			// What was restored, or is not of the site any more, is not closed after the fact.
			done := slices.DeleteFunc(slices.Clone(close), func(f book.PortFinding) bool {
				lock, drifted := p.w.state.Drifted[f.Port]
				return !drifted || lock.State == book.DriftClosed
			})
			if len(done) > 0 {
				p.log.Warn("locked down", "fabric", id, "ports", len(done), "first", p.w.state.Site.PortName(done[0].Port), "check", done[0].Check)
			}
			return p.carry(ctx, book.ReportLocked{Fabric: id, Ports: done})
		}
	}, lane)
}
