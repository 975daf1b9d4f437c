package prove

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"bulkhead/claim"
	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// What follows judges what leaves of real FRR said of themselves while the attacks of
// the RoCE corpus were under way, before anybody reacted: lab/ethlab recorded it.

// mounted is one attack, or none, as the leaves saw it.
type mounted struct {
	name    string
	check   string               // that names it; "": it was prevented, or something else names it
	arrived []string             // between whom packets passed, "holder A -> holder B"
	leaves  map[site.Leaf][]byte // nil: it did not answer
}

// corpus is the recording: the fabric without an attack, then each.
type corpus struct {
	s       *site.Site
	fabric  int
	holder  []uint32          // by port
	labels  map[uint32]uint32 // VNI -> holder
	mounted []mounted
}

func readCorpus(t *testing.T) *corpus {
	t.Helper()
	const path = "rivals-eth/site.yaml"
	text, err := examples.Files.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate(path, text)
	if err != nil {
		t.Fatal(err)
	}
	c := &corpus{s: site.New(template.Header()), labels: map[uint32]uint32{}}
	if _, err := template.Compile(func(u *site.SUInventory) error {
		_, err := c.s.AddSU(u, claim.Digest{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	c.fabric, _ = c.s.FabricByID("roce")
	data, err := os.ReadFile("testdata/roce-corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	holders := map[string]uint32{}
	for first := true; ; first = false {
		var line struct {
			Nodes         map[string]string
			Labels        map[string]uint32
			Attack, Check string
			Arrived       []string
			Leaf          string
			Capture       json.RawMessage
		}
		if err := d.Decode(&line); err == io.EOF {
			return c
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case first:
			for i, tenant := range slices.Sorted(maps.Keys(line.Labels)) {
				holders[tenant] = FirstProject + uint32(i)
				c.labels[line.Labels[tenant]] = holders[tenant]
			}
			c.holder = make([]uint32, c.s.Ports())
			for id, tenant := range line.Nodes {
				n, known := c.s.Lookup(id)
				if !known {
					t.Fatalf("the example has no node %s", id)
				}
				for nic := range site.NICs {
					c.holder[site.PortOf(n, nic)] = holders[tenant]
				}
			}
			c.mounted = []mounted{{name: "nothing is wrong", leaves: map[site.Leaf][]byte{}}}
		case line.Leaf != "":
			leaf, known := c.s.LeafByID(line.Leaf)
			if !known {
				t.Fatalf("the example has no leaf %s", line.Leaf)
			}
			c.mounted[len(c.mounted)-1].leaves[leaf] = line.Capture
		default:
			m := mounted{name: line.Attack, check: line.Check, leaves: maps.Clone(c.mounted[0].leaves)}
			for _, pair := range line.Arrived {
				from, to, _ := strings.Cut(pair, " -> ")
				m.arrived = append(m.arrived, fmt.Sprintf("holder %d -> holder %d", holders[from], holders[to]))
			}
			c.mounted = append(c.mounted, m)
		}
	}
}

// judge reads an attack back with some checks only, after the fabric without an attack,
// and returns how many ports have which reason: none where nothing is noticed.
func (c *corpus) judge(t *testing.T, m *mounted, enabled symptoms) map[Check]int {
	t.Helper()
	p := NewProver(c.s, fabric.NewTables(0))
	p.enabled = enabled
	for label, holder := range c.labels {
		if err := p.Own(c.fabric, label, holder); err != nil {
			t.Fatal(err)
		}
	}
	for port, holder := range c.holder {
		p.Hold(site.Port(port), holder)
	}
	for _, leaves := range []map[site.Leaf][]byte{c.mounted[0].leaves, m.leaves} {
		for leaf, raw := range leaves {
			if raw == nil {
				p.MarkUnknown(leaf)
				continue
			}
			readings, err := ethernet.Read(c.s, leaf, raw)
			if err != nil {
				t.Fatal(err)
			}
			p.Read(leaf, epoch, readings)
		}
	}
	out := map[Check]int{}
	for port := range site.Port(c.s.Ports()) {
		if _, reason := p.Verdict(port); c.s.FabricOf(port) == c.fabric && reason != Passed {
			out[reason]++
		}
	}
	return out
}

// called is the names of reasons, ascending by check.
func called(reasons map[Check]int) string {
	var names []string
	for _, c := range slices.Sorted(maps.Keys(reasons)) {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}

// notInCorpus are the checks that no attack of the corpus is named by, and why.
var notInCorpus = map[Check]string{
	TableFull:       "a leaf of Linux has as many bridges as it has memory",
	SharedFull:      "an agent of this kind makes no bridge of quarantine that is not isolated",
	NoNeighbour:     "the leaf's own filter names the MAC of the inventory",
	Unheld:          "the book names a holder of every port",
	Unlabelled:      "costs its tenant bandwidth, and leaks nothing",
	MissingOwnLabel: "costs its tenant bandwidth, and leaks nothing",
	Unreached:       "is what switches of InfiniBand say of their forwarding tables",
}

// TestWithoutEachCheck judges the recorded read-back of every attack with each check
// taken away in turn. Which attack goes without its name then, and what it is called
// instead, is the table of docs/attacks-ethernet.md: a check that nothing shows the use
// of is not in it without a reason.
func TestWithoutEachCheck(t *testing.T) {
	c := readCorpus(t)
	document, err := os.ReadFile("../docs/attacks-ethernet.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.judge(t, &c.mounted[0], everyCheck); len(got) > 0 {
		t.Fatalf("without an attack ports are %s", called(got))
	}
	named := map[string]Check{}
	for _, check := range Checks() {
		named[check.String()] = check
	}
	shown, masking := map[Check]int{}, map[string]bool{}
	for i := range c.mounted {
		m := &c.mounted[i]
		all := c.judge(t, m, everyCheck)
		own, is := named[m.check]
		if !is {
			if len(all) > 0 {
				t.Errorf("%s: no port should be more than it was, and ports are %s", m.name, called(all))
			}
			continue
		}
		if len(all) == 0 {
			t.Errorf("%s goes unnoticed", m.name)
		}
		if masked := all[own] == 0; masked {
			// Something else names it first, and this when that is put right.
			enabled := everyCheck
			for check := range all {
				enabled &^= 1 << check
			}
			if all = c.judge(t, m, enabled); all[own] == 0 {
				t.Errorf("%s: ports are never %s", m.name, own)
			}
			masking[m.name] = true
		}
		for _, check := range Checks() {
			without := c.judge(t, m, everyCheck&^(1<<check))
			if check != own {
				if without[own] == 0 && !masking[m.name] {
					t.Errorf("%s goes without its name %s when %s is taken away: %q", m.name, own, check, called(without))
				}
				continue
			}
			if without[own] > 0 {
				t.Fatalf("%s: %s was taken away, and still named", m.name, own)
			}
			shown[check]++
			instead := called(without)
			if instead == "" {
				instead = "**nothing: it goes unnoticed**"
			}
			if row := fmt.Sprintf("| %s | %s | %s |", check, m.name, instead); !strings.Contains(string(document), row) {
				t.Errorf("docs/attacks-ethernet.md has no row %s", row)
			}
		}
	}
	for _, check := range Checks() {
		if _, is := notInCorpus[check]; is == (shown[check] > 0) {
			t.Errorf("%d attacks of the corpus are named by %s", shown[check], check)
		}
	}
}
