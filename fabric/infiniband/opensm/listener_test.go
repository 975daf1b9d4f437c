package opensm

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/await"
)

// administration is a transport with subnet administration at its other end.
type administration struct {
	out chan mad.Packet

	mu       sync.Mutex
	deaf     bool
	status   mad.Status
	asked    []mad.InformInfo
	answered []mad.Packet
	closed   bool
}

func newAdministration() *administration { return &administration{out: make(chan mad.Packet, 64)} }

func (m *administration) Send(lid uint16, p *mad.Packet) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := mad.ParseSA(p)
	switch {
	case err != nil || lid != 3:
		return errors.New("not for the manager")
	case s.Method == mad.ReportResp:
		m.answered = append(m.answered, *p)
	case s.Method == mad.Set && s.Attribute == mad.AttrInformInfo && !m.deaf && !m.closed:
		m.asked = append(m.asked, mad.ParseInformInfo(&s.Data))
		s.Method, s.Status = mad.GetResp, m.status
		m.out <- s.Encode()
	}
	return nil
}

func (m *administration) Recv(p *mad.Packet) (bool, error) {
	got, open := <-m.out
	if !open {
		return false, net.ErrClosed
	}
	*p = got
	return false, nil
}

func (m *administration) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		close(m.out)
	}
	m.closed = true
	return nil
}

func (m *administration) set(deaf bool, status mad.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaf, m.status = deaf, status
}

func (m *administration) seen() (asked []mad.InformInfo, answered []mad.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked), slices.Clone(m.answered)
}

func report(tid uint64) mad.Packet {
	n := mad.Notice{Generic: true, Number: mad.TrapLinkStateChange}
	s := mad.SA{Method: mad.Report, TID: tid, Attribute: mad.AttrNotice}
	d := n.Encode()
	copy(s.Data[:], d[:])
	return s.Encode()
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

func beginListener(t *testing.T, m *administration, o ListenerOptions) *Listener {
	t.Helper()
	if o.Manager == nil {
		o.Manager = func(context.Context) (uint16, error) { return 3, nil }
	}
	o.Renew, o.Patience = 10*time.Millisecond, 50*time.Millisecond
	l := NewListener(m, o)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestListener(t *testing.T) {
	m := newAdministration()
	l := beginListener(t, m, ListenerOptions{})
	ctx := within(t)
	if l.Count() != 0 || l.Subscribed() {
		t.Fatal("it has begun before anybody waits")
	}
	if err := l.Wait(ctx, 0); err != nil || !l.Subscribed() {
		t.Fatalf("the subscription is no notice: %v", err)
	}
	asked, _ := m.seen()
	if i := asked[0]; !i.Subscribe || !i.Generic || i.FirstLID != 0xffff || i.Number != 0xffff || i.Kind != 0xffff || i.Producer != 0xffffff {
		t.Errorf("asked for %+v", i)
	}
	n := l.Count()
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond) // several renewals
	defer cancel()
	if err := l.Wait(short, n); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a renewal woke somebody: %v", err)
	}
	sent := report(0x1122334455667788)
	m.out <- sent
	if err := l.Wait(ctx, n); err != nil || l.Count() != n+1 || l.last().Number != mad.TrapLinkStateChange {
		t.Errorf("a report: %v, %d heard, %+v", err, l.Count()-n, l.last())
	}
	await.Must(t, "the report's answer", func() bool { _, answered := m.seen(); return len(answered) == 1 })
	if _, answered := m.seen(); answered[0].Header().Method != mad.ReportResp || answered[0].TID() != sent.TID() {
		t.Errorf("the answer is % x", answered[0][:mad.HeaderSize])
	}
}

// What is no report, and no answer to what was asked, changes nothing.
func TestListenerIgnores(t *testing.T) {
	m := newAdministration()
	m.set(true, 0)
	l := beginListener(t, m, ListenerOptions{})
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	forged := (&mad.SA{Method: mad.GetResp, TID: 12345, Attribute: mad.AttrInformInfo}).Encode()
	for range 8 {
		m.out <- forged
	}
	trap := report(1)
	trap[3] = byte(mad.Trap)
	m.out <- trap
	m.out <- mad.Packet{}
	if err := l.Wait(short, 0); !errors.Is(err, context.DeadlineExceeded) || l.Subscribed() || l.Count() != 0 {
		t.Errorf("%v, subscribed %t, %d heard", err, l.Subscribed(), l.Count())
	}
}

// A manager that was silent, or refused, has told nothing meanwhile: when it takes the
// subscription again, that is a reason to look.
func TestListenerSubscribesAgain(t *testing.T) {
	m := newAdministration()
	var mu sync.Mutex
	var said []bool
	l := beginListener(t, m, ListenerOptions{Say: func(subscribed bool, why error) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, subscribed)
		if subscribed != (why == nil) {
			t.Errorf("subscribed %t, %v", subscribed, why)
		}
	}})
	if err := l.Wait(within(t), 0); err != nil {
		t.Fatal(err)
	}
	for _, trouble := range []func(){func() { m.set(true, 0) }, func() { m.set(false, mad.StatusInvalidValue) }} {
		n := l.Count()
		trouble()
		await.Must(t, "the trouble to be noticed", func() bool { return !l.Subscribed() })
		if l.Count() != n {
			t.Error("a lost subscription is no notice")
		}
		m.set(false, 0)
		if err := l.Wait(within(t), n); err != nil || !l.Subscribed() {
			t.Fatalf("%v, subscribed %t", err, l.Subscribed())
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(said, []bool{true, false, true, false, true}) {
		t.Errorf("it said %v", said)
	}
}

func TestListenerWithoutManager(t *testing.T) {
	for name, who := range map[string]func(context.Context) (uint16, error){
		"unknown": func(context.Context) (uint16, error) { return 0, errors.New("this port does not say") },
		"none":    func(context.Context) (uint16, error) { return 0, nil },
	} {
		said := make(chan error, 1)
		l := beginListener(t, newAdministration(), ListenerOptions{Manager: who, Say: func(_ bool, why error) { said <- why }})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if l.Wait(over, 0) == nil {
			t.Errorf("%s: somebody was woken", name)
		}
		if why := <-said; why == nil {
			t.Errorf("%s: it says nothing of the reason", name)
		}
	}
}

// A transport that ends is final, and who closes an idle listener does not wait.
func TestListenerEnds(t *testing.T) {
	if err := NewListener(newAdministration(), ListenerOptions{Manager: func(context.Context) (uint16, error) { return 3, nil }}).Close(); err != nil {
		t.Error(err)
	}
	m := newAdministration()
	l := beginListener(t, m, ListenerOptions{})
	if err := l.Wait(within(t), 0); err != nil {
		t.Fatal(err)
	}
	_ = m.Close()
	await.Must(t, "the end to be noticed", func() bool { return !l.Subscribed() })
}

// last is the notice that came last.
func (l *Listener) last() mad.Notice {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}
