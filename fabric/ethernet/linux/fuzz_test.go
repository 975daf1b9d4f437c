package linux

import (
	"bytes"
	"maps"
	"testing"

	"bulkhead/fabric/ethernet"
)

// fuzzed reads a leaf of which one program says something else. Whatever it says,
// reading ends, with an error or with a capture that has one form.
func fuzzed(f *testing.F, file string) {
	texts := said(f)
	f.Add(texts[file])
	f.Add("")
	f.Add("{}")
	f.Add("[]")
	f.Add("null")
	f.Fuzz(func(t *testing.T, text string) {
		all := maps.Clone(texts)
		all[file] = text
		c, err := readSaid(t, all)
		if err != nil {
			return
		}
		raw, err := ethernet.Encode(&c)
		if err != nil {
			return // the agent says so; nothing is taken for read
		}
		again, err := ethernet.Decode(raw)
		if err != nil {
			t.Fatalf("an encoded capture is refused: %v", err)
		}
		if second, err := ethernet.Encode(&again); err != nil || !bytes.Equal(raw, second) {
			t.Fatalf("encoded again it is something else: %v", err)
		}
	})
}

func FuzzLinks(f *testing.F)   { fuzzed(f, "links") }
func FuzzEntries(f *testing.F) { fuzzed(f, "entries") }
func FuzzQueues(f *testing.F)  { fuzzed(f, "queues") }
func FuzzRules(f *testing.F)   { fuzzed(f, "rules") }
func FuzzChains(f *testing.F)  { fuzzed(f, "chains") }
func FuzzBGP(f *testing.F)     { fuzzed(f, "bgp") }
func FuzzRunning(f *testing.F) { fuzzed(f, "running") }
func FuzzLLDP(f *testing.F)    { fuzzed(f, "lldp") }
func FuzzFile(f *testing.F)    { fuzzed(f, "queues.json") }
