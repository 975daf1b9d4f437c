package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/memory"
)

func filled(t *testing.T, label string, n int) ledger.Log {
	t.Helper()
	log := memory.New()
	must(t, log.Append(t.Context(), 0, ledgertest.Entries(label, 0, n, 60), nil))
	return log
}

func publishedIn(t *testing.T, verifiers ...note.Verifier) *ledger.Published {
	t.Helper()
	return &ledger.Published{
		Path:      filepath.Join(t.TempDir(), "checkpoint"),
		Verifiers: func() ([]note.Verifier, error) { return verifiers, nil },
	}
}

// publish signs and stores a checkpoint over the whole log.
func publish(t *testing.T, p *ledger.Published, log ledger.Log, signer note.Signer) ledger.Report {
	t.Helper()
	r, err := ledger.Verify(t.Context(), log, nil)
	must(t, err)
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: r.Size, Root: r.Root}, signer)
	must(t, err)
	must(t, p.Store(signed))
	return r
}

func TestVerify(t *testing.T) {
	signer, verifier := pair(t, rand.Reader)
	p := publishedIn(t, verifier)
	log := filled(t, "a", 50)
	r, err := ledger.Verify(t.Context(), log, p) // nothing published yet
	must(t, err)
	if r.Size != 50 || r.Scopes["site"].Size != 17 || r.Scopes["tenant/tide"].Size != 16 || len(r.Scopes) != 3 {
		t.Fatalf("report %+v", r)
	}
	publish(t, p, log, signer)
	more := ledgertest.Entries("b", 50, 5, 60)
	must(t, log.Append(t.Context(), 50, more, nil))
	again, err := ledger.Verify(t.Context(), log, p)
	must(t, err)
	if again.Published.Size != 50 || again.PublishedRoot != r.Root || again.Root == r.Root || again.Size != 55 {
		t.Fatalf("report %+v", again)
	}
	var own []ledger.Entry
	for e, err := range log.Read(t.Context(), 1) {
		must(t, err)
		if e.Scope == "tenant/north" {
			own = append(own, e)
		}
	}
	tree := ledger.NewTree()
	for i := range own {
		tree.Append(ledger.LeafHash(ledger.Encode(&own[i])))
	}
	if got := again.Scopes["tenant/north"]; got.Root != tree.Root() || got.Size != tree.Size() {
		t.Fatalf("the tree of a scope is %+v, expected %d entries with root %s", got, tree.Size(), tree.Root())
	}
}

// TestVerifyTimeBack: an engine does not look at times, Verify does.
func TestVerifyTimeBack(t *testing.T) {
	log := filled(t, "a", 5)
	e := ledgertest.Entries("b", 5, 1, 60)
	e[0].Time = ledgertest.Start
	must(t, log.Append(t.Context(), 5, e, nil))
	r, err := ledger.Verify(t.Context(), log, nil)
	if err == nil || r.Size != 5 {
		t.Fatalf("report of %d entries, error %v: expected time going back to be noticed at entry 6", r.Size, err)
	}
}

// short is a log that ends before its head says.
type short struct{ ledger.Log }

func (s short) Head(ctx context.Context) (uint64, error) {
	head, err := s.Log.Head(ctx)
	return head + 1, err
}

func TestVerifyEndMissing(t *testing.T) {
	r, err := ledger.Verify(t.Context(), short{filled(t, "a", 5)}, nil)
	if err == nil || r.Size != 5 {
		t.Fatalf("report of %d entries, error %v: expected the missing end to be noticed", r.Size, err)
	}
}

// TestStartUpRefusal: a store with less than was published, or with another
// history of the same or a greater length, is refused; a longer continuation is
// not.
func TestStartUpRefusal(t *testing.T) {
	signer, verifier := pair(t, rand.Reader)
	p := publishedIn(t, verifier)
	log := filled(t, "a", 40)
	full := publish(t, p, log, signer)
	rewritten, rewrittenLonger := filled(t, "other", 40), filled(t, "other", 60)
	shorter, empty := filled(t, "a", 39), memory.New()
	longer := filled(t, "a", 41)
	for _, test := range []struct {
		name string
		log  ledger.Log
		lost bool
	}{
		{"as published", log, false}, {"longer", longer, false}, {"one less", shorter, true}, {"empty", empty, true},
		{"rewritten", rewritten, true}, {"rewritten and longer", rewrittenLonger, true},
	} {
		r, err := ledger.Verify(t.Context(), test.log, p)
		if errors.Is(err, ledger.ErrRolledBack) != test.lost || (err != nil) != test.lost {
			t.Fatalf("%s: verify gave %v", test.name, err)
		}
		err = p.Check(r.Size, func(size uint64) (claim.Digest, error) {
			return ledgerRoot(t, test.log, size), nil
		})
		if errors.Is(err, ledger.ErrRolledBack) != test.lost || (err != nil) != test.lost {
			t.Fatalf("%s: the check at start-up gave %v", test.name, err)
		}
		lost, err := ledger.NewRecovered(r, "J. Doe", "disk lost")
		if (err == nil) != test.lost {
			t.Fatalf("%s: recover gave %v", test.name, err)
		}
		if test.lost && (lost.PublishedSize != 40 || lost.PublishedRoot != full.Root || lost.HeadSize != r.Size || lost.HeadRoot != r.Root) {
			t.Fatalf("%s: recovered %+v", test.name, lost)
		}
	}
	r, _ := ledger.Verify(t.Context(), shorter, p)
	for _, words := range [][2]string{{"", "disk lost"}, {"J. Doe", " \t"}} {
		if _, err := ledger.NewRecovered(r, words[0], words[1]); err == nil {
			t.Fatalf("recover by %q for %q: no error", words[0], words[1])
		}
	}
	none, err := ledger.Verify(t.Context(), shorter, nil)
	must(t, err)
	if _, err := ledger.NewRecovered(none, "J. Doe", "disk lost"); err == nil {
		t.Fatal("recover without a published checkpoint: no error")
	}
}

