package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
)

// SnapshotSchema names what SaveSnapshot writes: the root of the ledger's tree
// at that entry, 32 bytes, and then the book's own snapshot.
const SnapshotSchema = "run/1+" + book.SnapshotSchema

// errSnapshot says that a snapshot can't be used. The ledger is replayed
// instead: it alone is what happened.
var errSnapshot = errors.New("snapshot not used")

// SaveSnapshot keeps the state as it is now in the store, so that the next start
// need not fold the whole ledger. Nothing depends on it: a snapshot that is
// missing, damaged, of another schema or of another history is passed over.
// Cost at 50,000 nodes: about a second, during which the plane can be read and
// not written.
func (p *Plane) SaveSnapshot(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w.broken != nil || p.w.state.Seq != p.w.durable || p.w.durable == 0 {
		return nil // what is not durable must not come back by way of a snapshot
	}
	state, err := p.w.state.Snapshot()
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	root := p.root()
	if err := p.w.log.SaveSnapshot(ctx, p.w.durable, SnapshotSchema, append(root[:], state...)); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// replay folds the whole ledger, from the newest snapshot on where one fits.
// The trees are grown from every entry in either case: what is signed follows
// from the entries themselves, never from a snapshot.
func (p *Plane) replay(ctx context.Context) error {
	err := p.replaySnapshot(ctx)
	if err == nil {
		return nil
	}
	if !errors.Is(err, errSnapshot) {
		return err
	}
	if !errors.Is(err, ledger.ErrNoSnapshot) {
		p.log.Warn("the ledger is replayed from its beginning", "why", err.Error())
	}
	return p.replayAfter(ctx, book.New(), claim.Digest{})
}

// replaySnapshot replays from the newest snapshot on, or fails with
// errSnapshot.
func (p *Plane) replaySnapshot(ctx context.Context) error {
	seq, data, err := p.w.log.LoadSnapshot(ctx, SnapshotSchema)
	if err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	var root claim.Digest
	if len(data) < len(root) {
		return fmt.Errorf("%w: %d bytes are too few", errSnapshot, len(data))
	}
	copy(root[:], data)
	state, err := book.Restore(bytes.Clone(data[len(root):]), p.w.cache)
	if err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	if state.Seq != seq {
		return fmt.Errorf("%w: it is of entry %d and was kept as of entry %d", errSnapshot, state.Seq, seq)
	}
	return p.replayAfter(ctx, state, root)
}

// replayAfter grows the trees from the first entry on and folds those that the
// state does not hold yet. root is that of the entries that it does.
func (p *Plane) replayAfter(ctx context.Context, state *book.State, root claim.Digest) error {
	p.w.trees = map[string]*ledger.Tree{}
	held := state.Seq
	for e, err := range p.w.log.Read(ctx, 1) {
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if e.Seq > held {
			if err := book.Apply(state, &e, p.w.cache); err != nil {
				return fmt.Errorf("replay: %w", err)
			}
		}
		p.w.grow(&e)
		if e.Seq == held && p.root() != root {
			return fmt.Errorf("%w: it belongs to another history than the entries up to %d", errSnapshot, held)
		}
	}
	if size := p.treeSize(); size < held {
		return fmt.Errorf("%w: it is of entry %d, the ledger ends at %d", errSnapshot, held, size)
	}
	p.w.state, p.w.durable = state, state.Seq
	return nil
}

func (p *Plane) treeSize() uint64 {
	if tree := p.w.trees[allScopes]; tree != nil {
		return tree.Size()
	}
	return 0
}
