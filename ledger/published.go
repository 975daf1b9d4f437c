package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
)

// Published is the newest checkpoint that left the house, kept in a file
// outside the store. A store that has less than this was rolled back, or is a
// replica that lacks the end: going on from it would show two histories.
type Published struct {
	Path string
	// Verifiers gives the checkpoint keys in use and retired: a checkpoint that
	// was published before a rotation still counts. It is asked each time, so
	// that a key that was made while the process runs counts too.
	Verifiers func() ([]note.Verifier, error)
}

// ErrRolledBack is returned when the store holds less than was published.
var ErrRolledBack = errors.New("the store holds less than the last published checkpoint")

// Load reads the checkpoint; the zero Checkpoint when none was published.
func (p *Published) Load() (Checkpoint, error) {
	data, err := os.ReadFile(p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := p.open(data)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%s: %w: it was changed, or signed by a key that this keystore does not hold", p.Path, err)
	}
	return c, nil
}

// rememberedSchema names the snapshot in which a store remembers that a checkpoint left
// the house: a file that is gone is not one that never was.
const rememberedSchema = "ledger.published/1"

// Remember has a store remember a checkpoint that was stored.
func (p *Published) Remember(ctx context.Context, log Log, signed []byte) error {
	c, err := p.open(signed)
	if err != nil {
		return err
	}
	return log.SaveSnapshot(ctx, c.Size, rememberedSchema, signed)
}

// Present refuses a store whose published checkpoint is missing (ErrUnguarded).
func (p *Published) Present(ctx context.Context, log Log) error {
	if _, err := os.Lstat(p.Path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	size, _, err := log.LoadSnapshot(ctx, rememberedSchema)
	if errors.Is(err, ErrNoSnapshot) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s is missing, and what the store remembers of it can't be read: %w: %w", p.Path, ErrUnguarded, err)
	}
	return fmt.Errorf("%s is missing, and the store remembers that %d entries were published: %w; put the file back from the newest backup (an older checkpoint of this ledger will do), or see bulkhead ledger recover --help", p.Path, size, ErrUnguarded)
}

// open reads a checkpoint by whichever key signed it.
func (p *Published) open(data []byte) (Checkpoint, error) {
	verifiers, err := p.Verifiers()
	if err != nil {
		return Checkpoint{}, err
	}
	err = errors.New("checkpoint: no key to check it with")
	for _, v := range verifiers {
		var c Checkpoint
		if c, err = OpenCheckpoint(data, originOf(data), v); err == nil {
			return c, nil
		}
	}
	return Checkpoint{}, err
}

// originOf is the first line of a note. The signature covers it.
func originOf(data []byte) string {
	for i, b := range data {
		if b == '\n' {
			return string(data[:i])
		}
	}
	return ""
}

// Check refuses a store with less than the published checkpoint. rootAt gives
// the root of the store's first size entries.
func (p *Published) Check(head uint64, rootAt func(size uint64) (claim.Digest, error)) error {
	c, err := p.Load()
	if err != nil {
		return err
	}
	return p.check(c, head, rootAt)
}

// check compares with a checkpoint that was loaded before.
func (p *Published) check(c Checkpoint, head uint64, rootAt func(size uint64) (claim.Digest, error)) error {
	if c.Size == 0 {
		return nil
	}
	if head < c.Size {
		return fmt.Errorf("the store ends at entry %d, entry %d was published (%s): %w; restore a newer store, or run ledger recover", head, c.Size, p.Path, ErrRolledBack)
	}
	root, err := rootAt(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("the store's first %d entries have root %s, %s was published (%s): this is another history: %w", c.Size, root, c.Root, p.Path, ErrRolledBack)
	}
	return nil
}

// Store replaces the file by a newer checkpoint, atomically and durably. One
// that goes back, or that gives another root to the same size, is refused: two
// histories would have been signed. After a recovery, move the old file away
// first.
func (p *Published) Store(signed []byte) error {
	c, err := p.open(signed)
	if err != nil {
		return err
	}
	old, err := p.Load()
	if err != nil {
		return err
	}
	if c.Size < old.Size || c.Size == old.Size && c.Size > 0 && c.Root != old.Root {
		return fmt.Errorf("checkpoint of %d entries with root %s, %d entries with root %s were published (%s): %w", c.Size, c.Root, old.Size, old.Root, p.Path, ErrRolledBack)
	}
	temporary, err := os.CreateTemp(filepath.Dir(p.Path), ".checkpoint-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err := temporary.Write(signed); err != nil {
		return err
	}
	if err := temporary.Sync(); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), p.Path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(p.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
