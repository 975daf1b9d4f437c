package opensm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
)

// ListenerOptions are a listener's.
type ListenerOptions struct {
	// Manager says at which LID subnet administration is to be asked. It is asked
	// before each subscription, since another manager may have taken over.
	Manager  func(ctx context.Context) (lid uint16, err error)
	Renew    time.Duration                    // how often the subscription is renewed; 0: 5 s
	Patience time.Duration                    // how long its answer may take; 0: 1 s
	Say      func(subscribed bool, why error) // hears when that changes; nil: nobody
}

// Listener hears, through a port of its own, what devices tell their subnet's manager by
// themselves: a link that changed, a packet with a wrong P_Key, a Set with a wrong M_Key.
// Devices send such traps to the manager only; whoever else wants to know subscribes with
// subnet administration, which passes them on as reports (IBTA volume 1, 13.4.8 to
// 13.4.11). Its methods may be called from several goroutines.
//
// A report proves nothing: anybody who reaches this port can send one. It is a reason
// to look at the devices now, and the look is the evidence.
//
// What OpenSM passes on depends on partitions: it reports a trap only to who shares
// one with the device that sent it, and two limited members share none. Switches are
// full members of the default partition, so their traps come through to everybody;
// an adapter's own come through to full members only.
//
// A subscription is renewed all the time, because a manager that starts again has
// forgotten it. What is said between that and the renewal is not heard, so whoever
// relies on reports looks on a period besides.
type Listener struct {
	transport smp.Transport
	options   ListenerOptions
	begin     sync.Once
	ended     sync.WaitGroup
	stop      context.CancelFunc
	running   context.Context
	answers   chan mad.SA

	mu         sync.Mutex
	manager    uint16
	notices    uint64
	more       chan struct{} // closed when heard grows
	subscribed bool
	said       bool
	newest     mad.Notice
}

// NewListener makes a listener of a transport, which it closes when it is closed. It
// subscribes when it is first waited for.
func NewListener(t smp.Transport, o ListenerOptions) *Listener {
	if o.Renew == 0 {
		o.Renew = 5 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = time.Second
	}
	l := &Listener{transport: t, options: o, answers: make(chan mad.SA, 1), more: make(chan struct{})}
	l.running, l.stop = context.WithCancel(context.Background())
	return l
}

// Count counts the notices so far. A subscription that begins counts as one:
// nobody knows what was said before it.
func (l *Listener) Count() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notices
}

// Subscribed says whether the manager took the subscription when it was asked last.
func (l *Listener) Subscribed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subscribed
}

// Wait returns nil once more notices were heard than that, and the context's error
// when that ended before.
func (l *Listener) Wait(ctx context.Context, than uint64) error {
	l.begin.Do(func() {
		l.ended.Add(2)
		go l.receive()
		go l.renew()
	})
	for {
		l.mu.Lock()
		heard, more := l.notices, l.more
		l.mu.Unlock()
		if heard > than {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends the listener and its transport. Who waits goes on waiting.
func (l *Listener) Close() error {
	l.stop()
	err := l.transport.Close()
	l.begin.Do(func() {}) // it never begins any more
	l.ended.Wait()
	return err
}

func (l *Listener) count() {
	l.notices++
	close(l.more)
	l.more = make(chan struct{})
}

// receive is the only reader of the transport.
func (l *Listener) receive() {
	defer l.ended.Done()
	for {
		var p mad.Packet
		lost, err := l.transport.Recv(&p)
		if err != nil {
			l.state(false, fmt.Errorf("the transport ended: %w", err))
			l.stop()
			return
		}
		if lost {
			continue
		}
		if report, err := mad.ParseReport(&p); err == nil {
			l.mu.Lock()
			l.newest = report.Notice
			l.count()
			manager := l.manager
			l.mu.Unlock()
			answer := report.Answer()
			_ = l.transport.Send(manager, &answer) // unanswered, it is sent again
		} else if s, err := mad.ParseSA(&p); err == nil && s.Method == mad.GetResp && s.Attribute == mad.AttrInformInfo {
			select {
			case l.answers <- s:
			default: // nobody waits for so many
			}
		}
	}
}

// renew subscribes again and again.
func (l *Listener) renew() {
	defer l.ended.Done()
	for l.running.Err() == nil {
		err := l.subscribe()
		if l.running.Err() != nil {
			return
		}
		l.state(err == nil, err)
		select {
		case <-l.running.Done():
		case <-time.After(l.options.Renew):
		}
	}
}

func (l *Listener) state(subscribed bool, why error) {
	l.mu.Lock()
	changed := subscribed != l.subscribed || !l.said
	if subscribed && !l.subscribed {
		l.count()
	}
	l.subscribed, l.said = subscribed, true
	l.mu.Unlock()
	if changed && l.options.Say != nil && l.running.Err() == nil {
		l.options.Say(subscribed, why)
	}
}

var errSilent = errors.New("subnet administration does not answer")

// subscribe asks for all notices of all devices. A manager that knows the
// subscription already keeps it as it is.
func (l *Listener) subscribe() error {
	ctx, cancel := context.WithTimeout(l.running, l.options.Patience)
	defer cancel()
	lid, err := l.options.Manager(ctx)
	if err != nil {
		return fmt.Errorf("who manages the subnet: %w", err)
	}
	if lid == 0 || lid >= mad.FirstMulticastLID {
		return fmt.Errorf("LID %d: nobody manages the subnet", lid)
	}
	l.mu.Lock()
	l.manager = lid
	l.mu.Unlock()
	info := mad.InformInfo{FirstLID: mad.EveryLID, Generic: true, Subscribe: true, Kind: mad.EveryTrap, Number: mad.EveryTrap,
		QPN: 1, RespTime: respTime, Producer: mad.EveryProducer}
	ask := mad.SA{Method: mad.Set, TID: uint64(rand.Uint32()), Attribute: mad.AttrInformInfo, Data: info.Encode()}
	packet := ask.Encode()
	if err := l.transport.Send(lid, &packet); err != nil {
		return err
	}
	for {
		select {
		case s := <-l.answers:
			if uint32(s.TID) != uint32(ask.TID) {
				continue // to an earlier one
			}
			if s.Status != mad.StatusOK {
				return fmt.Errorf("subnet administration at LID %d refuses: %s", lid, s.Status)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w at LID %d", errSilent, lid)
		}
	}
}

// respTime is how long a report's answer may take: 4.096 µs times 2 to this, about
// two seconds.
const respTime = 19
