package claim

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

func testSigner(seed byte) (Signer, Trust) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	return Signer{KeyID: KeyID(public), Key: key}, Trust{KeyID(public): public}
}

func sign(t testing.TB, predicate any, signer Signer) []byte {
	t.Helper()
	s, err := NewStatement("a1-su01-n01", DigestOf([]byte("x")), "bulkhead/test/1", predicate)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := Sign(s, signer)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func TestSignAndOpen(t *testing.T) {
	signer, trust := testSigner(1)
	envelope := sign(t, map[string]string{"says": "a < b & c"}, signer)
	s, err := Open(envelope, trust)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.Predicate); got != `{"says":"a < b & c"}` {
		t.Errorf("predicate %s", got)
	}
	if peeked, err := Peek(envelope); err != nil || !bytes.Equal(peeked, s.Predicate) {
		t.Errorf("peeked %s, %v", peeked, err)
	}
	if !bytes.Equal(envelope, sign(t, map[string]string{"says": "a < b & c"}, signer)) {
		t.Error("the same statement gave other bytes")
	}
}

// The canonical form is what the library's own types encode to, so any DSSE
// implementation can read what is signed here.
func TestEnvelopeIsWhatTheLibraryEncodes(t *testing.T) {
	signer, _ := testSigner(1)
	envelope := sign(t, "x", signer)
	var e dsse.Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, envelope) {
		t.Errorf("ours\n%s\nthe library's\n%s", envelope, again)
	}
	payload, err := e.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, payload) {
		t.Errorf("payload\n%s\nencodes to\n%s (%v)", payload, again, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	signer, trust := testSigner(1)
	other, _ := testSigner(2)
	good := sign(t, map[string]int{"n": 1}, signer)
	text := string(good)
	two := strings.Replace(text, `}]}`, `},{"keyid":"x","sig":""}]}`, 1)
	for name, envelope := range map[string]string{
		"empty": "", "space": " " + text, "trailing": text + " ", "twice": text + text,
		"two signatures":   two,
		"other type":       strings.Replace(text, PayloadType, "text/plain", 1),
		"field order":      strings.Replace(text, `"payloadType"`, `"payloadtype"`, 1),
		"line in payload":  strings.Replace(text, `"payload":"e`, "\"payload\":\"e\n", 1),
		"quote in key id":  strings.Replace(text, `"keyid":"`, `"keyid":"\"`, 1),
		"base64 with tail": strings.Replace(text, `","signatures"`, `=","signatures"`, 1),
	} {
		if envelope == text {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if _, err := Open([]byte(envelope), trust); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := Open(sign(t, 1, other), trust); !errors.Is(err, ErrUntrusted) {
		t.Errorf("another's signature: %v", err)
	}
	forged := sign(t, 1, Signer{KeyID: signer.KeyID, Key: other.Key})
	if _, err := Open(forged, trust); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a signature under another's name: %v", err)
	}
}

func TestEveryByteOfAnEnvelopeCounts(t *testing.T) {
	signer, trust := testSigner(1)
	good := sign(t, map[string]string{"k": "v"}, signer)
	for i := range good {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if _, err := Open(bad, trust); err == nil {
				t.Fatalf("byte %d ^ %#x: opened", i, flip)
			}
		}
	}
}

func TestGradesAreCapped(t *testing.T) {
	for origin, want := range map[Origin]Grade{Hardware: TenantProven, Emulated: SimulatedGrade, Simulated: SimulatedGrade, "": Absent, "made up": Absent} {
		if got := Cap(TenantProven, origin); got != want {
			t.Errorf("origin %q: %s, expected %s", origin, got, want)
		}
	}
	var g Grade
	if g.UnmarshalText([]byte("excellent")) == nil {
		t.Error("an unknown grade was read")
	}
}

func TestDigestText(t *testing.T) {
	d := DigestOf([]byte("x"))
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Errorf("%s: %v", got, err)
	}
	for _, bad := range []string{"sha256:", strings.ToUpper(d.String()), d.String() + "00", "md5:" + d.String()[7:], "sha256:" + strings.Repeat("g", 64)} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzOpen(f *testing.F) {
	signer, trust := testSigner(1)
	f.Add(sign(f, 1, signer))
	f.Add([]byte(envelopeHead + base64.StdEncoding.EncodeToString([]byte("{}")) + envelopeKey + signer.KeyID + envelopeSig + envelopeEnd))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := Open(data, trust); err == nil {
			if again, err := Sign(s, signer); err != nil || !bytes.Equal(again, data) {
				t.Errorf("opened %s, which signs to %s", data, again)
			}
		}
	})
}
