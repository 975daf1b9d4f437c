package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"

	"bulkhead/ledger"
)

// Where the entries of a scope lie is in the table place: a row holds the
// positions of consecutive entries of one scope, those of one group as a rule. It
// follows from the entries, and nothing is believed for being in it: what is read
// by it is compared with what it should be, and where it does not fit, or ends too
// early, the ledger itself is read on. A writer makes it anew then, as for a
// ledger of a release that had none.
const placeTable = `CREATE TABLE IF NOT EXISTS place (scope TEXT NOT NULL, first INTEGER NOT NULL, seqs BLOB NOT NULL, PRIMARY KEY (scope, first)) STRICT, WITHOUT ROWID;`

const insertPlace = `INSERT INTO place VALUES (?,?,?)`

// aPlace is how many positions a row holds at most.
const aPlace = 1024

// places are rows on their way into the table.
type places struct {
	insert *sql.Stmt
	open   map[string]*row
}

// row is one row: the positions of entries first, first+1, ... of a scope, each as
// a varint of what it is more than the one before.
type row struct {
	first, n, last uint64
	seqs           []byte
}

func newPlaces(insert *sql.Stmt) *places { return &places{insert, map[string]*row{}} }

// add notes where an entry lies.
func (p *places) add(ctx context.Context, scope string, number, seq uint64) error {
	r := p.open[scope]
	if r == nil {
		r = &row{first: number}
		p.open[scope] = r
	}
	r.seqs = binary.AppendUvarint(r.seqs, seq-r.last)
	r.last = seq
	if r.n++; r.n < aPlace {
		return nil
	}
	return p.write(ctx, scope, r)
}

func (p *places) write(ctx context.Context, scope string, r *row) error {
	delete(p.open, scope)
	_, err := p.insert.ExecContext(ctx, scope, int64(r.first), r.seqs)
	return err
}

// end writes what is open.
func (p *places) end(ctx context.Context) error {
	for scope, r := range p.open {
		if err := p.write(ctx, scope, r); err != nil {
			return err
		}
	}
	return nil
}

// positions decodes a row. What is no row has none.
func positions(seqs []byte) (list []uint64) {
	var last uint64
	for len(seqs) > 0 {
		more, n := binary.Uvarint(seqs)
		if n <= 0 || more == 0 || more > math.MaxInt64-last {
			return nil
		}
		last += more
		list = append(list, last)
		seqs = seqs[n:]
	}
	return list
}

// ensurePlaces makes the table where it is missing or does not reach as far as the
// ledger.
func (l *Log) ensurePlaces(ctx context.Context) error {
	if _, err := l.write.ExecContext(ctx, placeTable); err != nil {
		return err
	}
	for scope, size := range l.heads {
		var first uint64
		var seqs []byte
		err := l.read.QueryRowContext(ctx, `SELECT first, seqs FROM place WHERE scope = ? ORDER BY first DESC LIMIT 1`, scope).Scan(&first, &seqs)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if first+uint64(len(positions(seqs))) != size+1 {
			return l.makePlaces(ctx)
		}
	}
	return nil
}

// makePlaces reads the whole ledger, once.
func (l *Log) makePlaces(ctx context.Context) error {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, `DELETE FROM place`); err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, insertPlace)
	if err != nil {
		return err
	}
	defer insert.Close()
	p := newPlaces(insert)
	for e, err := range l.Read(ctx, 1) {
		if err != nil {
			return err
		}
		if err := p.add(ctx, e.Scope, e.ScopeSeq, e.Seq); err != nil {
			return err
		}
	}
	if err := p.end(ctx); err != nil {
		return err
	}
	return tx.Commit()
}

// ReadScope implements ledger.Log.
func (l *Log) ReadScope(ctx context.Context, scope string, from uint64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		s := &scopeReader{log: l, scope: scope, next: max(from, 1), yield: yield}
		if err := s.read(ctx); err != nil && !errors.Is(err, errEnough) {
			yield(ledger.Entry{}, err)
		}
	}
}

