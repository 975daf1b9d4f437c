package contract

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bulkhead/claim"
	"bulkhead/lease"
)

// sheets is one of each form that is shown before an act, by the act.
func sheets(t testing.TB) map[Act]Sheet {
	t.Helper()
	c := example(t, "tiny", "tidewater")
	out, err := c.Perform(Asked{Act: ActNotice, Party: Tenant, Given: c.Begin.AddDate(0, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return map[Act]Sheet{
		ActNotice:      &out.Preview,
		ActAcknowledge: AnswerSheet(c.ID, &lease.Proposed{Lease: "tidewater/w1", Slot: 3, Was: "a1", Node: "a2", Reason: "a fan", By: "operator", Deadline: c.Begin}),
		ActConsent:     MovesSheet(c.ID, &lease.DefragProposed{Lease: "tidewater/w1", Proposal: 7, Slots: "0-1", Nodes: "5-6", Reason: "closer"}),
	}
}

// TestReadSheet: a sheet is read as what it was asked to be of, and as nothing else.
func TestReadSheet(t *testing.T) {
	for act, sheet := range sheets(t) {
		data := sheet.Encode()
		if again, err := ReadSheet(act, "tidewater", data); err != nil || again.Text() != sheet.Text() {
			t.Errorf("%s: %v", act, err)
		}
		for name, c := range map[string]struct {
			act  Act
			of   string
			data []byte
			says string
		}{
			"of another contract": {act, "other", data, "expected " + string(act) + " under other"},
			"of another act":      {ActDispute, "tidewater", data, ""},
			"with a space":        {act, "tidewater", append(bytes.Clone(data), ' '), "canonical"},
			"with more":           {act, "tidewater", bytes.Replace(data, []byte(`{"act"`), []byte(`{"hidden":1,"act"`), 1), "hidden"},
			"cut":                 {act, "tidewater", data[:len(data)-1], ""},
			"nothing":             {act, "tidewater", nil, ""},
		} {
			if sheet, err := ReadSheet(c.act, c.of, c.data); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s %s is read as %+v, %v", act, name, sheet, err)
			}
		}
	}
}

// FuzzReadSheet: a server's sheet is read in one way only, and its page has the lines that
// we write: no word of the server's begins one, or hides one.
func FuzzReadSheet(f *testing.F) {
	for act, sheet := range sheets(f) {
		f.Add(string(act), "tidewater", sheet.Encode())
	}
	f.Add("notice", "", bytes.Replace(sheets(f)[ActNotice].Encode(), []byte(`"USD"`), []byte(`"USD\nfee          0"`), 1))
	f.Fuzz(func(t *testing.T, act, of string, data []byte) {
		sheet, err := ReadSheet(Act(act), of, data)
		if err != nil {
			return
		}
		if !bytes.Equal(sheet.Encode(), data) {
			t.Fatal("bytes are read that are not canonical")
		}
		text := sheet.Text()
		if !strings.HasSuffix(text, claim.DigestOf(data).String()+"\n") {
			t.Fatalf("the page does not end with what is signed:\n%s", text)
		}
		most := 9 // of a preview
		if n, ok := sheet.(*ActSheet); ok {
			most = 3 + len(n.Lines)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) > most {
			t.Fatalf("the page has %d lines, expected at most %d:\n%s", len(lines), most, text)
		}
		for _, line := range lines {
			if line != claim.Line(line) {
				t.Fatalf("a line steers the terminal: %q", line)
			}
		}
	})
}

// FuzzDecodeSigned: what is read of an entry is what its bytes say, and only what the key
// has signed counts.
func FuzzDecodeSigned(f *testing.F) {
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	keys := TenantKeys{key.Fingerprint(): {Key: key, Since: now.AddDate(0, 0, -1)}}
	act := ActAssent(ActNotice, "tiny", "tidewater", "tidewater", claim.DigestOf([]byte("shown")), now, now.Add(AssentLasts))
	good, err := act.Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Encode())
	f.Add([]byte("{}"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeSigned(data)
		if err != nil || s == nil {
			if s != nil || err == nil && len(data) > 0 {
				t.Fatalf("%+v, %v of %q", s, err, data)
			}
			return
		}
		again, err := DecodeSigned(s.Encode())
		if err != nil || !bytes.Equal(again.Encode(), s.Encode()) {
			t.Fatalf("it does not survive its encoding: %v", err)
		}
		if err := keys.Check(s, act, now); err == nil && (s.Assent.Shown != act.Shown || s.Key != good.Key || !bytes.Equal(s.Assent.Encode(), act.Encode())) {
			t.Fatalf("the key has not signed %s", data)
		}
	})
}
