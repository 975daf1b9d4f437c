package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/site"
)

// maxBackwards is how far the clock may be behind the ledger's head before
// writing stops. Less than that is waited out by standing still.
const maxBackwards = 5 * time.Second

// flushAt is how many bytes of entries and bodies are collected before they are
// written, in one transaction, while the next ones are decided. A group that is
// still being written at limit is waited for.
const (
	flushAt = 1 << 20
	limit   = 16 << 20
)

// writer turns decisions into entries: it gives them their place, time and
// salt, folds them into the state, and appends them in groups. One goroutine
// uses it at a time, under the plane's lock.
//
// Entries are folded before they are durable, and long turns write their first
// entries while they decide the next. That is safe because nobody else sees this state
// (readers see the view's, which is shown groups when they are durable), because no
// device is told of it until flush has returned, and because a failed append is
// the end of this writer: it never goes on from a state that the ledger does not hold.
type writer struct {
	log   ledger.Log
	state *book.State
	clock *keeper
	salt  io.Reader
	trees map[string]*ledger.Tree // by scope
	cache *inventories

	durable uint64 // entries that are known to be in the log
	group          // decided after those that are being written
	writing *writing
	broken  error
	stopped atomic.Pointer[error]                      // broken, for those who do not hold the plane's lock
	show    func([]ledger.Entry, []claim.Digest) error // entries that are durable, and their leaf hashes
	notify  func([]ledger.Entry)
	audit   func(*book.State) error
}

// group is what goes into one transaction: whole commands.
type group struct {
	entries []ledger.Entry
	leaves  []claim.Digest // of the entries' frames
	bodies  []ledger.Body
	size    int // bytes
}

// writing is a group on its way into the log.
type writing struct {
	group
	done chan struct{} // closed when these are there
	err  error
	// shown says why readers could not be shown what is durable: their fold and the
	// writer's have parted.
	shown error
}

// ErrClock is returned while the machine's clock is behind the ledger.
var ErrClock = errors.New("the clock is behind the ledger's last entry: nothing is written until it is set right; where it is the ledger that is in the future, bulkhead ledger set-aside is the way back")

// now is max(clock, head's time).
func (w *writer) now() (time.Time, error) { return w.clock.after(w.state.Time) }

// decide gives one command to the book and folds what it comes to. A refusal
// changes nothing.
func (w *writer) decide(ctx context.Context, command string, c book.Command) error {
	if w.broken != nil {
		return w.broken
	}
	now, err := w.now()
	if err != nil {
		return err
	}
	decision, err := book.Decide(w.state, c, book.Env{Now: now, Doubt: w.clock.doubt()})
	if err != nil {
		return err
	}
	// What no frame can hold is refused before anything of it is folded.
	for _, d := range decision.Drafts {
		if err := ledger.Fits(&ledger.Entry{Command: command, Kind: d.Kind, Scope: d.Scope, Body: d.Body}); err != nil {
			return &book.Refusal{Field: "command", Reason: err.Error()}
		}
	}
	for _, b := range decision.Bodies {
		w.size += len(b.Data)
		w.cache.pending[b.Digest] = b.Data
	}
	w.bodies = append(w.bodies, decision.Bodies...)
	named := namesCommand(decision.Drafts)
	for _, d := range decision.Drafts {
		command := command
		if named && d.Scope != book.SiteScope {
			command = ""
		}
		e := ledger.Entry{
			Seq: w.state.Seq + 1, Time: now, Term: w.state.Term, Command: command,
			Kind: d.Kind, Scope: d.Scope, ScopeSeq: w.state.Scopes[d.Scope] + 1, Body: d.Body,
		}
		if _, err := io.ReadFull(w.salt, e.Salt[:]); err != nil {
			return w.fail(fmt.Errorf("salt: %w", err))
		}
		if err := book.Apply(w.state, &e, w.cache); err != nil {
			return w.fail(fmt.Errorf("the book can't fold its own decision: %w", err))
		}
		if w.audit != nil {
			if err := w.audit(w.state); err != nil {
				return w.fail(fmt.Errorf("after entry %d (%s): %w", e.Seq, e.Kind, err))
			}
		}
		w.leaves = append(w.leaves, w.grow(&e))
		w.entries = append(w.entries, e)
		w.size += len(e.Body)
	}
	if w.size >= limit || w.size >= flushAt && w.idle() {
		return w.start(ctx)
	}
	return nil
}

// namesCommand says whether entries of the site's scope carry the id that a client gave
// the command. Then no tenant's do: the id is in the owner's words, or in another
// tenant's, and may be about others.
func namesCommand(drafts []book.Draft) bool {
	return slices.ContainsFunc(drafts, func(d book.Draft) bool { return d.Scope == book.SiteScope })
}

