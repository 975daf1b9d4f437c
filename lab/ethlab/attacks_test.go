package ethlab

import (
	"os"
	"strings"
	"testing"

	"bulkhead/lab/await"
)

// apart expects that nothing arrives between the rivals, and everything within one.
func (l *Lab) apart(t *testing.T) {
	t.Helper()
	leaks, err := l.Leaks(t.Context())
	if err != nil || len(leaks) > 0 {
		t.Fatalf("leaks %v, %v", leaks, err)
	}
	check(t, l.Connected(await.Context(t)))
}

func TestTheDocumentHasEveryAttack(t *testing.T) {
	text, err := os.ReadFile("../../docs/attacks-ethernet.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range (&Lab{}).Attacks() {
		if !strings.Contains(string(text), a.Row()) {
			t.Errorf("docs/attacks-ethernet.md has no row %q", a.Row())
		}
	}
}
