package ledger_test

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
)

// hashes is a log in the form that x/mod/sumdb/tlog reads: the maths of
// somebody else.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = h[x]
	}
	return out, nil
}

// TestTreeAgreesWithTlog compares every root of a growing tree with those of an
// independent implementation of RFC 6962.
func TestTreeAgreesWithTlog(t *testing.T) {
	tree, other := ledger.NewTree(), hashes{}
	for n := range 300 {
		want, err := tlog.TreeHash(int64(n), other)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && tree.Root() != claim.Digest(want) {
			t.Fatalf("root of %d leaves is %s, tlog has %s", n, tree.Root(), claim.Digest(want))
		}
		if tree.Size() != uint64(n) {
			t.Fatalf("size %d, expected %d", tree.Size(), n)
		}
		data := []byte{byte(n), byte(n >> 8), 0, 1}[:n%5%4+1]
		more, err := tlog.StoredHashes(int64(n), data, other)
		if err != nil {
			t.Fatal(err)
		}
		other = append(other, more...)
		tree.Append(ledger.LeafHash(data))
	}
	if want := claim.DigestOf(nil); ledger.NewTree().Root() != want {
		t.Fatalf("root of the empty tree is %s, expected the hash of nothing, %s", ledger.NewTree().Root(), want)
	}
}

// TestRootFixesEverything: an entry that is changed, left out, repeated or put
// elsewhere gives another root.
func TestRootFixesEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 70).Draw(t, "entries")
		frames := make([][]byte, n)
		for i, e := range ledgertest.Entries("x", 0, n, 40) {
			frames[i] = ledger.Encode(&e)
		}
		before := rootOf(frames)
		i, j := rapid.IntRange(0, n-1).Draw(t, "i"), rapid.IntRange(0, n-1).Draw(t, "j")
		switch what := rapid.SampledFrom([]string{"flip", "leave out", "repeat", "exchange"}).Draw(t, "what"); what {
		case "flip":
			frames[i][rapid.IntRange(0, len(frames[i])-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case "leave out":
			frames = append(frames[:i], frames[i+1:]...)
		case "repeat":
			frames = append(frames, frames[i])
		case "exchange":
			if i == j {
				return
			}
			frames[i], frames[j] = frames[j], frames[i]
		}
		if rootOf(frames) == before {
			t.Fatal("the root is the same")
		}
	})
}

func rootOf(frames [][]byte) claim.Digest {
	tree := ledger.NewTree()
	for _, f := range frames {
		tree.Append(ledger.LeafHash(f))
	}
	return tree.Root()
}
