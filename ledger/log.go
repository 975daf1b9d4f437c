package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"bulkhead/claim"
)

// Body is what an entry names by its digest: too large for the entry, or shared
// by several.
type Body struct {
	Digest claim.Digest
	Data   []byte
}

var (
	// ErrConflict is returned by Append when the head is not where the caller
	// expected it: another writer has been here.
	ErrConflict = errors.New("the ledger's head has moved: another writer has appended")
	// ErrLost is returned when a store holds less than it acknowledged, or something else.
	ErrLost = errors.New("the store holds less than it acknowledged")
	// ErrUnguarded is returned when what would show that entries are missing is missing
	// itself: a store must not be gone on from because somebody removed what speaks
	// against it.
	ErrUnguarded = errors.New("what guards the store's end is missing")
	// ErrNoBody is returned for a body that the ledger does not hold.
	ErrNoBody = errors.New("the ledger holds no body of this digest")
	// ErrNoSnapshot is returned when there is no snapshot of a schema.
	ErrNoSnapshot = errors.New("no snapshot of this schema")
)

// Log is an engine. Comparing and appending is the fence between writers: an
// election only saves work. ledgertest.Run is what every engine must pass.
type Log interface {
	// Append adds entries and bodies in one transaction if the head is at
	// expect. Entries carry Seq expect+1, expect+2, ... and positions in their
	// scopes without a gap; the engine checks both. After any error but
	// ErrConflict the outcome is unknown: read the head again and compare
	// salts. It returns only when the entries are durable.
	Append(ctx context.Context, expect uint64, entries []Entry, bodies []Body) error

	// Read yields the entries from position from on, in order. It ends at the
	// head that it found when it began, or with an error.
	Read(ctx context.Context, from uint64) iter.Seq2[Entry, error]

	// ReadScope yields the entries of one scope from its number from on, in
	// order, and ends as Read does. Its cost follows from how many they are,
	// not from how many the ledger holds of others.
	ReadScope(ctx context.Context, scope string, from uint64) iter.Seq2[Entry, error]

	// Head is the position of the last entry, 0 when there is none.
	Head(ctx context.Context) (uint64, error)

	// Body returns a body whose digest has been checked, or ErrNoBody.
	Body(ctx context.Context, digest claim.Digest) ([]byte, error)

	// SaveSnapshot keeps data as the state after entry seq, replacing one of
	// the schema that is not newer. LoadSnapshot returns what is kept, or
	// ErrNoSnapshot.
	SaveSnapshot(ctx context.Context, seq uint64, schema string, data []byte) error
	LoadSnapshot(ctx context.Context, schema string) (seq uint64, data []byte, err error)

	Close() error
}

// sumRoom is how many bytes are free behind each frame that CheckAppend returns.
const sumRoom = 8

// CheckAppend checks what every engine must check before it appends: positions
// without gaps, sizes, and that bodies are what their digests say. heads gives
// the number of entries in each scope; it is not changed. Each frame has capacity
// for a checksum of up to 8 bytes behind it.
func CheckAppend(expect uint64, entries []Entry, bodies []Body, heads func(scope string) uint64) (frames [][]byte, err error) {
	next := map[string]uint64{}
	frames = make([][]byte, len(entries))
	size := 0
	for i := range entries {
		size += frameSize(&entries[i]) + sumRoom
	}
	all := make([]byte, 0, size) // one allocation for the group
	for i := range entries {
		e := &entries[i]
		if e.Seq != expect+uint64(i)+1 {
			return nil, fmt.Errorf("append: entry %d carries position %d, expected %d", i, e.Seq, expect+uint64(i)+1)
		}
		if _, seen := next[e.Scope]; !seen {
			next[e.Scope] = heads(e.Scope)
		}
		next[e.Scope]++
		if e.ScopeSeq != next[e.Scope] {
			return nil, fmt.Errorf("append: entry %d carries position %d of scope %s, expected %d", i, e.ScopeSeq, e.Scope, next[e.Scope])
		}
		if e.Kind == "" || e.Scope == "" || len(e.Kind) > maxText || len(e.Scope) > maxText || len(e.Command) > maxText {
			return nil, fmt.Errorf("append: entry %d: kind and scope need 1 to %d bytes, a command at most that", i, maxText)
		}
		if len(e.Body) > MaxFrame-1024 {
			return nil, fmt.Errorf("append: entry %d (%s): body of %d bytes, at most %d: put it into a body of its own", i, e.Kind, len(e.Body), MaxFrame-1024)
		}
		if !time.Unix(0, e.Time.UnixNano()).Equal(e.Time) {
			return nil, fmt.Errorf("append: entry %d (%s): time %s does not fit a frame, expected one of the years 1678 to 2261", i, e.Kind, e.Time.UTC().Format(time.RFC3339))
		}
		start := len(all)
		all = appendFrame(all, e)
		end := len(all)
		all = append(all, make([]byte, sumRoom)...)
		frames[i] = all[start:end:len(all)]
	}
	for _, b := range bodies {
		if claim.DigestOf(b.Data) != b.Digest {
			return nil, fmt.Errorf("append: body %s is not what its digest says", b.Digest)
		}
	}
	return frames, nil
}
