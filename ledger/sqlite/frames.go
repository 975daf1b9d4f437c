package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"strings"

	"bulkhead/ledger"
)

// rowsAStatement is how many rows the INSERTs carry that are prepared when a
// ledger is opened, largest first. Fewer statements cost less; reading the text
// of one costs as much as running it.
var rowsAStatement = [...]int{200, 20, 1}

// sumSize is the length of the checksum that follows each frame in its row.
// SQLite has none of its own in the database file: without it a flipped bit
// would be found only by the tree, and only up to the last published
// checkpoint.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rowSum is CRC-32C of the frame and then of the position, big endian, so that
// two exchanged rows are found too.
func rowSum(seq uint64, frame []byte) uint32 {
	var position [8]byte
	binary.BigEndian.PutUint64(position[:], seq)
	return crc32.Update(crc32.Checksum(frame, castagnoli), castagnoli, position[:])
}

// insertText is the INSERT of n rows. SQLite gives each the position after the
// last: appending at the end is its fastest insert.
func insertText(n int) string {
	return "INSERT INTO entry (frame) VALUES (?)" + strings.Repeat(",(?)", n-1)
}

// insertFrames inserts frames after position after.
func (l *Log) insertFrames(ctx context.Context, tx *sql.Tx, after uint64, frames [][]byte) error {
	args := make([]any, 0, min(rowsAStatement[0], len(frames)))
	for i, rows := range rowsAStatement {
		if len(frames) < rows {
			continue
		}
		insert := tx.StmtContext(ctx, l.inserts[i])
		for len(frames) >= rows {
			args = args[:0]
			for _, frame := range frames[:rows] {
				after++
				args = append(args, binary.BigEndian.AppendUint32(frame, rowSum(after, frame)))
			}
			result, err := insert.ExecContext(ctx, args...)
			if err != nil {
				return err
			}
			if last, err := result.LastInsertId(); err != nil || last != int64(after) {
				return fmt.Errorf("%s: an entry would have got position %d, expected %d: %w", l.path, last, after, ErrDamaged)
			}
			frames = frames[rows:]
		}
	}
	return nil
}

// Read implements ledger.Log. It sees one consistent state of the ledger. An
// entry that is missing or is not what was written ends it with an error.
func (l *Log) Read(ctx context.Context, from uint64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		from = max(from, 1)
		if from > math.MaxInt64 {
			return
		}
		if err := l.readFrom(ctx, from, yield); err != nil {
			yield(ledger.Entry{}, err)
		}
	}
}

// readFrom returns nil where the reader has had enough.
func (l *Log) readFrom(ctx context.Context, from uint64, yield func(ledger.Entry, error) bool) error {
	head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	rows, err := l.read.QueryContext(ctx, `SELECT seq, frame FROM entry WHERE seq >= ? ORDER BY seq`, int64(from))
	if err != nil {
		return err
	}
	defer rows.Close()
	next := from
	var seq uint64
	var row sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&seq, &row); err != nil {
			return err
		}
		if seq != next {
			return l.missing(next)
		}
		e, err := l.decodeRow(seq, row)
		if err != nil {
			return err
		}
		next++
		if !yield(e, nil) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if next <= head {
		return l.missing(next)
	}
	return nil
}

// decodeRow reads the entry of a row whose checksum fits.
func (l *Log) decodeRow(seq uint64, row []byte) (ledger.Entry, error) {
	frame := row[:max(0, len(row)-sumSize)]
	if len(row) < sumSize || binary.BigEndian.Uint32(row[len(frame):]) != rowSum(seq, frame) {
		return ledger.Entry{}, fmt.Errorf("%s: entry %d is not what was written: %w", l.path, seq, ErrDamaged)
	}
	e, err := ledger.Decode(frame)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("%s: entry %d: %w", l.path, seq, err)
	}
	e.Seq = seq
	return e, nil
}

func (l *Log) missing(seq uint64) error {
	return fmt.Errorf("%s: entry %d is missing: %w", l.path, seq, ErrDamaged)
}
