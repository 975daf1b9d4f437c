package book_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/fabric"
)

// looked is a posture of items, each with whether it holds.
func looked(items ...fabric.PostureItem) func(*stage) book.Command {
	return func(*stage) book.Command {
		return book.RecordPosture{Fabric: "ib", Posture: fabric.Posture{Items: items}}
	}
}

func TestPosture(t *testing.T) {
	key, file := fabric.PostureItem{Name: "M_Key", OK: true}, fabric.PostureItem{Name: "partitions.conf", OK: true}
	badKey, badFile := fabric.PostureItem{Name: "M_Key", Evidence: "none"}, fabric.PostureItem{Name: "partitions.conf", Evidence: "another file"}
	after := func(first, then func(*stage) book.Command) func(*stage) book.Command {
		return func(s *stage) book.Command {
			s.fold(t, drafts(s, first(s))...)
			return then(s)
		}
	}
	refuseAll(t, []refused{
		{"of no fabric", atRunning, func(*stage) book.Command { return book.RecordPosture{Fabric: "x"} }, "fabric", `no fabric "x"`},
		{"holding still", atRunning, after(looked(key, file), looked(key, file)), "", ""},
		{"failing still, on other evidence", atRunning, after(looked(badKey), looked(fabric.PostureItem{Name: "M_Key", Evidence: "0"})), "", ""},
		{"a hand-over while it fails", atHandOver, func(s *stage) book.Command {
			c := s.delivery(t, "tidewater/w1")
			s.fold(t, drafts(s, looked(badKey)(s))...)
			return c
		}, "", "is not guarded: M_Key: none"},
	})
	s := on(t, atRunning)
	if got := kinds(s.do(t, looked(badKey, file)(s))); !strings.HasPrefix(got, "site fabric.posture/1") || !strings.Contains(got, "tenant/tidewater fabric.posture/1") {
		t.Errorf("a posture is %s", got)
	}
	// Another item fails instead: that is news, though as many fail as before.
	s.do(t, looked(key, badFile)(s))
	if s.Unguarded("ib") == "" || s.Unguarded("roce") != "" {
		t.Errorf("ib: %q, roce: %q", s.Unguarded("ib"), s.Unguarded("roce"))
	}
	s.do(t, looked(key, file)(s))
	if s.Unguarded("ib") != "" {
		t.Errorf("it holds again: %q", s.Unguarded("ib"))
	}
	for name, b := range map[string]fabric.Postures{
		"of no fabric":                  {Fabric: "x", Holds: true},
		"that holds and fails":          {Fabric: "ib", Holds: true, Failed: []string{"x: y"}},
		"that fails, and nothing of it": {Fabric: "ib"},
	} {
		if on(t, atRunning).apply(book.SiteScope, fabric.KindPosture, b) == nil {
			t.Errorf("a posture %s was folded", name)
		}
	}
}
