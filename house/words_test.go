package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// word is one word that has been used for two things, or would be. What it means, and
// what to say for the other thing, is in docs/words.md as well.
type word struct {
	forms []string // in names that a package declares; their parts, in lower case
	at    []string // files and folders in which it means what it means; nil: nowhere
	says  string   // what it means, and what to say instead
}

var reserved = []word{
	{[]string{"fence", "fences", "fenced", "fencing"},
		[]string{"lineage/", "fabric/", "wire/", "sim/", "lab/", "run/lineage.go", "node/driver.go", "prove/", "node/driver.go", "node/nodetest/", "book/next.go"},
		"a fence is the token that a writer shows to devices: a node is severed, a mount ends, work is deferred"},
	{[]string{"hold", "held", "holder", "holders", "holding", "holdings", "unheld"},
		[]string{"prove/", "book/labels.go", "book/adopt.go", "run/churn.go", "lab/stage/watch.go", "fabric/ethernet/collector/"},
		"a holder is whom a port belongs to, for the prover: a loop is paused, work is deferred, a node is taken, and booked by a lease, links are assigned, a line is contested"},
	{[]string{"witness", "witnesses", "witnessed"}, nil,
		"a witness is who cosigns a checkpoint, and there is none yet: what is read back has sources, a move has the log of a tenant"},
	{[]string{"caller", "callers"}, []string{"api/"},
		"a caller is who calls the API: webhooks are sent by the notifier"},
	{[]string{"locked"},
		[]string{"fabric/", "book/isolation.go", "book/snapshot.go", "bundle/", "lab/story/"},
		"locked is locked down: a port has drifted, with a state; a ledger that another process writes is in use"},
	{[]string{"heard", "unheard", "rivals", "ground", "cast", "mute"}, nil,
		"say what it holds: routes, notices, lldp, answers, tenants, sites"},
}

// bare are names that say too little for a type.
var bare = map[string]string{
	"receipt": "a receipt says of which act: ApplyReceipt, StepReceipt, SanitizeReceipt, RevokeReceipt, ErasureReceipt",
	"place":   "place is the package that says where a lease goes: say what the value is, such as nodePosition or fileLine",
	"book":    "book is the package of what is true now",
	"bundle":  "bundle is the package of what a tenant takes home",
	"meter":   "meter is the package of what it costs",
	"stage":   "stage is the package of what labs share",
	"wire":    "wire is the package of the driver protocol",
	"ledger":  "ledger is the package of what happened",
}

// TestAWordMeansOneThing: every wrong turn of a new reader was a word that stood for two
// things. Names inside a function are its own business, and so are those of tests.
func TestAWordMeansOneThing(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || generated(s.path) || room(s.dir) == "bench" {
			continue
		}
		for name, isType := range declared(t, s.path) {
			if why, ok := bare[strings.ToLower(name)]; ok && isType && filepath.Base(s.dir) != strings.ToLower(name) {
				t.Errorf("%s declares a type %s: %s (docs/words.md)", s.path, name, why)
			}
			for _, w := range reserved {
				if misused(w, s.path, name) {
					t.Errorf("%s declares %s: %s (docs/words.md)", s.path, name, w.says)
				}
			}
		}
	}
}

func misused(w word, path, name string) bool {
	return slices.ContainsFunc(parts(name), func(p string) bool { return slices.Contains(w.forms, p) }) &&
		!slices.ContainsFunc(w.at, func(at string) bool { return strings.HasPrefix(path, at) })
}

var part = regexp.MustCompile(`[A-Z]+(?:[a-z0-9]+)?|[a-z0-9]+`)

// parts cuts a name where its words begin: "ErrFenced" is "err" and "fenced".
func parts(name string) []string {
	return part.FindAllString(strings.ToLower(spaced.ReplaceAllString(name, "$1 $2")), -1)
}

var spaced = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// declared lists the names that a file declares, and says of each whether it is a type:
// types, fields, methods, functions, constants and variables of the package.
func declared(t *testing.T, path string) map[string]bool {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	add := func(ids []*ast.Ident, isType bool) {
		for _, id := range ids {
			names[id.Name] = names[id.Name] || isType
		}
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			add([]*ast.Ident{d.Name}, false)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					add(spec.Names, false)
				case *ast.TypeSpec:
					add([]*ast.Ident{spec.Name}, true)
					ast.Inspect(spec.Type, func(n ast.Node) bool {
						switch n := n.(type) {
						case *ast.StructType:
							for _, f := range n.Fields.List {
								add(f.Names, false)
							}
						case *ast.InterfaceType:
							for _, f := range n.Methods.List {
								add(f.Names, false)
							}
						}
						return true
					})
				}
			}
		}
	}
	return names
}

// alike are exported types whose name stands in more than one room, by why that misleads
// nobody. A new one is either the same thing seen from another room, or gets another name.
var alike = map[string]string{
	"what a package of its kind has, and is asked for by the package's name": "Asked Capabilities Changes Check Client Config Control Device Digest Driver Event Failure Fault Finding Fixture Header Input Key Kind Log Method Missing Observation Options Outcome Path Plan Policy Reader Refusal Report Request Role Row Shape Sim State Step Tree Trust Verdict",
	"one thing of the world, as each of several rooms knows it":              "Acknowledged Act Booking Brake Certificate Checkpoint Class Contract Evidence Fabric Facts Found Hall Health Host Interval Invoice Leaf Lease Link Node Owner Plane Pod Port Ports Posture Quote Registered SU SeverProof SeveredPort Seen Silence Silent Site Span Supply TenantKey TenantToken Usage Volume",
	"the writer's token, under the name of each driver that takes it":        "Fence",
	"what is asked for, and what is drafted, in the room that says of what":  "Ask Change Draft",
}

// TestATypeIsNamedOnce: two rooms that give one name to two things send readers to the
// wrong file.
func TestATypeIsNamedOnce(t *testing.T) {
	known := map[string]bool{}
	for _, names := range alike {
		for _, name := range strings.Fields(names) {
			known[name] = true
		}
	}
	rooms := map[string][]string{}
	for _, s := range sources(t) {
		if s.test || generated(s.path) || room(s.dir) == "bench" {
			continue
		}
		for name, isType := range declared(t, s.path) {
			if isType && ast.IsExported(name) && !slices.Contains(rooms[name], room(s.dir)) {
				rooms[name] = append(rooms[name], room(s.dir))
			}
		}
	}
	for name, in := range rooms {
		if len(in) > 1 && !known[name] {
			t.Errorf("%v each have a type %s: if they mean different things, one gets another name; if not, say in alike why it misleads nobody", in, name)
		}
	}
	for name := range known {
		if len(rooms[name]) < 2 {
			t.Errorf("alike explains %s, and only %v has such a type: take it out", name, rooms[name])
		}
	}
}

// TestWordsArePutDown: what the rule above keeps apart is what a reader can look up.
func TestWordsArePutDown(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "words.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := func(w string) bool { return regexp.MustCompile(`(?m)^\| [^|]*\b` + w + `\b[^|]* \|`).Match(text) }
	for _, w := range reserved {
		for _, form := range w.forms[:1] {
			if !row(form) {
				t.Errorf("docs/words.md has no row of %q: %s", form, w.says)
			}
		}
	}
	for w := range bare {
		if !row(w) {
			t.Errorf("docs/words.md has no row of %q: %s", w, bare[w])
		}
	}
}
