package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/book"
)

// maxRounds bounds how often one tick looks again at what it has caused. A
// change that needs more goes on at the next tick.
const maxRounds = 16

// Tick observes, decides and acts until nothing changes any more at this
// instant. An error of one device is not an error of the tick; an error of the
// ledger is, and the plane writes nothing more. A driver that does not answer within
// the plane's patience is not waited for: its answer is taken in by Hear, or by the
// next tick.
func (p *Plane) Tick(ctx context.Context) error {
	p.seen.note(func() {
		clear(p.seen.stuck)
		clear(p.seen.given)
		clear(p.seen.same)
	})
	p.ticked = p.config.Clock.Now()
	p.behind = p.asking.waits() // what is still asked is not asked anew
	defer p.noteLooked()
	for range maxRounds {
		changed, err := p.round(ctx, true)
		if err != nil {
			return ticks(err)
		}
		if p.behind && !p.asking.waits() { // what was left out has come: now all can be asked
			p.behind, changed = false, true
		}
		if !changed || ctx.Err() != nil {
			break
		}
	}
	// Months end on the hour in every zone that anybody bills in, and looking
	// for one costs more than a quiet tick.
	if hour := p.config.Clock.Now().Truncate(time.Hour); p.config.Signers != nil && !p.config.Observe && !hour.Equal(p.invoiced) && p.w.clock.doubt() == "" {
		if _, err := p.IssueInvoices(ctx); err != nil {
			return ticks(err)
		}
		if !p.invoicesWait() { // else they are tried again at the next look
			p.invoiced = hour
		}
	}
	return ctx.Err()
}

// Hear takes in what drivers have answered since and does what follows, without asking
// them anew. It reports whether anything changed, so that it is worth another tick.
func (p *Plane) Hear(ctx context.Context) (changed bool, err error) {
	if !p.asking.ready() {
		return false, nil
	}
	defer p.noteLooked()
	changed, err = p.round(ctx, false)
	return changed || p.behind && !p.asking.waits(), ticks(err)
}

// noteLooked notes the newest look that every driver has answered. A look that began
// while a driver still had an earlier one to answer left that driver out, so it is not
// one of all.
func (p *Plane) noteLooked() {
	if !p.ticked.IsZero() && !p.behind && !p.asking.waits() {
		p.answered.Store(p.ticked.UnixNano())
	}
}

// Looked is when the newest look began that every driver has answered and whose answers
// were judged, by the plane's clock; zero: none was. A driver that does not answer lets it
// grow old.
func (p *Plane) Looked() time.Time {
	if at := p.answered.Load(); at != 0 {
		return time.Unix(0, at).UTC()
	}
	return time.Time{}
}

// round is one pass of the loop. Devices are asked without the lock; what they answer
// is judged under it, against what was true from the question on.
func (p *Plane) round(ctx context.Context, look bool) (changed bool, err error) {
	before, known, err := p.beginRound(ctx, look)
	if err != nil || !known {
		return false, err
	}
	if err := p.hearAll(ctx); err != nil {
		return false, err
	}
	if err := p.noteTime(ctx); err != nil {
		return false, err
	}
	// What leaks is closed before anything else is thought of.
	locking, err := p.lockDown(ctx)
	if err != nil {
		return false, err
	}
	if locking {
		if err := p.hearAll(ctx); err != nil {
			return false, err
		}
	}
	acted, looks, err := p.decideAndAct(ctx)
	if err != nil {
		return false, err
	}
	if err := p.hearAll(ctx); err != nil {
		return false, err
	}
	return !p.config.Observe && (acted || locking || p.Position() != before+looks), nil // that looks are recorded is no reason to look again
}

// beginRound asks what is to be asked, and reports the position from which the round
// begins, and whether there is a site at all.
func (p *Plane) beginRound(ctx context.Context, look bool) (position uint64, known bool, err error) {
	p.mu.Lock()
	defer p.unlock()
	if p.w.state.Site == nil || p.w.broken != nil {
		return 0, false, p.w.broken
	}
	p.seen.follow()
	if look {
		p.asking.begin()
		first, again := p.claims(p.w.state, p.config.Clock.Now())
		p.claim(ctx, first)
		p.askFabrics(ctx)
		p.askNodes(ctx)
		if !p.w.state.Control.Recovering {
			p.askPostures(ctx, again)
			if !p.config.Observe {
				p.askVolumes(ctx)
			}
		}
		p.claim(ctx, again)
	}
	return p.w.state.Seq, true, nil
}

// noteTime makes the ledger say whether the time is in doubt: after devices were heard,
// so that a writer which is told that it is none writes nothing.
func (p *Plane) noteTime(ctx context.Context) error {
	p.mu.Lock()
	defer p.unlock()
	return p.noteClock(ctx)
}

// decideAndAct decides what follows from what is known, and asks for what is to be
// done. It also returns how many entries say that devices were looked at.
func (p *Plane) decideAndAct(ctx context.Context) (acted bool, looks uint64, err error) {
	p.mu.Lock()
	defer p.unlock()
	now, err := p.w.now()
	if err != nil {
		return false, looks, err
	}
	p.seen.follow()
	if err := p.expire(ctx, now); err != nil {
		return false, looks, err
	}
	if looks, err = p.recordLooks(ctx, false); err != nil {
		return false, looks, err
	}
	if p.config.Observe {
		if err := p.recordFound(ctx); err != nil {
			return false, looks, err
		}
		p.seen.follow()
		return false, looks, p.w.flush(ctx)
	}
	if p.w.state.Control.Recovering {
		if err := p.explain(ctx); err != nil || p.w.state.Control.Recovering {
			return false, looks, errors.Join(err, p.w.flush(ctx))
		}
	}
	for _, c := range book.Due(p.w.state, now) {
		if p.awaitsNodes(c) {
			continue
		}
		if err := p.carry(ctx, c); err != nil {
			return false, looks, err
		}
	}
	p.seen.follow()
	steps := []func(context.Context) error{p.severReclaimed, p.freeLabels, p.replaceFailed, p.deliver}
	if p.w.state.Control.Doubt != nil {
		steps = nil // the book would refuse each at every look
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return false, looks, err
		}
		p.seen.follow()
	}
	acted, err = p.act(ctx, p.plan(p.w.state, now))
	return acted, looks, errors.Join(err, p.w.flush(ctx))
}

// carry gives a command of the loop's own to the book. A refusal is logged and
// does not stop the loop: the next round looks again at what is.
func (p *Plane) carry(ctx context.Context, c book.Command) error {
	err := p.w.decide(ctx, "", c)
	switch {
	case err == nil || errors.Is(err, book.ErrNothing):
		return nil
	case p.w.broken != nil:
		return err
	}
	p.log.Warn("refused", "command", fmt.Sprintf("%T", c), "why", err.Error())
	return nil
}
