package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/lineage"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/storage"
)

// Devices are the drivers of a site: one for each fabric, one for all nodes,
// one for storage. A missing driver is a fabric or a kind of device that can't
// be read: everything on it stays unknown.
type Devices struct {
	Fabrics map[string]fabric.Driver // by fabric id
	Nodes   node.Driver
	Storage storage.Driver
}

// Signers sign what the control plane states. Every purpose has a key of its
// own, so that each can be rotated by itself.
type Signers interface {
	Statement(purpose string) (claim.Signer, error)
	Checkpoint(origin string, size uint64, root claim.Digest) ([]byte, error)
	KeyIDs() map[string]string // purpose -> key id in use
}

// Config is what a plane is made of.
type Config struct {
	Log       ledger.Log
	Published *ledger.Published // nil: checkpoints are not kept outside the store
	Signers   Signers
	Devices   Devices
	Clock     Clock
	Mark      ClockMark     // what Plane.ClockMark gave last; zero: nothing was kept
	Downtime  time.Duration // see reckoning.away; 0: DefaultDowntime, negative: none
	Salt      io.Reader     // nil: crypto/rand
	Observe   bool          // read, prove and report; never write to a device
	Writer    string        // name of this writer, for people
	// Lineage gives what is written, which no copy of the ledger has, for the one that
	// the ledger names last. nil: none is named, and devices compare terms alone.
	Lineage  func(last lineage.Lineage) (lineage.Lineage, error)
	Run      string // hexadecimal and random: no other run of this program has it
	ReadOnly string // why nothing is written: not to a device, not to the ledger; "": it is
	Logger   *slog.Logger
	Notify   func([]ledger.Entry)    // after entries are durable; must not block
	Audit    func(*book.State) error // after every entry; an error stops the writer. For the simulator: it is slow
	Shards   int                     // goroutines for checks; 0: as many as there are processors
	// Patience is how long the loop waits for a driver before it goes on without its
	// answer; 0: until the driver's deadline, so that nothing hangs on how fast anything is.
	Patience time.Duration
	Fate     func(lane, what string) Fate // of each answer; nil: it comes when it comes. For the simulator
}

// Plane is a running control plane: the ledger, the state folded from it, what
// was last seen of the devices, and the loop.
//
// Three kinds of waiting never meet here. Readers look at the view and at what was
// seen, and wait for memory only. A command takes the lock and waits for its entries to
// be durable. The loop asks devices without the lock, and takes it to judge what they
// answered and to decide what follows.
type Plane struct {
	config Config
	log    *slog.Logger

	mu   sync.Mutex // held by who decides: the loop, between what it asks of devices, and commands
	w    *writer
	view *view
	seen *seen

	lineage lineage.Lineage // what it writes
	asking  *asking
	driven  atomic.Pointer[Devices] // replaced when another driver is connected

	numberings numberings
	importing  sync.Mutex // held for a whole import: one at a time

	paths    map[string]prove.Path // by fabric: how it is written and read
	ticked   time.Time             // when the newest tick began
	behind   bool                  // it left out a driver that had an earlier look to answer
	answered atomic.Int64          // see Looked, in Unix nanoseconds
	invoiced time.Time             // the hour in which open months were looked for last
}

