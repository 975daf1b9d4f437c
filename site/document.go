package site

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The YAML reader works on the syntax tree and not on structs, so that every
// complaint, also one about meaning, can name its line. It gathers complaints
// and goes on: whoever edits a file wants to see all of them.

const (
	maxTemplate = 2 << 20 // bytes of a site file
	maxProblems = 20      // complaints that are shown
	maxDepth    = 12      // open brackets
	maxLine     = 500     // bytes a line
)

// Problem is one complaint about a site file.
type Problem struct {
	Line  int    // from 1
	Field string // path such as halls[2].pods[0].kind; "" = the whole file
	Text  string // what is wrong, what was expected, what to do
}

// TemplateError is everything that is wrong with a site file, by line.
type TemplateError struct {
	File     string
	Problems []Problem
	More     int // problems beyond those listed
}

func (e *TemplateError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d: ", e.File, p.Line)
		if p.Field != "" {
			b.WriteString(p.Field + ": ")
		}
		b.WriteString(p.Text)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%s: and %d more problems", e.File, e.More)
	}
	return b.String()
}

// document is a YAML file that is being read, with the complaints so far.
type document struct {
	file     string
	problems []Problem
}

// value is a node of the document with its path. A value whose node is nil is
// missing: it stands at the line of its parent, and was complained about.
type value struct {
	doc  *document
	node ast.Node
	line int
	path string
}

func (v value) fail(format string, args ...any) {
	v.doc.problems = append(v.doc.problems, Problem{v.line, v.path, fmt.Sprintf(format, args...)})
}

// err returns the complaints by line, or nil.
func (d *document) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	sort.SliceStable(d.problems, func(a, b int) bool { return d.problems[a].Line < d.problems[b].Line })
	e := &TemplateError{File: d.file, Problems: d.problems}
	if len(e.Problems) > maxProblems {
		e.More = len(e.Problems) - maxProblems
		e.Problems = e.Problems[:maxProblems]
	}
	return e
}

// openDocument parses the syntax of one YAML document whose top is a mapping.
func openDocument(file string, data []byte) (value, error) {
	d := &document{file: file}
	top := value{doc: d, line: 1}
	if len(data) > maxTemplate {
		top.fail("%d bytes: expected at most %d; use counts instead of lists", len(data), maxTemplate)
		return top, d.err()
	}
	if line, ok := tooDeep(data); ok {
		top.line = line
		top.fail("more than %d open brackets or more than %d bytes in a line; a site file needs neither", maxDepth, maxLine)
		return top, d.err()
	}
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		text := strings.SplitN(err.Error(), "\n", 2)[0]
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			text = syntax.Message
			if syntax.Token != nil && syntax.Token.Position != nil {
				top.line = syntax.Token.Position.Line
			}
		}
		top.fail("not YAML: %s", text)
		return top, d.err()
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if top.node != nil {
			top.line = lineOf(doc.Body, 1)
			top.fail("a second document: expected one a file; remove the --- line and what follows")
			return top, d.err()
		}
		top.node = doc.Body
	}
	if top.node == nil {
		top.fail("empty: expected a site; begin with \"site: NAME\"")
		return top, d.err()
	}
	return top, nil
}

// tooDeep finds a line that nests deeper than a site file can need. The parser
// recurses, and hostile text must not exhaust the stack: within a line, depth is
// bounded by its length, over lines by its indentation, thus by its length too.
func tooDeep(data []byte) (number int, found bool) {
	depth, number, start := 0, 1, 0
	for i, c := range data {
		switch c {
		case '\n':
			number++
			start = i + 1
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		if depth > maxDepth || i-start >= maxLine {
			return number, true
		}
	}
	return 0, false
}

func lineOf(n ast.Node, otherwise int) int {
	if t := n.GetToken(); t != nil && t.Position != nil && t.Position.Line > 0 {
		return t.Position.Line
	}
	return otherwise
}

// mapping is a YAML mapping that is being read. done complains about what
// nobody asked for.
type mapping struct {
	value
	fields map[string]value
	order  []string
	asked  map[string]bool
}

// mapping returns the fields of v, complaining about what is no mapping and
// about repeated keys.
func (v value) mapping() *mapping {
	m := &mapping{value: v, fields: map[string]value{}, asked: map[string]bool{}}
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case nil:
		return m
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		v.fail("expected fields (name: value), found %s", describe(v.node))
		return m
	}
	for _, pair := range pairs {
		line := lineOf(pair.Key, v.line)
		key, ok := plain(pair.Key)
		if !ok {
			value{v.doc, nil, line, v.path}.fail("expected a plain field name; anchors, merges and tags are not supported")
			continue
		}
		path := key
		if v.path != "" {
			path = v.path + "." + key
		}
		field := value{v.doc, pair.Value, line, path}
		if first, ok := m.fields[key]; ok {
			field.fail("the field is here twice (first in line %d); keep one", first.line)
			continue
		}
		m.fields[key] = field
		m.order = append(m.order, key)
	}
	return m
}

