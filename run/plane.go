package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
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

// The purposes of statement keys.
const (
	PurposeStatement = "statement"
	PurposeInvoice   = "invoice"
)

// Config is what a plane is made of.
type Config struct {
	Log       ledger.Log
	Published *ledger.Published // nil: checkpoints are not kept outside the store
	Signers   Signers
	Devices   Devices
	Clock     Clock
	Salt      io.Reader // nil: crypto/rand
	Observe   bool      // read, prove and report; never write to a device
	Writer    string    // name of this writer, for people
	// Lineage gives what is written, which no copy of the ledger has, for the one that
	// the ledger names last. nil: none is named, and devices compare terms alone.
	Lineage  func(last lineage.Lineage) (lineage.Lineage, error)
	Run      string // hexadecimal and random: no other run of this program has it
	ReadOnly string // why nothing is written: not to a device, not to the ledger; "": it is
	Logger   *slog.Logger
	Notify   func([]ledger.Entry)    // after entries are durable; must not block
	Audit    func(*book.State) error // after every entry; an error stops the writer. For the simulator: it is slow
	Shards   int                     // goroutines for checks; 0: as many as there are processors
}

// Plane is a running control plane: the ledger, the state folded from it, what
// was last seen of the devices, and the loop.
type Plane struct {
	config Config
	log    *slog.Logger

	mu   sync.RWMutex // held to write by the loop and by commands
	w    *writer
	seen *seen

	lineage lineage.Lineage   // what it writes
	names   map[string]string // client's name of a command -> the id that was carried out under it

	numberings numberings

	paths    map[string]prove.Path // by fabric: how it is written and read
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
		log: config.Log, clock: config.Clock, salt: config.Salt, notify: config.Notify, audit: config.Audit,
		trees: map[string]*ledger.Tree{}, cache: newInventories(config.Log),
	}
	if err := p.replay(ctx); err != nil {
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
	if config.ReadOnly != "" {
		p.w.broken = fmt.Errorf("%w: %s", ErrReadOnly, config.ReadOnly)
		p.seen, p.names = newSeen(p.w.state), commandNames(p.w.state)
		return p, nil
	}
	if config.Lineage != nil {
		var err error
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
	p.names = commandNames(p.w.state)
	p.learnPaths(ctx)
	return p, nil
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

// decide carries out a command that is new, and makes it durable.
func (p *Plane) decide(ctx context.Context, id string, c book.Command) (Result, error) {
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
	if id != "" {
		p.names[clientName(id)] = id
	}
	return Result{Entry: p.w.state.Seq}, nil
}

// unlock ends a turn in which something may have been decided: nobody sees the state
// while a part of it is still being written, also where the turn ended with an error.
func (p *Plane) unlock() {
	_ = p.w.settle(context.Background()) // an error stays: the writer is broken
	p.mu.Unlock()
}

// View calls look with the state, which must not be changed nor kept.
func (p *Plane) View(look func(s *book.State)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	look(p.w.state)
}

// Broken returns why this plane can't write any more, or nil. One that must not write
// is not broken; see ReadOnly.
func (p *Plane) Broken() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.w.readOnly() != nil {
		return nil
	}
	return p.w.broken
}

// Bodies reads what a fold of this plane's ledger needs.
func (p *Plane) Bodies() book.Bodies { return BodiesOf(p.w.log) }
