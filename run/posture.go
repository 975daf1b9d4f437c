package run

import (
	"context"
	"fmt"
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

// postureDue reports whether a fabric's posture is to be looked at.
func (p *Plane) postureDue(ctx context.Context, fabricID string, driver fabric.Driver, now time.Time) bool {
	last, looked := p.seen.postures[fabricID]
	since := now.Sub(last)
	switch {
	case !looked || since >= postureEvery:
		return true
	case !p.seen.woken[fabricID]:
		return false
	}
	if can, err := driver.Capabilities(ctx); err != nil || !can.Wakeful {
		delete(p.seen.woken, fabricID)
		return false
	}
	return p.w.state.Unguarded(fabricID) == "" || since >= postureAgain
}

// observePostures looks at the fabrics whose management can be taken over.
func (p *Plane) observePostures(ctx context.Context, now time.Time) error {
	for _, f := range p.w.state.Site.Fabrics {
		driver, is := p.config.Devices.Fabrics[f.ID].(fabric.Postured)
		if !is || !p.postureDue(ctx, f.ID, p.config.Devices.Fabrics[f.ID], now) {
			continue
		}
		holds, err := p.lookAtPosture(ctx, f.ID, driver, now)
		if err != nil {
			return err
		}
		if mender, is := driver.(fabric.Mender); is && !holds && !p.w.state.Control.Adopted && !p.w.state.PausedAt("") {
			// What was taken away is put back, and it is looked at whether it is there.
			if err := mender.Mend(ctx, p.fence()); err != nil {
				p.heed(ctx, f.ID, err)
				p.log.Warn("what guards the management of a fabric can't be put back", "fabric", f.ID, "why", err.Error())
			}
			if _, err := p.lookAtPosture(ctx, f.ID, driver, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookAtPosture records one fabric's posture, and reports whether it holds.
func (p *Plane) lookAtPosture(ctx context.Context, fabricID string, driver fabric.Postured, now time.Time) (holds bool, err error) {
	posture, err := driver.Posture(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		posture = fabric.Posture{Items: []fabric.PostureItem{{Name: "posture", Grade: "not known", Evidence: err.Error()}}}
	}
	p.seen.postures[fabricID] = now
	delete(p.seen.woken, fabricID)
	failed := posture.Failed()
	if len(failed) > 0 {
		p.log.Warn("the management of a fabric is not guarded", "fabric", fabricID, "failed", fmt.Sprint(failed))
	}
	return len(failed) == 0, p.carry(ctx, book.RecordPosture{Fabric: fabricID, Posture: posture})
}

// unguarded says why nothing may be handed over on a fabric now, or "". A posture
// that this writer has not looked at yet does not count as held.
func (p *Plane) unguarded(fabricID string) string {
	if _, is := p.config.Devices.Fabrics[fabricID].(fabric.Postured); is {
		if _, looked := p.seen.postures[fabricID]; !looked {
			return "the posture of fabric " + fabricID + " was not looked at yet"
		}
	}
	return p.w.state.Unguarded(fabricID)
}
