package main

import (
	"strings"
	"testing"
)

// TestToy has one of each: what is dead is named with its file and line, and nothing else.
func TestToy(t *testing.T) {
	found, err := find("testdata/toy")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"house/dead/kept.txt:3: nothing is called kind.Nobody",
		"house/dead/kept.txt:4: kind.Spoken is reached by a program: remove the line",
		"house/dead/kept.txt:5: kind.Tried is kept without a reason",
		"kind/kind.go:9: nothing uses the field Used.unused: remove it",
		"kind/kind.go:24: nothing uses the method Used.Silent: remove it",
		"kind/kind.go:28: nothing uses the method speaker.Unsaid: remove it",
		"kind/kind.go:32: nothing uses the method Used.Unsaid: remove it",
		"kind/kind.go:44: nothing uses the constant Alone: remove it",
		"kind/kind.go:47: nothing uses the variable Known: remove it",
		"kind/kind.go:49: nothing uses the function helper: remove it",
		"kind/kind.go:52: nothing uses the type Gone: remove it",
		"kind/kind.go:63: only tests use the function Supported: move it into a _test.go file or a package of test support (*test), or remove it with its tests; if it must stay, house/dead/kept.txt takes kind.Supported with the reason",
		"kind/kind.go:71: nothing uses the function Around: remove it",
		"kind/kind_test.go:10: nothing uses the type idle: remove it",
		"kindtest/kindtest.go:10: nothing uses the function Idle: remove it",
	}
	for i, line := range found {
		if i >= len(want) || !strings.HasPrefix(line, want[i]) {
			t.Errorf("finding %d: %s", i, line)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d findings, expected %d", len(found), len(want))
	}
}
