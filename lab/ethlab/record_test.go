package ethlab

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"bulkhead/prove"
)

// recorded is where what was read back under each attack is kept, for judges that
// have no root: package prove takes its checks away in turn, and asks z3.
const recorded = "../../prove/testdata/roce-corpus.jsonl"

// line is one of the file: the first says who holds what; one without a leaf begins an
// attack; any other is a leaf whose capture differs from the one of the fabric without
// an attack, or is the latter. A leaf without a capture did not answer.
type line struct {
	Nodes   map[string]string `json:"nodes,omitempty"`  // node -> tenant
	Labels  map[string]uint32 `json:"labels,omitempty"` // tenant -> VNI
	Attack  string            `json:"attack,omitempty"`
	Check   string            `json:"check,omitempty"`
	Arrived []string          `json:"arrived,omitempty"` // between whom packets passed before anybody reacted
	Leaf    string            `json:"leaf,omitempty"`
	Capture json.RawMessage   `json:"capture,omitempty"`
}

// TestEveryAttackIsRecorded: an attack that a check of the prover names, and is new or
// named otherwise than recorded, is recorded again.
func TestEveryAttackIsRecorded(t *testing.T) {
	data, err := os.ReadFile(recorded)
	check(t, err)
	have := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(data)); d.More(); {
		var one line
		check(t, d.Decode(&one))
		if one.Attack != "" {
			have[one.Attack] = one.Check
		}
	}
	corpus := map[string]string{}
	for _, a := range (&Lab{}).Attacks() {
		corpus[a.Name] = a.Check
		named := slices.ContainsFunc(prove.Checks(), func(c prove.Check) bool { return c.String() == a.Check })
		if check, is := have[a.Name]; named && (!is || check != a.Check) {
			t.Errorf("%q, named by %s, is recorded: %t, by %q: as root, go test -tags labs ./lab/ethlab -run TestAttacks -record", a.Name, a.Check, is, check)
		}
	}
	for name, check := range have {
		if is, mounted := corpus[name]; !mounted || is != check {
			t.Errorf("%q is recorded as named by %q; in the corpus: %t, by %q", name, check, mounted, is)
		}
	}
}
