package claim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"bulkhead/claim"
)

// hostile are texts that do something to a terminal or a page.
var hostile = []string{"\x1b[2J\x1b[H\x1b[8m", "\x1b]0;t\x07", "\u009b2J", "a\rb", "a\bb", "\u202ex", "\u2066x", "\u2028x", "\u2029", "\x7f", "\u200f", "\U000e0041", "\xff\xfe", "\x9b2J", "a\x00b", "\ufeff", "\v\f"}

func TestHostileTextIsWrittenOut(t *testing.T) {
	for _, text := range hostile {
		if claim.Plain(text) {
			t.Errorf("%q counts as plain", text)
		}
		for _, shown := range []string{claim.Shown(text), claim.Line(text), claim.Line("x " + text + "\ny\tz")} {
			if !claim.Plain(shown) {
				t.Errorf("%q is shown as %q", text, shown)
			}
		}
		var out bytes.Buffer
		for i := range len(text) { // byte by byte: characters come in halves
			fmt.Fprint(&claim.Screen{W: &out}, text[i:i+1])
		}
		if !claim.Plain(out.String()) {
			t.Errorf("%q goes through as %q", text, out.String())
		}
	}
	if got := claim.Line("a\nb\tc"); got != `a\nb\tc` {
		t.Errorf("a line with a line feed is %q", got)
	}
	if got := claim.Shown("a\nb\tc é 語"); got != "a\nb\tc é 語" {
		t.Errorf("plain text is shown as %q", got)
	}
}

type odd string

type saying struct{ text string }

func (s saying) String() string { return s.text }

func TestLinesOfForeignArguments(t *testing.T) {
	bad := "x\nREADY\x1b[2J"
	printed := fmt.Sprintf("%s %s %v %v %d %v %5.1f", claim.Lines([]any{bad, odd(bad), errors.New(bad), saying{bad}, 7, []string{bad}, 2.5})...)
	if strings.ContainsAny(printed, "\n\x1b") || !strings.HasSuffix(printed, "  2.5") {
		t.Errorf("%q", printed)
	}
	if got := fmt.Sprint(claim.Lines([]any{nil, (*saying)(nil)})...); !strings.Contains(got, "nil") {
		t.Errorf("nothing is printed as %q", got)
	}
}

// TestScreen passes any text in any pieces: what is plain as it is, JSON so that it says
// the same afterwards.
func TestScreen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.RuneFrom(nil, unicode.Cc, unicode.Cf))).Draw(t, "text")
		encoded, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		screen := &claim.Screen{W: &out}
		for rest := encoded; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if _, err := screen.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != text || !claim.Plain(out.String()) {
			t.Fatalf("%q came out as %q, which says %q: %v", encoded, out.String(), back, err)
		}
		clean := claim.CleanJSON(encoded)
		if err := json.Unmarshal(clean, &back); err != nil || !claim.Plain(back) || claim.Plain(text) && back != text {
			t.Fatalf("%q is cleaned to %q, which says %q: %v", encoded, clean, back, err)
		}
	})
}
