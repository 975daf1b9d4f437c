package lineage

import (
	"errors"
	"strings"
	"testing"
)

// all is every fence of small numbers that can be made.
func all() (fences []Fence) {
	lineages := []Lineage{{}}
	for _, id := range []string{"a", "b"} {
		for epoch := uint64(1); epoch < 3; epoch++ {
			lineages = append(lineages, Lineage{epoch, id})
		}
	}
	for _, l := range lineages {
		for _, run := range []string{"", "c", "d"} {
			for term := range uint64(3) {
				for generation := range uint64(2) {
					fences = append(fences, Fence{l, term, run, generation})
				}
			}
		}
	}
	return fences
}

// Whatever a device has seen, two writers never both have its word: once it has
// admitted b after a, a is refused for as long as nothing newer of its own comes,
// unless the two are one writer.
func TestTwoWritersAreNeverBothAdmitted(t *testing.T) {
	for _, a := range all() {
		if err := a.Admit(a); err != nil {
			t.Fatalf("%v after itself: %v", a, err)
		}
		for _, b := range all() {
			switch err := b.Admit(a); {
			case err == nil && a.Run != "" && b.Run != "" && a.Writer() != b.Writer() && a.Admit(b) == nil:
				t.Fatalf("%v and %v are admitted after each other", a, b)
			case err != nil && !errors.Is(err, ErrFenced):
				t.Fatalf("%v after %v: %v", b, a, err)
			case err != nil:
				var refused *RefusedError
				if !errors.As(err, &refused) || refused.ByAnother() != (a.Writer() != b.Writer()) {
					t.Fatalf("%v after %v: %#v", b, a, err)
				}
			}
		}
	}
}

func TestAdmit(t *testing.T) {
	one, copied := Lineage{1, "aa"}, Lineage{1, "bb"}
	for _, c := range []struct {
		what      string
		got, seen Fence
		refused   string // part of what is said; "": admitted
	}{
		{"the first writer", Fence{Lineage: one, Term: 1}, Fence{}, ""},
		{"a later term", Fence{Lineage: one, Term: 3}, Fence{Lineage: one, Term: 2, Generation: 9}, ""},
		{"an older term", Fence{Lineage: one, Term: 2, Generation: 9}, Fence{Lineage: one, Term: 3}, "newer writer"},
		{"an older order of the same writer", Fence{Lineage: one, Term: 2, Run: "c", Generation: 1}, Fence{Lineage: one, Term: 2, Run: "c", Generation: 2}, "newer writer"},
		{"another run of the same term", Fence{Lineage: one, Term: 2, Run: "c", Generation: 9}, Fence{Lineage: one, Term: 2, Run: "d"}, "two servers"},
		{"a copy, in a later term", Fence{Lineage: copied, Term: 9}, Fence{Lineage: one, Term: 2}, "copy"},
		{"nobody's writer where one is known", Fence{Term: 9}, Fence{Lineage: one, Term: 2}, "copy"},
		{"a copy that took over, in an older term", Fence{Lineage: Lineage{2, "bb"}, Term: 1}, Fence{Lineage: one, Term: 7}, ""},
		{"the one that was taken over from", Fence{Lineage: one, Term: 99}, Fence{Lineage: Lineage{2, "bb"}, Term: 1}, "copy"},
		{"two that took over from one", Fence{Lineage: Lineage{2, "cc"}, Term: 9}, Fence{Lineage: Lineage{2, "bb"}, Term: 1}, "copy"},
		{"a release that knew of no lineage, then one that does", Fence{Lineage: one, Term: 5}, Fence{Term: 4, Generation: 3}, ""},
		{"and not in an older term", Fence{Lineage: one, Term: 3}, Fence{Term: 4}, "newer writer"},
	} {
		err := c.got.Admit(c.seen)
		if c.refused == "" && err != nil || c.refused != "" && (!errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, expected %q", c.what, err, c.refused)
		}
	}
	for _, bad := range []Fence{{Lineage: Lineage{1, "a b"}}, {Run: "x"}, {Run: strings.Repeat("a", 65)}, {Lineage: Lineage{1, ""}}, {Lineage: Lineage{0, "a"}}} {
		if err := bad.Admit(Fence{}); err == nil || errors.Is(err, ErrFenced) {
			t.Errorf("%#v: %v, expected it to be refused as no fence", bad, err)
		}
	}
}
