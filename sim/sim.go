// Package sim is a whole site in one process, **simulated** from a seed: devices, clock,
// and things that go wrong. The devices are behind the drivers of fabrics, nodes and
// storage, and the clock is virtual. All of it is simulated and says so: evidence carries
// origin "simulated".
//
// Nothing happens by itself. Time passes when Advance says so, and what happens
// meanwhile follows from the seed: the same seed and the same calls give the same
// results, whatever the machine. The outcome of a step is drawn from the seed,
// the node, the turnover and the attempt, so that it does not depend on what else
// was asked in between.
//
// The devices know nothing of a control plane. It may crash, come back and ask
// again; what it wrote to them is still there.
package sim

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/site"
)

// Config is how a site behaves.
type Config struct {
	Seed  uint64
	Start time.Time // of the virtual clock

	// FailureRate is failures that interrupt work, a GPU and day; 0: none.
	FailureRate float64
	Classes     []Class // what fails; their shares sum to 1

	Times Times
	// SlowShare of all steps takes SlowFactor times as long.
	SlowShare  float64
	SlowFactor float64
	// DeadShare of all steps never ends.
	DeadShare float64
	// LiarShare of all wipes reports success and leaves a drive as it was.
	LiarShare float64
}

// PublishedRate is 419 unexpected interruptions in 54 days on 16,384 GPUs, as
// published for the training of Llama 3.
const PublishedRate = 4.7e-4

// Class is a way in which nodes fail.
type Class struct {
	Name   string
	Share  float64       // of all failures
	Takes  time.Duration // until it heals, or what a repair takes; drawn from a half to one and a half
	Heals  bool          // by itself; else only a repair step ends it
	Dead   float64       // share of these in which the node does not answer
	Detail string
}

// The names of classes, as node.Health says them.
const (
	GPUReset       = "gpu-reset"
	LinkFlap       = "link-flap"
	PartSwap       = "part-swap"
	ReturnToVendor = "return-to-vendor"
)

// Times is what steps take in the middle; each is drawn from 0.8 to 1.2 of it.
type Times struct {
	Commission, Sever, Sanitize, Attest, PowerOff time.Duration
	Inspect                                       time.Duration // a repair of a node with no known failure
}

// DefaultConfig returns a site with failures at the published rate. The mix of
// classes is an assumption: most interruptions in that publication ended with a
// restart, and hardware that had to be replaced was the smaller part.
func DefaultConfig(seed uint64, start time.Time) Config {
	return Config{
		Seed: seed, Start: start, FailureRate: PublishedRate,
		Classes: []Class{
			{GPUReset, 0.55, 15 * time.Minute, true, 0, "GPU fell off the bus; reset"},
			{LinkFlap, 0.20, 5 * time.Minute, true, 0, "link down and up again"},
			{PartSwap, 0.20, 24 * time.Hour, false, 0.3, "a part is broken and is swapped"},
			{ReturnToVendor, 0.05, 240 * time.Hour, false, 1, "the baseboard goes back to its vendor"},
		},
		Times: Times{Commission: 55 * time.Minute, Sever: 2 * time.Minute, Sanitize: 30 * time.Minute, Attest: 18 * time.Minute,
			PowerOff: time.Minute, Inspect: time.Hour},
		SlowShare: 0.01, SlowFactor: 2.5, DeadShare: 0.0005,
	}
}

// Check refuses a configuration that makes no sense.
func (c *Config) Check() error {
	for _, share := range []struct {
		name  string
		value float64
		most  float64
	}{{"failure rate", c.FailureRate, 100}, {"slow share", c.SlowShare, 1}, {"dead share", c.DeadShare, 1}, {"liar share", c.LiarShare, 1}, {"slow factor", c.SlowFactor, 1000}} {
		if !(share.value >= 0 && share.value <= share.most) {
			return fmt.Errorf("sim: %s %g: expected 0 to %g", share.name, share.value, share.most)
		}
	}
	if c.Start.Year() < 2000 || c.Start.Year() > 2200 {
		return fmt.Errorf("sim: start %s: expected a time between the years 2000 and 2200", c.Start)
	}
	sum := 0.0
	for _, class := range c.Classes {
		if class.Name == "" || !(class.Share >= 0) || class.Takes <= 0 || !(class.Dead >= 0 && class.Dead <= 1) {
			return fmt.Errorf("sim: class %q: expected a name, a share from 0, a time and a dead share from 0 to 1", class.Name)
		}
		sum += class.Share
	}
	if c.FailureRate > 0 && !(sum > 0.999 && sum < 1.001) || len(c.Classes) > 200 {
		return fmt.Errorf("sim: shares of %d classes sum to %g, expected 1", len(c.Classes), sum)
	}
	for _, t := range []time.Duration{c.Times.Commission, c.Times.Sever, c.Times.Sanitize, c.Times.Attest, c.Times.PowerOff, c.Times.Inspect} {
		if t < time.Second || t > 365*24*time.Hour {
			return fmt.Errorf("sim: a step of %s: expected a second to a year", t)
		}
	}
	if 4*c.Times.Attest < 5*(burnIn+time.Minute) || 4*c.Times.Commission < 10*burnIn {
		return fmt.Errorf("sim: commission %s, attest %s: a burn-in of %s does not fit", c.Times.Commission, c.Times.Attest, burnIn)
	}
	return nil
}

