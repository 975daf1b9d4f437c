package bundle_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"bulkhead/bundle"
)

var update = flag.Bool("update", false, "write the table of forgeries into docs/security.md")

// TestSecurityNamesEveryForgery: the table of docs/security.md is what is tried.
func TestSecurityNamesEveryForgery(t *testing.T) {
	const file, begin, end = "../docs/security.md", "-update -->\n", "<!-- end of forgeries -->"
	var table strings.Builder
	table.WriteString("| check | insists that | tried with |\n|---|---|---|\n")
	for _, c := range bundle.Checks() {
		var names []string
		for _, a := range everyAttack() {
			if a.check == c.Name {
				names = append(names, a.name)
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", c.Name, c.Says, strings.Join(names, "; "))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: no place for the table", file)
	}
	if old == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s: the table of forgeries is another one than is tried: go test ./bundle -run %s -update", file, t.Name())
	}
	if err := os.WriteFile(file, []byte(head+begin+table.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
