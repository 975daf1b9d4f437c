package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
)

// Report is what Verify computed from the entries themselves.
type Report struct {
	Size   uint64                 // entries
	Root   claim.Digest           // of the tree over all of them
	Scopes map[string]ScopeReport // by scope
	First  time.Time              // of the first entry; zero when there is none
	Last   time.Time              // of the last entry
	Bytes  uint64                 // of all frames

	// Published is the checkpoint that was compared with: its Size is 0 when
	// nothing was published. PublishedRoot is the root of the first
	// Published.Size entries as they are now, zero when there are fewer.
	Published     Checkpoint
	PublishedRoot claim.Digest
}

// ScopeReport is the tree of one scope's log.
type ScopeReport struct {
	Size uint64
	Root claim.Digest
}

// Verify reads the whole ledger and computes its trees again. It returns an
// error at the first entry that can't be read, that follows a gap in the ledger
// or in its scope, or whose time is before that of the entry before it; where
// the log ends before its own head; and where it is not a continuation of the
// published checkpoint (ErrRolledBack), or where that is missing (ErrUnguarded). The
// report is filled as far as it came: with these two it is that of the whole ledger.
//
// published may be nil: then nothing shows that the end is missing, or that a
// ledger was written anew. Bodies are not read: an engine checks each against
// its digest when it is read. Cost: two hashes an entry, about 2 µs.
func Verify(ctx context.Context, log Log, published *Published) (Report, error) {
	r := Report{Scopes: map[string]ScopeReport{}}
	if published != nil {
		var err error
		if r.Published, err = published.Load(); err != nil {
			return r, err
		}
	}
	head, err := log.Head(ctx)
	if err != nil {
		return r, err
	}
	all, scopes := NewTree(), map[string]*Tree{}
	for e, err := range log.Read(ctx, 1) {
		if err == nil {
			err = r.follow(&e, all, scopes)
		}
		if err != nil {
			r.roots(all, scopes)
			return r, fmt.Errorf("verify after entry %d: %w", all.Size(), err)
		}
	}
	r.roots(all, scopes)
	if r.Size < head {
		return r, fmt.Errorf("verify: the ledger's head is %d, reading ended at entry %d", head, r.Size)
	}
	if published == nil {
		return r, nil
	}
	if err := published.Present(ctx, log); err != nil {
		return r, err
	}
	return r, published.check(r.Published, r.Size, func(uint64) (claim.Digest, error) { return r.PublishedRoot, nil })
}

// follow adds the next entry.
func (r *Report) follow(e *Entry, all *Tree, scopes map[string]*Tree) error {
	if e.Seq != all.Size()+1 {
		return fmt.Errorf("entry %d, expected entry %d", e.Seq, all.Size()+1)
	}
	tree := scopes[e.Scope]
	if tree == nil {
		tree = NewTree()
		scopes[e.Scope] = tree
	}
	if e.Kind == "" || e.Scope == "" {
		return fmt.Errorf("entry %d has no kind or no scope", e.Seq)
	}
	if e.ScopeSeq != tree.Size()+1 {
		return fmt.Errorf("entry %d is number %d of scope %s, expected number %d", e.Seq, e.ScopeSeq, e.Scope, tree.Size()+1)
	}
	if e.Time.Before(r.Last) && e.Seq > 1 {
		return fmt.Errorf("entry %d is of %s, the one before it of %s: time went back", e.Seq, e.Time.Format(time.RFC3339Nano), r.Last.Format(time.RFC3339Nano))
	}
	frame := Encode(e)
	if len(frame) > MaxFrame {
		return errors.New("frame too large")
	}
	leaf := LeafHash(frame)
	all.Append(leaf)
	tree.Append(leaf)
	if e.Seq == 1 {
		r.First = e.Time
	}
	r.Last = e.Time
	r.Bytes += uint64(len(frame))
	if e.Seq == r.Published.Size {
		r.PublishedRoot = all.Root()
	}
	return nil
}

func (r *Report) roots(all *Tree, scopes map[string]*Tree) {
	r.Size, r.Root = all.Size(), all.Root()
	for name, tree := range scopes {
		r.Scopes[name] = ScopeReport{tree.Size(), tree.Root()}
	}
}
