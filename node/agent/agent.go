// Package agent is what the turnover agent on a node reports: receipts of its
// wipes, and a TPM quote over them. It holds the half of the evidence that makes
// it; the packages wipe and attest hold the half that judges it.
//
// It drives no hardware yet: Wipe and Attest write down what a node says. The
// simulator and the tests speak through it, and sign origin "simulated".
package agent

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// Run is one pass over a node's devices.
type Run struct {
	Nonce [32]byte
	Start time.Time
	// Takes is how long device i takes; nil: ten minutes each.
	Takes func(i int) time.Duration
	// Dirty devices report success and read back as what a tenant left there.
	Dirty func(i int) bool
}

// Wipe returns a receipt for every device, by the preferred method of its class,
// all begun together. A class that nobody knows how to wipe gets a receipt
// without a method, which fails.
func (r *Run) Wipe(devices []site.Device) []wipe.SanitizeReceipt {
	receipts := make([]wipe.SanitizeReceipt, len(devices))
	status, progress := wipe.Done()
	for i := range devices {
		d := &devices[i]
		method, level, sampled, _ := wipe.Standard(d.Class)
		takes := 10 * time.Minute
		if r.Takes != nil {
			takes = r.Takes(i)
		}
		size := wipe.Capacity(d.Class)
		receipts[i] = wipe.SanitizeReceipt{
			Class: d.Class, Model: d.Model, Serial: d.Serial, Firmware: d.Firmware, Method: method, Level: level,
			Start: r.Start.Unix(), End: r.Start.Add(takes).Unix(), Status: status, Progress: progress,
			Nonce: r.Nonce, Size: size, Offset: wipe.Place(r.Nonce, d.Serial, size, sampled), Sampled: sampled, Sample: wipe.Clean(d.Class, d.Model),
		}
		if r.Dirty != nil && r.Dirty(i) {
			receipts[i].Sample = claim.DigestOf([]byte("what a tenant left on " + d.Serial))
		}
	}
	return receipts
}

// Attest has the TPM's attestation key sign a quote over the boot log of these
// devices and the receipts. The signature is deterministic (RFC 6979).
// Cost: about 50 µs.
func Attest(key *ecdsa.PrivateKey, nonce [32]byte, devices []site.Device, receipts []wipe.SanitizeReceipt, resets uint32, at time.Time) (*attest.Quote, error) {
	wiped, err := attest.Extend(receipts)
	if err != nil {
		return nil, err
	}
	log := attest.BootLog(devices)
	booted := attest.Replay(log)
	q := &attest.Quote{
		Nonce: hex.EncodeToString(nonce[:]), PCR: [4]claim.Digest{booted[0], booted[1], booted[2], wiped},
		ResetCount: resets, At: at.Unix(), Log: log,
	}
	return q, Sign(key, q)
}

// Sign signs a quote, whatever it says.
func Sign(key *ecdsa.PrivateKey, q *attest.Quote) error {
	hash := sha256.Sum256(q.Signed())
	signature, err := key.Sign(nil, hash[:], crypto.SHA256)
	if err != nil {
		return fmt.Errorf("sign TPM quote: %w", err)
	}
	q.Signature = signature
	return nil
}
