package smp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// Options bounds what a client does at once and how long it waits.
type Options struct {
	Window  int           // requests on the way at a time, 1 to 4,096; 0: 32
	Timeout time.Duration // for one try; 0: 500 ms
	Tries   int           // in all; 0: 3
}

const (
	slotBits  = 12
	maxWindow = 1 << slotBits
)

func (o Options) filled() (Options, error) {
	if o.Window == 0 {
		o.Window = 32
	}
	if o.Timeout == 0 {
		o.Timeout = 500 * time.Millisecond
	}
	if o.Tries == 0 {
		o.Tries = 3
	}
	if o.Window < 1 || o.Window > maxWindow || o.Timeout < time.Millisecond || o.Tries < 1 || o.Tries > 100 {
		return o, fmt.Errorf("smp: window %d, timeout %s, tries %d: expected 1 to %d, at least 1 ms, 1 to 100",
			o.Window, o.Timeout, o.Tries, maxWindow)
	}
	return o, nil
}

// Stats counts packets.
type Stats struct {
	Sent       uint64 // repeats too
	Answered   uint64
	Repeated   uint64
	Unanswered uint64 // requests without an answer after all tries
	Unmatched  uint64 // packets that answer nothing that is on the way: late, or forged
}

// Client asks devices. Its methods may be called from several goroutines at
// once; they share the window.
type Client struct {
	transport Transport
	options   Options
	free      chan int      // numbers of slots that nobody uses
	dead      chan struct{} // closed when the transport failed or the client was closed
	nudge     chan struct{} // something is late already
	stop      chan struct{}
	stopOnce  sync.Once
	ended     sync.WaitGroup

	mu    sync.Mutex
	slots []slot
	stats Stats
	err   error // why dead
}

// slot is one request on the way. Its number is in the lower bits of the
// transaction id, the rest is random, so that who cannot see the packets cannot
// forge an answer easily: a guess hits one in 2^20 for each slot.
type slot struct {
	of       *batch // nil: free
	index    int
	tries    int
	deadline time.Time
	lid      uint16
	packet   mad.Packet
}

// batch is one call of Batch.
type batch struct {
	mu     sync.Mutex // one answer at a time
	answer func(int, Answer, error)
	over   bool // the call has returned: no more answers
	left   int
	done   chan struct{} // closed when nothing is left
}

// New makes a client of a transport, which it closes when it is closed.
func New(t Transport, o Options) (*Client, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	c := &Client{transport: t, options: o, free: make(chan int, o.Window), dead: make(chan struct{}),
		nudge: make(chan struct{}, 1), stop: make(chan struct{}), slots: make([]slot, o.Window)}
	for i := range c.slots {
		c.free <- i
	}
	c.ended.Add(2)
	go c.receive()
	go c.repeat()
	return c, nil
}

// Close ends the client and its transport. Calls that wait return an error.
func (c *Client) Close() error {
	var err error
	c.stopOnce.Do(func() {
		close(c.stop)
		err = c.transport.Close()
	})
	c.ended.Wait()
	return err
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Batch asks n questions, as many at a time as the window allows. It calls
// request for 0 to n-1 in order, and answer once for each, one call at a time,
// in the order in which answers come in; neither may call the client. It returns
// when all were answered or given up, or early with an error if ctx ended or the
// transport failed; answer is not called any more after that.
func (c *Client) Batch(ctx context.Context, n int, request func(int) Request, answer func(int, Answer, error)) error {
	if n <= 0 {
		return nil
	}
	b := &batch{answer: answer, left: n, done: make(chan struct{})}
	err := c.ask(ctx, b, n, request)
	if err == nil {
		select {
		case <-b.done:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.dead:
			err = c.why()
		}
	}
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	c.abandon(b)
	return fmt.Errorf("smp: %w", err)
}

func (c *Client) ask(ctx context.Context, b *batch, n int, request func(int) Request) error {
	for i := range n {
		r := request(i)
		packet, lid, err := r.encode()
		if err != nil {
			b.deliver(i, Answer{}, err)
			continue
		}
		var number int
		select {
		case number = <-c.free:
		default:
			select {
			case number = <-c.free:
			case <-ctx.Done():
				return ctx.Err()
			case <-c.dead:
				return c.why()
			}
		}
		packet.SetTID(uint64(rand.Uint32())>>slotBits<<slotBits | uint64(number))
		c.mu.Lock()
		c.slots[number] = slot{of: b, index: i, tries: 1, deadline: time.Now().Add(c.options.Timeout), lid: lid, packet: packet}
		c.stats.Sent++
		c.mu.Unlock()
		if err := c.transport.Send(lid, &packet); err != nil {
			return err
		}
	}
	return nil
}

// One asks one question.
func (c *Client) One(ctx context.Context, r Request) (Answer, error) {
	var got Answer
	var failed error
	err := c.Batch(ctx, 1, func(int) Request { return r }, func(_ int, a Answer, err error) { got, failed = a, err })
	if err != nil {
		return Answer{}, err
	}
	return got, failed
}

func (c *Client) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// abandon frees the slots of a batch that has ended early.
func (c *Client) abandon(b *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		if c.slots[i].of == b {
			c.slots[i].of = nil
			c.free <- i
		}
	}
}

