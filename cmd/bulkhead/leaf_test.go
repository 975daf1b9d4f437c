package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/fabric/ethernet/linux"
	"bulkhead/fabric/ethernet/management/gateway"
)

// TestAgentsTakeTheirExamples: the file that each agent's help shows is one that it takes.
func TestAgentsTakeTheirExamples(t *testing.T) {
	for name, c := range map[string]struct {
		help string
		read func(path string) error
	}{
		"run":     {leafRun{}.Help(), func(path string) error { _, err := linux.ReadConfig(path); return err }},
		"reflect": {leafReflect{}.Help(), func(path string) error { _, err := linux.ReadReflectorConfig(path); return err }},
		"gateway": {leafGateway{}.Help(), func(path string) error { _, err := gateway.ReadAgentConfig(path); return err }},
	} {
		_, rest, _ := strings.Cut(c.help, "with a file such as\n\n")
		text, _, found := strings.Cut(rest, "\n\n")
		path := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.read(path); err != nil || !found {
			t.Errorf("leaf %s: its own example is refused: %v\n%s", name, err, text)
		}
	}
}
