package sqlite

import (
	"encoding/binary"
	"slices"
	"testing"
)

// FuzzPositions: what is read of a row is either nothing or a list that grows, and
// writing it again gives a row that reads the same.
func FuzzPositions(f *testing.F) {
	f.Add([]byte{1, 1, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{5, 0})
	f.Fuzz(func(t *testing.T, seqs []byte) {
		list := positions(seqs)
		var again []byte
		var last uint64
		for _, at := range list {
			if at <= last || at > 1<<63-1 {
				t.Fatalf("%d after %d", at, last)
			}
			again = binary.AppendUvarint(again, at-last)
			last = at
		}
		if !slices.Equal(positions(again), list) {
			t.Fatalf("%v was written and read as %v", list, positions(again))
		}
	})
}