// Sim is a simulated site. Its methods may be called from several goroutines.
type Sim struct {
	config Config

	mu      sync.Mutex
	site    *site.Site
	now     time.Time
	queue   queue
	order   uint64 // of events at one instant
	draws   drawer // of the failure process
	planned uint64 // which failure is planned; others are void
	nodes   nodes
	ports   ports
	opened  []site.Index // nodes whose BMCs are let out, see OpenBMC
	gateway fabric.Zones // what it says of every BMC; without nodes: to be read again
	volume  volumes

	asked      []time.Time // by fabric: when it was looked at last as a whole
	askedNodes time.Time
}

// New returns a site without nodes: add its SUs.
func New(header site.Header, config Config) (*Sim, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	if err := header.Check(); err != nil {
		return nil, err
	}
	if header.Origin != claim.Simulated {
		return nil, fmt.Errorf("sim: site %s has origin %q: only a site that says that it is simulated can be simulated", header.Name, header.Origin)
	}
	s := &Sim{config: config, site: site.New(header), now: config.Start.UTC(), draws: drawer{state: mix(config.Seed ^ 0x5eed)}}
	s.nodes.init()
	s.ports.init(s.site)
	s.asked = make([]time.Time, len(s.site.Fabrics))
	s.volume.init()
	return s, nil
}

// FromTemplate returns the site of a template, its nodes numbered in the order
// in which Compile yields them, as an import numbers them. Cost: about 1.5 s for
// 50,000 nodes.
func FromTemplate(t *site.Template, config Config) (*Sim, error) {
	s, err := New(t.Header(), config)
	if err != nil {
		return nil, err
	}
	if _, err := t.Compile(s.AddSU); err != nil {
		return nil, err
	}
	return s, nil
}

// AddSU adds an SU, switched off.
func (s *Sim) AddSU(inv *site.SUInventory) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.site.AddSU(inv, claim.Digest{}); err != nil {
		return err
	}
	s.nodes.grow(inv)
	s.ports.grow(s.site, inv)
	s.planFailure()
	return nil
}

// Site returns the simulated site, for reading while nothing is added.
func (s *Sim) Site() *site.Site { return s.site }

// Fabrics returns the drivers of all fabrics, by id.
func (s *Sim) Fabrics() map[string]fabric.Driver {
	drivers := map[string]fabric.Driver{}
	for i, f := range s.site.Fabrics {
		drivers[f.ID] = &fabricDriver{s, i}
		if f.Frontend && s.site.Management != "" {
			drivers[f.ID] = gated{&fabricDriver{s, i}}
		}
	}
	return drivers
}

// Now returns the virtual time.
func (s *Sim) Now(context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, nil
}

// askedAt is when a question was put that has come now.
func (s *Sim) askedAt(ctx context.Context) time.Time {
	if at := fabric.Asked(ctx); !at.IsZero() && at.Before(s.now) {
		return at
	}
	return s.now
}

// Asked is the last time at which all fabrics and the nodes were looked at, whoever did;
// zero: some never were. Who is there nobody can tell without a socket.
func (s *Sim) Asked(context.Context) (at time.Time, there bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at = s.askedNodes
	for _, asked := range s.asked {
		if asked.Before(at) {
			at = asked
		}
	}
	return at, true, nil
}

// Advance lets time pass until to, and everything happen that falls in between.
// Time does not go back.
func (s *Sim) Advance(ctx context.Context, to time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.advance(ctx, to)
}

// Pass lets so much time pass, whoever else moves the clock.
func (s *Sim) Pass(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.advance(ctx, s.now.Add(d))
}

func (s *Sim) advance(ctx context.Context, to time.Time) error {
	if to.Before(s.now) {
		return fmt.Errorf("sim: it is %s, time does not go back to %s", s.now.Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	for len(s.queue) > 0 && !s.queue[0].at.After(to) {
		if s.order&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		e.happen()
	}
	s.now = to.UTC()
	return nil
}

// NextEvent returns when something may happen next, or false when nothing will
// without being asked for. It may turn out to be nothing: a failure that hits a
// node that is off.
func (s *Sim) NextEvent(context.Context) (time.Time, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return time.Time{}, false, nil
	}
	return s.queue[0].at, true, nil
}

// event is something that will happen.
type event struct {
	at     time.Time
	order  uint64
	happen func()
}

func (s *Sim) schedule(at time.Time, happen func()) {
	s.order++
	heap.Push(&s.queue, event{at, s.order, happen})
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return last
}
