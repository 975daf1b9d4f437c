package ledger_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// With -update the vectors are written anew. A change of them is a change of
// what tenants hold and have signed: it needs a new frame version.
var update = flag.Bool("update", false, "write testdata/golden.json anew")

// golden holds vectors for whoever reads a ledger with a program of their own.
type golden struct {
	Comment  string   `json:"comment"`
	Entries  []vector `json:"entries"`
	Root     string   `json:"root"` // of the tree over all, hex
	Origin   string   `json:"origin"`
	Verifier string   `json:"verifier"` // the key of a signed note
	Signed   string   `json:"signed"`   // the checkpoint over all
}

type vector struct {
	Time     time.Time `json:"time"`
	Term     uint64    `json:"term"`
	Command  string    `json:"command"`
	Kind     string    `json:"kind"`
	Scope    string    `json:"scope"`
	ScopeSeq uint64    `json:"scope_seq"`
	Salt     string    `json:"salt"` // hex
	Body     string    `json:"body"`
	Frame    string    `json:"frame"` // hex
	Leaf     string    `json:"leaf"`  // hex
}

const goldenFile = "testdata/golden.json"

func writeGolden(t *testing.T) {
	t.Helper()
	g := golden{Comment: "Five entries, their frames and RFC 6962 leaf hashes, the root over them, and a checkpoint signed with a key that is made for this file.", Origin: origin}
	tree := ledger.NewTree()
	at := time.Date(2026, 5, 1, 7, 0, 0, 123456789, time.UTC)
	for i, e := range []ledger.Entry{
		{Term: 1, Kind: "site.imported/1", Scope: "site", ScopeSeq: 1, Command: "import-1", Body: []byte(`{"site":"small"}`)},
		{Term: 1, Kind: "tenant.registered/1", Scope: "tenant/north", ScopeSeq: 1, Body: []byte(`{"tenant":"north"}`)},
		{Term: 1, Kind: "lease.bound/1", Scope: "tenant/north", ScopeSeq: 2, Command: "Straße 1", Body: []byte(`{"slots":"0-511,520"}`)},
		{Term: 2, Kind: "writer.began/1", Scope: "site", ScopeSeq: 2, Body: nil},
		{Term: 1<<64 - 1, Kind: "lease.returned/1", Scope: "tenant/north", ScopeSeq: 3, Command: "c", Body: []byte("{}")},
	} {
		e.Time = at.Add(time.Duration(i) * time.Hour)
		for j := range e.Salt {
			e.Salt[j] = byte(16*i + j)
		}
		frame := ledger.Encode(&e)
		leaf := ledger.LeafHash(frame)
		tree.Append(leaf)
		g.Entries = append(g.Entries, vector{
			e.Time, e.Term, e.Command, e.Kind, e.Scope, e.ScopeSeq, hex.EncodeToString(e.Salt[:]), string(e.Body),
			hex.EncodeToString(frame), hex.EncodeToString(leaf[:]),
		})
	}
	root := tree.Root()
	g.Root = hex.EncodeToString(root[:])
	secret, public, err := note.GenerateKey(reader(7), "bulkhead-checkpoint")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: tree.Size(), Root: root}, signer)
	must(t, err)
	g.Verifier, g.Signed = public, string(signed)
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	must(t, encoder.Encode(g))
	must(t, os.WriteFile(goldenFile, data.Bytes(), 0o600))
}

func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	data, err := os.ReadFile(goldenFile)
	must(t, err)
	var g golden
	must(t, json.Unmarshal(data, &g))
	if len(g.Entries) != 5 {
		t.Fatalf("%d entries, expected 5", len(g.Entries))
	}
	tree := ledger.NewTree()
	for i, v := range g.Entries {
		frame, err := hex.DecodeString(v.Frame)
		must(t, err)
		e := ledger.Entry{Time: v.Time, Term: v.Term, Command: v.Command, Kind: v.Kind, Scope: v.Scope, ScopeSeq: v.ScopeSeq, Body: []byte(v.Body)}
		salt, err := hex.DecodeString(v.Salt)
		must(t, err)
		copy(e.Salt[:], salt)
		if got := ledger.Encode(&e); !bytes.Equal(got, frame) {
			t.Errorf("entry %d is encoded as %x, expected %x", i, got, frame)
		}
		read, err := ledger.Decode(frame)
		if err != nil || !bytes.Equal(ledger.Encode(&read), frame) || !read.Time.Equal(v.Time) || read.Kind != v.Kind || string(read.Body) != v.Body {
			t.Errorf("entry %d is read as %+v, %v", i, read, err)
		}
		leaf := ledger.LeafHash(frame)
		if hex.EncodeToString(leaf[:]) != v.Leaf {
			t.Errorf("entry %d has leaf hash %x, expected %s", i, leaf, v.Leaf)
		}
		tree.Append(leaf)
	}
	root := tree.Root()
	if hex.EncodeToString(root[:]) != g.Root {
		t.Errorf("root %x, expected %s", root, g.Root)
	}
	verifier, err := note.NewVerifier(g.Verifier)
	must(t, err)
	c, err := ledger.OpenCheckpoint([]byte(g.Signed), g.Origin, verifier)
	must(t, err)
	if c != (ledger.Checkpoint{Origin: g.Origin, Size: 5, Root: claim.Digest(root)}) {
		t.Errorf("the checkpoint is %+v", c)
	}
}
