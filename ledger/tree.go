package ledger

import (
	"crypto/sha256"
	"slices"

	"bulkhead/claim"
)

// LeafHash is the hash of a frame as a leaf of a Merkle tree (RFC 6962, 2.1).
func LeafHash(frame []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(frame)
	var out [32]byte
	h.Sum(out[:0])
	return out
}

func nodeHash(left, right [32]byte) [32]byte {
	var data [65]byte
	data[0] = 1
	copy(data[1:], left[:])
	copy(data[33:], right[:])
	return sha256.Sum256(data[:])
}

// Tree is an append-only Merkle tree of which only the roots of its full
// subtrees are kept: O(log n) memory. It hashes as RFC 6962 does.
type Tree struct {
	size  uint64
	roots [][32]byte // of the full subtrees, largest first
}

// NewTree returns the empty tree.
func NewTree() *Tree { return &Tree{} }

// Append adds a leaf. Amortised cost: one hash.
func (t *Tree) Append(leaf [32]byte) {
	for n := t.size; n&1 == 1; n >>= 1 {
		leaf = nodeHash(t.roots[len(t.roots)-1], leaf)
		t.roots = t.roots[:len(t.roots)-1]
	}
	t.roots = append(t.roots, leaf)
	t.size++
}

// Clone returns a tree that grows by itself from here on. Cost: O(log n).
func (t *Tree) Clone() *Tree { return &Tree{size: t.size, roots: slices.Clone(t.roots)} }

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Root is the tree's root hash; of the empty tree it is the hash of nothing.
func (t *Tree) Root() claim.Digest {
	if len(t.roots) == 0 {
		return sha256.Sum256(nil)
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = nodeHash(t.roots[i], root)
	}
	return root
}
