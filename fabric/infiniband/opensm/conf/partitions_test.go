package conf

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lab is the subnet that the corpus is written for: three hosts, the SM's host,
// three switches.
var lab = Subnet{Self: 0x0002c90000100031, Ports: map[uint64]Kind{
	0x0002c90000100001: CA, 0x0002c90000100011: CA, 0x0002c90000100021: CA, 0x0002c90000100031: CA,
	0x0002c90100200000: Switch, 0x0002c90100200010: Switch, 0x0002c90100200020: Switch}}

// TestCorpus: the files are what OpenSM 3.3.23 was fed; their names say whether
// it kept or threw away what it read. TestCorpusWithOpenSM asks it again.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.conf")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files in the corpus, error %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if e := Interpret(text, lab); e.Open != strings.HasSuffix(name, ".open.conf") {
			t.Errorf("%s: the model says open %t (line %d: %s)", name, e.Open, e.Line, e.Why)
		}
		if _, err := ParsePartitions(text); err == nil {
			t.Errorf("%s: accepted, though we never write such a file", name)
		}
	}
}

func random(r *rand.Rand) *Partitioning {
	c := &Partitioning{}
	key := uint16(0)
	for range r.IntN(6) {
		key += 1 + uint16(r.IntN(300))
		guids := map[uint64]bool{}
		for range 1 + r.IntN([]int{3, 30, 400}[r.IntN(3)]) {
			guids[r.Uint64()>>r.IntN(60)|1] = true
		}
		p := Partition{Key: key}
		for guid := range guids {
			if r.IntN(2) == 0 {
				p.Full = append(p.Full, guid)
			} else {
				p.Limited = append(p.Limited, guid)
			}
		}
		slices.Sort(p.Full)
		slices.Sort(p.Limited)
		c.Partitions = append(c.Partitions, p)
	}
	if r.IntN(3) == 0 {
		c.Partitions = append(c.Partitions, Partition{Key: DefaultPKey, Full: []uint64{0x99, 0xabc}})
	}
	return c
}

func TestWhatIsGeneratedParsesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		c := random(r)
		text, err := CheckedPartitions(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.SplitAfter(text, []byte("\n")) {
			if len(line) > maxPartitionLine || bytes.Count(line, []byte("0x")) > maxGUIDs+1 {
				t.Fatalf("line %d has %d bytes", i+1, len(line))
			}
		}
	}
}

