package ledger_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/ledger"
)

// readVectors reads the golden vectors.
func readVectors(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile(goldenFile)
	must(t, err)
	var g golden
	must(t, json.Unmarshal(data, &g))
	return g
}

// No bit of a frame is idle: with any of them flipped it is no frame, or the frame
// of an entry that is encoded as exactly these other bytes, with another leaf hash.
// Nothing that is decoded can hide what was hashed.
func TestEveryBitOfAFrameCounts(t *testing.T) {
	refused, others := 0, 0
	for _, v := range readVectors(t).Entries {
		frame, err := hex.DecodeString(v.Frame)
		must(t, err)
		leaf := ledger.LeafHash(frame)
		for i := range frame {
			for bit := range 8 {
				frame[i] ^= 1 << bit
				e, err := ledger.Decode(frame)
				switch {
				case err != nil:
					refused++
				case !bytes.Equal(ledger.Encode(&e), frame):
					t.Fatalf("bit %d of byte %d: the frame is read as an entry that is encoded otherwise", bit, i)
				case ledger.LeafHash(frame) == leaf:
					t.Fatalf("bit %d of byte %d: the leaf hash is the same", bit, i)
				default:
					others++
				}
				frame[i] ^= 1 << bit
			}
		}
	}
	t.Logf("%d are no frames, %d the frames of other entries, with other hashes", refused, others)
}

// A signed checkpoint with any bit flipped, or cut anywhere, is refused.
func TestEveryBitOfACheckpointCounts(t *testing.T) {
	g := readVectors(t)
	verifier, err := note.NewVerifier(g.Verifier)
	must(t, err)
	signed := []byte(g.Signed)
	want, err := ledger.OpenCheckpoint(signed, g.Origin, verifier)
	must(t, err)
	for i := range signed {
		for bit := range 8 {
			signed[i] ^= 1 << bit
			if c, err := ledger.OpenCheckpoint(signed, g.Origin, verifier); err == nil {
				t.Errorf("bit %d of byte %d of %d (%q) was flipped and the checkpoint was taken as %+v, it was %+v", bit, i, len(signed), signed[i], c, want)
			}
			signed[i] ^= 1 << bit
		}
		if _, err := ledger.OpenCheckpoint(signed[:i], g.Origin, verifier); err == nil {
			t.Errorf("the first %d of %d bytes were taken for a checkpoint", i, len(signed))
		}
	}
}
