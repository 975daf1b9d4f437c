package book_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/site"
)

// With -update the ledger of the release that CHANGELOG.md begins with is written
// anew: go test ./book -run TestGolden -update. Those of older releases stay.
var update = flag.Bool("update", false, "write the golden ledger of this release anew")

const goldenFolder = "testdata/golden"

// golden is a ledger that a release wrote, with the bodies that its fold needs.
// It is kept as lines of JSON, compressed: `zcat FILE` shows it.
type golden struct {
	release string
	entries []ledger.Entry
	bodies  map[claim.Digest][]byte
	states  map[string]claim.Digest // state hash at the end, by the schema of snapshots
}

// line is one line of the file: an entry, a body or a state hash.
type line struct {
	Seq      uint64          `json:"seq,omitempty"`
	Time     time.Time       `json:"time,omitzero"`
	Term     uint64          `json:"term,omitempty"`
	Command  string          `json:"command,omitempty"`
	Kind     string          `json:"kind,omitempty"`
	Scope    string          `json:"scope,omitempty"`
	ScopeSeq uint64          `json:"scope_seq,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"` // of the entry

	Digest claim.Digest `json:"digest,omitzero"` // of a body
	Data   []byte       `json:"data,omitempty"`

	Schema string       `json:"schema,omitempty"` // of the state hash
	State  claim.Digest `json:"state,omitzero"`
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Header and Inventory make a golden ledger its own book.Bodies.
func (g *golden) Header(d claim.Digest) (site.Header, error) {
	if data, ok := g.bodies[d]; ok {
		return site.DecodeHeader(data)
	}
	return site.Header{}, fmt.Errorf("no body %s", d)
}

func (g *golden) Inventory(d claim.Digest) (*site.SUInventory, error) {
	if data, ok := g.bodies[d]; ok {
		return site.DecodeSU(data)
	}
	return nil, fmt.Errorf("no body %s", d)
}

func (g *golden) write(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	packed, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	must(t, err)
	encoder := json.NewEncoder(packed)
	encoder.SetEscapeHTML(false)
	for _, d := range slices.SortedFunc(maps.Keys(g.bodies), func(a, b claim.Digest) int { return bytes.Compare(a[:], b[:]) }) {
		must(t, encoder.Encode(line{Digest: d, Data: g.bodies[d]}))
	}
	for _, e := range g.entries {
		must(t, encoder.Encode(line{Seq: e.Seq, Time: e.Time, Term: e.Term, Command: e.Command, Kind: e.Kind, Scope: e.Scope, ScopeSeq: e.ScopeSeq, Body: e.Body}))
	}
	for _, schema := range slices.Sorted(maps.Keys(g.states)) {
		must(t, encoder.Encode(line{Schema: schema, State: g.states[schema]}))
	}
	must(t, packed.Close())
	must(t, os.MkdirAll(goldenFolder, 0o755))
	must(t, os.WriteFile(goldenPath(g.release), out.Bytes(), 0o600))
	t.Logf("%s: %d entries, %d bytes", goldenPath(g.release), len(g.entries), out.Len())
}

func goldenPath(release string) string { return filepath.Join(goldenFolder, release+".jsonl.gz") }

func readGolden(t testing.TB, release string) *golden {
	t.Helper()
	file, err := os.Open(goldenPath(release))
	must(t, err)
	defer file.Close()
	unpacked, err := gzip.NewReader(bufio.NewReader(file))
	must(t, err)
	g := &golden{release: release, bodies: map[claim.Digest][]byte{}, states: map[string]claim.Digest{}}
	decoder := json.NewDecoder(unpacked)
	decoder.DisallowUnknownFields()
	for {
		var l line
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatalf("%s: %v", goldenPath(release), err)
		}
		switch {
		case l.Data != nil:
			g.bodies[l.Digest] = l.Data
		case l.Schema != "":
			g.states[l.Schema] = l.State
		default:
			g.entries = append(g.entries, ledger.Entry{Seq: l.Seq, Time: l.Time, Term: l.Term, Command: l.Command, Kind: l.Kind, Scope: l.Scope, ScopeSeq: l.ScopeSeq, Body: l.Body})
		}
	}
}

// replay folds the whole ledger, and says at which entry it fails.
func (g *golden) replay() (*book.State, error) {
	s := book.New()
	for i := range g.entries {
		if err := book.Apply(s, &g.entries[i], g); err != nil {
			return nil, err
		}
		if err := book.CheckInvariants(s); err != nil {
			return nil, fmt.Errorf("after entry %d (%s): %w", g.entries[i].Seq, g.entries[i].Kind, err)
		}
	}
	return s, nil
}

