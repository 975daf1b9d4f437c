package claim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// YAML is one value of a YAML file that a person wrote, with where it stands. It is read
// from the syntax tree, so that every complaint, also one about meaning, names its line;
// whoever reads complains and goes on, and asks Err at the end. Taken is what stands there
// plainly: one document, every field known and once, no anchors, aliases, merges or tags.
//
// A value that is missing stands at the line of what it is missing from, was complained
// about, and reads as nothing.
type YAML struct {
	doc  *written
	node ast.Node // nil: missing
	Line int      // from 1
	Path string   // such as halls[2].pods[0].kind; "": the whole file
}

// written is a file while it is read.
type written struct {
	file     string
	problems Problems
	failed   int // of which the first are in problems
}

// maxNesting is how deep any file of ours nests, with room to spare. The parser recurses,
// and its time grows with the square of the depth.
const maxNesting = 16

// maxKept bounds the memory of a file that is all wrong.
const maxKept = 1000

// ReadYAML parses a file of at most so many bytes. expected says what should be in it, to
// who gives an empty one.
func ReadYAML(file string, data []byte, most int, expected string) (YAML, error) {
	top := YAML{doc: &written{file: file}, Line: 1}
	switch {
	case len(data) > most:
		top.Fail("%d bytes: expected at most %d", len(data), most)
	case !utf8.Valid(data):
		top.Fail("not UTF-8 text")
	default:
		top.parse(data, expected)
	}
	return top, top.Err()
}

func (v *YAML) parse(data []byte, expected string) {
	tokens := lexer.Tokenize(string(data))
	if v.Line = tooDeep(tokens); v.Line > 0 {
		v.Fail("nested too deeply: expected at most %d levels", maxNesting)
		return
	}
	v.Line = 1
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n")
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			text, v.Line = syntax.Message, tokenLine(syntax.Token, 1)
		}
		v.Fail("not YAML: %.200s", text)
		return
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if v.node != nil {
			v.Line = tokenLine(doc.Body.GetToken(), 1)
			v.Fail("a second document: expected one a file; remove the --- line and what follows")
			return
		}
		v.node = doc.Body
	}
	if v.node == nil {
		v.Fail("empty: expected %s", expected)
	}
}

// tooDeep finds the line of the first token that is too deep for the parser, or 0: by
// the columns of keys and dashes outside brackets, and by the brackets.
func tooDeep(tokens token.Tokens) int {
	var columns []int
	open := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open = max(0, open-1)
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if open > 0 {
				break
			}
			column := t.Position.Column
			if key := t.Prev; t.Type == token.MappingValueType && key != nil && key.Position.Line == t.Position.Line {
				column = key.Position.Column
			}
			for len(columns) > 0 && columns[len(columns)-1] > column {
				columns = columns[:len(columns)-1]
			}
			if len(columns) == 0 || columns[len(columns)-1] < column {
				columns = append(columns, column)
			}
		}
		if open+len(columns) > maxNesting {
			return max(1, t.Position.Line)
		}
	}
	return 0
}

func tokenLine(t *token.Token, otherwise int) int {
	if t != nil && t.Position != nil && t.Position.Line > 0 {
		return t.Position.Line
	}
	return otherwise
}

// File is the name of the file, as it was given.
func (v YAML) File() string { return v.doc.file }

// Missing says whether there is no value.
func (v YAML) Missing() bool { return v.node == nil }

// IsList says whether the value is a list, where it may be one.
func (v YAML) IsList() bool {
	_, is := v.node.(*ast.SequenceNode)
	return is
}

// Fail complains about the value.
func (v YAML) Fail(format string, args ...any) {
	if v.doc.failed++; v.doc.failed > maxKept {
		return
	}
	path := fmt.Sprintf("%.200q", v.Path) // whatever a file has for a key
	v.doc.problems = append(v.doc.problems, &Problem{v.doc.file, v.Line, path[1 : len(path)-1], fmt.Sprintf(format, args...)})
}

// Failed counts the complaints about the file so far.
func (v YAML) Failed() int { return v.doc.failed }

// Err is all complaints about the file, by line, or nil.
func (v YAML) Err() error { return v.doc.problems.Err() }

