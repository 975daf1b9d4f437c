package house

import (
	"flag"
	"fmt"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of packages into ARCHITECTURE.md")

// mapOrder is the order in which ARCHITECTURE.md tells of the rooms.
var mapOrder = []string{"claim", "lineage", "custody", "site", "lease", "contract", "place", "fabric", "fabric/ethernet", "fabric/infiniband", "storage", "node", "prove", "meter", "ledger", "keystore",
	"book", "bundle", "whatif", "run", "wire", "sim", "lab", "bench", "api", "cmd", "reckoning", "house", "examples"}

const (
	mapBegin = "<!-- the first sentence of each package's comment: go test ./house -run TestTheMap -update -->\n"
	mapEnd   = "<!-- end -->\n"
	mapLines = 127 // what a newcomer reads at one sitting
	sentence = 130 // letters of a first sentence
)

// TestTheMapNamesEveryPackage: a reader who does not find a package on the map looks in
// the wrong one, and a sentence that stands twice is true in one place only.
func TestTheMapNamesEveryPackage(t *testing.T) {
	first := map[string]string{}
	for _, s := range sources(t) {
		if generated(s.path) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, s.path), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		text := new(doc.Package).Synopsis(file.Doc.Text())
		for _, start := range []string{"Package ", "Command "} {
			if rest, ok := strings.CutPrefix(text, start); ok {
				_, says, _ := strings.Cut(rest, " ")
				first[s.dir] = strings.TrimSuffix(strings.TrimPrefix(says, "is "), ".")
				if len(text) > sentence {
					t.Errorf("%s: its first sentence has %d letters, expected at most %d: what it is for, in one breath; the rest goes into the second", s.path, len(text), sentence)
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString(mapBegin + "| room | what it is for, and its packages | pure |\n|---|---|---|\n")
	for _, r := range mapOrder {
		var dirs, cells, clean []string
		for dir := range first {
			if dir == r || strings.HasPrefix(dir, r+"/") && !slices.ContainsFunc(mapOrder, func(deeper string) bool {
				return strings.HasPrefix(deeper, r+"/") && (dir == deeper || strings.HasPrefix(dir, deeper+"/"))
			}) {
				dirs = append(dirs, dir)
			}
		}
		if len(dirs) == 0 {
			t.Errorf("mapOrder has the room %s, and there is none: take it out", r)
		}
		slices.Sort(dirs)
		for _, dir := range dirs {
			name := "`" + strings.TrimPrefix(dir, r+"/") + "`"
			if dir == r {
				name = "root"
				cells = append(cells, first[dir])
			} else {
				cells = append(cells, name+" "+first[dir])
			}
			if slices.Contains(pure, dir) {
				clean = append(clean, name)
			}
			delete(first, dir)
		}
		is := "no"
		if len(clean) == len(dirs) {
			is = "yes"
		} else if len(clean) > 0 {
			is = strings.Join(clean, ", ")
		}
		fmt.Fprintf(&b, "| `%s/` | %s | %s |\n", r, strings.Join(cells, "<br>"), is)
	}
	for dir := range first {
		t.Errorf("the room of %s is not in mapOrder: say where on the map it stands", dir)
	}
	b.WriteString(mapEnd)
	path := filepath.Join(root, "ARCHITECTURE.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), mapBegin)
	old, after, ended := strings.Cut(rest, mapEnd)
	if !ok || !ended {
		t.Fatalf("ARCHITECTURE.md has no table between %q and %q", mapBegin, mapEnd)
	}
	if mapBegin+old+mapEnd != b.String() {
		if !*update {
			t.Error("the table of packages in ARCHITECTURE.md is not what their comments say: go test ./house -run TestTheMap -update")
		} else if err := os.WriteFile(path, []byte(before+b.String()+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(string(page), "\n"); lines > mapLines {
		t.Errorf("ARCHITECTURE.md has %d lines, expected at most %d: it is a map, the rest goes to docs/ or to a package's comment", lines, mapLines)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(readme), "\n"); lines >= 200 {
		t.Errorf("README.md has %d lines, expected under 200: what it is, for whom, two commands, one picture, what is real; the rest goes to docs/", lines)
	}
}
