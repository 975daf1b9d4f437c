package run

import (
	"context"
	"fmt"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
)

// ClockStatus is what a plane takes the time to be, and why.
type ClockStatus struct {
	Now       time.Time // the site's time, by which entries are dated
	Machine   time.Time // what the clock shows
	Head      time.Time // of the ledger's last entry
	Source    string    // of the clock, see SourceMachine
	Confirmed bool      // what ends, wipes, destroys or bills may go by it
	Why       string    // it is not confirmed, or what it is confirmed by
	Since     time.Time // it is not confirmed since, by the site's time; zero otherwise
	// Synchronised is what the machine says of its clock: shown, and no proof.
	Synchronised bool
	// Silent is for how long nobody has told a time that others tell, which stands still
	// meanwhile; 0: it is told, or is the machine's.
	Silent time.Duration
}

// Clock is the site's time now, and whether it is certain.
func (p *Plane) Clock() ClockStatus {
	var head time.Time
	p.View(func(s *book.State) { head = s.Time })
	return p.clockStatus(head)
}

// SiteClock is the site's time for whoever must keep pace with it: it does not jump when
// the machine's clock does, and nobody waits for the plane to ask it.
func (p *Plane) SiteClock() Clock { return p.w.clock }

func (p *Plane) clockStatus(head time.Time) ClockStatus {
	t := p.w.clock.look()
	c := ClockStatus{Now: t.now, Machine: t.shown, Head: head, Source: p.w.clock.source(), Confirmed: t.right, Why: t.doubt(), Since: t.since}
	if counting := p.w.clock.counting; counting != nil {
		c.Synchronised = counting.Synchronised()
	}
	switch _, err := p.w.clock.after(head); {
	case err != nil:
		c.Now, c.Confirmed, c.Why, c.Since = head, false, err.Error(), head
	case c.Now.Before(c.Head):
		c.Now = c.Head // it stands still until the clock has caught up
	}
	if c.Confirmed {
		c.Why = map[string]string{
			SourceMachine:   "the machine's clock keeps step with the machine's own count",
			SourceSimulated: "simulated devices say what time it is",
			SourceVirtual:   "it is set by whoever made this control plane",
		}[c.Source]
	}
	if clock, is := p.w.clock.clock.(follower); is {
		c.Silent = clock.Silent()
	}
	return c
}

// keepTime begins to hold the clock against what is certain, once the ledger is folded.
// From here on the plane knows no other clock.
func (p *Plane) keepTime() error {
	s := p.w.state
	away := p.config.Downtime
	switch {
	case away == 0:
		away = DefaultDowntime
	case away < 0:
		away = 0
	}
	if s.Control.Doubt != nil {
		away = 0 // it was in doubt already: to begin again makes nothing certain
	}
	k := newKeeper(p.config.Clock, s.Time, p.config.Mark, away)
	p.w.clock, p.config.Clock = k, k
	if s.Site == nil {
		return nil
	}
	return p.timeFits(s.Site.Origin)
}

// timeFits refuses the time of simulated devices for a site of real ones: whoever
// answers on their socket would say when leases end.
func (p *Plane) timeFits(origin claim.Origin) error {
	if p.w.clock.source() == SourceSimulated && origin == claim.Hardware {
		return fmt.Errorf("the site's origin is hardware, and its time would be that of simulated devices: serve it without --simulated, and without a socket that brings a clock")
	}
	return nil
}

// noteClock makes the ledger say whether the time is in doubt.
func (p *Plane) noteClock(ctx context.Context) error {
	t := p.w.clock.look()
	before := p.w.state.Control.Doubt != nil
	if t.right != before {
		return nil
	}
	if t.right {
		p.log.Warn("the clock is right again", "machine", stamp(t.shown))
	} else {
		p.log.Error("the time is in doubt: what ends, wipes, destroys or bills waits", "why", t.doubt())
	}
	return p.carry(ctx, book.NoteClock{Machine: t.shown, Why: t.doubt()})
}

// ConfirmClock takes what the machine's clock shows for right from now on, because an
// approver says what time it is by another clock.
func (p *Plane) ConfirmClock(ctx context.Context, id string, said time.Time, by book.Actor, reason string) (Result, error) {
	p.mu.Lock()
	defer p.unlock()
	if r, did, err := p.view.done(id); err != nil || did {
		return r, err
	}
	c := p.clockStatus(p.w.state.Time)
	switch {
	case c.Machine.Before(c.Head.Add(-maxBackwards)):
		return Result{}, &book.Refusal{Field: "clock", Reason: "to confirm it does not help: " + c.Why}
	case c.Confirmed && p.w.state.Control.Doubt == nil:
		return Result{}, &book.Refusal{Field: "clock", Reason: fmt.Sprintf("it is not in doubt: the site's time is %s, by %s", stamp(c.Now), p.w.clock.named())}
	}
	undo := p.w.clock.confirm() // so that the entry is of the time that it confirms
	r, err := p.decide(ctx, id, book.ConfirmClock{Machine: c.Machine, Site: c.Now, Said: said, By: by, Reason: reason})
	if err != nil {
		undo()
	}
	return r, err
}

// ClockMark is where the plane's reckoning of time stands, to be kept beside the ledger
// and given to the next one as Config.Mark. It is not usable where nothing outlives
// this process that counts.
func (p *Plane) ClockMark() (m ClockMark, usable bool) { return p.w.clock.mark() }

// notAfter makes no reading newer than the time at which it arrived: by a clock that
// is ahead a device that falls silent would count as read until its time has come.
func notAfter(o *fabric.Observation, now time.Time) {
	if o.At.After(now) {
		o.At = now
	}
	for i := range o.Devices {
		if o.Devices[i].At.After(now) {
			o.Devices[i].At = now
		}
	}
}

// CertainTime is the time by which something is dated that no plane writes: what the
// machine's clock shows where that is taken for right, and otherwise what is certain to
// have come. It is never before head, the ledger's last entry.
func CertainTime(c Clock, head time.Time, mark ClockMark, away time.Duration) time.Time {
	now := newKeeper(c, head, mark, away).Now()
	if now.Before(head) {
		return head
	}
	return now
}
