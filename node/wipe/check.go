package wipe

import (
	"fmt"
	"strings"

	"bulkhead/claim"
	"bulkhead/site"
)

// Refusal names the check that a receipt failed, and the device.
type Refusal struct {
	Name   string // of the check
	Device string // class and serial; "" when it is about all of them
	Reason string
}

func (r *Refusal) Error() string {
	if r.Device == "" {
		return r.Name + ": " + r.Reason
	}
	return r.Name + ": " + r.Device + ": " + r.Reason
}

// Check returns the name of the check.
func (r *Refusal) Check() string { return r.Name }

// check is one named reason to refuse a receipt; its function returns the
// reason, or "".
type check struct {
	name string
	says func(r *SanitizeReceipt) string
}

var checks = []check{
	{"method", func(r *SanitizeReceipt) string {
		if methodOf(r.Class, r.Method) == nil || r.Method == "" {
			return fmt.Sprintf("%.60q is no method for this class of device", r.Method)
		}
		return ""
	}},
	{"level", func(r *SanitizeReceipt) string {
		if m := methodOf(r.Class, r.Method); m != nil && m.Level != r.Level {
			return fmt.Sprintf("it calls itself %.20q, %s deserves %q", r.Level, m.Name, m.Level)
		}
		return ""
	}},
	{"serial-number", func(r *SanitizeReceipt) string {
		if strings.TrimSpace(r.Serial) == "" {
			return "no serial number"
		}
		return ""
	}},
	{"status", func(r *SanitizeReceipt) string {
		if r.Status != statusDone {
			return fmt.Sprintf("status 0x%04x: the device does not report success (0x%04x)", r.Status, statusDone)
		}
		return ""
	}},
	{"progress", func(r *SanitizeReceipt) string {
		if r.Progress != progressDone {
			return fmt.Sprintf("progress 0x%04x: the device reports that it has not finished (0x%04x)", r.Progress, progressDone)
		}
		return ""
	}},
	{"times", func(r *SanitizeReceipt) string {
		if r.Start <= 0 || r.End < r.Start {
			return "it ends before it starts"
		}
		return ""
	}},
	{"sampled", func(r *SanitizeReceipt) string {
		if m := methodOf(r.Class, r.Method); m != nil && (r.Sampled != m.Sample || r.Size < uint64(r.Sampled)) {
			return fmt.Sprintf("%d bytes of %d were read back, expected %d", r.Sampled, r.Size, m.Sample)
		}
		return ""
	}},
	{"read-back", func(r *SanitizeReceipt) string {
		if want, ok := clean[r.Class]; ok && r.Sample != want {
			return "read-back shows that data is still there, whatever the device reports"
		}
		return ""
	}},
}

// Checks returns the names of all checks, in the order in which they are made;
// the last is of CheckPlaces.
func Checks() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return append(names, "device-list", "read-back-place")
}

// Check says whether there is one good receipt for every device and none for
// anything else. devices is the digest of what the inventory says the node has
// (site.DeviceDigest): a receipt of another drive does not count. The first
// failure is returned, as a *Refusal. Cost: about 5 µs for 29 receipts.
func Check(devices claim.Digest, receipts []SanitizeReceipt) error {
	listed := make([]site.Device, len(receipts))
	for i := range receipts {
		r := &receipts[i]
		listed[i] = site.Device{Class: r.Class, Model: r.Model, Serial: r.Serial}
		for j := range checks {
			if reason := checks[j].says(r); reason != "" {
				return &Refusal{checks[j].name, r.Class + " " + r.Serial, reason}
			}
		}
	}
	if site.DeviceDigest(listed) != devices {
		return &Refusal{"device-list", "", fmt.Sprintf("the %d receipts are for other devices than the inventory lists: a device has none, has two, or was swapped", len(receipts))}
	}
	return nil
}

// CheckPlaces says whether every device was read back where the nonce of the
// step that asked for the wipe says, one nonce for all. Cost: about 5 µs for 29
// receipts.
func CheckPlaces(receipts []SanitizeReceipt) error {
	for i := range receipts {
		r := &receipts[i]
		refuse := func(format string, args ...any) error {
			return &Refusal{"read-back-place", r.Class + " " + r.Serial, fmt.Sprintf(format, args...)}
		}
		if r.Nonce.IsZero() || r.Nonce != receipts[0].Nonce {
			return refuse("its nonce is %q, the first receipt's %q: expected one nonce for all", r.Nonce, receipts[0].Nonce)
		}
		if want := Place(r.Nonce, r.Serial, r.Size, r.Sampled); r.Offset != want {
			return refuse("read back at byte %d, the nonce says %d: the place could be known beforehand", r.Offset, want)
		}
	}
	return nil
}

// CheckNonce says whether receipts answer this nonce, and not that of an earlier
// turnover or of another node. Whoever asked for the wipe knows it.
func CheckNonce(nonce [32]byte, receipts []SanitizeReceipt) error {
	for i := range receipts {
		if r := &receipts[i]; r.Nonce != nonce {
			return &Refusal{"wipe-nonce", r.Class + " " + r.Serial, "the receipt answers another nonce: it is old, or of another node"}
		}
	}
	return nil
}
