package book_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/claim"
)

// What a person or a device says is recorded whatever it says, and without what steers
// a terminal: readers of the log, the tenants' verifier among them, refuse that.
func TestWhatIsRecordedIsPlain(t *testing.T) {
	for _, text := range []string{"\x1b[2J\x1b[H", "\u009b2J", "\u202egnidliub", "a\rb\b", "\x7f\u2028\u2066"} {
		s := on(t, func(s *book.State) bool { return s.Site != nil })
		for _, draft := range s.do(t, book.PauseLoop{By: "officer", Reason: "smoke " + text}) {
			body := string(draft.Body)
			if !claim.Plain(body) || strings.Contains(body, `\u00`) || strings.Contains(body, `\r`) || !strings.Contains(body, "smoke ") {
				t.Errorf("%q is recorded as %s", text, body)
			}
		}
	}
}

// An entry that reads in two ways is none: what is folded is what every other reader of
// the same bytes takes them for.
func TestAnEntryReadsInOneWay(t *testing.T) {
	s := on(t, func(s *book.State) bool { return s.Site != nil })
	draft := s.do(t, book.PauseLoop{By: "officer", Reason: "smoke"})[0]
	s = on(t, func(s *book.State) bool { return s.Site != nil })
	for _, body := range []string{
		strings.Replace(string(draft.Body), `"reason":`, `"Reason":`, 1),
		strings.Replace(string(draft.Body), `"reason":"smoke"`, `"reason":"fire","reason":"smoke"`, 1),
		strings.Replace(string(draft.Body), `"reason":"smoke"`, `"reason":"fire","REASON":"smoke"`, 1),
		string(draft.Body) + " {}",
	} {
		if body == string(draft.Body) {
			t.Fatalf("nothing was changed in %s", body)
		}
		e := entry(s, draft.Scope, draft.Kind, []byte(body))
		if err := book.Apply(s.State, &e, s.bodies); err == nil {
			t.Fatalf("it was folded: %s", body)
		}
		s = on(t, func(s *book.State) bool { return s.Site != nil })
	}
}
