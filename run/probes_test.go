package run_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/prove"
	"bulkhead/storage"
)

// A tenant probes from its own node, files what it found, and its verifier counts
// it; the owner can neither change it nor file one in its name.
func TestATenantsProbe(t *testing.T) {
	ctx := context.Background()
	w := imported(t)
	p := w.lease(t, w.sim.Storage(), 1)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	signer := claim.Signer{KeyID: claim.KeyID(public), Key: key}
	var node, siteName string
	p.View(func(s *book.State) {
		node, siteName = s.Site.NodeID[s.Leases[0].Slots[0]], s.Site.Name
	})
	probe := prove.Probe{
		Version: 1, Site: siteName, Tenant: "tidewater", Lease: "tidewater/w1", Node: node, At: w.clock.Now(), Origin: claim.Simulated,
		Tries: []prove.Try{
			{Kind: "p-key", What: "a host of the same lease", Target: "lid 4", Expect: prove.Reached, Got: prove.Reached},
			{Kind: "p-key", What: "a foreign P_Key", Target: "0x8002", Expect: prove.Denied, Got: prove.Denied},
		},
	}
	sign := func(p prove.Probe) []byte {
		statement, err := claim.NewStatement(p.Node, claim.DigestOf([]byte(p.Node)), prove.ProbePredicate, &p)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := claim.Sign(statement, signer)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for name, spoil := range map[string]func(p *prove.Probe){
		"another tenant's lease": func(p *prove.Probe) { p.Lease = "flagship/t1" },
		"another tenant":         func(p *prove.Probe) { p.Tenant = "flagship" },
		"another site":           func(p *prove.Probe) { p.Site = "elsewhere" },
		"a node of nobody's":     func(p *prove.Probe) { p.Node = "none" },
		"a time to come":         func(p *prove.Probe) { p.At = p.At.AddDate(0, 0, 1) },
		"no control":             func(p *prove.Probe) { p.Tries = p.Tries[1:] },
	} {
		bad := probe
		spoil(&bad)
		if _, err := p.Submit(ctx, "", book.FileProbe{Tenant: "tidewater", Lease: "tidewater/w1", Statement: sign(bad)}); err == nil {
			t.Errorf("%s: filed", name)
		}
	}
	file := func(probe prove.Probe) {
		t.Helper()
		w.submit(t, p, book.FileProbe{Tenant: "tidewater", Lease: "tidewater/w1", Statement: sign(probe)})
	}
	file(probe)
	verify := func(named bool) (*bundle.Report, error) {
		var own []bundle.Key
		if named {
			own = append(own, bundle.Key{Purpose: claim.PurposeProbe, Public: base64.StdEncoding.EncodeToString(public)})
		}
		return takenHome(ctx, p, w.keys, siteName, "tidewater", own...)
	}
	grade := func(r *bundle.Report) (g claim.Grade, found bool) {
		for _, c := range r.Claims {
			if strings.Contains(c.Sentence, "probe") {
				return c.Grade, true
			}
		}
		return 0, false
	}
	report, err := verify(true)
	if err != nil {
		t.Fatal(err)
	}
	if g, found := grade(report); !found || g != claim.SimulatedGrade {
		t.Errorf("the probe counts as %v (%t), expected simulated: it ran on simulated devices", g, found)
	}
	if report, err = verify(false); err != nil {
		t.Fatal(err)
	}
	if g, found := grade(report); found && g != claim.Absent {
		t.Errorf("a probe by a key that the tenant does not name counts as %v", g)
	}
	leak := probe
	leak.Tries = append([]prove.Try(nil), probe.Tries...)
	leak.Tries[1].Got = prove.Reached
	file(leak)
	if report, err = verify(true); err == nil || report.RejectedBy[bundle.CheckProbe] != 1 {
		t.Errorf("a leak that the tenant found does not turn its own verdict: %v", err)
	}
}

// A lease's administrator gets what its nodes mount with, of what it was granted.
func TestCredentials(t *testing.T) {
	ctx := context.Background()
	w := imported(t)
	p := w.lease(t, w.sim.Storage(), 1)
	c, err := p.Credential(ctx, "tidewater/w1", "tidewater/scratch")
	if err != nil || c.Secret == "" || c.Grant.Principal != "tidewater/w1" {
		t.Errorf("%+v, %v", c, err)
	}
	if err := w.sim.Mount(c.Grant.Volume, c.Grant.Principal, 1); err != nil {
		t.Error(err)
	}
	for _, v := range []storage.VolumeID{"", "flagship/datasets", "tidewater/other"} {
		if _, err := p.Credential(ctx, "tidewater/w1", v); err == nil {
			t.Errorf("a credential for %q", v)
		}
	}
	if _, err := p.Credential(ctx, "flagship/t1", "tidewater/scratch"); err == nil {
		t.Error("a credential of another lease's volume")
	}
}
