package ledger_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// reader gives bytes that follow from a number: keys that are the same in each
// run.
type reader byte

func (r reader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func pair(t testing.TB, random io.Reader) (note.Signer, note.Verifier) {
	t.Helper()
	secret, public, err := note.GenerateKey(random, "bulkhead-checkpoint")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	verifier, err := note.NewVerifier(public)
	must(t, err)
	return signer, verifier
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const origin = "bulkhead/test/site"

func TestCheckpoint(t *testing.T) {
	signer, verifier := pair(t, reader(1))
	_, stranger := pair(t, rand.Reader)
	want := ledger.Checkpoint{Origin: origin, Size: 12345, Root: claim.DigestOf([]byte("root"))}
	signed, err := ledger.SignCheckpoint(want, signer)
	must(t, err)
	got, err := ledger.OpenCheckpoint(signed, origin, verifier)
	must(t, err)
	if got != want {
		t.Fatalf("%+v was read as %+v", want, got)
	}
	if _, err := ledger.OpenCheckpoint(signed, "bulkhead/other/site", verifier); err == nil {
		t.Fatal("a checkpoint of another origin was accepted")
	}
	if _, err := ledger.OpenCheckpoint(signed, origin, stranger); err == nil {
		t.Fatal("a checkpoint that a stranger's key does not fit was accepted")
	}
	// Every changed byte is noticed, and every cut.
	for i := range signed {
		bad := bytes.Clone(signed)
		bad[i] ^= 0x04
		if c, err := ledger.OpenCheckpoint(bad, origin, verifier); err == nil {
			t.Fatalf("byte %d was changed and the checkpoint accepted as %+v", i, c)
		}
		if _, err := ledger.OpenCheckpoint(signed[:i], origin, verifier); err == nil {
			t.Fatalf("a checkpoint cut after %d bytes was accepted", i)
		}
	}
	// A root of another length, signed with the right key.
	short, err := note.Sign(&note.Note{Text: origin + "\n7\nAAAA\n"}, signer)
	must(t, err)
	if _, err := ledger.OpenCheckpoint(short, origin, verifier); err == nil || !strings.Contains(err.Error(), "3 bytes") {
		t.Fatalf("a root of three bytes: error %v", err)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, verifier := pair(f, reader(1))
	want := ledger.Checkpoint{Origin: origin, Size: 7, Root: claim.DigestOf([]byte("root"))}
	signed, err := ledger.SignCheckpoint(want, signer)
	must(f, err)
	f.Add(signed)
	f.Add([]byte(origin + "\n7\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		// Only what the key signed is ever accepted: more lines may follow
		// the signature, and nothing else.
		if c, err := ledger.OpenCheckpoint(data, origin, verifier); err == nil && c != want {
			t.Fatalf("%q was accepted as %+v", data, c)
		}
	})
}
