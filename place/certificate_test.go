package place

import (
	"bytes"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/site"
)

func TestCertificateRoundTrip(t *testing.T) {
	_, _, slice := checked(t)
	for _, c := range []Certificate{slice.Certificate, slice.Certificate.Tenant()} {
		data := c.Encode()
		got, err := DecodeCertificate(data)
		if err != nil || got != c {
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
			if _, err := DecodeCertificate([]byte(bad)); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

func TestTenantsCopyTellsNothingOfRivals(t *testing.T) {
	s, free, slice := checked(t)
	copied := slice.Certificate.Tenant()
	if copied.Bound != (Cost{}) || copied.Gap != (Cost{}) || copied.Free != 0 || !copied.Occupancy.IsZero() {
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
	again := mustSolve(t, s, free, 33)
	if again.Certificate.Slice == slice.Certificate.Slice && again.Certificate.Tenant() != copied {
		t.Error("the tenant's copy follows what rivals hold")
	}
	slice.Certificate = copied
	if err := Check(s, free, slice); err == nil {
		t.Error("a tenant's copy passes for the whole certificate")
	}
}

func TestProofNamesWhatIsProven(t *testing.T) {
	if p := proof(Cost{}, Ask{Links: lease.Shared}, false); !strings.Contains(p, "proven by its bound: halls, pods, SUs, racks.") || !strings.Contains(p, "asserted by the solver: nothing") {
		t.Error(p)
	}
	p := proof(Cost{SUs: 40, Racks: 27}, Ask{Links: lease.Shared}, false)
	if !strings.Contains(p, "proven by its bound: halls, pods.") || !strings.Contains(p, "asserted by the solver: that SUs, racks") {
		t.Error(p)
	}
}

func FuzzDecodeCertificate(f *testing.F) {
	f.Add(Certificate{Version: 1, Ask: Ask{Nodes: 8, Fabric: "roce", Kind: "H100", Links: lease.Shared}, Proof: "x"}.Encode())
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeCertificate(data)
		if err == nil && !bytes.Equal(c.Encode(), data) {
			t.Fatalf("%q decodes to %q", data, c.Encode())
		}
	})
}

// FuzzSolve lets the fuzzer draw the site, the free nodes and the ask.
func FuzzSolve(f *testing.F) {
	f.Add([]byte{2, 3, 4, 4, 4, 2, 7}, []byte{0xff, 0x0f, 0xaa}, 9)
	f.Add([]byte{1, 1, 1}, []byte{1}, 1)
	f.Fuzz(func(t *testing.T, layout, occupied []byte, nodes int) {
		p := plot{rackNodes: 3, suNodes: 12, halls: [][]podPlot{nil}}
		sus := 0
		for i, b := range layout {
			if b%5 == 0 || i == 0 {
				p.halls = append(p.halls, nil)
			}
			hall := &p.halls[len(p.halls)-1]
			if b%3 == 0 || len(*hall) == 0 {
				*hall = append(*hall, podPlot{kinds: []string{"H100"}})
			}
			if sus++; sus > 3 {
				break
			}
			pod := &(*hall)[len(*hall)-1]
			pod.sus = append(pod.sus, 1+int(b)%12)
		}
		s := grow(p)
		free := site.NewSet(0)
		for n := range s.Nodes() {
			if n/8 < len(occupied) && occupied[n/8]>>(n%8)&1 == 1 {
				free.Add(site.Index(n))
			}
		}
		free.Add(1 << 21) // what the site does not have
		ask := Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Shared}
		slice, err := Solve(s, free, ask)
		if err != nil {
			if nodes > 0 && nodes < free.Len() {
				t.Fatalf("%d of %d: %v", nodes, free.Len()-1, err)
			}
			return
		}
		if best := exhaustive(s, inSite(s, free), 0, "H100"); best[nodes] != slice.Certificate.Cost {
			t.Fatalf("solved %s, exhaustively %s", slice.Certificate.Cost, best[nodes])
		}
		if err := Check(s, free, slice); err != nil {
			t.Fatal(err)
		}
	})
}

func inSite(s *site.Site, free *site.Set) *site.Set {
	set := all(s)
	set.Intersect(free)
	return set
}
