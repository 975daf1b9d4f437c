package wipe

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/site"
)

func good(class, method string) SanitizeReceipt {
	m := methodOf(class, method)
	r := SanitizeReceipt{Class: class, Model: "model", Serial: "S1", Firmware: "1", Method: m.Name, Level: m.Level, Start: 1000, End: 1600,
		Status: statusDone, Progress: progressDone, Nonce: claim.DigestOf([]byte("nonce")), Size: Capacity(class), Sampled: m.Sample, Sample: Clean(class, "model")}
	r.Offset = Place(r.Nonce, r.Serial, r.Size, r.Sampled)
	return r
}

func devices(receipts ...SanitizeReceipt) claim.Digest {
	var list []site.Device
	for i := range receipts {
		list = append(list, receipts[i].Device())
	}
	return site.DeviceDigest(list)
}

func TestEveryMethodPassesAsWhatItIs(t *testing.T) {
	for _, m := range methods {
		r := good(m.Class, m.Name)
		if err := Check(devices(r), []SanitizeReceipt{r}); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if err := CheckPlaces([]SanitizeReceipt{r}); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if r.Offset+uint64(r.Sampled) > r.Size {
			t.Errorf("%s: read beyond the end", m.Name)
		}
	}
}

// Clear is never called purge: only the sanitize operations deserve that.
func TestOnlySanitizePurges(t *testing.T) {
	for _, m := range methods {
		purges := m.Name == "sanitize-crypto-erase" || m.Name == "sanitize-block-erase"
		if (m.Level == Purge) != purges {
			t.Errorf("%s on %s calls itself %s", m.Name, m.Class, m.Level)
		}
		r := good(m.Class, m.Name)
		if r.Level = Purge; purges {
			r.Level = Clear
		}
		if err := Check(devices(r), []SanitizeReceipt{r}); err == nil {
			t.Errorf("%s passed as %s", m.Name, r.Level)
		}
	}
}

// What a device says of itself when something went wrong, or nothing at all.
func TestFailedAndMissingResultsFail(t *testing.T) {
	for name, change := range map[string]func(r *SanitizeReceipt){
		"missing":             func(r *SanitizeReceipt) { r.Status, r.Progress = 0, 0 },
		"in progress":         func(r *SanitizeReceipt) { r.Status, r.Progress = 0x0002, 0x8000 },
		"failed":              func(r *SanitizeReceipt) { r.Status = 0x0003 },
		"done, written since": func(r *SanitizeReceipt) { r.Status = 0x0001 },
		"never sanitized":     func(r *SanitizeReceipt) { r.Status = 0x0100 },
		"almost":              func(r *SanitizeReceipt) { r.Progress = 0xfffe },
		"no receipt at all":   func(r *SanitizeReceipt) { *r = SanitizeReceipt{} },
		"another class":       func(r *SanitizeReceipt) { r.Class = site.ClassGPU },
		"unknown class":       func(r *SanitizeReceipt) { r.Class = "toaster" },
		"no method":           func(r *SanitizeReceipt) { r.Method = "" },
	} {
		r := good(site.ClassNVMe, "sanitize-crypto-erase")
		list := devices(r)
		change(&r)
		if err := Check(list, []SanitizeReceipt{r}); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

func TestReceiptsAreOneADevice(t *testing.T) {
	a, b := good(site.ClassNVMe, ""), good(site.ClassNVMe, "")
	b.Serial = "S2"
	list := devices(a, b)
	for name, receipts := range map[string][]SanitizeReceipt{
		"one missing": {a}, "one twice": {a, a}, "one too many": {a, b, b}, "none": {}, "nil": nil,
	} {
		if err := Check(list, receipts); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
	if err := Check(list, []SanitizeReceipt{b, a}); err != nil {
		t.Errorf("the order does not matter: %v", err)
	}
}

func TestPlacesFollowFromTheNonce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size, sampled := rapid.Uint64().Draw(t, "size"), rapid.IntRange(0, 1<<21).Draw(t, "sampled")
		nonce := claim.DigestOf([]byte(rapid.String().Draw(t, "nonce")))
		at := Place(nonce, "serial", size, sampled)
		if at%block != 0 || at > 0 && at+uint64(sampled) > size {
			t.Fatalf("%d bytes at %d of %d", sampled, at, size)
		}
	})
	one, two := claim.DigestOf([]byte("1")), claim.DigestOf([]byte("2"))
	if Place(one, "S", 1<<40, 4096) == Place(two, "S", 1<<40, 4096) || Place(one, "S", 1<<40, 4096) == Place(one, "T", 1<<40, 4096) {
		t.Error("the place does not depend on nonce and device")
	}
	r := good(site.ClassNVMe, "")
	if CheckNonce(one, []SanitizeReceipt{r}) == nil || CheckNonce(r.Nonce, []SanitizeReceipt{r}) != nil {
		t.Error("a receipt that answers another nonce")
	}
	other := r
	other.Nonce = one
	other.Offset = Place(one, other.Serial, other.Size, other.Sampled)
	if CheckPlaces([]SanitizeReceipt{r, other}) == nil {
		t.Error("receipts of two passes were taken for one")
	}
}

