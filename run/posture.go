package run

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
)

// How often what guards a fabric's management is looked at: by the clock, and when a
// driver that tells of it says that something changed. What holds is looked at each time;
// what does not is looked at and put back less often, because to put it back is a change
// too.
const (
	postureEvery = 10 * time.Minute
	postureAgain = time.Minute
)

const askPosture = "posture"

// postureDue reports whether a fabric's posture is to be looked at: by the clock, or
// because the driver says that something changed.
func (p *Plane) postureDue(fabricID string, now time.Time) (due, woken bool) {
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	last, looked := p.seen.postures[fabricID]
	since := now.Sub(last)
	if !looked || since >= p.postureEvery() {
		return true, false
	}
	woken = p.seen.woken[fabricID] && (p.w.state.Unguarded(fabricID) == "" || since >= postureAgain)
	return woken, woken
}

// postureEvery is how often a posture is looked at: what is read with it of the
// management network is not to be too old before the next look.
func (p *Plane) postureEvery() time.Duration {
	if s := p.w.state; s.Site.Management != "" {
		return min(postureEvery, s.Policy.IsolationWindow/2)
	}
	return postureEvery
}

// askPostures looks at the fabrics whose management can be taken over: those that are
// due, and those whose devices are about to be shown a fence, which may put back what
// somebody took away before anybody has seen that it was gone.
func (p *Plane) askPostures(ctx context.Context, claims []string) {
	now := p.config.Clock.Now()
	for _, f := range p.w.state.Site.Fabrics {
		driver, is := p.devices().Fabrics[f.ID].(fabric.Postured)
		lane := p.fabricLane(f.ID)
		if !is || p.asking.asked(lane, askPosture) {
			continue
		}
		due, woken := p.postureDue(f.ID, now)
		if !due && !slices.Contains(claims, f.ID) {
			continue
		}
		p.asking.ask(ctx, askPosture, func(ctx context.Context) handler {
			if woken { // it may have told of something else
				if can, err := p.devices().Fabrics[f.ID].Capabilities(ctx); err != nil || !can.Wakeful {
					return func(context.Context) error {
						p.seen.note(func() { delete(p.seen.woken, f.ID) })
						return nil
					}
				}
			}
			posture, err := driver.Posture(ctx)
			return func(ctx context.Context) error {
				return p.hearPosture(ctx, f.ID, posture, p.asking.answered(lane, err))
			}
		}, lane)
	}
}

// guard puts back what was taken away, and looks at whether it is there.
func (p *Plane) guard(ctx context.Context, fabrics []string) {
	for _, id := range fabrics {
		driver, lane, fence := p.devices().Fabrics[id], p.fabricLane(id), p.fence()
		p.asking.ask(ctx, "put the guard of its management back", func(ctx context.Context) handler {
			mended := driver.(fabric.Mender).Mend(ctx, fence)
			posture, err := driver.(fabric.Postured).Posture(ctx)
			return func(ctx context.Context) error {
				if p.asking.answered(lane, mended) != nil {
					p.heed(ctx, id, mended)
					p.log.Warn("what guards the management of a fabric can't be put back", "fabric", id, "why", mended.Error())
				}
				if err := p.hearPosture(ctx, id, posture, p.asking.answered(lane, err)); err != nil {
					return err
				}
				p.seen.note(func() { delete(p.seen.guards, id) }) // the next look finds whether that was enough
				return nil
			}
		}, lane)
	}
}

// hearPosture records one fabric's posture. One that does not hold is planned to be put
// back where a driver can.
func (p *Plane) hearPosture(ctx context.Context, fabricID string, posture fabric.Posture, err error) error {
	if err != nil {
		posture = fabric.Posture{Items: []fabric.PostureItem{{Name: "posture", Grade: "not known", Evidence: err.Error()}}}
	}
	failed := posture.Failed()
	_, can := p.devices().Fabrics[fabricID].(fabric.Mender)
	p.seen.note(func() {
		p.seen.postures[fabricID] = p.config.Clock.Now()
		delete(p.seen.woken, fabricID)
		delete(p.seen.guards, fabricID)
		if can && len(failed) > 0 && !p.config.Observe {
			p.seen.guards[fabricID] = true
		}
	})
	if len(failed) > 0 {
		p.log.Warn("the management of a fabric is not guarded", "fabric", fabricID, "failed", fmt.Sprint(failed))
	}
	p.hearZones(fabricID, posture.Zones, p.config.Clock.Now())
	return p.carry(ctx, book.RecordPosture{Fabric: fabricID, Posture: posture})
}

// unguarded says why nothing may be handed over on a fabric now, or "". A posture
// that this writer has not looked at yet does not count as held.
func (p *Plane) unguarded(fabricID string) string {
	if _, is := p.devices().Fabrics[fabricID].(fabric.Postured); is {
		if _, looked := p.seen.postures[fabricID]; !looked {
			return "the posture of fabric " + fabricID + " was not looked at yet"
		}
	}
	return p.w.state.Unguarded(fabricID)
}
