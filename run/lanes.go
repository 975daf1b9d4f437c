package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"bulkhead/fabric"
)

// handler is what becomes of an answer: the loop runs it, under the plane's lock.
type handler func(ctx context.Context) error

// lane is the way to one driver. Its questions are put one after the other, each with
// a deadline, on a goroutine of its own: a driver that does not answer holds up its own
// devices, and nothing else.
type lane struct {
	name    string
	queue   []*question // asked, and not put to the driver yet
	workers int         // how many times a goroutine has begun to put them: only the newest goes on
	busy    bool        // a goroutine puts them
	stuck   int         // calls that were given up and have not returned

	answered time.Time // when it answered last without an error, by the plane's clock; zero: never
	age      time.Time // the same by the machine's, or since when it is asked
	failed   string    // why it did not the last time; "": it did

	// can is what the driver said that it can do; nil: it has not said. alone is set
	// after a question that was put to several drivers at once failed, until this one has
	// answered: one that hangs must not make the others unknown. Only the loop touches these.
	can   *fabric.Capabilities
	alone bool
}

// question is one call of a driver.
type question struct {
	seq   uint64
	round uint64
	lanes []*lane // more than one: of the same process
	what  string
	asked time.Time // by the plane's clock
	begun time.Time // by the machine's: for how long it is waited for
	limit time.Duration
	call  func(ctx context.Context) handler

	due   time.Time // when its answer arrives, by the plane's clock
	twice bool
	put   bool // to the driver
	ready bool
	hear  handler
	over  bool // heard, or given up: what comes after that is no answer to anything
}

// Fate is what becomes of the answer to a question. The simulator draws it, so that
// drivers answer late, out of order, twice, or never; outside of it nobody does.
type Fate struct {
	Late  time.Duration // by the plane's clock
	Twice bool
	Never bool
}

// asking holds the questions that are on their way. Its lock is never held while
// anything is waited for.
type asking struct {
	clock Clock
	fate  func(lane, what string) Fate // nil: answers come when they come
	// patience is how long the loop waits for an answer before it goes on without it,
	// by the machine's clock; 0: for as long as a driver's deadline allows, which makes
	// what happens independent of how fast anything is.
	patience time.Duration

	mu      sync.Mutex
	seq     uint64
	round   uint64
	open    []*question
	again   []*question   // answers that come a second time
	arrived chan struct{} // an answer has come
	lanes   map[string]*lane
}

// deadline is how long a driver that names no longer one has to answer.
const deadline = 30 * time.Second

// overdue is how long after its deadline a call that has not returned is given up.
const overdue = 5 * time.Second

// maxStuck is how many calls of one lane may be given up and not have returned before
// nothing more is asked there.
const maxStuck = 3

func newAsking(c *Config) *asking {
	return &asking{clock: c.Clock, patience: c.Patience, fate: c.Fate, arrived: make(chan struct{}, 1), lanes: map[string]*lane{}}
}

// lane returns the lane of a name.
func (a *asking) lane(name string) *lane {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes[name]
	if l == nil {
		l = &lane{name: name, age: time.Now()}
		a.lanes[name] = l
	}
	return l
}

// idle reports whether nothing is on its way on a lane, so that something may be asked.
func (a *asking) idle(l *lane) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return l.stuck < maxStuck && !slices.ContainsFunc(a.open, func(q *question) bool { return slices.Contains(q.lanes, l) })
}

// forget drops a lane on which nothing is asked.
func (a *asking) forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.lanes, name)
}

// begin opens a round of questions: those of one round do not wait for each other.
func (a *asking) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.round++
}

// mayAsk reports whether something may be asked on a lane in this round: nothing of an
// earlier one is on its way there.
func (a *asking) mayAsk(l *lane) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return l.stuck < maxStuck && !slices.ContainsFunc(a.open, func(q *question) bool { return q.round != a.round && slices.Contains(q.lanes, l) })
}

// asked reports whether an answer to something is still to come on a lane.
func (a *asking) asked(l *lane, what string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.open, func(q *question) bool { return q.what == what && slices.Contains(q.lanes, l) })
}

// underway reports whether an answer to something that was asked since a time is still to
// come on a lane.
func (a *asking) underway(l *lane, what string, since time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.open, func(q *question) bool {
		return q.what == what && !q.asked.Before(since) && slices.Contains(q.lanes, l)
	})
}

// ask puts a question to the driver of a lane, or of several lanes of one process. call
// runs without any lock and returns what the loop is to do with the answer.
func (a *asking) ask(ctx context.Context, what string, call func(ctx context.Context) handler, lanes ...*lane) {
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seq++
	q := &question{seq: a.seq, round: a.round, lanes: lanes, what: what, asked: now, begun: time.Now(), limit: deadline, call: call, due: now}
	for _, l := range lanes {
		if l.can != nil {
			q.limit = max(q.limit, l.can.Deadline)
		}
	}
	if a.fate != nil {
		fate := a.fate(lanes[0].name, what)
		q.due, q.twice = now.Add(fate.Late), fate.Twice
		if fate.Never {
			q.due = now.AddDate(100, 0, 0)
		}
	}
	a.open = append(a.open, q)
	first := lanes[0]
	first.queue = append(first.queue, q)
	a.start(ctx, first)
}

