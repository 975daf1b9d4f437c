package ledger

import (
	"fmt"

	fmtlog "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
)

// Checkpoint says how large a log was and what its root was: the C2SP
// tlog-checkpoint format, a signed note.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   claim.Digest
}

// SignCheckpoint writes a checkpoint as a signed note.
func SignCheckpoint(c Checkpoint, signer note.Signer) ([]byte, error) {
	body := fmtlog.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}
	return note.Sign(&note.Note{Text: string(body.Marshal())}, signer)
}

// OpenCheckpoint reads a signed checkpoint of an origin, by a key that the
// caller trusts.
func OpenCheckpoint(data []byte, origin string, verifier note.Verifier) (Checkpoint, error) {
	c, _, _, err := fmtlog.ParseCheckpoint(data, origin, verifier)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	if len(c.Hash) != len(claim.Digest{}) {
		return Checkpoint{}, fmt.Errorf("checkpoint: root of %d bytes, expected %d", len(c.Hash), len(claim.Digest{}))
	}
	return Checkpoint{Origin: c.Origin, Size: c.Size, Root: claim.Digest(c.Hash)}, nil
}