// Locate takes over what was found wrong with what v was read into: each problem at the
// line of its field, or of the nearest one around it that the file has.
func (v YAML) Locate(found Problems) {
	for _, p := range found {
		at := v
		for rest := p.Field; rest != ""; {
			name, after := rest, ""
			if cut := strings.IndexAny(rest[1:], ".["); cut >= 0 {
				name, after = rest[:cut+1], strings.TrimPrefix(rest[cut+1:], ".")
			}
			below, ok := at.below(name)
			if !ok {
				break
			}
			at, rest = below, after
		}
		v.doc.problems = append(v.doc.problems, &Problem{v.doc.file, at.Line, p.Field, p.Reason})
	}
}

// below is the field or entry of that name, such as "rates" or "[1]".
func (v YAML) below(name string) (YAML, bool) {
	quiet := YAML{doc: &written{}, node: v.node, Line: v.Line}
	var number int
	if _, err := fmt.Sscanf(name, "[%d]", &number); err == nil {
		if items := quiet.Items(); number < len(items) {
			return items[number], true
		}
		return v, false
	}
	below, ok := quiet.Fields().named[name]
	return below, ok
}

// YAMLFields are the fields of a mapping that is being read. Done complains about those
// that nobody asked for.
type YAMLFields struct {
	YAML
	Names []string // in the order of the file
	named map[string]YAML
	asked map[string]bool
}

// Fields reads a mapping.
func (v YAML) Fields() *YAMLFields {
	f := &YAMLFields{YAML: v, named: map[string]YAML{}, asked: map[string]bool{}}
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case nil:
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		v.Fail("expected fields (name: value), found %s", v.Found())
	}
	for _, pair := range pairs {
		field := YAML{v.doc, pair.Value, tokenLine(pair.Key.GetToken(), v.Line), v.Path}
		name, ok := (YAML{node: pair.Key}).Plain()
		if !ok {
			field.Fail("expected a plain field name; anchors, merges and tags are not supported")
			continue
		}
		if field.Path = name; v.Path != "" {
			field.Path = v.Path + "." + name
		}
		if first, twice := f.named[name]; twice {
			field.Fail("the field is here twice (first in line %d); keep one", first.Line)
			continue
		}
		f.named[name] = field
		f.Names = append(f.Names, name)
	}
	return f
}

// Optional returns a field and whether it is there.
func (f *YAMLFields) Optional(name string) (YAML, bool) {
	if v := f.named[name]; f.Empty(name) {
		v.Fail("found nothing; give a value or remove the field")
	} else if !v.Missing() {
		return v, true
	}
	missing := YAML{doc: f.doc, Line: f.Line, Path: name}
	if f.Path != "" {
		missing.Path = f.Path + "." + name
	}
	return missing, false
}

// Required returns a field, and complains where it is not there.
func (f *YAMLFields) Required(name string) YAML {
	v, ok := f.Optional(name)
	if _, there := f.named[name]; !ok && !there && !f.Missing() {
		v.Fail("missing; add the field")
	}
	return v
}

// Empty says whether a field is there and has no value, where that means something.
func (f *YAMLFields) Empty(name string) bool {
	f.asked[name] = true
	v, there := f.named[name]
	return there && (v.Missing() || v.node.Type() == ast.NullType)
}

// Done complains about every field that was not asked for.
func (f *YAMLFields) Done() {
	known := slices.Sorted(maps.Keys(f.asked))
	for _, name := range f.Names {
		if !f.asked[name] {
			f.named[name].Fail("unknown field: expected one of %s", strings.Join(known, ", "))
		}
	}
}

// Items reads the entries of a list.
func (v YAML) Items() []YAML {
	if v.Missing() {
		return nil
	}
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.Fail("expected a list, found %s", v.Found())
		return nil
	}
	items := make([]YAML, len(list.Values))
	for i, n := range list.Values {
		items[i] = YAML{v.doc, n, v.Line, fmt.Sprintf("%s[%d]", v.Path, i)}
		if n != nil {
			items[i].Line = tokenLine(n.GetToken(), v.Line)
		}
		if n == nil || n.Type() == ast.NullType {
			items[i].node = nil
			items[i].Fail("an empty entry; fill or remove it")
		}
	}
	return items
}

// Plain returns the text of a value that is one text, number or word, as it is written.
func (v YAML) Plain() (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// Bool reads true or false.
func (v YAML) Bool() bool {
	b, ok := v.node.(*ast.BoolNode)
	if !ok && !v.Missing() {
		v.Fail("expected true or false, found %s", v.Found())
	}
	return ok && b.Value
}

// Found says what the value is, for a complaint.
func (v YAML) Found() string {
	switch v.node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "fields"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		return "an anchor, alias, merge or tag, which is not supported"
	}
	text, _ := v.Plain()
	return fmt.Sprintf("%.40q", text)
}
