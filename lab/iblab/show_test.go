package iblab

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"bulkhead/lab/await"
)

// The lab's story, as the demonstration tells it: it ends well, and leaves nothing
// behind. All attacks and all bad days are tests with the build tag labs.
func TestShow(t *testing.T) {
	if testing.Short() {
		t.Skip("starts OpenSM: not in short mode")
	}
	if missing := Missing(); missing != "" {
		t.Skipf("needs %s: apt-get install %s", missing, missing)
	}
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := Show(await.Context(t), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"EMULATED", "isolation proven", "ATTACK", "0 after one sweep", "brake.engaged"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, out.String())
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTheDocumentHasEveryAttack(t *testing.T) {
	text, err := os.ReadFile("../../docs/attacks-infiniband.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range Attacks() {
		row := "| " + a.Name + " | " + a.By + " | " + a.Ends + " |"
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/attacks-infiniband.md has no row %q", row)
		}
	}
}
