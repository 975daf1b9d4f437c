package contract

import (
	"os"
	"strings"
	"testing"
)

func twoRacks(t *testing.T, edits ...string) (*Contract, error) {
	t.Helper()
	data, err := os.ReadFile("../examples/nvl72/lighthouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return Parse("lighthouse.yaml", []byte(strings.NewReplacer(edits...).Replace(string(data))))
}

// TestSlotsAreWholeNodes: slots times GPUs a node is the quantity, for every number
// that a node can have; what isn't whole nodes is refused.
func TestSlotsAreWholeNodes(t *testing.T) {
	for gpus := 1; gpus < NodeGPUs; gpus++ {
		for quantity := int64(1); quantity <= 200; quantity++ {
			tranche := Tranche{GPUs: quantity, NodeGPUs: gpus}
			whole := tranche.checkNodes(&findings{}, "")
			if whole != (quantity%int64(gpus) == 0) {
				t.Fatalf("%d GPUs in nodes of %d: %v", quantity, gpus, whole)
			}
			if whole && int64(tranche.Slots()*tranche.GPUsANode()) != quantity {
				t.Fatalf("%d GPUs in nodes of %d: %d slots", quantity, gpus, tranche.Slots())
			}
		}
	}
	for _, bad := range []struct{ gpus, node, field, reason string }{
		{"148", "", "tranches[0].gpus", "where a node of the kind has fewer, say how many (node_gpus)"},
		{"150", ", node_gpus: 4", "tranches[0].gpus", "expected a multiple of 4"},
		{"144", ", node_gpus: 8", "tranches[0].node_gpus", "expected 1 to 7; left out, it is the usual 8"},
		{"144", ", node_gpus: -4", "tranches[0].node_gpus", "expected 1 to 7"},
		{"16_000_000", ", node_gpus: 1", "tranches[0].gpus", "16000000 nodes: expected at most 2000000"},
	} {
		_, err := twoRacks(t, "gpus: 144", "gpus: "+bad.gpus+bad.node)
		if err == nil || !strings.Contains(err.Error(), bad.field) || !strings.Contains(err.Error(), bad.reason) {
			t.Errorf("%s GPUs%s: %v", bad.gpus, bad.node, err)
		}
	}
	if c, err := twoRacks(t, "gpus: 144", "gpus: 148, node_gpus: 4"); err != nil || c.Tranches[0].Slots() != 37 {
		t.Errorf("37 nodes of 4: %v", err)
	}
}

// TestGPUsANodeAreSettled: what a file leaves out is the site's to say, what it says is
// not; nothing else changes on the way.
func TestGPUsANodeAreSettled(t *testing.T) {
	c, err := twoRacks(t)
	if err != nil {
		t.Fatal(err)
	}
	four := func(string) int { return 4 }
	settled := c.WithNodes(four)
	if settled.Tranches[0].NodeGPUs != 4 || c.Tranches[0].NodeGPUs != 0 || settled.Check() != nil || settled.Tranches[0].Slots() != 36 {
		t.Fatalf("settled as %+v", settled.Tranches[0])
	}
	again, err := Decode(settled.Encode())
	if err != nil || again.Digest() != settled.Digest() || again.Digest() == c.Digest() {
		t.Errorf("read again: %v", err)
	}
	if same := c.WithNodes(func(string) int { return NodeGPUs }); same.Digest() != c.Digest() {
		t.Error("the usual number changed the contract")
	}
	if !c.SettledBy(settled) || !settled.SettledBy(settled) || settled.SettledBy(c) {
		t.Error("what is asked is not settled by what is quoted, or the other way round")
	}
	six := settled.Clone()
	six.Tranches[0].NodeGPUs = 6
	if settled.SettledBy(six) {
		t.Error("what the file says was changed on the way")
	}
	other := settled.Clone()
	other.Tranches[0].GPUs = 72
	if c.SettledBy(other) {
		t.Error("half of it settles it")
	}
	next := settled.Clone()
	next.Version, next.Effective = 2, next.Begin.AddDate(0, 2, 0)
	next.Tranches[0].NodeGPUs = 0
	if err := settled.Amend(next); err == nil || !strings.Contains(err.Error(), "node_gpus") {
		t.Errorf("an amendment that forgets it: %v", err)
	}
}
