// Package wipe is what a device says about being wiped, and whether that is
// enough.
//
// Methods and their levels follow NIST SP 800-88 r2 and IEEE 2883: "purge"
// withstands a laboratory, "clear" withstands the device's own interface. What
// is merely cleared is never called purged. A missing result is a failure, and a
// device that reports success is believed only after it was read back at a place
// that it could not know. The package is pure.
package wipe

import (
	"crypto/sha256"
	"encoding/binary"

	"bulkhead/claim"
)

// SanitizeReceipt is the wipe of one device, in its own words. Check judges it; it does
// not judge itself.
type SanitizeReceipt struct {
	Class    string       `json:"class"`
	Model    string       `json:"model"`
	Serial   string       `json:"serial"`
	Firmware string       `json:"firmware"` // after the wipe, as measured
	Method   string       `json:"method"`   // one of the methods that are known
	Level    string       `json:"level"`    // "purge" or "clear": what the method deserves
	Start    int64        `json:"start"`    // Unix seconds
	End      int64        `json:"end"`      // Unix seconds
	Status   uint16       `json:"status"`   // the device's own result; see Done
	Progress uint16       `json:"progress"` // NVMe sanitize log, SPROG: 0xffff when complete
	Nonce    claim.Digest `json:"nonce"`    // of the step that asked for the wipe: node.Nonce
	Size     uint64       `json:"size"`     // bytes that the device says it holds
	Offset   uint64       `json:"offset"`   // where it was read back; see Place
	Sampled  int          `json:"sampled"`  // bytes read back from there
	Sample   claim.Digest `json:"sample"`   // SHA-256 of what was read back
}

// block is what read-back is aligned to.
const block = 4096

// Place returns where a device of that size is read back: it follows from the
// turnover's nonce, so that the device could not have known it. It is a multiple
// of 4,096 from which sampled bytes fit, or 0.
func Place(nonce [32]byte, serial string, size uint64, sampled int) uint64 {
	if sampled < 0 || size < uint64(sampled)+block {
		return 0
	}
	blocks := (size-uint64(sampled))/block + 1
	var buf [96]byte
	d := sha256.Sum256(append(append(buf[:0], nonce[:]...), serial...))
	return binary.BigEndian.Uint64(d[:8]) % blocks * block
}

// Digest is what the agent extends a PCR with for a receipt: the SHA-256 digest
// of all its fields, with lengths, so that no two receipts share it.
func (r *SanitizeReceipt) Digest() claim.Digest {
	var space [512]byte
	b := append(space[:0], "bulkhead wipe receipt 1\x00"...)
	for _, text := range [...]string{r.Class, r.Model, r.Serial, r.Firmware, r.Method, r.Level} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.Start))
	b = binary.BigEndian.AppendUint64(b, uint64(r.End))
	b = binary.BigEndian.AppendUint16(b, r.Status)
	b = binary.BigEndian.AppendUint16(b, r.Progress)
	b = binary.BigEndian.AppendUint64(b, r.Size)
	b = binary.BigEndian.AppendUint64(b, r.Offset)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Sampled))
	b = append(b, r.Nonce[:]...)
	b = append(b, r.Sample[:]...)
	return sha256.Sum256(b)
}