// errEnough ends a read whose reader has had enough.
var errEnough = errors.New("enough")

// scopeReader reads one scope.
type scopeReader struct {
	log   *Log
	scope string
	size  uint64 // of the scope when the read began
	next  uint64 // number in the scope
	after uint64 // position behind which it lies
	yield func(ledger.Entry, error) bool
}

func (s *scopeReader) read(ctx context.Context) error {
	err := s.log.read.QueryRowContext(ctx, `SELECT size FROM scope WHERE name = ?`, s.scope).Scan(&s.size)
	if errors.Is(err, sql.ErrNoRows) || err == nil && s.next > s.size {
		return nil
	}
	if err != nil {
		return err
	}
	if s.log.placed {
		if err := s.byPlaces(ctx); err != nil {
			return err
		}
	}
	if s.next <= s.size {
		return s.byEntries(ctx)
	}
	return nil
}

// byPlaces reads as far as the table leads.
func (s *scopeReader) byPlaces(ctx context.Context) error {
	rows, err := s.log.read.QueryContext(ctx, `SELECT first, seqs FROM place WHERE scope = ?1 AND first >= (SELECT COALESCE(MAX(first), 0) FROM place WHERE scope = ?1 AND first <= ?2) ORDER BY first`, s.scope, int64(min(s.next, math.MaxInt64)))
	if err != nil {
		return err
	}
	defer rows.Close()
	var want []uint64 // positions of next, next+1, ...
	for rows.Next() {
		var first uint64
		var seqs []byte
		if err := rows.Scan(&first, &seqs); err != nil {
			return err
		}
		list := positions(seqs)
		at := s.next + uint64(len(want))
		if first > at {
			break // a row is missing
		}
		want = append(want, list[min(at-first, uint64(len(list))):]...)
		if len(want) >= aPlace {
			fits, err := s.fetch(ctx, want)
			if err != nil || !fits || s.next > s.size {
				return err
			}
			want = want[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = s.fetch(ctx, want)
	return err
}

// fetch reads entries at positions, as long as they are what they should be.
func (s *scopeReader) fetch(ctx context.Context, want []uint64) (fits bool, err error) {
	want = want[:min(uint64(len(want)), s.size+1-s.next)]
	if len(want) == 0 {
		return true, nil
	}
	list, err := json.Marshal(want)
	if err != nil {
		return false, err
	}
	rows, err := s.log.read.QueryContext(ctx, `SELECT entry.seq, entry.frame FROM json_each(?) AS want CROSS JOIN entry ON entry.seq = want.value`, string(list))
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var seq uint64
	var frame sql.RawBytes
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&seq, &frame); err != nil {
			return false, err
		}
		e, err := s.log.decodeRow(seq, frame)
		if err != nil {
			return false, err
		}
		if seq != want[i] || seq <= s.after || e.Scope != s.scope || e.ScopeSeq != s.next {
			return false, nil
		}
		if err := s.give(e); err != nil {
			return false, err
		}
	}
	return true, rows.Err()
}

func (s *scopeReader) give(e ledger.Entry) error {
	s.next, s.after = e.ScopeSeq+1, e.Seq
	if !s.yield(e, nil) {
		return errEnough
	}
	return nil
}

// byEntries reads the ledger itself from the last entry on.
func (s *scopeReader) byEntries(ctx context.Context) error {
	for e, err := range s.log.Read(ctx, s.after+1) {
		if err != nil {
			return err
		}
		switch {
		case e.Scope != s.scope || s.after == 0 && e.ScopeSeq < s.next:
			continue
		case e.ScopeSeq != s.next:
			return fmt.Errorf("%s: entry %d of %s is missing: %w", s.log.path, s.next, s.scope, ErrDamaged)
		}
		if err := s.give(e); err != nil || s.next > s.size {
			return err
		}
	}
	return fmt.Errorf("%s: entry %d of %s is missing: %w", s.log.path, s.next, s.scope, ErrDamaged)
}
