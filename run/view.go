package run

import (
	"context"
	"sync"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
)

// view is what readers look at: a second fold of the ledger. It holds what is
// durable and nothing else, group by group of whole commands, while the writer's
// own fold runs ahead of the disk. So a reader waits for nothing but the folding of
// one group in memory: not for the loop, not for a device, not for the disk.
//
// It is what a standby would keep, fed from within the process.
type view struct {
	mu     sync.RWMutex
	state  *book.State // state.Seq is the position that readers see
	trees  map[string]*ledger.Tree
	names  map[string]string // client's name of a command -> the id that was carried out under it
	bodies book.Bodies
	moved  chan struct{} // closed when the position moves on, and made anew
}

// newView returns a view of what the writer holds, all of which must be durable.
// Cost: that of a snapshot and its restoration.
func newView(w *writer) (*view, error) {
	state := book.New()
	if w.state.Seq > 0 {
		data, err := w.state.Snapshot()
		if err != nil {
			return nil, err
		}
		if state, err = book.Restore(data, w.cache); err != nil {
			return nil, err
		}
	}
	v := &view{state: state, trees: map[string]*ledger.Tree{}, names: commandNames(state), bodies: newInventories(w.log), moved: make(chan struct{})}
	for scope, tree := range w.trees {
		v.trees[scope] = tree.Clone()
	}
	return v, nil
}

// show folds entries that are durable now.
func (v *view) show(entries []ledger.Entry, leaves []claim.Digest) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		if err := book.Apply(v.state, e, v.bodies); err != nil {
			return err
		}
		growTrees(v.trees, e.Scope, leaves[i])
		if e.Command != "" {
			v.names[clientName(e.Command)] = e.Command
		}
	}
	close(v.moved)
	v.moved = make(chan struct{})
	return nil
}

// position is the last entry that readers see.
func (v *view) position() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Seq
}

// wait returns nil as soon as readers see an entry, or the context's error.
func (v *view) wait(ctx context.Context, seq uint64) error {
	for {
		v.mu.RLock()
		at, moved := v.state.Seq, v.moved
		v.mu.RUnlock()
		if at >= seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// tree is a copy of the Merkle tree over one scope.
func (v *view) tree(scope string) *ledger.Tree {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if tree := v.trees[scope]; tree != nil {
		return tree.Clone()
	}
	return ledger.NewTree()
}

// done says whether a command was carried out before, and refuses an id that was
// used with another content.
func (v *view) done(id string) (Result, bool, error) {
	if id == "" {
		return Result{}, false, nil
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if seq, ok := v.state.Commands[id]; ok {
		return Result{Entry: seq, Repeated: true}, true, nil
	}
	if _, used := v.names[clientName(id)]; used {
		return Result{}, false, &UsedIDError{}
	}
	return Result{}, false, nil
}

func growTrees(trees map[string]*ledger.Tree, scope string, leaf claim.Digest) {
	for _, of := range [...]string{allScopes, scope} {
		tree := trees[of]
		if tree == nil {
			tree = ledger.NewTree()
			trees[of] = tree
		}
		tree.Append(leaf)
	}
}

// Position is the last entry that readers see. It is durable.
func (p *Plane) Position() uint64 { return p.view.position() }

// Wait returns as soon as readers see an entry, such as the last one of a command
// that was carried out, or the context's error when that ended before.
func (p *Plane) Wait(ctx context.Context, seq uint64) error { return p.view.wait(ctx, seq) }

// View calls look with the state as it is durable, which must not be changed nor
// kept. It waits for nothing but the folding of entries in memory; what is long to
// look at is asked of Reading.
func (p *Plane) View(look func(s *book.State)) {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	look(p.view.state)
}