// thisRelease is the name of what CHANGELOG.md begins with: "unreleased", or a
// version.
func thisRelease(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../CHANGELOG.md")
	must(t, err)
	for _, l := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(l, "## "); ok {
			return strings.ToLower(strings.Trim(strings.Fields(name)[0], "[]"))
		}
	}
	t.Fatal("CHANGELOG.md: expected a heading of the form '## RELEASE'")
	return ""
}

// releases lists the releases that a golden ledger is kept of.
func releases(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(goldenPath("*"))
	must(t, err)
	for i := range files {
		files[i] = strings.TrimSuffix(filepath.Base(files[i]), ".jsonl.gz")
	}
	return files
}

// newest is the golden ledger of this release, or of the last one where this one
// has none yet.
func newest(t testing.TB) *golden {
	t.Helper()
	all := releases(t)
	if len(all) == 0 {
		t.Fatal("no golden ledger is kept: go test ./book -run TestGolden -update")
	}
	if this := thisRelease(t); slices.Contains(all, this) {
		return readGolden(t, this)
	}
	return readGolden(t, all[len(all)-1])
}

const whatToDo = `
  A ledger that a release wrote must fold for ever, and to the same state: it is
  what happened, and its owner can't write it again.
  - If you changed what a kind means or what its body holds: don't. Add a kind with
    the next version ("lease.bound/2") with a fold of its own, let the decision
    write that one, and leave the old kind and its fold as they were.
  - If you only added a field that old entries don't have: its zero value must mean
    what was so before there was the field.
  - If the state itself holds something new (book.SnapshotSchema has to be another
    one then), or the kind has never been in a release: go test ./book -run
    TestGolden -update, and say in the commit why.`

// TestGolden folds the ledger of every release.
func TestGolden(t *testing.T) {
	if *update {
		g := tellGolden(t)
		g.release, g.states = thisRelease(t), map[string]claim.Digest{}
		s, err := g.replay()
		must(t, err)
		g.states[book.SnapshotSchema] = hashOf(t, s)
		if g.release != "unreleased" && slices.Contains(releases(t), g.release) {
			t.Fatalf("%s is kept already, and the ledger of a release is never written again: begin the next one in CHANGELOG.md", goldenPath(g.release))
		}
		g.write(t)
		restate(t)
	}
	for _, release := range releases(t) {
		t.Run(release, func(t *testing.T) {
			g := readGolden(t, release)
			s, err := g.replay()
			if err != nil {
				t.Fatalf("%s does not fold any more: %v%s", goldenPath(release), err, whatToDo)
			}
			want, known := g.states[book.SnapshotSchema]
			if !known {
				t.Fatalf("%s has no state hash of schema %s: go test ./book -run TestGolden -update adds it", goldenPath(release), book.SnapshotSchema)
			}
			if got := hashOf(t, s); got != want {
				t.Fatalf("%s folds to state %s, the release folded it to %s%s", goldenPath(release), got, want, whatToDo)
			}
			if info, err := os.Stat(goldenPath(release)); err != nil || info.Size() > 300_000 {
				t.Errorf("%s: %d bytes, expected at most 300,000: it is kept for ever (%v)", goldenPath(release), info.Size(), err)
			}
		})
	}
}

// restate adds the state hash of a new schema to the ledgers of older releases.
// Hashes of older schemas stay: they can't be computed again.
func restate(t *testing.T) {
	t.Helper()
	for _, release := range releases(t) {
		g := readGolden(t, release)
		if _, known := g.states[book.SnapshotSchema]; known {
			continue
		}
		s, err := g.replay()
		must(t, err)
		g.states[book.SnapshotSchema] = hashOf(t, s)
		g.write(t)
	}
}

// TestGoldenHasEveryKind keeps the golden ledger of this release complete.
func TestGoldenHasEveryKind(t *testing.T) {
	this := thisRelease(t)
	if !slices.Contains(releases(t), this) {
		t.Fatalf("release %s has no golden ledger: go test ./book -run TestGolden -update", this)
	}
	seen := map[string]bool{}
	for _, e := range readGolden(t, this).entries {
		seen[e.Kind] = true
	}
	for _, kind := range slices.Sorted(slices.Values(book.Kinds())) {
		if !seen[kind] {
			t.Errorf("%s has no entry of kind %s: go test ./book -run TestGolden -update; if it still has none, tell of it in tellGolden first", goldenPath(this), kind)
		}
	}
}

func hashOf(t testing.TB, s *book.State) claim.Digest {
	t.Helper()
	hash, err := s.Hash()
	must(t, err)
	return hash
}
