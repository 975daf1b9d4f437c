package run

import (
	"context"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/prove"
	"bulkhead/site"
)

const askLook = "read back"

// look is one question for the read-back of a fabric.
type look struct {
	index    int // of the fabric
	driver   fabric.Driver
	scope    fabric.Scope
	changes  uint64 // that drivers had been asked for when it was asked
	position uint64 // of the ledger when it was asked: what it says is judged against everything that was true from then on
}

// askFabrics asks for the read-back of what has changed, and of everything when a sweep
// is due, of every fabric that has answered what it was asked before.
func (p *Plane) askFabrics(ctx context.Context) {
	s, now := p.w.state, p.config.Clock.Now()
	joined := map[fabric.Joint][]look{}
	for index, f := range s.Site.Fabrics {
		driver, lane := p.devices().Fabrics[f.ID], p.fabricLane(f.ID)
		if !p.asking.asked(lane, askLook) {
			delete(p.seen.askedAt, index)
		}
		if driver == nil || !p.asking.mayAsk(lane) {
			continue
		}
		if lane.can == nil {
			p.askCapabilities(ctx, index, driver, lane)
		}
		l := look{index: index, driver: driver, position: s.Seq, changes: p.seen.changes, scope: fabric.Scope{Since: p.seen.cursors[f.ID]}}
		if l.scope.Since != 0 && now.Sub(p.seen.swept[f.ID]) >= s.Policy.Sweep {
			l.scope.Since = 0
		}
		p.seen.askedAt[index] = l.position
		if j, is := driver.(fabric.Joined); is && !lane.alone && l.scope.Since != 0 { // a sweep's answer is long enough by itself
			joined[j.Joint()] = append(joined[j.Joint()], l)
			continue
		}
		p.askLook(ctx, l, lane)
		if leaves := p.seen.unsureLeaves(index); len(leaves) > 0 && l.scope.Since != 0 {
			l.scope = fabric.Scope{Leaves: leaves}
			p.askLook(ctx, l, lane)
		}
	}
	for joint, looks := range joined {
		p.askJointly(ctx, joint, looks)
	}
}

// askLook asks one driver.
func (p *Plane) askLook(ctx context.Context, l look, lane *lane) {
	p.asking.ask(ctx, askLook, func(ctx context.Context) handler {
		o, err := l.driver.Observe(ctx, l.scope)
		return func(ctx context.Context) error { return p.hearLook(ctx, l, o, p.asking.answered(lane, err)) }
	}, lane)
}

// askJointly asks drivers of one process in one call.
func (p *Plane) askJointly(ctx context.Context, joint fabric.Joint, looks []look) {
	s := p.w.state
	asks, lanes := make([]fabric.Ask, len(looks)), make([]*lane, len(looks))
	for i, l := range looks {
		id := s.Site.Fabrics[l.index].ID
		asks[i], lanes[i] = fabric.Ask{Fabric: id, Scope: l.scope}, p.fabricLane(id)
	}
	p.asking.ask(ctx, askLook, func(ctx context.Context) handler {
		answers := joint.ObserveAll(ctx, asks)
		return func(ctx context.Context) error {
			for i, l := range looks {
				lanes[i].alone = lanes[i].alone || answers[i].Err != nil
				if err := p.hearLook(ctx, l, answers[i].Observation, p.asking.answered(lanes[i], answers[i].Err)); err != nil {
					return err
				}
			}
			return nil
		}
	}, lanes...)
	for i, l := range looks {
		if leaves := p.seen.unsureLeaves(l.index); len(leaves) > 0 {
			l.scope = fabric.Scope{Leaves: leaves}
			p.askLook(ctx, l, lanes[i])
		}
	}
}

// askCapabilities asks a driver how it is written and read: an isolation certificate
// says so, and its deadline is waited for.
func (p *Plane) askCapabilities(ctx context.Context, index int, driver fabric.Driver, lane *lane) {
	id := p.w.state.Site.Fabrics[index].ID
	p.asking.ask(ctx, "capabilities", func(ctx context.Context) handler {
		can, err := driver.Capabilities(ctx)
		return func(context.Context) error {
			if p.asking.answered(lane, err) != nil {
				p.log.Warn("fabric driver does not say what it can do", "fabric", id, "why", err.Error())
				return nil
			}
			lane.can = &can
			p.paths[id] = prove.Path{Fencing: can.Fencing, Source: "read-back"}
			return nil
		}
	}, lane)
}

// hearLook judges what a fabric answered.
func (p *Plane) hearLook(ctx context.Context, l look, o fabric.Observation, err error) error {
	s, now := p.w.state, p.config.Clock.Now()
	f := s.Site.Fabrics[l.index]
	// An answer that says nothing of any device needs no numbers.
	if err == nil && (l.scope.Since == 0 || len(o.Devices) > 0) {
		err = fabric.SameNumbering(f.ID, o.Numbering, p.numberings.of(p, l.index))
	}
	if err != nil {
		p.log.Warn("fabric not read back", "fabric", f.ID, "why", err.Error())
		return nil
	}
	notAfter(&o, now)
	p.seen.follow()
	partial := l.scope.Leaves != nil
	if err := p.judge(ctx, l, o, now); err != nil {
		return err
	}
	if partial {
		return nil
	}
	var stayed []site.Port
	p.seen.note(func() { stayed = p.seen.stayed(l) })
	if len(stayed) > 0 {
		p.log.Warn("ports read as before although they were written; they are written again at each tick, and that is not said again", "fabric", f.ID, "ports", len(stayed), "first", s.Site.PortName(stayed[0]))
	}
	p.seen.note(func() {
		if l.scope.Since == 0 {
			p.seen.swept[f.ID] = now
		}
		p.seen.cursors[f.ID] = o.Cursor
		p.seen.confirmed[f.ID] = o.At
		delete(p.seen.askedAt, l.index)
		p.seen.forgetChurn()
	})
	return nil
}

// expire makes all of a fabric unknown that has not been read for longer than
// the window, and what could not be judged for as long. That a fabric is silent is recorded
// once a look was asked for as long ago, or was given up: of one that is on its way nobody
// can say yet, and a busy machine is no fault of the fabric's. Nothing counts as proven
// meanwhile.
func (p *Plane) expire(ctx context.Context, now time.Time) error {
	edge := now.Add(-p.w.state.Policy.IsolationWindow)
	for index, f := range p.w.state.Site.Fabrics {
		var lost, silent []site.Leaf
		why := "it does not answer"
		if last, read := p.seen.confirmed[f.ID]; read && last.Before(edge) {
			underway := p.asking.underway(p.fabricLane(f.ID), askLook, edge)
			for _, leaf := range p.seen.leaves(index) {
				if !p.seen.unread[leaf] {
					lost = append(lost, leaf)
				}
				if _, recorded := p.w.state.Unread[leaf]; !recorded && !underway {
					silent = append(silent, leaf)
				}
			}
		} else {
			lost = p.seen.unsureSince(index, edge)
			silent, why = lost, "what is expected of it has changed during every look"
		}
		if len(lost) > 0 {
			p.seen.note(func() { p.seen.lose(lost) })
		}
		if len(silent) == 0 {
			continue
		}
		if err := p.carry(ctx, book.ReportUnread{Leaves: silent, Reason: why}); err != nil {
			return err
		}
	}
	return nil
}
