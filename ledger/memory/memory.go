// Package memory is a ledger engine that keeps everything in memory: for the
// simulator and for tests. It passes ledgertest as every engine does, but for
// what a restart keeps.
package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// Log is the engine.
type Log struct {
	mu        sync.Mutex
	frames    [][]byte
	places    map[string][]uint64 // by scope: where its entries lie
	bodies    map[claim.Digest][]byte
	snapshots map[string]snapshot
}

type snapshot struct {
	seq  uint64
	data []byte
}

// New returns an empty log.
func New() *Log {
	return &Log{places: map[string][]uint64{}, bodies: map[claim.Digest][]byte{}, snapshots: map[string]snapshot{}}
}

// Append implements ledger.Log.
func (l *Log) Append(ctx context.Context, expect uint64, entries []ledger.Entry, bodies []ledger.Body) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if expect != uint64(len(l.frames)) {
		return fmt.Errorf("head is %d, expected %d: %w", len(l.frames), expect, ledger.ErrConflict)
	}
	frames, err := ledger.CheckAppend(expect, entries, bodies, func(scope string) uint64 { return uint64(len(l.places[scope])) })
	if err != nil {
		return err
	}
	l.frames = append(l.frames, frames...)
	for i := range entries {
		l.places[entries[i].Scope] = append(l.places[entries[i].Scope], entries[i].Seq)
	}
	for _, b := range bodies {
		if _, known := l.bodies[b.Digest]; !known {
			l.bodies[b.Digest] = append([]byte(nil), b.Data...)
		}
	}
	return nil
}

// Read implements ledger.Log.
func (l *Log) Read(ctx context.Context, from uint64) iter.Seq2[ledger.Entry, error] {
	return l.read(ctx, func() iter.Seq[uint64] {
		head := uint64(len(l.frames))
		return func(yield func(uint64) bool) {
			for seq := max(from, 1); seq <= head && yield(seq); seq++ {
			}
		}
	})
}

// ReadScope implements ledger.Log.
func (l *Log) ReadScope(ctx context.Context, scope string, from uint64) iter.Seq2[ledger.Entry, error] {
	return l.read(ctx, func() iter.Seq[uint64] {
		seqs := l.places[scope]
		return slices.Values(seqs[min(max(from, 1)-1, uint64(len(seqs))):])
	})
}

// read yields the entries that there are when it begins; which says their positions.
func (l *Log) read(ctx context.Context, which func() iter.Seq[uint64]) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		l.mu.Lock()
		frames, seqs := l.frames, which()
		l.mu.Unlock()
		for seq := range seqs {
			if err := ctx.Err(); err != nil {
				yield(ledger.Entry{}, err)
				return
			}
			e, err := ledger.Decode(frames[seq-1])
			e.Seq = seq
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Head implements ledger.Log.
func (l *Log) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.frames)), nil
}

// Body implements ledger.Log.
func (l *Log) Body(_ context.Context, digest claim.Digest) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, ok := l.bodies[digest]
	if !ok {
		return nil, fmt.Errorf("%s: %w", digest, ledger.ErrNoBody)
	}
	return append([]byte(nil), data...), nil
}

// SaveSnapshot implements ledger.Log.
func (l *Log) SaveSnapshot(_ context.Context, seq uint64, schema string, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > uint64(len(l.frames)) {
		return fmt.Errorf("snapshot after entry %d, the head is %d", seq, len(l.frames))
	}
	if kept, ok := l.snapshots[schema]; ok && kept.seq > seq {
		return nil
	}
	l.snapshots[schema] = snapshot{seq, append([]byte(nil), data...)}
	return nil
}

// LoadSnapshot implements ledger.Log.
func (l *Log) LoadSnapshot(_ context.Context, schema string) (uint64, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.snapshots[schema]
	if !ok {
		return 0, nil, ledger.ErrNoSnapshot
	}
	return s.seq, append([]byte(nil), s.data...), nil
}

// Close implements ledger.Log.
func (l *Log) Close() error { return nil }