func (w *writer) grow(e *ledger.Entry) (leaf claim.Digest) {
	leaf = ledger.LeafHash(ledger.Encode(e))
	growTrees(w.trees, e.Scope, leaf)
	return leaf
}

// flush makes everything that was decided durable.
func (w *writer) flush(ctx context.Context) error {
	if w.broken != nil {
		return w.broken
	}
	if len(w.entries) > 0 {
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	return w.settle(ctx)
}

// start begins to write the group that was collected, after the one before it.
func (w *writer) start(ctx context.Context) error {
	if err := w.settle(ctx); err != nil {
		return err
	}
	g := &writing{group: w.group, done: make(chan struct{})}
	w.writing, w.group = g, group{}
	after := w.durable
	go func() {
		defer close(g.done)
		// An append must not be cancelled half-way: its outcome would be unknown.
		if g.err = w.log.Append(context.WithoutCancel(ctx), after, g.entries, g.bodies); g.err == nil {
			g.shown = w.show(g.entries, g.leaves)
		}
	}()
	return nil
}

// idle reports whether nothing is being written.
func (w *writer) idle() bool {
	if w.writing == nil {
		return true
	}
	select {
	case <-w.writing.done:
		return true
	default:
		return false
	}
}

// settle waits for the group that is being written. After an error the outcome is
// unknown, so the head is read again: entries that arrived all the same are no
// failure.
func (w *writer) settle(ctx context.Context) error {
	g := w.writing
	if g == nil {
		return w.broken
	}
	<-g.done
	w.writing = nil
	want := w.durable + uint64(len(g.entries))
	if g.err != nil {
		head, headErr := w.log.Head(context.WithoutCancel(ctx))
		if headErr != nil || head != want || !w.holds(ctx, g) {
			return w.fail(fmt.Errorf("append after entry %d: %w%s", w.durable, g.err, w.intruder(ctx, g.err)))
		}
		g.shown = w.show(g.entries, g.leaves)
	}
	if g.shown != nil {
		return w.fail(fmt.Errorf("the readers' fold can't follow entries %d to %d: %w", w.durable+1, want, g.shown))
	}
	w.durable = want
	for i := range g.bodies {
		delete(w.cache.pending, g.bodies[i].Digest)
	}
	if w.notify != nil {
		w.notify(g.entries)
	}
	return nil
}

// holds says whether the log holds the very entries of a group: another writer may
// have appended as many.
func (w *writer) holds(ctx context.Context, g *writing) bool {
	i := 0
	for e, err := range w.log.Read(context.WithoutCancel(ctx), w.durable+1) {
		if err != nil || i >= len(g.entries) || e.Salt != g.entries[i].Salt {
			return false
		}
		i++
	}
	return i == len(g.entries)
}

func (w *writer) fail(err error) error {
	return w.stop(fmt.Errorf("this writer has stopped, nothing more is written: %w", err))
}

// stop lets nothing more be written.
func (w *writer) stop(why error) error {
	w.broken = why
	w.stopped.Store(&why)
	return why
}

// stoppedBy is why nothing more is written, or nil, for those who do not hold the
// plane's lock.
func (w *writer) stoppedBy() error {
	if why := w.stopped.Load(); why != nil {
		return *why
	}
	return nil
}

// inventories reads and keeps the bodies that the fold needs.
type inventories struct {
	log     ledger.Log
	pending map[claim.Digest][]byte            // decided, not durable yet
	parsed  map[claim.Digest]*site.SUInventory // handed over by an import
}

func newInventories(log ledger.Log) *inventories {
	return &inventories{log: log, pending: map[claim.Digest][]byte{}, parsed: map[claim.Digest]*site.SUInventory{}}
}

func (i *inventories) body(digest claim.Digest) ([]byte, error) {
	return i.bodyOf(context.Background(), digest)
}

// bodyOf reads a body, also one that was decided and is not durable yet.
func (i *inventories) bodyOf(ctx context.Context, digest claim.Digest) ([]byte, error) {
	if data, ok := i.pending[digest]; ok {
		return data, nil
	}
	return i.log.Body(ctx, digest)
}

// Header reads a site header.
func (i *inventories) Header(digest claim.Digest) (site.Header, error) {
	data, err := i.body(digest)
	if err != nil {
		return site.Header{}, err
	}
	return site.DecodeHeader(data)
}

// Inventory reads the inventory of a scalable unit.
func (i *inventories) Inventory(digest claim.Digest) (*site.SUInventory, error) {
	if inv, ok := i.parsed[digest]; ok {
		delete(i.parsed, digest)
		return inv, nil
	}
	data, err := i.body(digest)
	if err != nil {
		return nil, err
	}
	return site.DecodeSU(data)
}

// BodiesOf reads what a fold needs from a ledger.
func BodiesOf(log ledger.Log) book.Bodies { return newInventories(log) }
