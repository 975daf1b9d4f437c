package discovered

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Error says where a file is not as expected.
type Error struct {
	File  string
	Line  int    // from 1; 0: the whole file
	Where string // table and key, or path; "": none
	What  string // what is wrong, what was expected
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Where != "" {
		b.WriteString(e.Where + ": ")
	}
	return b.String() + e.What
}

const (
	maxFile  = 32 << 20 // bytes
	maxDepth = 24       // brackets inside brackets
	maxText  = 4096     // bytes of one text
)

// tree is a JSON value that knows its line, and whose objects keep the order and
// the repetition of their keys: lldpctl repeats an interface with two neighbours.
type tree struct {
	line    int
	kind    byte // '{', '[', '"' or 'v' for numbers, true, false and null
	text    string
	members []member
	items   []*tree
}

type member struct {
	key   string
	value *tree
}

// get returns the first member of a name, or nil.
func (t *tree) get(name string) *tree {
	if t == nil {
		return nil
	}
	for _, m := range t.members {
		if m.key == name {
			return m.value
		}
	}
	return nil
}

// said is the text of a string or number, "" of anything else.
func (t *tree) said() string {
	if t == nil || t.kind != '"' && t.kind != 'v' {
		return ""
	}
	return t.text
}

type parser struct {
	file    string
	data    []byte
	decoder *json.Decoder
	at      int // offset up to which lines are counted
	line    int
}

func (p *parser) fail(where, format string, args ...any) error {
	return &Error{p.file, p.line, where, fmt.Sprintf(format, args...)}
}

// parse reads one JSON document.
func parse(file string, data []byte) (*tree, error) {
	p := &parser{file: file, data: data, line: 1}
	if len(data) > maxFile {
		return nil, p.fail("", "%d bytes, expected at most %d", len(data), maxFile)
	}
	// Lenient JSON: what other programs wrote; positions are kept for the errors.
	p.decoder = json.NewDecoder(bytes.NewReader(data))
	p.decoder.UseNumber()
	t, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.decoder.Token(); err != io.EOF {
		p.count()
		return nil, p.fail("", "more after the end of the JSON document: expected one")
	}
	return t, nil
}

func (p *parser) count() {
	to := min(int(p.decoder.InputOffset()), len(p.data))
	p.line += bytes.Count(p.data[p.at:to], []byte{'\n'})
	p.at = to
}

func (p *parser) token() (json.Token, error) {
	token, err := p.decoder.Token()
	p.count()
	if err != nil {
		text := err.Error()
		if err == io.EOF {
			text = "it is cut off"
		}
		return nil, p.fail("", "not JSON: %.200s", text)
	}
	if s, ok := token.(string); ok && len(s) > maxText {
		return nil, p.fail("", "a text of %d bytes, expected at most %d", len(s), maxText)
	}
	return token, nil
}

func (p *parser) value(depth int) (*tree, error) {
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	t := &tree{line: p.line}
	switch token := token.(type) {
	case string:
		t.kind, t.text = '"', token
	case json.Number:
		t.kind, t.text = 'v', token.String()
	case bool:
		t.kind, t.text = 'v', fmt.Sprint(token)
	case nil:
		t.kind = 'v'
	case json.Delim:
		if depth == maxDepth {
			return nil, p.fail("", "more than %d brackets inside one another", maxDepth)
		}
		t.kind = byte(token)
		for p.decoder.More() {
			var m member
			if token == '{' {
				key, err := p.token()
				if err != nil {
					return nil, err
				}
				m.key, _ = key.(string) // JSON has no other keys
			}
			if m.value, err = p.value(depth + 1); err != nil {
				return nil, err
			}
			if token == '{' {
				t.members = append(t.members, m)
			} else {
				t.items = append(t.items, m.value)
			}
		}
		if _, err := p.token(); err != nil { // the closing bracket
			return nil, err
		}
	}
	return t, nil
}
