package contract

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxDepth is the deepest nesting of a contract file, with room to spare.
const maxDepth = 16

// document is a contract file while it is read: a plain subset of YAML
// (mappings, sequences, scalars), every field of it known.
type document struct {
	findings
	file  string
	lines map[string]int // field path -> line
}

// field is one value in the file with where it stands.
type field struct {
	doc  *document
	path string
	node ast.Node
}

// known maps the keys of a mapping to what reads them.
type known map[string]func(field)

// readDocument parses the file into its top mapping.
func readDocument(file string, data []byte) (*document, *ast.MappingNode, error) {
	doc := &document{file: file, lines: map[string]int{"": 1}}
	fail := func(line int, format string, args ...any) (*document, *ast.MappingNode, error) {
		return nil, nil, Errors{{File: file, Line: max(line, 1), Reason: fmt.Sprintf(format, args...)}}
	}
	switch {
	case len(data) > MaxFile:
		return fail(1, "%d bytes: a contract file has at most %d", len(data), MaxFile)
	case !utf8.Valid(data):
		return fail(1, "is not UTF-8 text")
	}
	if line := tooDeep(data); line > 0 {
		return fail(line, "is nested too deeply: a contract needs no more than %d levels", maxDepth)
	}
	parsed, err := parser.ParseBytes(data, 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil && syntax.Token.Position != nil {
			return fail(syntax.Token.Position.Line, "%s", syntax.Message)
		}
		return fail(1, "is not YAML: %.200s", firstLine(err.Error()))
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		return fail(1, "holds %d YAML documents: expected one contract", len(parsed.Docs))
	}
	top, ok := parsed.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return fail(lineOf(parsed.Docs[0].Body), "expected the fields of a contract, such as id: and tranches:")
	}
	return doc, top, nil
}

// tooDeep finds the first line that nests deeper than maxDepth, before the
// parser recurses into it. It counts brackets and dashes wherever they stand.
func tooDeep(data []byte) int {
	open := 0
	for i, line := range bytes.Split(data, []byte("\n")) {
		text, _, _ := strings.Cut(string(line), " #")
		if strings.HasPrefix(strings.TrimSpace(text), "#") {
			continue
		}
		indent := len(text) - len(strings.TrimLeft(text, " -?:\t"))
		open += strings.Count(text, "[") + strings.Count(text, "{")
		if open > maxDepth || indent > 4*maxDepth {
			return i + 1
		}
		open = max(0, open-strings.Count(text, "]")-strings.Count(text, "}"))
	}
	return 0
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// locate gives a finding the line of its field, or of the nearest field around
// it that the file has.
func (d *document) locate() {
	for _, e := range d.list {
		if e.Line > 0 {
			continue
		}
		e.File = d.file
		for path := e.Field; ; {
			if line, ok := d.lines[path]; ok {
				e.Line = line
				break
			}
			cut := strings.LastIndexAny(path, ".[")
			path = path[:max(cut, 0)]
		}
	}
}

func (f field) errorf(format string, args ...any) { f.doc.add(f.path, format, args...) }

// fields reads a mapping whose keys are all known.
func (f field) fields(want known) {
	m, ok := f.node.(*ast.MappingNode)
	if !ok {
		f.errorf("expected fields, found %s", describe(f.node))
		return
	}
	seen := map[string]bool{}
	for _, pair := range m.Values {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			f.errorf("line %d: expected a plain field name", lineOf(pair.Key))
			continue
		}
		path := key.Value
		if f.path != "" {
			path = f.path + "." + key.Value
		}
		if _, has := f.doc.lines[path]; !has {
			f.doc.lines[path] = lineOf(key)
		}
		read, ok := want[key.Value]
		switch {
		case !ok:
			f.doc.list = append(f.doc.list, &FieldError{File: f.doc.file, Line: lineOf(key), Field: printable(path),
				Reason: "unknown field: expected one of " + strings.Join(sortedKeys(want), ", ")})
		case seen[key.Value]:
			f.doc.list = append(f.doc.list, &FieldError{File: f.doc.file, Line: lineOf(key), Field: path, Reason: "is given twice"})
		default:
			seen[key.Value] = true
			read(field{f.doc, path, pair.Value})
		}
	}
}

// printable keeps a path that came from a file fit for a message.
func printable(path string) string {
	quoted := fmt.Sprintf("%.80q", path)
	return quoted[1 : len(quoted)-1]
}

// each reads a sequence.
func (f field) each(read func(field)) {
	s, ok := f.node.(*ast.SequenceNode)
	if !ok {
		f.errorf("expected a list, found %s", describe(f.node))
		return
	}
	for i, n := range s.Values {
		path := fmt.Sprintf("%s[%d]", f.path, i)
		f.doc.lines[path] = lineOf(n)
		read(field{f.doc, path, n})
	}
}

// scalar is the text of a plain value, as it stands in the file.
func (f field) scalar() (string, bool) {
	switch n := f.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(n.Value.Value, "\n"), true
	case *ast.IntegerNode:
		return n.Token.Value, true
	case *ast.FloatNode:
		return n.Token.Value, true
	case *ast.BoolNode:
		return n.Token.Value, true
	}
	f.errorf("expected a value, found %s", describe(f.node))
	return "", false
}

func describe(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "fields"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, which contracts don't use"
	case *ast.TagNode:
		return "a tag, which contracts don't use"
	default:
		return "a plain value"
	}
}
