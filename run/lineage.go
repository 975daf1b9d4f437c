package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lineage"
)

// ErrReadOnly is wrapped by what a plane refuses that must not write: it was opened to
// read, or it has stepped down.
var ErrReadOnly = errors.New("this server is read-only")

// SteppedDown is why a plane writes no more: devices take another writer's word. It may
// be the one that works on a copy, or the one that somebody took over from. Two that
// both go on would fight over every port, so it is the one that is told first that stops.
type SteppedDown struct {
	Where   string // which devices said so
	Refused *lineage.RefusedError
}

func (s *SteppedDown) Error() string {
	return fmt.Sprintf("%v: it has stepped down: %s: %v. It answers what its ledger holds, appends nothing and tells no device anything. "+
		"If the other writer is the one that counts, stop this server. If this one is to go on, stop the other one for good and this one, "+
		"run bulkhead ledger take-over on this one's folder, and start it again", ErrReadOnly, s.Where, s.Refused)
}

// Unwrap lets errors.Is see ErrReadOnly.
func (s *SteppedDown) Unwrap() []error { return []error{ErrReadOnly, s.Refused} }

// ReadOnly returns why this plane does not write, or nil. Of a plane that has stepped
// down it is a *SteppedDown.
func (p *Plane) ReadOnly() error {
	if err := p.w.stoppedBy(); errors.Is(err, ErrReadOnly) {
		return err
	}
	return nil
}

// ticks is what a tick returns: that nothing may be written is no failure of it.
func ticks(err error) error {
	if errors.Is(err, ErrReadOnly) {
		return nil
	}
	return err
}

// fence is what this writer shows to devices.
func (p *Plane) fence() fabric.Fence {
	return fabric.Fence{Lineage: p.lineage, Term: p.w.state.Term, Run: p.config.Run, Generation: p.w.state.Seq}
}

// ofNodes names the nodes' driver beside the fabrics.
const ofNodes = "the nodes' driver"

// claimEvery is how often the fence is shown again: what an empty change costs at every
// leaf is little, and until then a writer that was taken over from signs contracts.
const claimEvery = 10 * time.Minute

const askClaim = "show the fence of this term"

// claims lists whose devices are to be shown this writer's fence: first in a term's first
// look, before anything is decided, and again every claimEvery. A writer that has nothing to
// write would else never hear that it was taken over from. What is shown again comes after
// the look: it may put back what somebody took away, and that is to be seen.
func (p *Plane) claims(s *book.State, now time.Time) (first, again []string) {
	if p.config.Observe || s.Control.Adopted {
		return nil, nil // it writes to no device
	}
	var all []string
	devices := p.devices()
	for _, f := range s.Site.Fabrics {
		if devices.Fabrics[f.ID] != nil {
			all = append(all, f.ID)
		}
	}
	if devices.Nodes != nil {
		all = append(all, ofNodes)
	}
	for _, what := range all {
		switch at, is := p.seen.claimed[what]; {
		case !is:
			first = append(first, what)
		case now.Sub(at) >= claimEvery:
			again = append(again, what)
		}
	}
	return first, again
}

// claim shows the fence to whom it is due, by a change of nothing. What does not answer
// is asked again at the next look, and keeps nobody.
func (p *Plane) claim(ctx context.Context, due []string) {
	devices, fence := p.devices(), p.fence()
	for _, what := range due {
		lane := p.asking.lane(laneSteps)
		show := func(ctx context.Context) error {
			_, err := devices.Nodes.Apply(ctx, nil, fence)
			return err
		}
		if what != ofNodes {
			lane = p.fabricLane(what)
			show = func(ctx context.Context) error {
				_, err := devices.Fabrics[what].Apply(ctx, fabric.NewChange(what, nil), fence)
				return err
			}
		}
		if !p.asking.mayAsk(lane) {
			continue
		}
		p.asking.ask(ctx, askClaim, func(ctx context.Context) handler {
			err := show(ctx)
			return func(ctx context.Context) error {
				p.claimed(ctx, what, p.asking.answered(lane, err))
				return p.w.broken
			}
		}, lane)
	}
}

// claimed takes over what a driver said to the fence.
func (p *Plane) claimed(ctx context.Context, what string, err error) {
	switch {
	case err == nil:
		now := p.config.Clock.Now()
		p.seen.note(func() { p.seen.claimed[what] = now })
		if _, is := p.seen.shown[what]; !is {
			p.seen.shown[what] = now
		}
	case !p.heed(ctx, what, err) && ctx.Err() == nil:
		p.log.Warn("the fence of this term can't be shown; it is tried again", "devices", what, "why", err.Error())
	}
}

// heed steps down if an error says that devices take another writer's word, and reports
// whether it does. It needs the plane's lock.
func (p *Plane) heed(ctx context.Context, where string, err error) bool {
	var refused *lineage.RefusedError
	if !errors.As(err, &refused) || !refused.ByAnother() {
		return false
	}
	if p.w.broken != nil {
		return true
	}
	// What was decided is kept: readers have seen none of it, and nothing follows from
	// it any more.
	if err := p.w.flush(ctx); err != nil {
		return true
	}
	why := p.w.stop(&SteppedDown{Where: where, Refused: refused})
	p.log.Error("stepped down", "devices", where, "why", why.Error(), "ours", refused.Got.String(), "seen", refused.Newest.String())
	return true
}
