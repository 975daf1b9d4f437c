// Package attest is what a node's TPM says about its firmware and boot chain,
// and whether that is what was bought.
//
// The bytes that are signed are a TPM 2.0 quote (TPM 2.0 part 2, 10.12.8,
// TPMS_ATTEST), signed with P-256. What no hardware has signed is graded no
// higher than its origin allows. The package is pure.
package attest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"bulkhead/claim"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// PCRs that a quote covers, as the TCG PC Client profile uses them: firmware of
// the host and of the devices that it measures, boot manager, secure-boot
// policy; and 8, which the turnover image extends with each wipe receipt before
// the next wipe begins. Software can't reset any of them.
var PCRs = [...]int{0, 4, 7, 8}

// Quote is what the TPM signs, and the event log that it replays from.
type Quote struct {
	Nonce      string          `json:"nonce"` // hexadecimal, 32 bytes
	PCR        [4]claim.Digest `json:"pcr"`   // in the order of PCRs
	ResetCount uint32          `json:"reset_count"`
	At         int64           `json:"at"`  // Unix seconds, by the agent's clock
	Log        []Event         `json:"log"` // of PCRs 0, 4 and 7; PCR 8 replays from the receipts
	Signature  []byte          `json:"signature"`
}

// Event is one measurement. Its digest is the hash of its data and is not
// written down: data that is not what was measured can't be told.
type Event struct {
	PCR  int    `json:"pcr"`
	Data string `json:"data"`
}

// MaxEvents is how many events a log may have.
const MaxEvents = 128

// Signed returns the bytes that the signature covers: TPMS_ATTEST of a quote
// over the SHA-256 bank. The qualifying data is the hash of nonce and time, so
// that both are signed.
func (q *Quote) Signed() []byte {
	b := make([]byte, 0, 160)
	b = append(b, 0xff, 'T', 'C', 'G') // TPM_GENERATED_VALUE
	b = append(b, 0x80, 0x18)          // TPM_ST_ATTEST_QUOTE
	b = append(b, 0, 0)                // qualifiedSigner: not used, the inventory knows the key
	extra := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(q.Nonce), uint64(q.At)))
	b = binary.BigEndian.AppendUint16(b, sha256.Size)
	b = append(b, extra[:]...)
	b = binary.BigEndian.AppendUint64(b, 0)            // clockInfo.clock
	b = binary.BigEndian.AppendUint32(b, q.ResetCount) // clockInfo.resetCount
	b = binary.BigEndian.AppendUint32(b, 0)            // clockInfo.restartCount
	b = append(b, 1)                                   // clockInfo.safe
	b = binary.BigEndian.AppendUint64(b, 0)            // firmwareVersion
	b = binary.BigEndian.AppendUint32(b, 1)            // pcrSelect.count
	b = binary.BigEndian.AppendUint16(b, 0x000b)       // TPM_ALG_SHA256
	var selected [3]byte
	h := sha256.New()
	for i, pcr := range PCRs {
		selected[pcr/8] |= 1 << (pcr % 8)
		h.Write(q.PCR[i][:])
	}
	b = append(append(b, byte(len(selected))), selected[:]...)
	b = binary.BigEndian.AppendUint16(b, sha256.Size)
	return h.Sum(b)
}

// TurnoverImage names the image that runs on a node between tenants.
const TurnoverImage = "bulkhead turnover image 1"

// BootLog returns the events of a node of a kind that has booted the turnover
// image with the firmware of these devices. Devices of one class, model and
// firmware are one event. The simulated image is measured by its name; a real
// one by the bytes of its UKI.
func BootLog(devices []site.Device) []Event {
	var log []Event
	for i := range devices {
		data := firmwareEvent(devices[i].Class, devices[i].Model, devices[i].Firmware)
		known := false
		for _, e := range log {
			known = known || e.Data == data
		}
		if !known {
			log = append(log, Event{0, data})
		}
	}
	return append(log, Event{4, TurnoverImage}, Event{7, "secure boot on; keys of the site"})
}

func firmwareEvent(class, model, firmware string) string { return class + " " + model + " " + firmware }

// Golden returns what PCRs 0, 4 and 7 must be on a node of a kind: they follow
// from the firmware that was bought and the turnover image, before any node has
// run it. Cost: about 3 µs.
func Golden(k site.Kind) [3]claim.Digest {
	// In the order of site.WipeDevices.
	devices := []site.Device{{Class: site.ClassGPU, Model: k.GPU.Model, Firmware: k.GPU.Firmware}}
	if k.Drives > 0 {
		devices = append(devices, site.Device{Class: site.ClassNVMe, Model: k.Drive.Model, Firmware: k.Drive.Firmware})
	}
	return Replay(BootLog(append(devices,
		site.Device{Class: site.ClassNIC, Model: k.RailNIC.Model, Firmware: k.RailNIC.Firmware},
		site.Device{Class: site.ClassNIC, Model: k.FrontendNIC.Model, Firmware: k.FrontendNIC.Firmware},
		site.Device{Class: site.ClassDRAM, Model: k.DRAM.Model, Firmware: k.DRAM.Firmware},
		site.Device{Class: site.ClassTPM, Model: k.TPM.Model, Firmware: k.TPM.Firmware},
		site.Device{Class: site.ClassUEFI, Model: k.UEFI.Model, Firmware: k.UEFI.Firmware},
		site.Device{Class: site.ClassBMC, Model: k.BMC.Model, Firmware: k.BMC.Firmware},
	)))
}