// Open folds the ledger into a state and begins a new term. It changes nothing
// on any device.
func Open(ctx context.Context, config Config) (*Plane, error) {
	if config.Salt == nil {
		config.Salt = rand.Reader
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Plane{config: config, log: config.Logger}
	p.w = &writer{
		log: config.Log, salt: config.Salt, notify: config.Notify, audit: config.Audit,
		trees: map[string]*ledger.Tree{}, cache: newInventories(config.Log),
	}
	if err := p.replay(ctx); err != nil {
		return nil, err
	}
	if err := p.keepTime(); err != nil {
		return nil, err
	}
	if config.Published != nil {
		if err := config.Published.Present(ctx, config.Log); err != nil {
			return nil, err
		}
		if err := config.Published.Check(p.w.durable, p.rootAt(ctx)); err != nil {
			return nil, err
		}
	}
	var err error
	if p.view, err = newView(p.w); err != nil {
		return nil, err
	}
	p.w.show = p.view.show
	p.driven.Store(&config.Devices)
	p.asking, p.paths = newAsking(&p.config), map[string]prove.Path{}
	if config.ReadOnly != "" {
		p.w.stop(fmt.Errorf("%w: %s", ErrReadOnly, config.ReadOnly))
		p.seen = newSeen(p.w.state)
		return p, nil
	}
	if config.Lineage != nil {
		if p.lineage, err = config.Lineage(p.w.state.Control.Lineage); err != nil {
			return nil, err
		}
	}
	if err := p.w.decide(ctx, "", book.BeginTerm{Writer: config.Writer, Lineage: p.lineage, Run: config.Run}); err != nil {
		return nil, err
	}
	if config.Signers != nil {
		ids := config.Signers.KeyIDs()
		for _, purpose := range sortedPurposes(ids) {
			err := p.w.decide(ctx, "", book.RecordKey{Purpose: purpose, KeyID: ids[purpose], By: config.Writer})
			if err != nil && !errors.Is(err, book.ErrNothing) {
				return nil, err
			}
		}
	}
	if err := p.w.flush(ctx); err != nil {
		return nil, err
	}
	p.seen = newSeen(p.w.state)
	return p, nil
}

// devices are the drivers that are connected now.
func (p *Plane) devices() *Devices { return p.driven.Load() }

// Missing says that drivers should be there and do not answer: until they are connected
// under the same name, Drivers tells of them and the plane is not ready.
func (p *Plane) Missing(name string, why error) { _ = p.asking.answered(p.asking.lane(name), why) }

// Connect adds the drivers of a process that did not answer when this plane was opened.
// They are asked from the next tick on. What is driven already is refused.
func (p *Plane) Connect(name string, more Devices) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := *p.devices()
	all.Fabrics = maps.Clone(all.Fabrics)
	if all.Fabrics == nil {
		all.Fabrics = map[string]fabric.Driver{}
	}
	for id, driver := range more.Fabrics {
		if all.Fabrics[id] != nil {
			return fmt.Errorf("fabric %s is driven already", id)
		}
		all.Fabrics[id] = driver
	}
	if more.Nodes != nil && all.Nodes != nil {
		return errors.New("the nodes are driven already")
	}
	if more.Storage != nil && all.Storage != nil {
		return errors.New("the storage is driven already")
	}
	if more.Nodes != nil {
		all.Nodes = more.Nodes
	}
	if more.Storage != nil {
		all.Storage = more.Storage
	}
	p.driven.Store(&all)
	p.asking.forget(name)
	return nil
}

// Result is what a command came to.
type Result struct {
	Entry    uint64 // last entry that it wrote
	Repeated bool   // the same command id was carried out before
	Nothing  bool   // it would have changed nothing
}

// Submit gives a command to the book. The id is the client's own: the same id
// again changes nothing and succeeds; one that ends with a digest (see CommandID)
// is refused with another content. It returns after the entries are durable.
func (p *Plane) Submit(ctx context.Context, id string, c book.Command) (Result, error) {
	p.mu.Lock()
	defer p.unlock()
	return p.submit(ctx, id, c)
}

// decide carries out a command that is new, and makes it durable. One whose caller
// has gone while it waited for the lock is not carried out: nobody would learn of it.
func (p *Plane) decide(ctx context.Context, id string, c book.Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("not carried out: %w", err)
	}
	if a := approvalOf(ctx); a != nil {
		c = book.WithApproval{Command: c, Approval: a}
	}
	err := p.w.decide(ctx, id, c)
	if errors.Is(err, book.ErrNothing) {
		return Result{Entry: p.w.state.Seq, Nothing: true}, nil
	}
	if err != nil {
		return Result{}, err
	}
	if err := p.w.flush(ctx); err != nil {
		return Result{}, err
	}
	return Result{Entry: p.w.state.Seq}, nil
}

// unlock ends a turn in which something may have been decided: whoever decides next
// finds readers shown all of it, also where the turn ended with an error.
func (p *Plane) unlock() {
	_ = p.w.settle(context.Background()) // an error stays: the writer is broken
	p.mu.Unlock()
}

// Broken returns why this plane can't write any more, or nil. One that must not write
// is not broken; see ReadOnly.
func (p *Plane) Broken() error {
	if err := p.w.stoppedBy(); err != nil && !errors.Is(err, ErrReadOnly) {
		return err
	}
	return nil
}
