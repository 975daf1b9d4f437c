// Package house is the rules of the house, as tests whose failures say why.
// Which room may import which, what pure rooms may not touch, which words mean what, how
// long a file may grow, what the map says.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = ".."

// mayImport is the import graph of the rooms, as data. A room may import what is
// listed, and its own subpackages may import what the room may. A new edge is a
// decision: write it down in docs/decisions and here.
var mayImport = map[string][]string{
	"claim":     {},
	"lineage":   {},
	"custody":   {},
	"site":      {"claim"},
	"lease":     {"claim", "site"},
	"contract":  {"claim", "lease"},
	"place":     {"claim", "lease", "site"},
	"fabric":    {"claim", "custody", "lease", "lineage", "site"},
	"storage":   {"claim", "contract", "lease", "site"},
	"node":      {"claim", "lease", "lineage", "site"},
	"prove":     {"claim", "fabric", "lease", "site"},
	"meter":     {"claim", "contract", "lease", "site"},
	"ledger":    {"claim"},
	"keystore":  {"claim", "custody", "ledger"},
	"book":      {"claim", "contract", "fabric", "lease", "ledger", "lineage", "meter", "node", "place", "prove", "site", "storage"},
	"bundle":    {"claim", "contract", "custody", "fabric", "lease", "ledger", "meter", "node", "place", "prove", "site", "storage"},
	"run":       {"book", "bundle", "claim", "contract", "custody", "fabric", "keystore", "lease", "ledger", "lineage", "meter", "node", "place", "prove", "site", "storage"},
	"whatif":    {"book", "claim", "contract", "lease", "meter", "place", "site"},
	"wire":      {"claim", "custody", "fabric", "lineage", "node", "prove", "site", "storage"}, // prove: a driver with a gateway beside it proves that each BMC is a zone of its own
	"sim":       {"claim", "fabric", "lease", "node", "site", "storage", "wire"},
	"api":       {"book", "bundle", "claim", "contract", "custody", "fabric", "keystore", "lease", "ledger", "meter", "node", "place", "prove", "run", "site", "storage", "whatif"},
	"reckoning": {}, // a second opinion on invoices, for tests: written from docs/contracts.md, it must not know how the meter works
	"examples":  {},
	"bench":     nil, // a module of its own: what it depends on never reaches the product, and nothing imports it
	"lab":       nil, // tells the whole story: anything below cmd
	"cmd":       nil, // the top: anything
	"house":     {},
}

// pure are the packages that may not touch the world outside: what they decide
// must follow from their arguments alone, so that replay gives the same state
// and a tenant can compute it again.
var pure = []string{"claim", "lineage", "site", "site/draft", "site/hostlist", "site/slurm", "lease", "contract", "place", "prove", "meter", "book", "fabric", "fabric/infiniband", "fabric/infiniband/mad", "fabric/infiniband/netdiscover",
	"fabric/infiniband/opensm/conf",
	"fabric/ethernet", "fabric/ethernet/discovered", "fabric/ethernet/management", "storage", "node", "node/wipe", "node/attest", "ledger",
	"place/solve", "place/check", "place/dated", "whatif", "whatif/picture"}

var impure = []string{"os", "net", "net/http", "database/sql", "math/rand", "math/rand/v2", "os/exec", "syscall", "log", "log/slog", "sync", "time/rand"}

// ledger's root holds the interface and the file outside the store beside the
// Merkle maths; only its Merkle and frame files must be pure.
// claim/form.go remembers what it has learnt of a type, which is always the same.
var impureFiles = map[string]bool{"claim/form.go": true, "ledger/published.go": true, "ledger/recover.go": true, "ledger/verify.go": true}

// generous lists files that may pass the limit of lines, with the reason.
var generous = map[string]string{}

type source struct {
	path    string // from the root, with slashes
	dir     string
	test    bool
	imports []string
	text    string
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || rel == "bin" || rel == "demo" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), text: string(text)}
		for _, i := range file.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			s.imports = append(s.imports, p)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d Go files found under %s", len(out), root)
	}
	return out
}

// TestNamedFilesAreReadWithCare: who names /dev/zero, or a pipe that nobody writes to,
// must be told so, and whoever gives a file away must not give a secret away.
func TestNamedFilesAreReadWithCare(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || room(s.dir) != "cmd" && !slices.Contains([]string{"api", "bundle", "run/datadir", "wire/drivers"}, s.dir) {
			continue
		}
		for _, call := range []string{"os.ReadFile", "os.Open(", "ioutil.ReadFile"} {
			if strings.Contains(s.text, call) {
				t.Errorf("%s calls %s: a file that a person names is read by custody.ReadFile or custody.Open, with a limit, and a secret by custody.ReadSecret", s.path, call)
			}
		}
	}
}

