package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// joinedKeys lists files whose maps may have joined text as keys, with the reason.
var joinedKeys = map[string]string{
	"contract/yaml.go":                   "the path of a field is for a person: it finds a line, never a value, and a key with a dot in it is refused",
	"fabric/ethernet/linux/policy.go":    "the heading of a list, as FRR prints it: one kind, then one name",
	"fabric/ethernet/linux/reflector.go": "the heading of a list, as FRR prints it: one kind, then one name",
	"place/dated/partial.go":             "an id that is made; the ids of steps that are asked for have no dot",
	"site/draft/draft.go":                "an id that is made, tried until nobody has it",
}

// TestNoKeyIsJoinedText: "4.1" beside 1250000000 is "4.11" beside 250000000 once the two
// are one text, and two fees were one line of an invoice at the price of the first. A
// key of several things is a struct of them, or claim.Chain where it has lists in it.
func TestNoKeyIsJoinedText(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || generated(s.path) || joinedKeys[s.path] != "" || room(s.dir) == "bench" || room(s.dir) == "lab" {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root, s.path), s.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			for _, at := range joinedIn(f.Body) {
				t.Errorf("%s:%d: a map is keyed by joined text, in which two different keys can be the same: use a struct as key, or claim.Chain", s.path, fset.Position(at).Line)
			}
		}
	}
}

// joinedIn finds the indexes of maps that are joined text, in place or by a variable
// of the same function.
func joinedIn(body *ast.BlockStmt) (found []token.Pos) {
	made := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i := range a.Lhs {
				if name, ok := a.Lhs[i].(*ast.Ident); ok && (joins(a.Rhs[i]) || a.Tok == token.ADD_ASSIGN && (joins(a.Rhs[i]) || literal(a.Rhs[i]))) {
					made[name.Name] = true
				}
			}
		}
		return true
	})
	ast.Inspect(body, func(n ast.Node) bool {
		if i, ok := n.(*ast.IndexExpr); ok {
			if name, is := i.Index.(*ast.Ident); joins(i.Index) || is && made[name.Name] {
				found = append(found, i.Pos())
			}
		}
		return true
	})
	return found
}

// joins reports whether an expression puts text together.
func joins(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return joins(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (literal(e.X) || literal(e.Y) || joins(e.X) || joins(e.Y))
	case *ast.CallExpr:
		if call, ok := e.Fun.(*ast.SelectorExpr); ok {
			of, _ := call.X.(*ast.Ident)
			switch {
			case of == nil:
			case of.Name == "fmt" && (call.Sel.Name == "Sprint" || call.Sel.Name == "Sprintf" || call.Sel.Name == "Sprintln"):
				return len(e.Args) > 1 // of one thing alone it is that thing's text
			case of.Name == "strings" && call.Sel.Name == "Join":
				return true
			}
		}
	}
	return false
}

func literal(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.STRING
}

// The rule itself finds what it is about.
func TestJoinedKeysAreFound(t *testing.T) {
	for text, want := range map[string]int{
		`m[fmt.Sprint(a, b)]++`:                       1,
		`key := fmt.Sprintf("%s %s", a, b); m[key]++`: 1,
		`key := a; key += "/" + b; m[key]++`:          1,
		`m[a+"/"+b]++`:                                1,
		`m[strings.Join(list, ",")]++`:                1,
		`m[fmt.Sprint(a)]++; m[x{a, b}]++; n[i+1]++`:  0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {"+text+"}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(joinedIn(file.Decls[0].(*ast.FuncDecl).Body)); got != want {
			t.Errorf("%s: %d found, expected %d", text, got, want)
		}
	}
}
