package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

// spot is where something is declared: it names a thing in every variant of a package
// that Go compiles for its tests.
type spot string

// thing is what has a name: a function, method, type, field, constant or variable.
type thing struct {
	here     spot
	at       token.Position
	kind     string
	pkg      string // its package's path below the module's
	name     string // in its package: Type.Method, Type.Field
	test     bool   // it stands in a file of tests
	quiet    bool   // nobody wrote it, or who begins by it is outside: never said to be dead
	within   spot   // the type that it is a part of, or the function
	calls    call   // of a method: how an interface calls it
	asked    bool   // the method is an interface's
	mentions []spot
}

// call is how an interface calls a method: its name, and what it takes and gives. What
// hangs on a type parameter is known by its name alone.
type call struct{ name, signature string }

// module is everything that is declared in a module, and who mentions whom.
type module struct {
	dir, path string
	fset      *token.FileSet
	things    map[spot]*thing
	outside   map[call]bool // what the interfaces of others may call
	programs  []spot        // where programs begin
	tests     []spot        // where tests begin
}

// unseen is what others call by interfaces that they keep to themselves, within functions.
var unseen = map[call]bool{{"Error", "() (string)"}: true, {name: "Unwrap"}: true, {name: "Is"}: true, {name: "As"}: true}

// tags are of tests that only some targets build. No file is left out because of one.
const tags = "-tags=labs,mutants"

func load(dir string) (*module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m := &module{dir: dir, fset: token.NewFileSet(), things: map[spot]*thing{}, outside: maps.Clone(unseen)}
	// Without NeedDeps only this module is read from source: of others, what the compiler has kept.
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule,
		Dir:  dir, Fset: m.fset, Tests: true, BuildFlags: []string{tags},
	}, "./...")
	if err != nil {
		return nil, err
	}
	read, seen := map[string]bool{}, map[*types.Package]bool{}
	for _, p := range pkgs {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s does not compile: %v", p.PkgPath, p.Errors[0])
		}
		if strings.HasSuffix(p.PkgPath, ".test") { // the program that go test makes of a package
			continue
		}
		m.path = p.Module.Path
		m.learn(p.Types, seen)
		for _, file := range p.Syntax {
			if name := m.fset.Position(file.Pos()).Filename; !read[name] {
				read[name] = true
				reader{m, p, strings.HasSuffix(name, "_test.go"), ast.IsGenerated(file)}.file(file)
			}
		}
	}
	return m, nil
}

// learn takes note of what interfaces of other modules call.
func (m *module) learn(p *types.Package, seen map[*types.Package]bool) {
	if seen[p] {
		return
	}
	seen[p] = true
	for _, i := range p.Imports() {
		m.learn(i, seen)
	}
	if m.ours(p) {
		return
	}
	for _, name := range p.Scope().Names() {
		declared, ok := p.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		if i, ok := declared.Type().Underlying().(*types.Interface); ok {
			for method := range i.Methods() {
				m.outside[callOf(method)] = true
			}
		}
	}
}

func (m *module) ours(p *types.Package) bool {
	return p != nil && (p.Path() == m.path || strings.HasPrefix(p.Path(), m.path+"/"))
}

func callOf(f *types.Func) call {
	s := f.Signature()
	generic := false
	list := func(t *types.Tuple) string {
		var out []string
		for v := range t.Variables() {
			generic = generic || hangs(v.Type())
			out = append(out, types.TypeString(v.Type(), nil))
		}
		return "(" + strings.Join(out, ", ") + ")"
	}
	signature := list(s.Params()) + " " + list(s.Results())
	if generic {
		signature = ""
	}
	return call{f.Name(), signature}
}

// hangs reports whether a type is made of a type parameter.
func hangs(t types.Type) bool {
	switch t := t.(type) {
	case *types.TypeParam:
		return true
	case *types.Named:
		for a := range t.TypeArgs().Types() {
			if hangs(a) {
				return true
			}
		}
	case *types.Map:
		return hangs(t.Key()) || hangs(t.Elem())
	case *types.Signature:
		for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
			for v := range tuple.Variables() {
				if hangs(v.Type()) {
					return true
				}
			}
		}
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		return hangs(t.Elem())
	}
	return false
}