func room(dir string) string { return strings.Split(dir, "/")[0] }

func generated(path string) bool {
	return strings.HasSuffix(path, ".pb.go") || strings.HasSuffix(path, ".connect.go")
}

func TestImportsRunOneWay(t *testing.T) {
	for _, s := range sources(t) {
		from := room(s.dir)
		allowed, known := mayImport[from]
		if !known {
			t.Errorf("%s: the room %q is not in the import graph: say in mayImport what it may import, and why in docs/decisions", s.path, from)
			continue
		}
		if allowed == nil || s.test || strings.HasSuffix(s.dir, "test") {
			continue
		}
		for _, i := range s.imports {
			to, ours := strings.CutPrefix(i, "bulkhead/")
			if !ours || room(to) == from || slices.Contains(allowed, room(to)) {
				continue
			}
			t.Errorf("%s imports %s: %s may import only %v. Imports run one way, so that a tenant can compile the checks without the control plane, and a reader can start at the top", s.path, to, from, allowed)
		}
	}
}

func TestPureRoomsStayPure(t *testing.T) {
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|Tick|NewTimer|NewTicker)\(`)
	goroutine := regexp.MustCompile(`(?m)^\s*go (func|[a-z])`)
	for _, s := range sources(t) {
		if s.test || !slices.Contains(pure, s.dir) || impureFiles[s.path] {
			continue
		}
		for _, i := range s.imports {
			if slices.Contains(impure, i) {
				t.Errorf("%s imports %s: %s is pure, what it says must follow from its arguments alone, so that replay and a tenant's recomputation agree with it", s.path, i, s.dir)
			}
		}
		if m := clock.FindString(s.text); m != "" {
			t.Errorf("%s calls %s: %s is pure, the time is an argument", s.path, m, s.dir)
		}
		if goroutine.MatchString(s.text) {
			t.Errorf("%s starts a goroutine: %s is pure, who wants parallel work shards it from outside", s.path, s.dir)
		}
	}
}

func TestNoJunkDrawers(t *testing.T) {
	for _, s := range sources(t) {
		switch base := s.dir[strings.LastIndex(s.dir, "/")+1:]; base {
		case "util", "utils", "common", "helpers", "types", "models", "misc":
			t.Errorf("%s: a package named %q says nothing of what is in it: put the code into the room whose subject it is", s.path, base)
		}
	}
}

func TestFilesHaveOneSubject(t *testing.T) {
	for _, s := range sources(t) {
		if generated(s.path) || generous[s.path] != "" {
			continue
		}
		if lines := strings.Count(s.text, "\n"); lines > 600 {
			t.Errorf("%s has %d lines: a file over 600 lines is two subjects, and nobody finds the second", s.path, lines)
		}
	}
}

// TestNoCheckIsTakenAway keeps the mutation of the prover where it belongs.
func TestNoCheckIsTakenAway(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test && s.path != "prove/without.go" && strings.Contains(s.text, ".Without(") {
			t.Errorf("%s takes a check away from a prover: only tests do, to show that it is needed", s.path)
		}
	}
}

// words maps what people also say to the one word that the house uses.
var words = map[string]string{
	"customer": "tenant", "purchaser": "tenant", "cabinet": "rack", "datahall": "hall",
	"bare-metal host": "node", "reservation id": "lease id",
}

func TestOneWordForOneThing(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "house" || generated(s.path) {
			continue
		}
		lower := strings.ToLower(s.text)
		for other, word := range words {
			if strings.Contains(lower, other) {
				t.Errorf("%s says %q: the house says %q, one word for one thing, so that a search finds everything", s.path, other, word)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	dirs := map[string]bool{}
	doc := regexp.MustCompile(`(?m)^(// (Package|Command) |/\*\n(Package|Command) )`)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		dirs[s.dir] = true
		if doc.MatchString(s.text) || generated(s.path) {
			documented[s.dir] = true
		}
	}
	for dir := range dirs {
		if !documented[dir] {
			t.Errorf("package %s has no doc comment: a newcomer reads it first", dir)
		}
	}
}

// What bench measures against is large: it has a module of its own, so that its
// dependencies are never downloaded, compiled or shipped with the product.
func TestPeersStayOutOfTheProduct(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, "bench", "go.mod")); err != nil {
		t.Errorf("bench/go.mod is missing: without it Kueue and Kubernetes become dependencies of the product: %v", err)
	}
	product, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"k8s.io/", "sigs.k8s.io/"} {
		if strings.Contains(string(product), module) {
			t.Errorf("go.mod requires %s: what only the benches need belongs into bench/go.mod", module)
		}
	}
}
