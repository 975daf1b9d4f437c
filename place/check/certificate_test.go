package check

import (
	"bytes"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

func TestCertificateRoundTrip(t *testing.T) {
	_, _, slice := checked(t)
	for _, c := range []place.Certificate{slice.Certificate, slice.Certificate.Tenant()} {
		data := c.Encode()
		got, err := place.DecodeCertificate(data)
		if err != nil || !bytes.Equal(got.Encode(), c.Encode()) {
			t.Fatalf("%v: got %+v, want %+v", err, got, c)
		}
		for name, bad := range map[string]string{
			"space":    strings.Replace(string(data), ",", ", ", 1),
			"trailing": string(data) + "{}",
			"newline":  string(data) + "\n",
			"unknown":  strings.Replace(string(data), "{", `{"grade":1,`, 1),
			"repeated": strings.Replace(string(data), "{", `{"version":1,`, 1),
			"case":     strings.Replace(string(data), `"proof"`, `"Proof"`, 1),
			"version":  strings.Replace(string(data), `"version":1`, `"version":2`, 1),
			"short":    string(data[:len(data)-1]),
			"empty":    "",
			"digest":   strings.Replace(string(data), `"sha256:`, `"sha512:`, 1),
		} {
			if _, err := place.DecodeCertificate([]byte(bad)); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

func TestTenantsCopyTellsNothingOfRivals(t *testing.T) {
	s, free, slice := checked(t)
	copied := slice.Certificate.Tenant()
	if copied.Bound != (place.Cost{}) || copied.Gap != (place.Cost{}) || copied.Free != 0 || !copied.Occupancy.IsZero() || copied.Harm != nil {
		t.Errorf("%+v", copied)
	}
	if !strings.Contains(copied.Proof, "operator-asserted") {
		t.Errorf("the proof does not say what is asserted: %s", copied.Proof)
	}
	if copied.Cost != slice.Certificate.Cost || copied.Slice != slice.Certificate.Slice {
		t.Error("the tenant's own figures are gone")
	}
	// A rival's change of the free nodes changes the owner's copy only.
	var rival site.Index
	for n := range free.All() {
		if s.KindOf(n) == "H100" && s.ComputeFabric(n) == 0 && !s.IsSpare(n) && !site.SetOf(slice.Nodes...).Has(n) {
			rival = n
		}
	}
	free.Remove(rival)
	again := solved(t, s, free, 33)
	if again.Certificate.Slice == slice.Certificate.Slice && again.Certificate.Tenant() != copied {
		t.Error("the tenant's copy follows what rivals hold")
	}
	slice.Certificate = copied
	if err := Among(s, free, slice); err == nil {
		t.Error("a tenant's copy passes for the whole certificate")
	}
}

func TestProofNamesWhatIsProven(t *testing.T) {
	if p := (&place.Certificate{Ask: place.Ask{Links: lease.Shared}}).Words(); !strings.Contains(p, "proven by its bound: halls, pods, SUs, racks.") || !strings.Contains(p, "asserted by the solver: nothing") {
		t.Error(p)
	}
	p := (&place.Certificate{Gap: place.Cost{SUs: 40, Racks: 27}, Ask: place.Ask{Links: lease.Shared}}).Words()
	if !strings.Contains(p, "proven by its bound: halls, pods.") || !strings.Contains(p, "asserted by the solver: that SUs, racks") {
		t.Error(p)
	}
}

func FuzzDecodeCertificate(f *testing.F) {
	f.Add(place.Certificate{Version: 1, Ask: place.Ask{Nodes: 8, Fabric: "roce", Kind: "H100", Links: lease.Shared}, Proof: "x"}.Encode())
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := place.DecodeCertificate(data)
		if err == nil && !bytes.Equal(c.Encode(), data) {
			t.Fatalf("%q decodes to %q", data, c.Encode())
		}
	})
}