// optional returns a field and whether it is there.
func (m *mapping) optional(name string) (value, bool) {
	m.asked[name] = true
	v, ok := m.fields[name]
	if !ok || v.node == nil || v.node.Type() == ast.NullType {
		if ok {
			v.fail("no value; give one or remove the field")
		}
		return value{doc: m.doc, line: m.line, path: join(m.path, name)}, false
	}
	return v, true
}

// required returns a field, complaining when it is missing.
func (m *mapping) required(name string) value {
	v, ok := m.optional(name)
	if _, there := m.fields[name]; !ok && !there && m.node != nil {
		v.fail("missing; add the field")
	}
	return v
}

// done complains about every field that was not asked for.
func (m *mapping) done() {
	var known []string
	for name := range m.asked {
		known = append(known, name)
	}
	sort.Strings(known)
	for _, name := range m.order {
		if !m.asked[name] {
			m.fields[name].fail("unknown field; expected one of %s", strings.Join(known, ", "))
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// items returns the entries of a list.
func (v value) items() []value {
	if v.node == nil {
		return nil
	}
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.fail("expected a list, found %s", describe(v.node))
		return nil
	}
	values := make([]value, len(list.Values))
	for i, n := range list.Values {
		values[i] = value{v.doc, n, v.line, fmt.Sprintf("%s[%d]", v.path, i)}
		if n == nil || n.Type() == ast.NullType {
			values[i].node = nil
			values[i].fail("an empty entry; fill or remove it")
			continue
		}
		values[i].line = lineOf(n, v.line)
	}
	return values
}

// plain returns the text of a scalar as it is written, or false.
func plain(n any) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Token.Value, true
	case *ast.FloatNode:
		return n.Token.Value, true
	}
	return "", false
}

func describe(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "fields"
	case ast.SequenceType:
		return "a list"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		return "an anchor, alias, merge or tag, which is not supported"
	}
	return fmt.Sprintf("%.40q", n.String())
}

// text reads a scalar of 1 to maxText printable characters.
func (v value) text() string {
	if v.node == nil {
		return ""
	}
	text, ok := plain(v.node)
	if !ok {
		v.fail("expected text, found %s", describe(v.node))
		return ""
	}
	if text == "" || len(text) > maxText {
		v.fail("%.40q: expected 1 to %d characters", text, maxText)
		return ""
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			v.fail("%.40q: expected printable characters", text)
			return ""
		}
	}
	return text
}

// id reads an identifier.
func (v value) id() string {
	if v.node == nil {
		return ""
	}
	text := v.text()
	if text == "" {
		return ""
	}
	if err := checkID(text); err != nil {
		v.fail("%v", err)
		return ""
	}
	return text
}

// number reads a whole number from low to high.
func (v value) number(low, high int) int {
	if v.node == nil {
		return low
	}
	text, ok := plain(v.node)
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if !ok || err != nil {
		if ok {
			v.fail("%.40q: expected a whole number from %d to %d", text, low, high)
		} else {
			v.fail("expected a whole number from %d to %d, found %s", low, high, describe(v.node))
		}
		return low
	}
	if n < low || n > high {
		v.fail("%d: expected %d to %d", n, low, high)
		return low
	}
	return n
}

// boolean reads true or false.
func (v value) boolean() bool {
	if v.node == nil {
		return false
	}
	b, ok := v.node.(*ast.BoolNode)
	if !ok {
		v.fail("expected true or false, found %s", describe(v.node))
		return false
	}
	return b.Value
}

// date reads "2006-01-02" (midnight UTC) or a full RFC 3339 time.
func (v value) date() time.Time {
	var never time.Time
	if v.node == nil {
		return never
	}
	text := v.text()
	if text == "" {
		return never
	}
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			if err := checkDate(t); err != nil {
				v.fail("%v", err)
				return never
			}
			return t
		}
	}
	v.fail("%.40q: expected a date such as 2026-04-01 (midnight UTC) or 2026-04-01T07:00:00Z", text)
	return never
}

// duration reads "15m", "1h30m", and days: "14d".
func (v value) duration() time.Duration {
	if v.node == nil {
		return 0
	}
	text := v.text()
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
		v.fail("%.40q: expected a duration such as 15m, 1h30m or 14d", text)
		return 0
	}
	return d
}
