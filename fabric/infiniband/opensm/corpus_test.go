package opensm_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/lab/ibnet"
)

const hangUp = syscall.SIGHUP

// compare feeds a text to OpenSM and compares what the hosts carry with the
// model. Between two texts comes a file without partitions, so that each is
// judged by itself.
func (l *lab) compare(t *testing.T, name string, text []byte) conf.Effect {
	t.Helper()
	l.feed([]byte(defaultOnly))
	l.feed(text)
	s := l.subnet()
	e := conf.Interpret(text, s)
	if got, want := l.members(), hosts(e.Members, s); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the hosts carry %v, the model says %v (open %t, line %d: %s, uncertain %t)\n%.300q",
			name, got, want, e.Open, e.Line, e.Why, e.Uncertain, text)
	}
	return e
}

// TestCorpusWithOpenSM: the model of OpenSM is what the real one does, file by
// file.
func TestCorpusWithOpenSM(t *testing.T) {
	l := startLab(t)
	files, err := filepath.Glob("conf/testdata/corpus/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l.compare(t, filepath.Base(file), text)
	}
	l.feed([]byte(defaultOnly))
	l.feed(nil)
	if got := l.members(); len(got) != 1 || !got[conf.DefaultPKey][ibnet.HostPortGUID(0)] {
		t.Errorf("without a file the hosts carry %v, expected 0x7fff as full members: OpenSM was seen to open the fabric", got)
	}
	os.Remove(l.conf)
	if err := os.Mkdir(l.conf, 0o700); err != nil {
		t.Fatal(err)
	}
	before := l.ups()
	_ = l.sm.Signal(hangUp)
	l.wait("a sweep with a folder for a file", func() bool { return l.ups() > before })
	if got := l.members(); len(got) != 1 || !got[conf.DefaultPKey][ibnet.HostPortGUID(0)] {
		t.Errorf("with a folder for a file the hosts carry %v, expected 0x7fff as full members", got)
	}
	os.Remove(l.conf)
}

// TestWhatParsesIsApplied: what the strict parser accepts, the real OpenSM
// applies to the letter, key by key and port by port.
func TestWhatParsesIsApplied(t *testing.T) {
	l := startLab(t)
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 40 {
		c := someConf(r)
		text, err := conf.CheckedPartitions(c)
		if err != nil {
			t.Fatal(err)
		}
		if e := l.compare(t, fmt.Sprintf("case %d", i), text); e.Open || e.Uncertain {
			t.Errorf("case %d: open %t, uncertain %t", i, e.Open, e.Uncertain)
		}
	}
}

// someConf names the lab's hosts and ports that do not exist.
func someConf(r *rand.Rand) *conf.Partitioning {
	c := &conf.Partitioning{}
	key := uint16(0)
	for range r.IntN(6) {
		p := conf.Partition{}
		key += 1 + uint16(r.IntN(5000))
		p.Key = key
		for guid := range members(r) {
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
	return c
}

func members(r *rand.Rand) map[uint64]bool {
	guids := map[uint64]bool{}
	for range 1 + r.IntN(3) {
		guids[ibnet.HostPortGUID(r.IntN(labTree.Hosts))] = true
	}
	for range r.IntN(300) {
		guids[0x00deadbeef000000+r.Uint64N(1<<20)] = true
	}
	return guids
}

// TestMutatedFilesWithOpenSM damages good files at random: whatever the strict
// parser still accepts does not open the fabric, and the model foretells the
// rest.
func TestMutatedFilesWithOpenSM(t *testing.T) {
	l := startLab(t)
	r := rand.New(rand.NewPCG(9, 10))
	open, uncertain := 0, 0
	for i := range 120 {
		text, err := conf.CheckedPartitions(someConf(r))
		if err != nil {
			t.Fatal(err)
		}
		mutant := damage(r, text)
		if conf.Interpret(mutant, l.subnet()).Uncertain || strings.Contains(string(mutant), "mgid") {
			uncertain++
			continue
		}
		e := l.compare(t, fmt.Sprintf("mutant %d", i), mutant)
		if e.Open {
			open++
		}
		if _, err := conf.ParsePartitions(mutant); err == nil && e.Open {
			t.Errorf("mutant %d is accepted and opens the fabric: %.300q", i, mutant)
		}
	}
	if open < 10 {
		t.Errorf("only %d of 120 mutants opened the fabric: the test shows little", open)
	}
	t.Logf("%d of 120 mutants opened the fabric, %d were left out as uncertain", open, uncertain)
}

func damage(r *rand.Rand, text []byte) []byte {
	m := slices.Clone(text)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(m))
		switch r.IntN(5) {
		case 0: // cut off
			m = m[:at]
		case 1: // another byte
			m[at] = "=,;:#\n x0f"[r.IntN(10)]
		case 2: // a byte less
			m = slices.Delete(m, at, at+1)
		case 3: // a byte more
			m = slices.Insert(m, at, "=,;:#\n x0f"[r.IntN(10)])
		case 4: // a line less, from here
			end := at
			for end < len(m) && m[end] != '\n' {
				end++
			}
			m = slices.Delete(m, at, end)
		}
		if len(m) == 0 {
			break
		}
	}
	return m
}
