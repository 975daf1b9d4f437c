package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
)

func TestTheSameLogGivesTheSameBytes(t *testing.T) {
	s := bundletest.Whole(owner)
	a, b := write(t, s.Input()), write(t, s.Input())
	if !bytes.Equal(a, b) {
		t.Fatal("two bundles of one log differ")
	}
}

func TestReportIsDeterministic(t *testing.T) {
	data := write(t, bundletest.Whole(owner).Input())
	var first string
	for i := range 4 {
		report, err := verify(data, owner.Policy(bundletest.Tenant), bundle.Options{Workers: 1 + i})
		if err != nil {
			t.Fatal(err)
		}
		var text, encoded strings.Builder
		_, _ = report.WriteText(&text), report.WriteJSON(&encoded)
		if first == "" {
			first = text.String() + encoded.String()
		} else if first != text.String()+encoded.String() {
			t.Fatalf("%d workers give another report", 1+i)
		}
	}
	if !strings.HasPrefix(first, "Not proven\n  - not witnessed: the owner could show others a different log\n") {
		t.Errorf("the report must open with what is not proven: %.200s", first)
	}
}

// Every byte of a bundle is covered: whichever is changed, it is rejected.
func TestEveryByteCounts(t *testing.T) {
	data := write(t, bundletest.Small(owner).Input())
	policy := owner.Policy(bundletest.Tenant)
	random := rand.New(rand.NewSource(1))
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= byte(1 + random.Intn(255))
		if report, err := verify(changed, policy, bundle.Options{}); err == nil || report != nil && report.Proven {
			t.Fatalf("byte %d of %d was changed and nobody noticed", i, len(data))
		}
	}
	t.Logf("%d bytes", len(data))
}

// Single bits, over the whole of a larger bundle.
func TestRandomFlips(t *testing.T) {
	data := write(t, bundletest.Whole(owner).Input())
	policy := owner.Policy(bundletest.Tenant)
	random := rand.New(rand.NewSource(2))
	for range 10_000 {
		i, bit := random.Intn(len(data)), byte(1)<<random.Intn(8)
		data[i] ^= bit
		if report, err := verify(data, policy, bundle.Options{}); err == nil || report != nil {
			t.Fatalf("bit %d of byte %d of %d was flipped and the container took it", bit, i, len(data))
		}
		data[i] ^= bit
	}
	if _, err := verify(data, policy, bundle.Options{}); err != nil {
		t.Fatal(err)
	}
}

func TestTruncatedAndExtended(t *testing.T) {
	data := write(t, bundletest.Small(owner).Input())
	policy := owner.Policy(bundletest.Tenant)
	for n := range data {
		if report, err := verify(data[:n], policy, bundle.Options{}); err == nil || report != nil {
			t.Fatalf("the first %d of %d bytes were taken for a bundle", n, len(data))
		}
	}
	for _, tail := range []string{"\x00", "\n", "bundle.\n", string(data)} {
		if report, err := verify(append(bytes.Clone(data), tail...), policy, bundle.Options{}); err == nil || report != nil {
			t.Fatalf("%d bytes behind the end went unnoticed", len(tail))
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *bundletest.Story, in *bundle.Input)
		says   string
	}{
		"a gap":           {func(s *bundletest.Story, in *bundle.Input) { s.Entries[4].ScopeSeq = 9 }, "entry 9 of tenant/acme where entry 5"},
		"another scope":   {func(s *bundletest.Story, in *bundle.Input) { s.Entries[4].Scope = "tenant/rival" }, "of tenant/rival where"},
		"an unknown kind": {func(s *bundletest.Story, in *bundle.Input) { s.Entries[4].Kind = "what/1" }, "not known"},
		"a missing body": {func(s *bundletest.Story, in *bundle.Input) {
			in.Body = func(claim.Digest) ([]byte, error) { return nil, errors.New("gone") }
		}, "gone"},
		"a wrong body": {func(s *bundletest.Story, in *bundle.Input) {
			in.Body = func(claim.Digest) ([]byte, error) { return []byte("x"), nil }
		}, "another digest"},
		"an older checkpoint": {func(s *bundletest.Story, in *bundle.Input) { in.Checkpoint = s.Checkpoint(3) }, "checkpoint: over 3 entries"},
		"no checkpoint":       {func(s *bundletest.Story, in *bundle.Input) { in.Checkpoint = nil }, "expected a signed note"},
		"another origin":      {func(s *bundletest.Story, in *bundle.Input) { in.Site = "elsewhere" }, "checkpoint: of"},
	} {
		t.Run(name, func(t *testing.T) {
			s := bundletest.Small(owner)
			in := s.Input()
			c.change(s, &in)
			if _, err := bundle.Write(&bytes.Buffer{}, in); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("expected an error with %q, got %v", c.says, err)
			}
		})
	}
}

