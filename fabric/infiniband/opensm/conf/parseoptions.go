package conf

import (
	"bytes"
	"fmt"
	"strings"
)

// maxOptionLine is how many bytes OpenSM reads of a line; the rest would be a line of
// its own.
const maxOptionLine = 1022

// ParseOptions reads an opensm.conf as OpenSM does, but strictly: a name that it does
// not know, a name twice, a value that is missing or quoted, a line that it would
// break in two are errors that name the line.
func ParseOptions(text []byte) (map[string]string, error) {
	out := map[string]string{}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return nil, fmt.Errorf("opensm.conf: the last line is cut off: expected a newline")
	}
	for i, raw := range bytes.Split(text, []byte{'\n'}) {
		line := i + 1
		if len(raw) >= maxOptionLine {
			return nil, fmt.Errorf("opensm.conf line %d: %d bytes: OpenSM reads %d", line, len(raw), maxOptionLine-1)
		}
		for _, c := range raw {
			if (c < ' ' || c > '~') && c != '\t' {
				return nil, fmt.Errorf("opensm.conf line %d: byte 0x%02x: expected printable ASCII", line, c)
			}
		}
		body, _, _ := strings.Cut(string(raw), "#")
		fields := strings.Fields(body)
		if len(fields) == 0 {
			continue
		}
		name := fields[0]
		if !known[name] {
			return nil, fmt.Errorf("opensm.conf line %d: %.60q is not a setting of OpenSM 3.3.23, which would skip it", line, name)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("opensm.conf line %d: %s is set twice: the last one would count", line, name)
		}
		value := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(body), name))
		if value == "" || strings.ContainsAny(value, `"'`) {
			return nil, fmt.Errorf("opensm.conf line %d: %s %s: expected a value without quotes", line, name, value)
		}
		out[name] = value
	}
	return out, nil
}