func ledgerRoot(t *testing.T, log ledger.Log, size uint64) claim.Digest {
	t.Helper()
	tree := ledger.NewTree()
	for e, err := range log.Read(t.Context(), 1) {
		must(t, err)
		if tree.Size() < size {
			tree.Append(ledger.LeafHash(ledger.Encode(&e)))
		}
	}
	return tree.Root()
}

// TestPublishedNeverGoesBack: not by size, and not to another root.
func TestPublishedNeverGoesBack(t *testing.T) {
	signer, verifier := pair(t, rand.Reader)
	p := publishedIn(t, verifier)
	publish(t, p, filled(t, "a", 40), signer)
	before, err := os.ReadFile(p.Path)
	must(t, err)
	for _, c := range []ledger.Checkpoint{
		{Origin: origin, Size: 39, Root: claim.DigestOf([]byte("x"))},
		{Origin: origin, Size: 40, Root: claim.DigestOf([]byte("x"))},
		{Origin: origin, Size: 0, Root: claim.DigestOf(nil)},
	} {
		signed, err := ledger.SignCheckpoint(c, signer)
		must(t, err)
		if err := p.Store(signed); !errors.Is(err, ledger.ErrRolledBack) {
			t.Fatalf("publishing %d entries after 40: error %v, expected %v", c.Size, err, ledger.ErrRolledBack)
		}
	}
	must(t, p.Store(before)) // the same again harms nothing
	publish(t, p, filled(t, "a", 41), signer)
	files, err := os.ReadDir(filepath.Dir(p.Path))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%d files beside the checkpoint, expected none", len(files)-1)
	}
}

// TestPublishedKeys: a retired key still counts, a key that is made later
// counts from then on, a stranger's never; a changed file is an error and not
// "nothing was published".
func TestPublishedKeys(t *testing.T) {
	old, oldVerifier := pair(t, rand.Reader)
	next, nextVerifier := pair(t, rand.Reader)
	stranger, _ := pair(t, rand.Reader)
	verifiers := []note.Verifier{oldVerifier}
	p := publishedIn(t)
	p.Verifiers = func() ([]note.Verifier, error) { return verifiers, nil }
	publish(t, p, filled(t, "a", 10), old)
	verifiers = append(verifiers, nextVerifier)
	c, err := p.Load()
	must(t, err)
	if c.Size != 10 {
		t.Fatalf("after a rotation %d entries are published, expected 10", c.Size)
	}
	publish(t, p, filled(t, "a", 20), next)

	forged, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: 30, Root: c.Root}, stranger)
	must(t, err)
	if err := p.Store(forged); err == nil {
		t.Fatal("a stranger's checkpoint was stored")
	}
	whole, err := os.ReadFile(p.Path)
	must(t, err)
	spoilt := bytes.Clone(whole)
	spoilt[len(origin)+1] = '1' // 10 entries
	for _, bad := range [][]byte{forged, spoilt, whole[:len(whole)/2], {}} {
		must(t, os.WriteFile(p.Path, bad, 0o600))
		if _, err := ledger.Verify(t.Context(), filled(t, "a", 20), p); err == nil {
			t.Fatalf("a checkpoint file %q was accepted", bad)
		}
		if err := p.Check(20, nil); err == nil {
			t.Fatalf("start-up went on with a checkpoint file %q", bad)
		}
	}
	must(t, os.WriteFile(p.Path, whole, 0o600))
	verifiers = nil
	if _, err := p.Load(); err == nil {
		t.Fatal("a checkpoint was read without a key")
	}
	p.Verifiers = func() ([]note.Verifier, error) { return nil, errors.New("keystore shut") }
	if _, err := p.Load(); err == nil {
		t.Fatal("a checkpoint was read without a keystore")
	}
}
