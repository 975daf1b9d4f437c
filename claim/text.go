package claim

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// steers says whether a character does something to a terminal or a page other than
// to be seen: control characters of either set but for tab and line feed, line and
// paragraph separators, and what turns the direction of writing round.
func steers(r rune) bool {
	switch {
	case r == '\t' || r == '\n':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r < 0x600:
		return false
	case r == 0x61c, r == 0x200e, r == 0x200f, r == 0xfeff:
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x206f, r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}

// Plain says whether text is UTF-8 that a person can be shown: it moves no cursor,
// clears no screen and does not write backwards. Line feeds and tabs are plain.
func Plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' && c != '\n' || c >= 0x7f {
			_, bad := firstControl([]byte(text))
			return !bad
		}
	}
	return true
}

// firstControl finds the first character that steers, or that is none.
func firstControl(text []byte) (rune, bool) {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if steers(r) || r == utf8.RuneError && n <= 1 {
			return r, true
		}
		text = text[n:]
	}
	return 0, false
}

// Shown is text as a person may be shown it, on as many lines as it has: what steers
// is written out, as \u001b, and what is no UTF-8 as \xff.
func Shown(text string) string { return string(shown(nil, []byte(text), false)) }

// Line is Shown on one line: line feeds and tabs are written out as well, so that no
// text can add a line, or a column, to those of whoever prints it.
func Line(text string) string {
	if Plain(text) && !strings.ContainsAny(text, "\n\t") {
		return text
	}
	return string(shown(nil, []byte(text), true))
}

func shown(out, text []byte, line bool) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n <= 1:
			out = fmt.Appendf(out, `\x%02x`, text[0])
			n = 1
		case line && r == '\n':
			out = append(out, `\n`...)
		case line && r == '\t':
			out = append(out, `\t`...)
		case steers(r) && r > 0xffff:
			high, low := utf16.EncodeRune(r) // as JSON writes it
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		case steers(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}

// Lines makes arguments of a formatted line inert: text, errors and whatever prints
// itself become one line of plain text. Numbers and the like stay what they are.
func Lines(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = lineOf(a)
	}
	return out
}

func lineOf(a any) any {
	switch v := a.(type) {
	case nil:
		return nil
	case string:
		return Line(v)
	case error:
		return Line(v.Error())
	case fmt.Stringer:
		if value := reflect.ValueOf(a); value.Kind() == reflect.Pointer && value.IsNil() {
			return a
		}
		return Line(v.String())
	}
	switch reflect.TypeOf(a).Kind() {
	case reflect.String:
		return Line(reflect.ValueOf(a).String())
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return a
	}
	return Line(fmt.Sprint(a))
}

// Screen writes to something that a person looks at: whatever steers a terminal is
// written out, as \u001b. JSON that passes through says the same afterwards. It is the
// last defence: who formats a line puts foreign text through Line first.
type Screen struct {
	W    io.Writer
	half []byte // a character of which the end is still to come
}

// Write writes p so that it can be looked at.
func (s *Screen) Write(p []byte) (int, error) {
	text := p
	if len(s.half) > 0 {
		text = append(s.half, p...)
		s.half = nil
	}
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if c := text[len(text)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(text[len(text)-back:]) {
				whole = len(text) - back
			}
			break
		}
	}
	if _, err := s.W.Write(shown(make([]byte, 0, whole), text[:whole], false)); err != nil {
		return 0, err
	}
	s.half = append([]byte(nil), text[whole:]...)
	return len(p), nil
}

// CleanJSON is JSON with U+FFFD in the place of whatever steers a terminal in one of
// its texts: for who writes down what others said, and must not refuse it.
func CleanJSON(data []byte) []byte {
	var out []byte // nil: as data so far
	copied := 0
	replace := func(from, to int) {
		out = append(append(out, data[copied:from]...), `\ufffd`...)
		copied = to
	}
	for i := 0; i < len(data); {
		c := data[i]
		switch {
		case c == '\\' && i+1 < len(data):
			length, r := 2, rune(data[i+1])
			switch data[i+1] {
			case 'b', 'f', 'r':
				r = 0
			case 'u':
				if i+6 <= len(data) {
					n, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 32)
					if length = 6; err == nil {
						r = rune(n)
					}
				}
			}
			if steers(r) {
				replace(i, i+length)
			}
			i += length
		case c >= 0x7f:
			r, n := utf8.DecodeRune(data[i:])
			if steers(r) || r == utf8.RuneError && n <= 1 {
				replace(i, i+n)
			}
			i += n
		default:
			i++
		}
	}
	if out == nil {
		return data
	}
	return append(out, data[copied:]...)
}
