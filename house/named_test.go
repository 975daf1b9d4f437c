package house

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")
	testFunc  = regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z0-9]*)\(`)
	linked    = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

// TestDocumentsNameTestsThatThereAre: what a document says was tried is only worth the
// test beside it, and a test that was renamed leaves a claim on nothing. Links in
// documents lead somewhere, too.
func TestDocumentsNameTestsThatThereAre(t *testing.T) {
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, m := range testFunc.FindAllStringSubmatch(string(s.text), -1) {
			tests[m[1]] = true
		}
	}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range namedTest.FindAllStringSubmatch(string(data), -1) {
				if !tests[m[1]] {
					t.Errorf("%s names %s, and there is no such test", file, m[1])
				}
			}
			for _, m := range linked.FindAllStringSubmatch(string(data), -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
					t.Errorf("%s links to %s, which is not there", file, m[1])
				}
			}
		}
	}
}
