package bundle_test

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
)

func TestPolicyComesBack(t *testing.T) {
	p := owner.Policy(bundletest.Tenant)
	p.Keys[1].Until = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	p.Pinned = string(bundletest.Small(owner).Checkpoint(3))
	p.Golden = []bundle.Golden{{Kind: "H100", PCRs: []string{claim.DigestOf(nil).String(), claim.DigestOf(nil).String(), claim.DigestOf(nil).String()}}}
	encoded, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := bundle.ParsePolicy("policy", encoded)
	if err != nil || !reflect.DeepEqual(back, p) {
		t.Fatalf("%s\ncame back as %+v: %v", encoded, back, err)
	}
}

func TestPolicyErrors(t *testing.T) {
	encoded, err := owner.Policy(bundletest.Tenant).Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(encoded)
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("the policy has no %q:\n%s", from, good)
		}
		return strings.Replace(good, from, to, 1)
	}
	key := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for _, c := range []struct{ name, data, says string }{
		{"nothing", "", "empty: expected a policy"},
		{"no policy", "a: b", "unknown field"},
		{"an unknown field", good + "trusts: everybody\n", "unknown field"},
		{"another format", change("bulkhead-policy/1", "bulkhead-policy/9"), "policy: \"bulkhead-policy/9\""},
		{"no tenant", change("tenant: acme", `tenant: ""`), "site and tenant"},
		{"an unknown origin", change("- simulated", "- imagined"), "origins[1]"},
		{"an unknown purpose", change("purpose: invoice", "purpose: anything"), "keys[2].purpose"},
		{"a short key", change("purpose: invoice\n", "purpose: invoice\n  public: "+key+"\n"), "the field is here twice"},
		{"a wrong id", change("id: "+owner.Invoice.KeyID, "id: "+owner.Statement.KeyID), "keys[2].id"},
		{"an unknown grade", change("turnover: simulated", "turnover: excellent"), "expected one of"},
		{"brackets without end", strings.Repeat("[", 1<<20), "nested too deeply"},
		{"dashes without end", strings.Repeat("- ", 1<<20), "nested too deeply"},
		{"two documents", good + "---\n" + good, "a second document"},
		{"a time that ends before it begins", change("purpose: invoice\n", "purpose: invoice\n  from: 2026-05-01T00:00:00Z\n  until: 2026-04-01T00:00:00Z\n"), "keys[2].until"},
		{"a revoked key alone", change("purpose: invoice\n", "purpose: invoice\n  revoked: true\n"), "none for purpose invoice"},
		{"golden values of nothing", good + "golden:\n- kind: H100\n  pcrs: [x]\n", "golden[0]"},
		{"an attestation key that is none", good + "attestation_keys:\n  n1: AAAA\n", "attestation_keys.n1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := bundle.ParsePolicy("tenant.policy", []byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "tenant.policy:") {
				t.Fatalf("expected an error with %q, got %v", c.says, err)
			}
		})
	}
}

func TestPinMustBeSigned(t *testing.T) {
	stranger := bundletest.NewOwner(bundletest.Site, "stranger")
	log := bundletest.Small(stranger)
	p := owner.Policy(bundletest.Tenant)
	p.Pinned = string(log.Checkpoint(2))
	if err := p.CheckPins(); err == nil {
		t.Error("a checkpoint by a stranger was pinned")
	}
	p.Pinned = ""
	if _, err := verify(write(t, bundletest.Small(owner).Input()), p, bundle.Options{Since: log.Checkpoint(2)}); err == nil {
		t.Error("a checkpoint by a stranger was taken as --since")
	}
}

// A bundle by an unknown key is no bundle at all.
func TestStrangersBundle(t *testing.T) {
	data := write(t, bundletest.Small(bundletest.NewOwner(bundletest.Site, "stranger")).Input())
	if report, err := verify(data, owner.Policy(bundletest.Tenant), bundle.Options{}); err == nil || report != nil {
		t.Fatalf("it was read: %v", err)
	}
}

// A key that has been retired since still speaks for its own time.
func TestRetiredKeyStillCounts(t *testing.T) {
	data := write(t, bundletest.Whole(owner).Input())
	p := owner.Policy(bundletest.Tenant)
	for i := range p.Keys {
		p.Keys[i].From, p.Keys[i].Until = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	}
	if _, err := verify(data, p, bundle.Options{}); err != nil {
		t.Fatal(err)
	}
}

// With the tenant's own golden values and attestation keys the same evidence is
// worth more, as far as its origin allows.
func TestTenantsOwnReferenceValues(t *testing.T) {
	s := bundletest.Small(owner)
	data := write(t, s.Input())
	p := owner.Policy(bundletest.Tenant)
	n := s.Slots[0]
	p.AttestationKeys = map[string]string{n.ID(): n.Inventory.AttestationKey.String()}
	var pcrs []string
	for _, d := range s.Turnover(n).Golden {
		pcrs = append(pcrs, d.String())
	}
	p.Golden = []bundle.Golden{{Kind: "H100", PCRs: pcrs}}
	report, err := verify(data, p, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprint(report.NotProven); strings.Contains(said, "firmware:") || strings.Contains(said, "TPM:") {
		t.Errorf("still said to be open: %s", said)
	}
	for _, c := range report.Claims {
		if c.Grade > claim.SimulatedGrade {
			t.Errorf("%s is graded %s, and its origin is %s", c.Sentence, c.Grade, c.Origin)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	encoded, err := owner.Policy(bundletest.Tenant).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	f.Add([]byte(`{"policy":"bulkhead-policy/1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := bundle.ParsePolicy("p", data)
		if err == nil && p.Check() != nil {
			t.Fatal("a policy was read that its own check refuses")
		}
	})
}
