package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// reader reads one file: what it declares, and what each of that mentions.
type reader struct {
	*module
	pkg       *packages.Package
	test      bool
	generated bool
}

func (r reader) file(file *ast.File) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			r.function(d)
		case *ast.GenDecl:
			r.general(d, &thing{})
		}
	}
}

func (m *module) spotOf(pos token.Pos) spot {
	p := m.fset.Position(pos)
	return spot(fmt.Sprintf("%s:%d:%d", p.Filename, p.Line, p.Column))
}

// declare makes a thing of a name.
func (r reader) declare(id *ast.Ident, kind string, within *thing) *thing {
	t := &thing{
		here: r.spotOf(id.Pos()), at: r.fset.Position(id.Pos()), kind: kind, name: id.Name, within: within.here,
		pkg:  strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(r.pkg.PkgPath, "_test"), r.path), "/"),
		test: r.test, quiet: r.generated || id.Name == "_",
	}
	if within.name != "" {
		t.name = within.name + "." + id.Name
	}
	r.things[t.here] = t
	return t
}

// begin says that something is called by nobody here.
func (r reader) begin(t *thing) {
	t.quiet = true
	if r.test {
		r.tests = append(r.tests, t.here)
	} else {
		r.programs = append(r.programs, t.here)
	}
}

func (r reader) function(d *ast.FuncDecl) {
	f := r.pkg.TypesInfo.Defs[d.Name].(*types.Func)
	if d.Recv == nil {
		t := r.declare(d.Name, "function", &thing{})
		switch name := d.Name.Name; {
		case name == "init", name == "_", name == "main" && r.pkg.Name == "main", r.test && begins(name):
			r.begin(t)
		}
		r.walk(t, d)
		return
	}
	receiver := f.Signature().Recv().Type()
	if p, ok := receiver.(*types.Pointer); ok {
		receiver = p.Elem()
	}
	of := receiver.(*types.Named).Obj()
	t := r.declare(d.Name, "method", &thing{here: r.spotOf(of.Pos()), name: of.Name()})
	t.calls = callOf(f)
	r.walk(t, d)
}

// begins reports whether `go test` runs a function of that name.
func begins(name string) bool {
	for _, prefix := range []string{"Test", "Benchmark", "Fuzz", "Example"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// general reads constants, types, and variables that are not a function's: those the
// compiler looks after.
func (r reader) general(d *ast.GenDecl, within *thing) {
	var counted []*thing
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			t := r.declare(s.Name, "type", within)
			r.parts(t, s.Type)
			if s.TypeParams != nil {
				r.walk(t, s.TypeParams)
			}
		case *ast.ValueSpec:
			if d.Tok == token.VAR && within.here != "" {
				r.walk(within, s)
				continue
			}
			for _, id := range s.Names {
				if id.Name == "_" {
					r.blank(s)
					continue
				}
				t := r.declare(id, map[token.Token]string{token.CONST: "constant", token.VAR: "variable"}[d.Tok], within)
				r.walk(t, s)
				counted = append(counted, t)
			}
		}
	}
	if !counts(d) {
		return
	}
	for _, t := range counted { // a number of an enumeration lives with its neighbours
		for _, other := range counted {
			t.mentions = append(t.mentions, other.here)
		}
	}
}

// counts reports whether constants get their values by counting.
func counts(d *ast.GenDecl) bool {
	for _, s := range d.Specs {
		if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.CONST && len(v.Values) == 0 {
			return true
		}
	}
	return false
}

// blank reads what has no name. That a type has the methods of an interface keeps neither
// alive; what is called is.
func (r reader) blank(s *ast.ValueSpec) {
	for _, v := range s.Values {
		ast.Inspect(v, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || r.pkg.TypesInfo.Types[c.Fun].IsType() {
				return true
			}
			t := &thing{here: "blank " + r.spotOf(c.Pos())}
			r.things[t.here] = t
			r.begin(t)
			r.walk(t, c)
			return false
		})
	}
}

// parts reads what a type is made of: fields and methods are things of their own.
func (r reader) parts(t *thing, e ast.Expr) {
	var fields []*ast.Field
	var kind string
	switch e := e.(type) {
	case *ast.StructType:
		fields, kind = e.Fields.List, "field"
	case *ast.InterfaceType:
		fields, kind = e.Methods.List, "method"
	default:
		r.walk(t, e)
		return
	}
	// With tags, others read and write the fields by their names.
	tagged := slices.ContainsFunc(fields, func(f *ast.Field) bool { return f.Tag != nil })
	for _, f := range fields {
		if len(f.Names) == 0 { // embedded: it lives with the whole
			r.walk(t, f.Type)
		}
		for _, id := range f.Names {
			part := r.declare(id, kind, t)
			if method, ok := r.pkg.TypesInfo.Defs[id].(*types.Func); ok {
				part.calls, part.asked = callOf(method), true
			}
			if f.Tag != nil || tagged && id.IsExported() {
				t.mentions = append(t.mentions, part.here)
			}
			r.parts(part, f.Type)
		}
	}
}

// walk notes what a piece of code mentions, as mentioned by t.
func (r reader) walk(t *thing, n ast.Node) {
	info := r.pkg.TypesInfo
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			r.mention(t, info.Uses[n])
		case *ast.GenDecl: // within a function
			r.general(n, t)
			return false
		case *ast.StructType, *ast.InterfaceType: // without a name
			r.parts(t, n.(ast.Expr))
			return false
		case *ast.CompositeLit:
			if len(n.Elts) > 0 {
				if _, keyed := n.Elts[0].(*ast.KeyValueExpr); !keyed {
					r.fields(t, info.Types[n].Type)
				}
			}
		case *ast.CallExpr:
			if info.Types[n.Fun].IsType() && len(n.Args) == 1 {
				r.fields(t, info.Types[n].Type)
				r.fields(t, info.Types[n.Args[0]].Type)
			}
		}
		return true
	})
}

func (r reader) mention(t *thing, o types.Object) {
	switch v := o.(type) {
	case *types.Func:
		o = v.Origin()
	case *types.Var:
		o = v.Origin()
	case nil:
		return
	}
	if r.ours(o.Pkg()) {
		t.mentions = append(t.mentions, r.spotOf(o.Pos()))
	}
}

// fields: a struct that is written without the names of its fields, or converted to
// another, has them all mentioned.
func (r reader) fields(t *thing, of types.Type) {
	if p, ok := of.Underlying().(*types.Pointer); ok {
		of = p.Elem()
	}
	if s, ok := of.Underlying().(*types.Struct); ok {
		for f := range s.Fields() {
			r.mention(t, f)
		}
	}
}