// A body comes back as it was, in one form only.
func TestBodiesKeepTheirBytes(t *testing.T) {
	statement := func(t *rapid.T) []byte {
		plain := rapid.String().Filter(claim.Plain) // what steers a terminal is refused by who reads the predicate
		s, err := claim.NewStatement(plain.Draw(t, "subject"), claim.DigestOf(nil), "type", rapid.String().Draw(t, "predicate"))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := claim.Sign(s, owner.Statement)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		if rapid.Bool().Draw(t, "statement") {
			body = statement(t)
			if rapid.Bool().Draw(t, "changed") {
				body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= 1
			}
		}
		kept := bundle.AppendBody(nil, body)
		back, _, err := bundle.RestoreBody(kept)
		if err != nil || !bytes.Equal(back, body) {
			t.Fatalf("%q came back as %q: %v", body, back, err)
		}
	})
}

// What the verifier reads from a statement that is kept apart is what claim.Open
// reads from its envelope.
func TestStatementsOpenAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		signer := owner.Statement
		if rapid.Bool().Draw(t, "stranger") {
			signer = owner.Invoice
		}
		plain := rapid.String().Filter(claim.Plain) // what steers a terminal is refused by who reads the predicate
		s, err := claim.NewStatement(plain.Draw(t, "subject"), claim.DigestOf(nil), rapid.SampledFrom([]string{"a/1", `,"predicate":`}).Draw(t, "type"),
			rapid.MapOf(plain, plain).Draw(t, "predicate"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "odd type") {
			s.Type = "https://in-toto.io/Statement/v0.1"
		}
		signed, err := claim.Sign(s, signer)
		if err != nil {
			t.Fatal(err)
		}
		trust := claim.Trust{owner.Statement.KeyID: publicOf(owner.Statement)}
		want, wantErr := claim.Open(signed, trust)
		got, gotErr := bundle.OpenKept(bundle.AppendBody(nil, signed), trust)
		if (wantErr == nil) != (gotErr == nil) || errors.Is(wantErr, claim.ErrUntrusted) != errors.Is(gotErr, claim.ErrUntrusted) {
			t.Fatalf("claim.Open says %v, the bundle %v", wantErr, gotErr)
		}
		if wantErr == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("claim.Open reads %v, the bundle %v", want, got)
		}
	})
}

func TestManyFrames(t *testing.T) {
	s := bundletest.Small(owner)
	for i := range 40 { // bodies that fill several frames
		digest := s.Body(bytes.Repeat(fmt.Appendf(nil, "%d ", i), bundle.FrameSize/20))
		s.Add("contract.quoted/1", map[string]any{
			"quote": fmt.Sprint("q", i+2), "contract": s.Contract, "expires": s.Now,
			"parts": []map[string]any{{"tranche": "t1", "placement_certificate": digest}},
		})
	}
	var out bytes.Buffer
	m, err := bundle.Write(&out, s.Input())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Bodies.Frames) < 3 {
		t.Fatalf("%d frames", len(m.Bodies.Frames))
	}
	report, err := verify(out.Bytes(), owner.Policy(bundletest.Tenant), bundle.Options{})
	for _, f := range report.Rejected {
		if f.Check != bundle.CheckContract && f.Check != bundle.CheckKind {
			t.Fatalf("%v: %v", err, f)
		}
	}
}

func FuzzContainer(f *testing.F) {
	small := func() []byte {
		var out bytes.Buffer
		if _, err := bundle.Write(&out, bundletest.Small(owner).Input()); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}()
	f.Add(small)
	f.Add(small[:40])
	f.Add([]byte("bundle.\n"))
	policy := owner.Policy(bundletest.Tenant)
	f.Fuzz(func(t *testing.T, data []byte) {
		if report, err := verify(data, policy, bundle.Options{}); err == nil && !bytes.Equal(data, small) && report.Entries == 0 {
			t.Fatal("proven without an entry")
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add([]byte{0, 1, 2})
	f.Add(bundle.AppendBody(nil, []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"k","sig":"AA=="}]}`)))
	f.Fuzz(func(t *testing.T, kept []byte) {
		body, _, err := bundle.RestoreBody(kept)
		if err != nil {
			return
		}
		if again := bundle.AppendBody(nil, body); !bytes.Equal(again, kept) {
			if back, _, err := bundle.RestoreBody(again); err != nil || !bytes.Equal(back, body) {
				t.Fatalf("%q: %v", body, err)
			}
		}
	})
}
