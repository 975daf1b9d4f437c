package attest_test

import (
	"encoding/hex"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/node/agent"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

var kind = site.Kind{ID: "H100", GPU: site.Model{Model: "GPU", Firmware: "1"}, RailNIC: site.Model{Model: "NIC", Firmware: "2"},
	FrontendNIC: site.Model{Model: "DPU", Firmware: "3"}, DRAM: site.Model{Model: "DRAM", Firmware: "none"}, TPM: site.Model{Model: "TPM", Firmware: "4"},
	UEFI: site.Model{Model: "UEFI", Firmware: "5"}, BMC: site.Model{Model: "BMC", Firmware: "6"}}

func list() []site.Device {
	device := func(class, serial string, m site.Model) site.Device {
		return site.Device{Class: class, Model: m.Model, Serial: serial, Firmware: m.Firmware}
	}
	return []site.Device{device(site.ClassGPU, "G0", kind.GPU), device(site.ClassGPU, "G1", kind.GPU), device(site.ClassNIC, "X0", kind.RailNIC),
		device(site.ClassNIC, "X8", kind.FrontendNIC), device(site.ClassDRAM, "M", kind.DRAM), device(site.ClassTPM, "T", kind.TPM),
		device(site.ClassUEFI, "U", kind.UEFI), device(site.ClassBMC, "B", kind.BMC)}
}

// quote is a true quote, its receipts and what it is compared with.
func quote(t testing.TB) (*attest.Quote, attest.Expected, []wipe.SanitizeReceipt) {
	t.Helper()
	key, err := site.AttestationPrivateKey("seed", "node")
	if err != nil {
		t.Fatal(err)
	}
	nonce := [32]byte{1, 2, 3}
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	run := agent.Run{Nonce: nonce, Start: at.Add(-time.Hour)}
	receipts := run.Wipe(list())
	q, err := agent.Attest(key, nonce, list(), receipts, 1, at)
	if err != nil {
		t.Fatal(err)
	}
	return q, attest.Expected{Key: &key.PublicKey, Nonce: nonce, Golden: attest.Golden(kind)}, receipts
}

// The golden values are computed before any node has booted, and a node that
// boots what was bought has them.
func TestGoldenValuesAreWhatATrueNodeMeasures(t *testing.T) {
	q, want, receipts := quote(t)
	if err := attest.Check(q, want, receipts); err != nil {
		t.Fatal(err)
	}
	other := kind
	other.BMC.Firmware = "7"
	want.Golden = attest.Golden(other)
	if err := attest.Check(q, want, receipts); err == nil {
		t.Error("another BMC firmware passed")
	}
}

// The bytes that are signed begin and are laid out as TPM 2.0 part 2 says.
func TestSignedBytesAreATPMQuote(t *testing.T) {
	q, _, _ := quote(t)
	b := q.Signed()
	if got := hex.EncodeToString(b[:10]); got != "ff54434780180000"+"0020" {
		t.Errorf("it begins with %s", got)
	}
	// magic 4, type 2, signer 2, extra 2+32, clock 8+4+4+1, firmware 8, count 4, hash 2, select 1+3, digest 2+32
	if len(b) != 111 {
		t.Errorf("%d bytes", len(b))
	}
	if got := hex.EncodeToString(b[67:77]); got != "00000001"+"000b"+"03"+"910100" {
		t.Errorf("selection of PCRs: %s", got)
	}
}

// Every bit of a quote counts.
func TestFlippedQuotesFail(t *testing.T) {
	true_, want, receipts := quote(t)
	for i := range true_.Signature {
		q := *true_
		q.Signature = append([]byte(nil), true_.Signature...)
		q.Signature[i] ^= 1
		if err := attest.Check(&q, want, receipts); err == nil {
			t.Errorf("byte %d of the signature", i)
		}
	}
	for pcr := range true_.PCR {
		for i := range claim.Digest(true_.PCR[pcr]) {
			q := *true_
			q.PCR[pcr][i] ^= 0x80
			if err := attest.Check(&q, want, receipts); err == nil {
				t.Errorf("byte %d of PCR %d", i, attest.PCRs[pcr])
			}
		}
	}
	for name, forge := range map[string]func(q *attest.Quote){
		"time": func(q *attest.Quote) { q.At++ }, "resets": func(q *attest.Quote) { q.ResetCount++ },
		"nonce": func(q *attest.Quote) { q.Nonce = q.Nonce[2:] + "00" }, "capitals": func(q *attest.Quote) { q.Nonce = "0A" + q.Nonce[2:] },
		"no log": func(q *attest.Quote) { q.Log = nil }, "no signature": func(q *attest.Quote) { q.Signature = nil },
		"event left out": func(q *attest.Quote) { q.Log = q.Log[1:] },
		"event added": func(q *attest.Quote) {
			q.Log = append(append([]attest.Event(nil), q.Log...), attest.Event{PCR: 4, Data: "more"})
		},
		"event elsewhere": func(q *attest.Quote) {
			q.Log = append(append([]attest.Event(nil), q.Log...), attest.Event{PCR: 23, Data: "resettable"})
		},
		"events exchanged": func(q *attest.Quote) { q.Log = append([]attest.Event{q.Log[1], q.Log[0]}, q.Log[2:]...) },
	} {
		q := *true_
		forge(&q)
		if err := attest.Check(&q, want, receipts); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
	want.Key = nil
	if err := attest.Check(true_, want, receipts); err == nil {
		t.Error("without a key: passed")
	}
}

func BenchmarkCheck(b *testing.B) {
	q, want, receipts := quote(b)
	for b.Loop() {
		if err := attest.Check(q, want, receipts); err != nil {
			b.Fatal(err)
		}
	}
}