// Replay returns the values of PCRs 0, 4 and 7 after the events of a log.
func Replay(log []Event) [3]claim.Digest {
	var pcr [3]claim.Digest
	for i := range log {
		for j := range pcr {
			if PCRs[j] == log[i].PCR {
				pcr[j] = extend(pcr[j], sha256.Sum256([]byte(log[i].Data)))
			}
		}
	}
	return pcr
}

// extend is the TPM's own operation (TPM 2.0 part 1, 17.2).
func extend(pcr claim.Digest, event [32]byte) claim.Digest {
	var b [64]byte
	copy(b[:32], pcr[:])
	copy(b[32:], event[:])
	return sha256.Sum256(b[:])
}

// Extend replays receipts into PCR 8: what the TPM must hold if exactly these
// wipes were done in this order. The error is always nil. Cost: about 10 µs for
// 29 receipts.
func Extend(receipts []wipe.SanitizeReceipt) (claim.Digest, error) {
	var pcr claim.Digest
	for i := range receipts {
		pcr = extend(pcr, receipts[i].Digest())
	}
	return pcr, nil
}

// Expected is what a quote is compared with. Nothing of it comes from the node.
type Expected struct {
	Key    *ecdsa.PublicKey
	Nonce  [32]byte
	Golden [3]claim.Digest
}

// Refusal names the check that a quote failed.
type Refusal struct {
	Name   string
	Reason string
}

func (r *Refusal) Error() string { return r.Name + ": " + r.Reason }

// Check returns the name of the check.
func (r *Refusal) Check() string { return r.Name }

type check struct {
	name string
	says func(q *Quote, e *Expected, receipts []wipe.SanitizeReceipt) string
}

var checks = []check{
	{"nonce", func(q *Quote, e *Expected, _ []wipe.SanitizeReceipt) string {
		if q.Nonce != hex.EncodeToString(e.Nonce[:]) {
			return "the quote answers another nonce: it is old, or of another node"
		}
		return ""
	}},
	{"event-log", func(q *Quote, _ *Expected, _ []wipe.SanitizeReceipt) string {
		if len(q.Log) > MaxEvents {
			return fmt.Sprintf("%d events, expected at most %d", len(q.Log), MaxEvents)
		}
		for i := range q.Log {
			if p := q.Log[i].PCR; p != PCRs[0] && p != PCRs[1] && p != PCRs[2] {
				return fmt.Sprintf("event %d is of PCR %d, which the quote does not cover", i, p)
			}
		}
		replayed := Replay(q.Log)
		for i := range replayed {
			if q.PCR[i] != replayed[i] {
				return fmt.Sprintf("PCR %d does not replay from the event log (see BootLog)", PCRs[i])
			}
		}
		return ""
	}},
	{"golden-values", func(q *Quote, e *Expected, _ []wipe.SanitizeReceipt) string {
		for i, golden := range e.Golden {
			if q.PCR[i] != golden {
				return fmt.Sprintf("PCR %d is not the golden value: other firmware or another image booted", PCRs[i])
			}
		}
		return ""
	}},
	{"firmware", func(q *Quote, _ *Expected, receipts []wipe.SanitizeReceipt) string {
		for i := range receipts {
			r := &receipts[i]
			if r.Firmware == "" {
				return fmt.Sprintf("the receipt of %s %s names no firmware", r.Class, r.Serial)
			}
			measured, want := false, firmwareEvent(r.Class, r.Model, r.Firmware)
			for j := range q.Log {
				measured = measured || q.Log[j].PCR == 0 && q.Log[j].Data == want
			}
			if !measured {
				return fmt.Sprintf("%s %s says firmware %.60q, which was not measured", r.Class, r.Serial, r.Firmware)
			}
		}
		return ""
	}},
	{"receipts-bound", func(q *Quote, _ *Expected, receipts []wipe.SanitizeReceipt) string {
		if wiped, _ := Extend(receipts); q.PCR[3] != wiped {
			return "PCR 8 does not replay from the receipts: a wipe was added, left out or changed afterwards"
		}
		return ""
	}},
	{"signature", func(q *Quote, e *Expected, _ []wipe.SanitizeReceipt) string {
		if e.Key == nil {
			return "the inventory has no attestation key for this node"
		}
		if hash := sha256.Sum256(q.Signed()); !ecdsa.VerifyASN1(e.Key, hash[:], q.Signature) {
			return "the quote is not signed by this node's attestation key"
		}
		return ""
	}},
}

// Checks returns the names of all checks, in the order in which they are made.
func Checks() []string {
	names := []string{"quote"}
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// Check says whether a quote answers the question that was asked, of the node
// that was asked, in the state that was bought, after these wipes. The first
// failure is returned, as a *Refusal. Cost: about 100 µs, most of it the
// signature.
func Check(q *Quote, e Expected, receipts []wipe.SanitizeReceipt) error {
	if q == nil {
		return &Refusal{"quote", "no TPM quote"}
	}
	for i := range checks {
		if reason := checks[i].says(q, &e, receipts); reason != "" {
			return &Refusal{checks[i].name, reason}
		}
	}
	return nil
}
