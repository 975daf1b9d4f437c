package site

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"bulkhead/claim"
)

const maxTemplate = 2 << 20 // bytes of a site file

// value is a value of a site file. What is missing reads as nothing.
type value struct{ claim.YAML }

// mapping is the fields of a value.
type mapping struct{ *claim.YAMLFields }

func (v value) mapping() mapping { return mapping{v.Fields()} }

func (m mapping) optional(name string) (value, bool) {
	v, ok := m.Optional(name)
	return value{v}, ok
}

func (m mapping) required(name string) value { return value{m.Required(name)} }

// items returns the entries of a list.
func (v value) items() []value {
	var out []value
	for _, item := range v.Items() {
		out = append(out, value{item})
	}
	return out
}

// openDocument parses the syntax of a site file.
func openDocument(file string, data []byte) (value, error) {
	if len(data) > maxTemplate {
		return value{}, claim.Problems{{File: file, Line: 1, Reason: fmt.Sprintf("%d bytes: expected at most %d; use counts instead of lists", len(data), maxTemplate)}}
	}
	top, err := claim.ReadYAML(file, data, maxTemplate, `a site; begin with "site: NAME"`)
	return value{top}, err
}

// text reads a scalar of 1 to maxText printable characters.
func (v value) text() string { return v.textOf("text") }

// textOf is text of a value that means something, which is what was expected.
func (v value) textOf(expected string) string {
	if v.Missing() {
		return ""
	}
	text, ok := v.Plain()
	if !ok {
		v.Fail("expected %s, found %s", expected, v.Found())
		return ""
	}
	if text == "" || len(text) > maxText {
		v.Fail("%.40q: expected 1 to %d characters", text, maxText)
		return ""
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			v.Fail("%.40q: expected printable characters", text)
			return ""
		}
	}
	return text
}

// id reads an identifier.
func (v value) id() string {
	if v.Missing() {
		return ""
	}
	text := v.text()
	if text == "" {
		return ""
	}
	if err := checkID(text); err != nil {
		v.Fail("%v", err)
		return ""
	}
	return text
}

// number reads a whole number from low to high.
func (v value) number(low, high int) int {
	if v.Missing() {
		return low
	}
	text, ok := v.Plain()
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if !ok || err != nil {
		if ok {
			v.Fail("%.40q: expected a whole number from %d to %d", text, low, high)
		} else {
			v.Fail("expected a whole number from %d to %d, found %s", low, high, v.Found())
		}
		return low
	}
	if n < low || n > high {
		v.Fail("%d: expected %d to %d", n, low, high)
		return low
	}
	return n
}

// date reads "2006-01-02" (midnight UTC) or a full RFC 3339 time.
func (v value) date() time.Time {
	var never time.Time
	if v.Missing() {
		return never
	}
	const expected = "a date such as 2026-04-01 (midnight UTC) or 2026-04-01T07:00:00Z"
	text := v.textOf(expected)
	if text == "" {
		return never
	}
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			if err := checkDate(t); err != nil {
				v.Fail("%v", err)
				return never
			}
			return t
		}
	}
	v.Fail("%.40q: expected %s", text, expected)
	return never
}

// duration reads "15m", "1h30m", and days: "14d".
func (v value) duration() time.Duration {
	if v.Missing() {
		return 0
	}
	const expected = "a duration such as 15m, 1h30m or 14d"
	text := v.textOf(expected)
	if text == "" {
		return 0
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 3650 {
			return time.Duration(n) * 24 * time.Hour
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		v.Fail("%.40q: expected %s", text, expected)
		return 0
	}
	return d
}
