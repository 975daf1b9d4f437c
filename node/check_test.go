package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/node/agent"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// subject is a node with a complete and true turnover, and what it is compared
// with.
type subject struct {
	t    *Turnover
	want Expected
	key  *ecdsa.PrivateKey
	list []site.Device
}

var testKind = site.Kind{
	ID: "H100", GPU: site.Model{Model: "H100 SXM5 80GB", Firmware: "96.00.CF.00.01"}, RailNIC: site.Model{Model: "BlueField-3 SuperNIC 400G", Firmware: "32.43.1014"},
	FrontendNIC: site.Model{Model: "BlueField-3 DPU 400G", Firmware: "32.43.1014"}, Drive: site.Model{Model: "NVMe 7.68T U.2", Firmware: "GDC7302Q"}, Drives: 8,
	DRAM: site.Model{Model: "DDR5-4800 2 TB", Firmware: "none"}, TPM: site.Model{Model: "TPM 2.0", Firmware: "7.2.3.1"},
	UEFI: site.Model{Model: "UEFI H100", Firmware: "2.1.4"}, BMC: site.Model{Model: "AST2600", Firmware: "1.03.18"},
}

func devicesOf(k site.Kind, serial string) []site.Device {
	var list []site.Device
	add := func(class, mark string, m site.Model, count int) {
		for i := range count {
			list = append(list, site.Device{Class: class, Model: m.Model, Serial: serial + mark + string(rune('0'+i)), Firmware: m.Firmware})
		}
	}
	add(site.ClassGPU, "G", k.GPU, site.GPUs)
	add(site.ClassNVMe, "D", k.Drive, k.Drives)
	add(site.ClassNIC, "X", k.RailNIC, site.Rails)
	add(site.ClassNIC, "F", k.FrontendNIC, 1)
	add(site.ClassDRAM, "M", k.DRAM, 1)
	add(site.ClassTPM, "T", k.TPM, 1)
	add(site.ClassUEFI, "U", k.UEFI, 1)
	add(site.ClassBMC, "B", k.BMC, 1)
	return list
}

