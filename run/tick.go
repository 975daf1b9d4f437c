package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/node"
)

// maxRounds bounds how often one tick looks again at what it has caused. A
// change that needs more goes on at the next tick.
const maxRounds = 16

// Tick observes, decides and acts until nothing changes any more at this
// instant. An error of one device is not an error of the tick; an error of the
// ledger is, and the plane writes nothing more.
func (p *Plane) Tick(ctx context.Context) error {
	p.mu.Lock()
	clear(p.seen.stuck)
	p.mu.Unlock()
	for range maxRounds {
		changed, err := p.round(ctx)
		if err != nil {
			return ticks(err)
		}
		if !changed || ctx.Err() != nil {
			break
		}
	}
	// Months end on the hour in every zone that anybody bills in, and looking
	// for one costs more than a quiet tick.
	if hour := p.config.Clock.Now().Truncate(time.Hour); p.config.Signers != nil && !p.config.Observe && !hour.Equal(p.invoiced) {
		if _, err := p.IssueInvoices(ctx); err != nil {
			return ticks(err)
		}
		p.invoiced = hour
	}
	return ctx.Err()
}

// round is one pass of the loop. It holds the lock: what it reads from devices
// is judged against the state that it was read for.
func (p *Plane) round(ctx context.Context) (changed bool, err error) {
	p.mu.Lock()
	defer p.unlock()
	before := p.w.state.Seq
	if p.w.state.Site == nil {
		return false, p.w.broken
	}
	if p.w.broken != nil {
		return false, p.w.broken
	}
	p.seen.follow()
	if !p.claim(ctx) {
		return false, p.w.broken
	}
	fabrics := p.askFabrics(ctx) // they answer while what nodes say is checked
	err = p.observeNodes(ctx)
	answers := fabrics()
	if err != nil {
		return false, err
	}
	p.seen.follow()
	if err := p.judgeFabrics(ctx, answers); err != nil {
		return false, err
	}
	if p.config.Observe {
		if err := p.recordFound(ctx); err != nil {
			return false, err
		}
		p.seen.follow()
		return false, p.w.flush(ctx)
	}
	if p.w.state.Control.Recovering {
		if err := p.explain(ctx); err != nil || p.w.state.Control.Recovering {
			return false, errors.Join(err, p.w.flush(ctx))
		}
	}
	now, err := p.w.now()
	if err != nil {
		return false, err
	}
	for _, c := range book.Due(p.w.state, now) {
		if err := p.carry(ctx, c); err != nil {
			return false, err
		}
	}
	p.seen.follow()
	if err := p.observePostures(ctx, now); err != nil {
		return false, err
	}
	if err := p.observeVolumes(ctx, now); err != nil {
		return false, err
	}
	for _, step := range []func(context.Context) (bool, error){p.fenceReclaimed, p.freeLabels, p.replaceFailed, p.deliver} {
		if _, err := step(ctx); err != nil {
			return false, err
		}
		p.seen.follow()
	}
	acted, err := p.act(ctx, now)
	if err != nil {
		return false, err
	}
	if err := p.w.flush(ctx); err != nil {
		return false, err
	}
	return acted || p.w.state.Seq != before, nil
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

// act carries out what the book says is next.
func (p *Plane) act(ctx context.Context, now time.Time) (acted bool, err error) {
	plan := book.Next(p.w.state, p.seen, now)
	plan.Ports = slices.DeleteFunc(plan.Ports, func(w book.PortWork) bool { return p.seen.stuck[w.Port] })
	for _, c := range plan.Commands {
		if err := p.carry(ctx, c); err != nil {
			return false, err
		}
	}
	if len(plan.Steps) > 0 {
		if err := p.begin(ctx, plan.Steps); err != nil {
			return false, err
		}
	}
	if len(plan.Volumes) > 0 {
		if err := p.workVolumes(ctx, plan.Volumes); err != nil {
			return false, err
		}
	}
	if len(plan.Ports) > 0 {
		// What a device is told must follow from what is durable.
		if err := p.w.flush(ctx); err != nil {
			return false, err
		}
		p.applyPorts(ctx, plan.Ports)
	}
	return len(plan.Steps)+len(plan.Ports)+len(plan.Commands) > 0, nil
}

// begin records steps, makes the record durable, and only then gives them to
// the devices.
func (p *Plane) begin(ctx context.Context, steps []node.Step) error {
	root := p.root()
	if err := p.carry(ctx, book.BeginSteps{Steps: steps, Root: root}); err != nil {
		return err
	}
	if err := p.w.flush(ctx); err != nil {
		return err
	}
	if p.config.Devices.Nodes == nil {
		return nil
	}
	for i := range steps {
		steps[i].Nonce = node.Nonce(root, p.w.state.Site.NodeID[steps[i].Node], steps[i].Turnover)
	}
	_, err := p.config.Devices.Nodes.Apply(ctx, steps, p.fence())
	if err != nil {
		p.heed(ctx, ofNodes, err)
		p.log.Warn("node steps failed; they are tried again when their time has passed", "steps", len(steps), "why", err.Error())
		return nil
	}
	return nil
}

// Plan is what the loop would do now.
func (p *Plane) Plan(context.Context) book.Plan {
	p.mu.RLock()
	defer p.mu.RUnlock()
	now, err := p.w.now()
	if err != nil {
		now = p.w.state.Time
	}
	plan := book.Next(p.w.state, p.seen, now)
	if err != nil {
		plan.Held = append(plan.Held, err.Error())
	}
	if why := p.w.readOnly(); why != nil {
		plan.Held = append(plan.Held, why.Error())
	}
	if p.config.Observe {
		plan.Held = append(plan.Held, "this server was started to observe: it writes to no device")
	}
	return plan
}

// Loop ticks at the policy's pace until ctx ends.
func (p *Plane) Loop(ctx context.Context) error {
	for {
		if err := p.Tick(ctx); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was asked to end
			}
			if broken := p.Broken(); broken != nil {
				return broken
			}
			p.log.Error("tick", "why", err.Error())
		}
		pause := time.Minute
		p.View(func(s *book.State) {
			if s.Site != nil {
				pause = s.Policy.Poll
			}
		})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
