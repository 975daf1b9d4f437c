package run

import (
	"context"
	"fmt"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
)

// postureEvery is how often what guards a fabric's management is looked at.
const postureEvery = 10 * time.Minute

// observePostures looks at the fabrics whose management can be taken over.
func (p *Plane) observePostures(ctx context.Context, now time.Time) error {
	for _, f := range p.w.state.Site.Fabrics {
		driver, is := p.config.Devices.Fabrics[f.ID].(fabric.Postured)
		if last, looked := p.seen.postures[f.ID]; !is || looked && now.Sub(last) < postureEvery {
			continue
		}
		posture, err := driver.Posture(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			posture = fabric.Posture{Items: []fabric.PostureItem{{Name: "posture", Grade: "not known", Evidence: err.Error()}}}
		}
		p.seen.postures[f.ID] = now
		if failed := posture.Failed(); len(failed) > 0 {
			p.log.Warn("the management of a fabric is not guarded", "fabric", f.ID, "failed", fmt.Sprint(failed))
		}
		if err := p.carry(ctx, book.RecordPosture{Fabric: f.ID, Posture: posture}); err != nil {
			return err
		}
	}
	return nil
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