func newSubject(t testing.TB) *subject {
	t.Helper()
	key, err := site.AttestationPrivateKey("node test", "a1-su01-n01")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{key: key, list: devicesOf(testKind, "7K3M9Q2XWA")}
	s.want = Expected{
		Node: "a1-su01-n01", Serial: "7K3M9Q2XWA", Turnover: 3, Root: claim.DigestOf([]byte("root")), WipeRoot: claim.DigestOf([]byte("root")), Devices: site.DeviceDigest(s.list),
		Key: site.PublicKey(raw), Golden: attest.Golden(testKind), Origin: claim.Simulated,
	}
	start := time.Date(2026, 5, 1, 4, 0, 0, 0, time.UTC)
	run := agent.Run{Nonce: Nonce(s.want.Root, s.want.Node, s.want.Turnover), Start: start,
		Takes: func(i int) time.Duration { return time.Duration(300+17*i) * time.Second }}
	s.t = &Turnover{
		Node: s.want.Node, Serial: s.want.Serial, Kind: "H100", Turnover: s.want.Turnover, Origin: s.want.Origin, Root: s.want.Root, WipeRoot: s.want.WipeRoot,
		Devices: s.want.Devices, Key: s.want.Key, Golden: s.want.Golden, Receipts: run.Wipe(s.list),
		BurnIn: &BurnIn{GPUs: site.GPUs, Minutes: 12, GBps: 431.5},
	}
	s.t.Quote, err = agent.Attest(key, run.Nonce, s.list, s.t.Receipts, 4, start.Add(45*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *subject) clone() *subject {
	c, turnover := *s, *s.t
	turnover.Receipts = slices.Clone(s.t.Receipts)
	c.t = &turnover
	return &c
}

// requote makes what was changed in the receipts or the log true to the TPM: a
// node that lies consistently.
func (s *subject) requote(t testing.TB) {
	t.Helper()
	wiped, _ := attest.Extend(s.t.Receipts)
	booted := attest.Replay(s.t.Quote.Log)
	copy(s.t.Quote.PCR[:], booted[:])
	s.t.Quote.PCR[3] = wiped
	if err := agent.Sign(s.key, s.t.Quote); err != nil {
		t.Fatal(err)
	}
}

func (s *subject) receipt(class string) *wipe.SanitizeReceipt {
	for i := range s.t.Receipts {
		if s.t.Receipts[i].Class == class {
			return &s.t.Receipts[i]
		}
	}
	return nil
}

// forgeries names, for every check, a turnover that this check and no other
// refuses. Removing the check lets it pass, and this table turns red.
var forgeries = []struct {
	check string
	forge func(t testing.TB, s *subject)
}{
	{"node", func(t testing.TB, s *subject) { s.t.Node = "a1-su01-n02" }},
	{"serial", func(t testing.TB, s *subject) { s.t.Serial = "OTHER" }},
	{"turnover", func(t testing.TB, s *subject) { s.t.Turnover = 2 }},
	{"origin", func(t testing.TB, s *subject) { s.t.Origin = claim.Hardware }},
	{"root", func(t testing.TB, s *subject) { s.t.Root[0] ^= 1 }},
	{"key", func(t testing.TB, s *subject) { s.t.Key[9] ^= 1 }},
	{"golden", func(t testing.TB, s *subject) { s.t.Golden[1][0] ^= 1 }},
	{"devices", func(t testing.TB, s *subject) { s.t.Devices[0] ^= 1 }},
	{"wipe/method", func(t testing.TB, s *subject) { s.receipt(site.ClassGPU).Method = "hope"; s.requote(t) }},
	{"wipe/level", func(t testing.TB, s *subject) { s.receipt(site.ClassGPU).Level = wipe.Purge; s.requote(t) }},
	{"wipe/serial-number", func(t testing.TB, s *subject) {
		s.receipt(site.ClassBMC).Serial = " "
		s.receipt(site.ClassBMC).Offset = wipe.Place(Nonce(s.t.Root, s.t.Node, s.t.Turnover), " ", 16<<20, 4096)
		for i := range s.list {
			if s.list[i].Class == site.ClassBMC {
				s.list[i].Serial = " "
			}
		}
		s.want.Devices = site.DeviceDigest(s.list)
		s.t.Devices = s.want.Devices
		s.requote(t)
	}},
	{"wipe/status", func(t testing.TB, s *subject) { s.receipt(site.ClassNVMe).Status = 0; s.requote(t) }},
	{"wipe/progress", func(t testing.TB, s *subject) { s.receipt(site.ClassNVMe).Progress = 0xfffe; s.requote(t) }},
	{"wipe/times", func(t testing.TB, s *subject) {
		s.receipt(site.ClassNVMe).End = s.receipt(site.ClassNVMe).Start - 1
		s.requote(t)
	}},
	{"wipe/sampled", func(t testing.TB, s *subject) {
		r := s.receipt(site.ClassNVMe)
		r.Sampled = 512
		r.Offset = wipe.Place(Nonce(s.t.Root, s.t.Node, s.t.Turnover), r.Serial, r.Size, r.Sampled)
		s.requote(t)
	}},
	{"wipe/read-back", func(t testing.TB, s *subject) { s.receipt(site.ClassNVMe).Sample[0] ^= 1; s.requote(t) }},
	{"wipe/device-list", func(t testing.TB, s *subject) { s.t.Receipts = s.t.Receipts[:len(s.t.Receipts)-1]; s.requote(t) }},
	{"wipe/read-back-place", func(t testing.TB, s *subject) { s.receipt(site.ClassNVMe).Offset += 4096; s.requote(t) }},
	{"nonce", func(t testing.TB, s *subject) {
		for i := range s.t.Receipts { // as it was wiped for the turnover before
			r := &s.t.Receipts[i]
			r.Nonce = Nonce(s.t.Root, s.t.Node, s.t.Turnover-1)
			r.Offset = wipe.Place(r.Nonce, r.Serial, r.Size, r.Sampled)
		}
		s.requote(t)
	}},
	{"burn-in", func(t testing.TB, s *subject) { s.t.BurnIn.Errors = 1 }},
	{"order", func(t testing.TB, s *subject) {
		s.receipt(site.ClassNVMe).End = s.t.Quote.At - 60
		s.requote(t)
	}},
	{"attest/quote", func(t testing.TB, s *subject) { s.t.Quote = nil }},
	{"attest/nonce", func(t testing.TB, s *subject) {
		s.t.Quote.Nonce = strings.Repeat("00", 32)
		s.requote(t)
	}},
	{"attest/event-log", func(t testing.TB, s *subject) {
		// Data that was not measured, in an event that no other check reads.
		s.t.Quote.Log[len(s.t.Quote.Log)-1].Data = "secure boot off"
	}},
	{"attest/golden-values", func(t testing.TB, s *subject) {
		s.t.Quote.Log[len(s.t.Quote.Log)-2].Data = "another image"
		s.requote(t)
	}},
	{"attest/firmware", func(t testing.TB, s *subject) { s.receipt(site.ClassNVMe).Firmware = "GDC7301Q"; s.requote(t) }},
	{"attest/receipts-bound", func(t testing.TB, s *subject) { s.receipt(site.ClassNVMe).End++ }},
	{"attest/signature", func(t testing.TB, s *subject) { s.t.Quote.ResetCount++ }},
}

func TestEveryCheckOfATurnoverIsNeeded(t *testing.T) {
	covered := map[string]bool{}
	for _, f := range forgeries {
		covered[f.check] = true
		t.Run(f.check, func(t *testing.T) {
			s := newSubject(t)
			if err := CheckTurnover(s.t, s.want); err != nil {
				t.Fatalf("the true one: %v", err)
			}
			f.forge(t, s)
			err := CheckTurnover(s.t, s.want)
			if got := RefusedBy(err); got != f.check {
				t.Fatalf("refused by %q (%v), expected %q", got, err, f.check)
			}
			if name := f.check; !strings.Contains(name, "/") {
				if err := checkExcept(s.t, s.want, name); err != nil {
					t.Errorf("without the check it should pass, so that its removal would be seen: %v", err)
				}
			}
		})
	}
	for _, name := range TurnoverChecks() {
		if !covered[name] {
			t.Errorf("check %s has no forgery: its removal would turn no test red", name)
		}
	}
}

func TestBadBurnIns(t *testing.T) {
	for name, forge := range map[string]func(s *subject){
		"none": func(s *subject) { s.t.BurnIn = nil }, "seven GPUs": func(s *subject) { s.t.BurnIn.GPUs = 7 },
		"short": func(s *subject) { s.t.BurnIn.Minutes = 9 }, "slow": func(s *subject) { s.t.BurnIn.GBps = 299.9 },
		"not a number": func(s *subject) { s.t.BurnIn.GBps = math.NaN() }, "negative": func(s *subject) { s.t.BurnIn.Minutes = -1 << 60 },
	} {
		s := newSubject(t)
		forge(s)
		if got := RefusedBy(CheckTurnover(s.t, s.want)); got != "burn-in" {
			t.Errorf("%s: refused by %q", name, got)
		}
	}
}

func TestWrongKeysAndOldNonces(t *testing.T) {
	s := newSubject(t)
	s.t.Key, s.want.Key = site.PublicKey{}, site.PublicKey{}
	if got := RefusedBy(CheckTurnover(s.t, s.want)); got != "attest/signature" {
		t.Errorf("no key: refused by %q", got)
	}
	// The quote of turnover 3 does not serve turnover 4.
	s = newSubject(t)
	s.t.Turnover, s.want.Turnover = 4, 4
	if err := CheckTurnover(s.t, s.want); err == nil {
		t.Error("an old quote was accepted for a later turnover")
	}
	if a, b := Nonce(claim.Digest{}, "n1", 0x31), Nonce(claim.Digest{}, "n11", 0x31); a == b {
		t.Error("two nodes share a nonce")
	}
}

// No change of one field of a receipt passes unnoticed, whatever it is.
func TestReceiptsAreBoundByTheQuote(t *testing.T) {
	base := newSubject(t)
	rapid.Check(t, func(t *rapid.T) {
		s := base.clone()
		r := &s.t.Receipts[rapid.IntRange(0, len(s.t.Receipts)-1).Draw(t, "receipt")]
		before := *r
		switch rapid.IntRange(0, 10).Draw(t, "field") {
		case 0:
			r.Class = rapid.String().Draw(t, "text")
		case 1:
			r.Model = rapid.String().Draw(t, "text")
		case 2:
			r.Serial = rapid.String().Draw(t, "text")
		case 3:
			r.Firmware = rapid.String().Draw(t, "text")
		case 4:
			r.Start = rapid.Int64().Draw(t, "number")
		case 5:
			r.End = rapid.Int64().Draw(t, "number")
		case 6:
			r.Status = rapid.Uint16().Draw(t, "number")
		case 7:
			r.Size = rapid.Uint64().Draw(t, "number")
		case 8:
			r.Offset = rapid.Uint64().Draw(t, "number")
		case 9:
			r.Nonce[0]++
		case 10:
			r.Sample[rapid.IntRange(0, 31).Draw(t, "byte")]++
		}
		if err := CheckTurnover(s.t, s.want); (err == nil) != (*r == before) {
			t.Fatalf("%+v became %+v: %v", before, *r, err)
		}
	})
}

// statement signs a turnover as the control plane does.
func statement(t testing.TB, turnover *Turnover) ([]byte, claim.Trust) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := private.Public().(ed25519.PublicKey)
	s, err := claim.NewStatement(turnover.Node, turnover.Devices, TurnoverPredicate, turnover)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := claim.Sign(s, claim.Signer{KeyID: claim.KeyID(public), Key: private})
	if err != nil {
		t.Fatal(err)
	}
	return signed, claim.Trust{claim.KeyID(public): public}
}

func TestStatementIsSmallAndComesBack(t *testing.T) {
	s := newSubject(t)
	signed, trust := statement(t, s.t)
	opened, err := claim.Open(signed, trust)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeTurnover(opened.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckTurnover(back, s.want); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(back)
	if string(again) != string(opened.Predicate) {
		t.Fatal("it is written otherwise than it was read")
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	compressed := encoder.EncodeAll(signed, nil)
	t.Logf("predicate %d bytes, signed %d, compressed %d", len(opened.Predicate), len(signed), len(compressed))
	if len(compressed) > 5000 {
		t.Errorf("%d bytes compressed, the budget is 5,000", len(compressed))
	}
}

func TestEvidenceComesBack(t *testing.T) {
	s := newSubject(t)
	e := Evidence{Receipts: s.t.Receipts, Quote: s.t.Quote, BurnIn: s.t.BurnIn}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeEvidence(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Receipts, e.Receipts) || *back.BurnIn != *e.BurnIn {
		t.Fatal("it came back otherwise")
	}
	for _, bad := range []string{"", "{", `{"receipts":[{}]}`, `{"more":1}`, string(raw) + " x", `{"receipts":{}}`} {
		if _, err := DecodeEvidence([]byte(bad)); err == nil {
			t.Errorf("%.40q was accepted", bad)
		}
	}
}

// TestLiftedIsReadAlike: whether receipts are lifted out or not, the same is read, and
// the same is refused.
func TestLiftedIsReadAlike(t *testing.T) {
	s := newSubject(t)
	plain, err := json.Marshal(s.t)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := lift(plain); !ok {
		t.Fatal("what is written is not lifted")
	}
	for name, c := range map[string]struct{ was, is string }{
		"as written":         {"", ""},
		"receipts twice":     {`"receipts":`, `"receipts":[],"receipts":`},
		"and after":          {`,"burn_in":`, `,"receipts":[],"burn_in":`},
		"in other letters":   {`,"burn_in":`, `,"Receipts":[],"burn_in":`},
		"escaped":            {`,"burn_in":`, `,"rec\u0065ipts":[],"burn_in":`},
		"a 0 in their place": {`"receipts":`, `"receipts":0,"receipts":`},
		"a 0 after":          {`,"burn_in":`, `,"receipts":0,"burn_in":`},
		"deeper":             {`"receipts":`, `"quote":{"receipts":`},
		"spaces":             {`"receipts":[`, `"receipts": [`},
		"more fields":        {`,"burn_in":`, `,"more":1,"burn_in":`},
		"an end in a text":   {`"serial":"`, `"serial":"}]}]`},
	} {
		data := []byte(strings.Replace(string(plain), c.was, c.is, 1))
		var slow turnoverJSON[grouped]
		slowErr := strict(turnoverWhole, data, &slow)
		got, err := DecodeTurnover(data)
		if (err == nil) != (slowErr == nil) {
			t.Errorf("%s: error %v, encoding/json alone %v", name, err, slowErr)
		}
		if err == nil && !slices.Equal(got.Receipts, slow.Receipts) {
			t.Errorf("%s: %d receipts, encoding/json alone reads %d", name, len(got.Receipts), len(slow.Receipts))
		}
	}
}

func FuzzDecodeTurnover(f *testing.F) {
	s := newSubject(f)
	raw, _ := json.Marshal(s.t)
	f.Add(raw)
	for _, more := range []string{`,"Receipts":[],"burn_in":`, `,"receipts":0,"burn_in":`} {
		f.Add([]byte(strings.Replace(string(raw), `,"burn_in":`, more, 1)))
	}
	f.Add([]byte(`{"receipts":[{"devices":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		turnover, err := DecodeTurnover(data)
		var slow turnoverJSON[grouped]
		if slowErr := strict(turnoverWhole, data, &slow); (slowErr == nil) != (err == nil) || err == nil && !slices.Equal(slow.Receipts, turnover.Receipts) {
			t.Fatalf("error %v, encoding/json alone %v; or other receipts", err, slowErr)
		}
		if err != nil {
			return
		}
		_ = CheckTurnover(turnover, s.want)
		again, err := json.Marshal(turnover)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeTurnover(again); err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
		// encoding/json reads through what a MarshalJSON wrote, and leaves out spaces.
		if own, err := turnover.AppendJSON(nil); err != nil || !bytes.Equal(own, again) {
			t.Fatalf("written by itself as %q, error %v; encoding/json writes %q", own, err, again)
		}
	})
}

func FuzzDecodeEvidence(f *testing.F) {
	s := newSubject(f)
	raw, _ := json.Marshal(Evidence{Receipts: s.t.Receipts, Quote: s.t.Quote})
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := DecodeEvidence(data); err == nil {
			_ = wipe.Check(s.want.Devices, e.Receipts)
		}
	})
}

func BenchmarkCheckTurnover(b *testing.B) {
	s := newSubject(b)
	for b.Loop() {
		if err := CheckTurnover(s.t, s.want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeTurnover(b *testing.B) {
	s := newSubject(b)
	raw, _ := json.Marshal(s.t)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := DecodeTurnover(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// Budget: 450 µs of CPU a node holding, of which the statement is the most.
func BenchmarkVerifyStatement(b *testing.B) {
	s := newSubject(b)
	signed, trust := statement(b, s.t)
	for b.Loop() {
		opened, err := claim.Open(signed, trust)
		if err != nil {
			b.Fatal(err)
		}
		back, err := DecodeTurnover(opened.Predicate)
		if err != nil {
			b.Fatal(err)
		}
		if err := CheckTurnover(back, s.want); err != nil {
			b.Fatal(err)
		}
	}
}
