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
	doc    *written
	node   ast.Node // nil: missing
	Line   int      // from 1, where its name stands, or the value itself in a list
	Column int      // from 1, the same
	Path   string   // such as halls[2].pods[0].kind; "": the whole file
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
	top := YAML{doc: &written{file: file}, Line: 1, Column: 1}
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
	if deep := tooDeep(tokens); deep != nil {
		v.at(deep).Fail("nested too deeply: expected at most %d levels", maxNesting)
		return
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if !errors.As(err, &syntax) {
			v.Fail("not YAML")
			return
		}
		at := v.at(syntax.Token)
		at.Path = fieldAbove(string(data), at.Line)
		at.Fail("not YAML: %s; found %s", plainWords(syntax.Message), lineFound(string(data), at.Line))
		return
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if v.node != nil {
			v.at(first(doc.Body)).Fail("a second document: expected one a file; remove the --- line and what follows")
			return
		}
		v.node = doc.Body
	}
	if v.node == nil {
		v.Fail("empty: expected %s", expected)
	}
}

// tooDeep finds the first token that is too deep for the parser, or nil: by the columns
// of keys and dashes outside brackets, and by the brackets.
func tooDeep(tokens token.Tokens) *token.Token {
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
			return t
		}
	}
	return nil
}

// first is the token that a value begins with: that of fields of a block is a colon.
func first(n ast.Node) *token.Token {
	switch of := n.(type) {
	case *ast.MappingNode:
		if !of.IsFlowStyle && len(of.Values) > 0 {
			return of.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return of.Key.GetToken()
	}
	return n.GetToken()
}

// at is the value where a token stands, if it says so.
func (v YAML) at(t *token.Token) YAML {
	if t != nil && t.Position != nil && t.Position.Line > 0 {
		v.Line, v.Column = t.Position.Line, max(1, t.Position.Column)
	}
	return v
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
	v.doc.problems = append(v.doc.problems, &Problem{v.doc.file, v.Line, v.Column, path[1 : len(path)-1], fmt.Sprintf(format, args...)})
}

// Failed counts the complaints about the file so far.
func (v YAML) Failed() int { return v.doc.failed }

// Err is all complaints about the file, by line, or nil.
func (v YAML) Err() error { return v.doc.problems.Err() }

// Locate takes over what was found wrong with what v was read into: each problem at the
// place of its field, or of the nearest one around it that the file has.
func (v YAML) Locate(found Problems) {
	for _, p := range found {
		at, _ := v.nearest(p.Field)
		v.doc.problems = append(v.doc.problems, &Problem{v.doc.file, at.Line, at.Column, p.Field, p.Reason})
	}
}

// nearest is the field of that path, or the nearest one around it and false.
func (v YAML) nearest(path string) (YAML, bool) {
	for path != "" {
		name, after := path, ""
		if cut := strings.IndexAny(path[1:], ".["); cut >= 0 {
			name, after = path[:cut+1], strings.TrimPrefix(path[cut+1:], ".")
		}
		below, ok := v.below(name)
		if !ok {
			return v, false
		}
		v, path = below, after
	}
	return v, true
}

// locate is Locate for an error whose text begins with the field that it is about, as
// "keys[1].public: ...", and with fields below that. Where the file has no such field, the
// error says where it is missing by itself.
func (v YAML) locate(err error) error {
	p := &Problem{File: v.doc.file, Reason: err.Error()}
	for {
		field, reason, cut := strings.Cut(p.Reason, ": ")
		at, is := v.nearest(field)
		if !cut || !is || field == "" {
			return Problems{p}
		}
		if p.Field != "" && field[0] != '[' {
			p.Field += "."
		}
		p.Field += field
		p.Line, p.Column, p.Reason, v = at.Line, at.Column, reason, at
	}
}

// below is the field or entry of that name, such as "rates" or "[1]".
func (v YAML) below(name string) (YAML, bool) {
	quiet := YAML{doc: &written{}, node: v.node, Line: v.Line, Column: v.Column}
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
		field := v.at(pair.Key.GetToken())
		field.node = pair.Value
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
	missing := YAML{doc: f.doc, Line: f.Line, Column: f.Column, Path: name}
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
		items[i] = v
		if n != nil {
			items[i] = v.at(first(n))
		}
		items[i].node, items[i].Path = n, fmt.Sprintf("%s[%d]", v.Path, i)
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