func TestInvalidConfigurationsAreNotWritten(t *testing.T) {
	for name, p := range map[string][]Partition{
		"key 0":                  {{Key: 0, Full: []uint64{1}}},
		"key over 15 bits":       {{Key: 0x8001, Full: []uint64{1}}},
		"key twice":              {{Key: 1, Full: []uint64{1}}, {Key: 1, Full: []uint64{2}}},
		"keys out of order":      {{Key: 2, Full: []uint64{1}}, {Key: 1, Full: []uint64{2}}},
		"no member":              {{Key: 1}},
		"port 0":                 {{Key: 1, Full: []uint64{0}}},
		"port twice":             {{Key: 1, Full: []uint64{1, 1}}},
		"full and limited":       {{Key: 1, Full: []uint64{1}, Limited: []uint64{1}}},
		"limited in the default": {{Key: DefaultPKey, Limited: []uint64{1}}},
	} {
		if _, err := CheckedPartitions(&Partitioning{p}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestNoCutIsAccepted: a file that was cut off anywhere, or that lost a line, is
// refused; some of these OpenSM would take for complete.
func TestNoCutIsAccepted(t *testing.T) {
	text, err := CheckedPartitions(&Partitioning{[]Partition{{Key: 1, Full: []uint64{0xa11, 0xa21}}, {Key: 2, Full: []uint64{0xb11}, Limited: []uint64{0xc11}}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range text {
		if _, err := ParsePartitions(text[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(text))
		}
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i := range len(lines) - 1 {
		if _, err := ParsePartitions(bytes.Join(slices.Concat(lines[:i], lines[i+1:]), nil)); err == nil {
			t.Errorf("accepted without line %d", i+1)
		}
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	text := strings.Replace(string(generate(&Partitioning{[]Partition{{Key: 1, Full: []uint64{0xa11}}}})), "=full ;\n# end", "=ful1 ;\n# end", 1)
	if _, err := ParsePartitions([]byte(text)); err == nil || !strings.Contains(err.Error(), "line 3: expected =full or =limited") {
		t.Errorf("error %v", err)
	}
}

// TestOnlyOurShapeIsAccepted: each of these OpenSM would take, one way or another.
func TestOnlyOurShapeIsAccepted(t *testing.T) {
	const a, b = "0x0000000000000a11=full", "0x0000000000000a21=full"
	end := "# end: 1 partitions, 2 members\n"
	good := header + defaultLine + "K0001=0x0001 : " + a + ", " + b + " ;\n" + end
	if _, err := ParsePartitions([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"GUIDs out of order":     "K0001=0x0001 : " + b + ", " + a + " ;\n",
		"GUID twice":             "K0001=0x0001 : " + a + ", " + a + " ;\n",
		"GUID twice, two lines":  "K0001=0x0001 : " + a + " ;\nK0001=0x0001 : " + a + " ;\n",
		"full and limited":       "K0001=0x0001 : " + a + ", 0x0000000000000a11=limited ;\n",
		"limited before full":    "K0001=0x0001 : 0x0000000000000a11=limited, " + b + " ;\n",
		"upper case":             "K0001=0x0001 : 0x0000000000000A11=full, " + b + " ;\n",
		"short GUID":             "K0001=0x0001 : 0xa11=full, " + b + " ;\n",
		"GUID 0":                 "K0001=0x0001 : 0x0000000000000000=full, " + b + " ;\n",
		"keyword":                "K0001=0x0001 : ALL=full, " + b + " ;\n",
		"flag cut short":         "K0001=0x0001 : 0x0000000000000a11=f, " + b + " ;\n",
		"no flag":                "K0001=0x0001 : 0x0000000000000a11, " + b + " ;\n",
		"name of another key":    "K0002=0x0001 : " + a + ", " + b + " ;\n",
		"key 0":                  "K0000=0x0000 : " + a + ", " + b + " ;\n",
		"key with the full bit":  "K8001=0x8001 : " + a + ", " + b + " ;\n",
		"default by its number":  "K7fff=0x7fff : " + a + ", " + b + " ;\n",
		"limited in the default": "Default=0x7fff : 0x0000000000000a11=limited, 0x0000000000000a21=limited ;\n",
		"two in one line":        "K0001=0x0001 : " + a + " ; K0001=0x0001 : " + b + " ;\n",
		"a line over the limit":  "K0001=0x0001 : " + a + ", " + b + strings.Repeat(" ", maxPartitionLine) + " ;\n",
		"a comment":              "# hello\nK0001=0x0001 : " + a + ", " + b + " ;\n",
		"an empty line":          "\nK0001=0x0001 : " + a + ", " + b + " ;\n",
	} {
		if _, err := ParsePartitions([]byte(header + defaultLine + line + end)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	many := &Partitioning{[]Partition{{Key: 1}}}
	for i := range 90 { // fits into maxPartitionLine nowhere
		many.Partitions[0].Full = append(many.Partitions[0].Full, uint64(i+1))
	}
	long := strings.ReplaceAll(string(generate(many)), " ;\nK0001=0x0001 : ", ", ")
	if _, err := ParsePartitions([]byte(long)); err == nil || !strings.Contains(err.Error(), "at most 2047 bytes") {
		t.Errorf("a line of 90 members: %v", err)
	}
}

// FuzzParsePartitions: whatever the strict parser accepts, OpenSM's model applies to the
// letter, and it is what generate writes of it. The model itself survives
// anything.
func FuzzParsePartitions(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		f.Add(generate(random(r)))
	}
	files, _ := filepath.Glob("testdata/corpus/*.conf")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add([]byte(header + string(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		Interpret(text, lab)
		c, err := ParsePartitions(text)
		if err != nil {
			return
		}
		if err := c.Check(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		if err := agrees(text, c); err != nil {
			t.Fatal(err)
		}
		if len(c.Partitions) == 0 || len(text) > 1<<16 {
			return
		}
		if again := generate(c); len(again) > len(text) {
			t.Fatalf("written anew it has %d bytes, it had %d", len(again), len(text))
		}
	})
}

// TestMutationsAgree changes a byte of a good file at a time: what is still
// accepted says what OpenSM would do.
func TestMutationsAgree(t *testing.T) {
	text := generate(&Partitioning{[]Partition{{Key: 1, Full: []uint64{0xa11, 0xa21}}, {Key: 2, Full: []uint64{0xb11}, Limited: []uint64{0xc11}}}})
	accepted := 0
	for i := range text {
		for _, c := range []byte("0aAf=,;:# \t\n\r\x00-+") {
			mutant := bytes.Clone(text)
			mutant[i] = c
			conf, err := ParsePartitions(mutant)
			if err != nil {
				continue
			}
			accepted++
			if err := agrees(mutant, conf); err != nil {
				t.Fatalf("byte %d as %q: %v", i, c, err)
			}
		}
	}
	if accepted == 0 {
		t.Fatal("no mutant was accepted: the test shows nothing")
	}
}

// BenchmarkCheckedPartitions: 40,000 ports in 400 partitions, generated, parsed back and
// put to the model.
func BenchmarkCheckedPartitions(b *testing.B) {
	c := &Partitioning{}
	for k := range 400 {
		p := Partition{Key: uint16(k + 1)}
		for i := range 100 {
			p.Full = append(p.Full, 0x0002c90000000000+uint64(k*100+i)+1)
		}
		c.Partitions = append(c.Partitions, p)
	}
	for b.Loop() {
		if _, err := CheckedPartitions(c); err != nil {
			b.Fatal(err)
		}
	}
}