func (b *batch) deliver(i int, a Answer, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.answer(i, a, err)
	if b.left--; b.left == 0 {
		close(b.done)
	}
}

// receive is the only reader of the transport.
func (c *Client) receive() {
	defer c.ended.Done()
	var p mad.Packet
	for {
		lost, err := c.transport.Recv(&p)
		if err != nil {
			c.mu.Lock()
			c.err = fmt.Errorf("the transport ended: %w", err)
			c.mu.Unlock()
			close(c.dead)
			return
		}
		if lost {
			c.lost(&p)
			continue
		}
		c.answered(&p)
	}
}

// at returns the slot that a packet's transaction id names, if it is in use.
func (c *Client) at(p *mad.Packet) (int, *slot) {
	tid := uint32(p.TID())
	number := int(tid & (maxWindow - 1))
	if number >= len(c.slots) || c.slots[number].of == nil || uint32(c.slots[number].packet.TID()) != tid {
		return number, nil
	}
	return number, &c.slots[number]
}

func (c *Client) answered(p *mad.Packet) {
	now := time.Now()
	c.mu.Lock()
	number, s := c.at(p)
	if s == nil || !answers(p, &s.packet) {
		c.stats.Unmatched++
		c.mu.Unlock()
		return
	}
	reply, err := mad.ParseSMP(p)
	if err == nil && reply.Status&mad.StatusBusy != 0 { // the timer asks again
		c.mu.Unlock()
		return
	}
	of, index, sent := s.of, s.index, s.packet
	s.of = nil
	c.stats.Answered++
	c.mu.Unlock()
	c.free <- number

	if err == nil && reply.Status != mad.StatusOK {
		err = &StatusError{To: addressOf(&sent), Attribute: reply.Attribute, Modifier: reply.Modifier, Status: reply.Status}
	}
	of.deliver(index, Answer{Data: reply.Data, At: now}, err)
}

// lost makes a request late that the device gave up. It does not repeat it here:
// to send may have to wait until somebody receives.
func (c *Client) lost(p *mad.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, s := c.at(p)
	if s == nil {
		c.stats.Unmatched++
		return
	}
	s.deadline = time.Time{}
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

func addressOf(p *mad.Packet) Address {
	s, err := mad.ParseSMP(p)
	if err != nil || s.Class == mad.ClassSubnLID {
		return Address{}
	}
	return Address{Route: Route(s.Route())}
}

// repeat asks again what is late, and gives up what was asked often enough.
func (c *Client) repeat() {
	defer c.ended.Done()
	every := time.NewTicker(max(c.options.Timeout/16, time.Millisecond))
	defer every.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.dead:
			return
		case <-every.C:
		case <-c.nudge:
		}
		for number := range c.slots {
			if !c.late(number) {
				return
			}
		}
	}
}

// late looks at one slot. It reports false if the transport failed.
func (c *Client) late(number int) bool {
	now := time.Now()
	c.mu.Lock()
	s := &c.slots[number]
	if s.of == nil || now.Before(s.deadline) {
		c.mu.Unlock()
		return true
	}
	if s.tries < c.options.Tries {
		s.tries++
		s.deadline = now.Add(c.options.Timeout)
		c.stats.Repeated++
		c.stats.Sent++
		packet, lid := s.packet, s.lid
		c.mu.Unlock()
		return c.transport.Send(lid, &packet) == nil
	}
	of, index, to := s.of, s.index, addressOf(&s.packet)
	if s.lid != mad.PermissiveLID {
		to.LID = s.lid
	}
	tries, h := s.tries, s.packet.Header()
	s.of = nil
	c.stats.Unanswered++
	c.mu.Unlock()
	c.free <- number
	of.deliver(index, Answer{}, fmt.Errorf("%s, attribute 0x%04x, modifier 0x%x: %w after %d tries",
		to, uint16(h.Attribute), h.Modifier, ErrNoAnswer, tries))
	return true
}