func drawReceipt(t *rapid.T) SanitizeReceipt {
	text := rapid.SampledFrom([]string{"", "a", "gpu", `"<&>\`, "é\n", "nvme"})
	return SanitizeReceipt{Class: text.Draw(t, "class"), Model: text.Draw(t, "model"), Serial: text.Draw(t, "serial"), Firmware: text.Draw(t, "firmware"),
		Method: text.Draw(t, "method"), Level: text.Draw(t, "level"), Start: rapid.Int64().Draw(t, "start"), End: rapid.Int64().Draw(t, "end"),
		Status: rapid.Uint16().Draw(t, "status"), Progress: rapid.Uint16().Draw(t, "progress"), Nonce: claim.DigestOf([]byte(text.Draw(t, "nonce"))),
		Size: rapid.Uint64().Draw(t, "size"), Offset: rapid.Uint64().Draw(t, "offset"), Sampled: rapid.Int().Draw(t, "sampled"), Sample: claim.DigestOf([]byte(text.Draw(t, "sample")))}
}

func TestGroupedComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var receipts Grouped
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			if len(receipts) > 0 && rapid.Bool().Draw(t, "alike") {
				r := receipts[len(receipts)-1]
				r.Serial += "x"
				receipts = append(receipts, r)
				continue
			}
			receipts = append(receipts, drawReceipt(t))
		}
		encoded, err := json.Marshal(receipts)
		if err != nil {
			t.Fatal(err)
		}
		var back Grouped
		if err := json.Unmarshal(encoded, &back); err != nil || !slices.Equal(back, receipts) {
			t.Fatalf("%+v came back as %+v, error %v", receipts, back, err)
		}
		if fast, err := Parse(encoded); err != nil || !slices.Equal(fast, receipts) {
			t.Fatalf("%+v was parsed as %+v, error %v", receipts, fast, err)
		}
		// The hand-made encoding is what encoding/json would write.
		var groups []group
		if err := json.Unmarshal(encoded, &groups); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(groups)
		if len(groups) > 0 && string(again) != string(encoded) {
			t.Fatalf("%s\n%s", encoded, again)
		}
	})
}

func TestDigestsDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawReceipt(t), drawReceipt(t)
		if (a == b) != (a.Digest() == b.Digest()) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// What is plainly written is read by hand: the fast path is not idle.
func TestPlainReceiptsAreReadByHand(t *testing.T) {
	encoded, _ := json.Marshal(Grouped{good(site.ClassNVMe, ""), good(site.ClassGPU, "")})
	if _, ok := ParsePlain(encoded); !ok {
		t.Errorf("%s was left to encoding/json", encoded)
	}
	for _, bad := range []string{"", "[", "null", "[]x", `[{}]`, string(encoded[:len(encoded)-1])} {
		if _, ok := ParsePlain([]byte(bad)); ok {
			t.Errorf("%q was read by hand", bad)
		}
	}
}

func FuzzGrouped(f *testing.F) {
	encoded, _ := json.Marshal(Grouped{good(site.ClassNVMe, ""), good(site.ClassGPU, "")})
	f.Add(encoded)
	f.Add([]byte(`[{"devices":[]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var receipts Grouped
		err := receipts.UnmarshalJSON(data)
		if fast, ok := ParsePlain(data); ok && (err != nil || !slices.Equal(fast, receipts)) {
			t.Fatalf("by hand %+v, by encoding/json %+v, error %v", fast, receipts, err)
		}
		if err != nil {
			return
		}
		_ = Check(claim.Digest{}, receipts)
		again, err := json.Marshal(receipts)
		if err != nil {
			t.Fatal(err)
		}
		var back Grouped
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatal(err)
		}
	})
}

// Device returns the device that a receipt is of.
func (r *SanitizeReceipt) Device() site.Device {
	return site.Device{Class: r.Class, Model: r.Model, Serial: r.Serial, Firmware: r.Firmware}
}
