package bundle

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
)

// Checkpoint is the size and the root of a scope's log at some time. Its signed
// form is a C2SP tlog-checkpoint: a signed note of origin, size and root.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   claim.Digest
	KeyID  string // verifier key that it was signed by
}

func checkpointVerifier(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("%.100q: expected a note verifier key, name+hash+base64", text)
	}
	return v, nil
}

// openCheckpoint checks the signature on a checkpoint against the policy's
// checkpoint keys.
func (p *Policy) openCheckpoint(data []byte) (Checkpoint, Key, error) {
	var verifiers []note.Verifier
	var keys []Key
	for _, k := range p.Keys {
		if k.Purpose != claim.PurposeCheckpoint || k.Revoked {
			continue
		}
		v, err := checkpointVerifier(k.Public)
		if err != nil {
			return Checkpoint{}, Key{}, err
		}
		verifiers, keys = append(verifiers, v), append(keys, k)
	}
	n, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return Checkpoint{}, Key{}, fmt.Errorf("checkpoint: no signature by a key that the policy trusts: %w", err)
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return Checkpoint{}, Key{}, fmt.Errorf("checkpoint: %d signatures, expected 1", len(n.Sigs)+len(n.UnverifiedSigs))
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, Key{}, err
	}
	for i, v := range verifiers {
		if v.Name() == n.Sigs[0].Name && v.KeyHash() == n.Sigs[0].Hash {
			c.KeyID = keys[i].Public
			return c, keys[i], nil
		}
	}
	return Checkpoint{}, Key{}, errors.New("checkpoint: no signature by a key that the policy trusts")
}

// parseCheckpoint reads the text of a checkpoint, which has three lines and no
// more: nothing may hide behind them.
func parseCheckpoint(text string) (Checkpoint, error) {
	var c log.Checkpoint
	rest, err := c.Unmarshal([]byte(text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	if len(rest) != 0 || len(c.Hash) != len(claim.Digest{}) || string(c.Marshal()) != text {
		return Checkpoint{}, errors.New("checkpoint: not in canonical form")
	}
	return Checkpoint{Origin: c.Origin, Size: c.Size, Root: claim.Digest(c.Hash)}, nil
}