// start begins to put the questions of a lane, unless that is being done.
func (a *asking) start(ctx context.Context, l *lane) {
	if !l.busy && len(l.queue) > 0 {
		l.busy = true
		l.workers++
		go a.work(ctx, l, l.workers)
	}
}

// work puts the questions of a lane, one after the other, until there are none, or
// until one of its calls was given up and another goroutine goes on.
func (a *asking) work(ctx context.Context, l *lane, worker int) {
	for {
		a.mu.Lock()
		if len(l.queue) == 0 {
			l.busy = false
			a.mu.Unlock()
			return
		}
		q := l.queue[0]
		l.queue, q.put = l.queue[1:], true
		a.mu.Unlock()
		bounded, cancel := context.WithTimeout(fabric.WithAsked(ctx, q.asked), q.limit)
		hear := q.call(bounded)
		cancel()
		a.mu.Lock()
		if q.over {
			l.stuck--
		}
		q.ready, q.hear = true, hear
		goesOn := l.workers == worker
		a.mu.Unlock()
		select {
		case a.arrived <- struct{}{}:
		default:
		}
		if !goesOn {
			return
		}
	}
}

// take returns the answers that have come, in the order of their times and questions.
// It waits for those that may still come within the loop's patience, and returns
// none when there is none to wait for.
func (a *asking) take(ctx context.Context) []*question {
	for ctx.Err() == nil {
		taken, wait := a.collect(ctx)
		if wait <= 0 {
			return taken
		}
		timer := time.NewTimer(wait)
		select {
		case <-a.arrived:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// collect takes the answers that have come, or says for how long others are still
// waited for. What has taken too long is given up.
func (a *asking) collect(ctx context.Context) (taken []*question, wait time.Duration) {
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.open {
		patience := q.limit + overdue
		if a.patience > 0 {
			patience = a.patience
		}
		if !q.ready {
			wait = max(wait, patience-time.Since(q.begun))
		}
	}
	if wait > 0 {
		return nil, wait
	}
	taken, a.again = a.again, nil
	a.open = slices.DeleteFunc(a.open, func(q *question) bool {
		late := now.Sub(q.asked) > q.limit
		switch {
		case q.ready && !q.due.After(now):
			taken = append(taken, q)
		case q.ready && !late, !q.ready && time.Since(q.begun) < q.limit+overdue:
			return false
		default:
			a.giveUp(ctx, q)
		}
		return true
	})
	slices.SortStableFunc(taken, func(x, y *question) int {
		return cmp.Or(x.due.Compare(y.due), cmp.Compare(x.seq, y.seq))
	})
	for _, q := range taken {
		if q.twice {
			q.twice = false
			a.again = append(a.again, q)
		}
	}
	return taken, 0
}

// giveUp ends the wait for an answer. What its call may have done, or will do yet, is
// for a fence to refuse and for a look to find.
func (a *asking) giveUp(ctx context.Context, q *question) {
	q.over = true
	for _, l := range q.lanes {
		l.failed = fmt.Sprintf("%s: no answer within %s", q.what, q.limit)
		l.alone = l.alone || len(q.lanes) > 1
	}
	first := q.lanes[0]
	if !q.put {
		first.queue = slices.DeleteFunc(first.queue, func(other *question) bool { return other == q })
		return
	}
	if !q.ready {
		first.stuck++
		first.busy = false
		first.workers++ // whoever waits for the call ends with it
		a.start(ctx, first)
	}
}

// answered notes what a driver answered with, and returns the error as it is.
func (a *asking) answered(l *lane, err error) error {
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		l.failed = err.Error()
		return err
	}
	l.answered, l.age, l.failed, l.alone = now, time.Now(), "", false
	return nil
}

// hearAll lets the loop hear the answers to what was asked, and to what is asked
// because of them.
func (p *Plane) hearAll(ctx context.Context) error {
	for {
		taken := p.asking.take(ctx)
		if len(taken) == 0 {
			return ctx.Err()
		}
		for _, q := range taken {
			if err := p.hearOne(ctx, q); err != nil {
				return err
			}
		}
	}
}

// hearOne takes the lock for one answer: commands come between two.
func (p *Plane) hearOne(ctx context.Context, q *question) error {
	if q.over || q.hear == nil {
		return nil
	}
	q.over = true
	p.mu.Lock()
	defer p.unlock()
	return q.hear(ctx)
}

// waits reports whether an answer is still to come.
func (a *asking) waits() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open) > 0
}

// ready reports whether an answer has come that was not taken.
func (a *asking) ready() bool {
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.open, func(q *question) bool { return q.ready && !q.due.After(now) })
}

// Answered tells that an answer has come which the loop did not wait for: Hear takes
// it in.
func (p *Plane) Answered() <-chan struct{} { return p.asking.arrived }
