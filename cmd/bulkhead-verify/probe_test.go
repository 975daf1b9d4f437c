package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/lab/await"
	"bulkhead/lab/iblab"
	"bulkhead/prove"
)

// TestProbe runs the tenant's own probe on a leased node of the InfiniBand lab, under
// a real OpenSM: nothing is reached that must not be, every control is, and the
// signed probe is filed into the tenant's log. Then the fabric is broken, and the
// same probe says so.
func TestProbe(t *testing.T) {
	if testing.Short() {
		t.Skip("starts OpenSM: not in short mode")
	}
	if missing := iblab.Missing(); missing != "" {
		t.Skipf("needs %s: apt-get install %s", missing, missing)
	}
	ctx := await.Context(t)
	l, err := iblab.Start(ctx, iblab.Options{Dir: t.TempDir(), Bound: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Sell(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Deliver(ctx, 75*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, out := filepath.Join(dir, "key.pem"), filepath.Join(dir, "probe.json")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	ours, theirs := l.HCAs(iblab.Tenants[0], 0), l.HCAs(iblab.Tenants[1], 0)
	lid := func(hca string) string {
		info, err := l.Fabric.Port(hca, 1)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.Itoa(int(info.LID))
	}
	info, err := l.Fabric.Port(ours[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	node, site := strings.TrimSuffix(ours[0], "-rail0"), ""
	l.Plane.View(func(s *book.State) { site = s.Site.Name })
	probe := func() (code int, said string) {
		var o, e bytes.Buffer
		code = run([]string{"probe", "--site", site, "--tenant", iblab.Tenants[0], "--lease", iblab.Tenants[0] + "/w1", "--node", node,
			"--emulated", l.Fabric.Name + "/" + ours[0], "--own", fmt.Sprintf("0x%04x", uint16(l.Key(iblab.Tenants[0]))), "--foreign", fmt.Sprintf("0x%04x", uint16(l.Key(iblab.Tenants[1]))),
			"--peer", lid(ours[1]), "--other", lid(theirs[0]), "--other", lid(theirs[1]), "--manager", strconv.Itoa(int(info.MasterSMLID)),
			"--patience", "150ms", "--key", keyFile, "--out", out}, &o, &e)
		return code, o.String() + e.String()
	}
	code, said := probe()
	if code != 0 || !strings.Contains(said, " 0 leaks, 0 that show nothing") {
		t.Fatalf("exit %d:\n%s", code, said)
	}
	t.Log("\n" + said)
	signed, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public().(ed25519.PublicKey)
	statement, err := claim.Open(signed, claim.Trust{claim.KeyID(public): public})
	if err != nil {
		t.Fatalf("the tenant's own signature: %v", err)
	}
	found, err := prove.DecodeProbe(statement.Predicate)
	if err != nil || found.Origin != claim.Emulated || found.Node != node || len(found.Tries) < 15 {
		t.Fatalf("%+v, %v", found, err)
	}
	// The lab lives in days of its own, so what is filed is dated by them.
	found.At = l.Clock.Now()
	if statement, err = claim.NewStatement(found.Node, claim.DigestOf([]byte(found.Node)), prove.ProbePredicate, found); err != nil {
		t.Fatal(err)
	}
	if signed, err = claim.Sign(statement, claim.Signer{KeyID: claim.KeyID(public), Key: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Plane.Submit(ctx, "", book.FileProbe{Tenant: iblab.Tenants[0], Lease: iblab.Tenants[0] + "/w1", Statement: signed}); err != nil {
		t.Fatal(err)
	}
	filed := 0
	for e, err := range l.Plane.EntriesFrom(ctx, book.TenantScope(iblab.Tenants[0]), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == prove.KindProbed {
			filed++
		}
	}
	if filed != 1 {
		t.Errorf("%d probes are in the tenant's log", filed)
	}
	for _, a := range iblab.Attacks() {
		if a.Name != "the rival's P_Key in an HCA and at its leaf" {
			continue
		}
		if _, err := a.Mount(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	if code, said := probe(); code != int(rejected) || !strings.Contains(said, "reached what must not be") {
		t.Errorf("on a broken fabric: exit %d:\n%s", code, said)
	}
	// A probe that reaches nothing at all shows nothing.
	if err := l.Fabric.Silence(ours[1], true); err != nil {
		t.Fatal(err)
	}
	if code, said := probe(); code != int(rejected) || !strings.Contains(said, "no positive control") {
		t.Errorf("without a control: exit %d:\n%s", code, said)
	}
}
