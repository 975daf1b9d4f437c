package contract

import (
	"os"
	"strings"
	"testing"
)

// TestTheDocumentHasEveryAct holds docs/acts.md to the table.
func TestTheDocumentHasEveryAct(t *testing.T) {
	text, err := os.ReadFile("../docs/acts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Acts() {
		at := strings.Index(string(text), "\n| "+string(rule.Act)+" | ")
		if at < 0 {
			t.Errorf("docs/acts.md has no row of %s", rule.Act)
			continue
		}
		row, _, _ := strings.Cut(string(text[at+1:]), "\n")
		if rule.Confirm != strings.HasSuffix(row, "| yes |") {
			t.Errorf("%s: confirmed is %t, the row is %s", rule.Act, rule.Confirm, row)
		}
	}
}
