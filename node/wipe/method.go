package wipe

import (
	"bulkhead/claim"
	"bulkhead/site"
)

// The levels.
const (
	Purge = "purge"
	Clear = "clear"
)

// statusDone is the result of a completed sanitize without failed blocks: NVMe
// base specification, Sanitize Status log page (0x81), SSTAT 001b with the
// global-data-erased bit. The agent reports every other device's result in the
// same two fields, so that zero, which is what a missing result reads as, is
// never success.
const (
	statusDone   = 0x0101
	progressDone = 0xffff
)

// Done are the status and progress of a wipe that a device calls complete.
func Done() (status, progress uint16) { return statusDone, progressDone }

// Method is one way to wipe a class of device, and what that deserves.
type Method struct {
	Class  string
	Name   string
	Level  string
	Sample int // bytes that are read back, exactly
}

// Bytes read back: of what holds bulk data, and of what holds settings.
const (
	mediaSample    = 1 << 20
	memorySample   = 1 << 16
	settingsSample = 4096
	nvSample       = 512
)

// methods, the preferred one of a class first. A method that is not here wipes
// nothing.
var methods = []Method{
	{site.ClassGPU, "reset-and-fill", Clear, mediaSample},
	{site.ClassNVMe, "sanitize-crypto-erase", Purge, mediaSample},
	{site.ClassNVMe, "sanitize-block-erase", Purge, mediaSample},
	{site.ClassNVMe, "format-secure-erase", Clear, mediaSample},
	{site.ClassNVMe, "overwrite", Clear, mediaSample},
	{site.ClassNIC, "factory-reset", Clear, settingsSample},
	{site.ClassDRAM, "memory-overwrite-request", Clear, memorySample},
	{site.ClassTPM, "tpm2-clear", Clear, nvSample},
	{site.ClassUEFI, "settings-reset", Clear, settingsSample},
	{site.ClassBMC, "factory-reset", Clear, settingsSample},
}

// methodOf finds a method of a class, the preferred one for the name "".
func methodOf(class, name string) *Method {
	for i := range methods {
		if methods[i].Class == class && (name == "" || methods[i].Name == name) {
			return &methods[i]
		}
	}
	return nil
}

// Standard returns the preferred method of a class, its level and how much is
// read back; false for a class that nobody knows how to wipe.
func Standard(class string) (name, level string, sampled int, ok bool) {
	m := methodOf(class, "")
	if m == nil {
		return "", "", 0, false
	}
	return m.Name, m.Level, m.Sample, true
}

// media says whether a class holds bulk data: it reads as zeros when wiped,
// since sanitize and format deallocate and memory is filled. The others are
// erased flash, which reads as ones.
func media(class string) bool {
	return class == site.ClassNVMe || class == site.ClassGPU || class == site.ClassDRAM
}

// clean is what wiped devices hash to, by class.
var clean = func() map[string]claim.Digest {
	digests := map[string]claim.Digest{}
	for _, m := range methods {
		if _, ok := digests[m.Class]; ok {
			continue
		}
		bytes := make([]byte, m.Sample)
		if !media(m.Class) {
			for i := range bytes {
				bytes[i] = 0xff
			}
		}
		digests[m.Class] = claim.DigestOf(bytes)
	}
	return digests
}()

// Clean is what the read-back of a wiped device must hash to: zeros of bulk
// data, ones of erased settings. It does not depend on the model; the zero
// digest, which nothing hashes to, for a class that nobody knows how to wipe.
func Clean(class, model string) claim.Digest { return clean[class] }

// Capacity is the size in bytes that a simulated device of a class has.
func Capacity(class string) uint64 {
	switch class {
	case site.ClassNVMe:
		return 7_681_501_126_656
	case site.ClassGPU:
		return 80 << 30
	case site.ClassDRAM:
		return 2 << 40
	case site.ClassTPM:
		return 7 << 10
	}
	return 16 << 20
}
