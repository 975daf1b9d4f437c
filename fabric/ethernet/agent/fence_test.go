package agent

import (
	"errors"
	"testing"

	"bulkhead/fabric"
	"bulkhead/lineage"
)

// A fence comes back from its file with its lineage and run; a file of a release that
// knew of none is read, and the first lineage that shows itself then is the one.
func TestFenceFileHoldsTheLineage(t *testing.T) {
	own := fabric.Fence{Lineage: lineage.Lineage{Epoch: 1, ID: "0a"}, Term: 5, Run: "1e", Generation: 7}
	for _, f := range []fabric.Fence{{}, {Term: 2, Generation: 3}, own, {Lineage: own.Lineage, Term: 1}, {Term: 4, Run: "1e"}} {
		if back, err := decodeFence(string(encodeFence(f))); err != nil || back != f {
			t.Errorf("%#v came back as %#v, %v", f, back, err)
		}
	}
	dir := t.TempDir()
	f, err := OpenFence(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []fabric.Fence{{Term: 4, Generation: 3}, own} {
		if err := f.Admit(next); err != nil {
			t.Fatal(err)
		}
	}
	if f, err = OpenFence(dir); err != nil || f.newest != own {
		t.Fatalf("after a restart: %v, %v", f, err)
	}
	copied := fabric.Fence{Lineage: lineage.Lineage{Epoch: 1, ID: "0b"}, Term: 9}
	if err := f.Admit(copied); !errors.Is(err, fabric.ErrFenced) {
		t.Errorf("a copy's writer: %v", err)
	}
}

// FuzzFenceFile: what is read is kept as it was, and no file is taken for another.
func FuzzFenceFile(f *testing.F) {
	for _, seed := range []string{"2 3\n", "2 3 1 0a 1e\n", "2 3 0 - -\n", "2 3 1 0a\n", "", "2\n", "2 3 1 0A -\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		fence, err := decodeFence(line)
		if err != nil {
			return
		}
		if again, err := decodeFence(string(encodeFence(fence))); err != nil || again != fence {
			t.Errorf("%q: %#v, again %#v, %v", line, fence, again, err)
		}
	})
}
