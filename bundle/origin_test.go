package bundle_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
)

// maker is a maker of TPMs, made up.
type maker struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a maker, made up"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &maker{key, cert}
}

// says is the maker's certificate of a node's attestation key.
func (m *maker) says(t *testing.T, n *bundletest.Node, until time.Time) string {
	t.Helper()
	public, err := n.Inventory.AttestationKey.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: m.cert.NotBefore, NotAfter: until}, m.cert, public, m.key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(der)
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestHardwareIsTheOwnersWord: that a statement is about hardware, and by which key its
// TPM quote is signed, is what the owner writes. It counts for no more than its word, even where
// the tenant has kept the key, until a maker whom the tenant believes says whose key it is.
func TestHardwareIsTheOwnersWord(t *testing.T) {
	s := reserved(1, 0)
	n := s.Slots[0]
	turnover := s.Turnover(n)
	turnover.Origin = claim.Hardware // a model in the owner's process, called hardware
	n.Statement = s.SignTurnover(turnover)
	s.Deliver(n)
	data := write(t, s.Input())
	m, other := newMaker(t), newMaker(t)
	for _, one := range []struct {
		name   string
		policy func(p *bundle.Policy)
		grade  claim.Grade
		says   string // among what is not proven
	}{
		{"the owner's key", func(*bundle.Policy) {}, claim.OperatorAsserted, "origin: 1 pieces of evidence say that they are of hardware: that is the owner's word, also for the 1 turnover statements"},
		{"a key that the tenant kept", func(p *bundle.Policy) {
			p.AttestationKeys = map[string]string{n.ID(): n.Inventory.AttestationKey.String()}
		}, claim.OperatorAsserted, "also for the 1 turnover statements"},
		{"a key with a chain", func(p *bundle.Policy) {
			p.AttestationRoots = []string{pemOf(m.cert.Raw)}
			p.AttestationCertificates = map[string]string{n.ID(): m.says(t, n, m.cert.NotAfter)}
		}, claim.HardwareAttested, "also for the 0 turnover statements"},
		{"a chain that had ended", func(p *bundle.Policy) {
			p.AttestationRoots = []string{pemOf(m.cert.Raw)}
			p.AttestationCertificates = map[string]string{n.ID(): m.says(t, n, s.Contract.Begin.AddDate(0, -1, 0))}
		}, claim.OperatorAsserted, "also for the 1 turnover statements"},
	} {
		p := owner.Policy(bundletest.Tenant)
		one.policy(p)
		report, err := verify(data, p, bundle.Options{})
		if err != nil {
			t.Fatalf("%s: %v %v", one.name, err, report.Rejected)
		}
		best := claim.Absent
		for _, c := range report.Claims {
			best = max(best, c.Grade)
		}
		if best != one.grade || !strings.Contains(strings.Join(report.NotProven, "\n"), one.says) {
			t.Errorf("%s: graded %s, expected %s, and %q", one.name, best, one.grade, one.says)
		}
	}
	p := owner.Policy(bundletest.Tenant)
	p.AttestationRoots = []string{pemOf(other.cert.Raw)}
	p.AttestationCertificates = map[string]string{n.ID(): m.says(t, n, m.cert.NotAfter)}
	if _, err := verify(data, p, bundle.Options{}); err == nil || !strings.Contains(err.Error(), "no chain") {
		t.Errorf("a maker whom the tenant does not know: %v", err)
	}
	p.AttestationRoots = []string{pemOf(m.cert.Raw)}
	p.AttestationKeys = map[string]string{n.ID(): "AAAA"}
	if err := p.Check(); err == nil {
		t.Error("a key that is none passed")
	}
}

// TestCleanPair: the owner writes one node into two tenants' logs, for the same time, and
// each bundle is proven: nothing in either is wrong by itself. The reports say that only
// a root log which tenants compare can show it.
func TestCleanPair(t *testing.T) {
	reports := map[string]*bundle.Report{}
	nodes := map[string][]string{}
	for tenant, tell := range map[string]func() *bundletest.Story{
		"acme":  func() *bundletest.Story { return bundletest.Small(owner) },
		"rival": func() *bundletest.Story { return bundletest.Beside(owner, "rival") },
	} {
		report, err := verify(write(t, tell().Input()), owner.Policy(tenant), bundle.Options{})
		if err != nil {
			t.Fatalf("%s: %v %v", tenant, err, report.Rejected)
		}
		reports[tenant] = report
		for _, c := range report.Claims {
			if strings.HasPrefix(c.Sentence, "clean when it was handed over") {
				nodes[tenant] = append(nodes[tenant], c.Subject)
			}
		}
	}
	if len(nodes["acme"]) != 1 || nodes["acme"][0] != nodes["rival"][0] {
		t.Fatalf("the two logs are not about one node: %v", nodes)
	}
	for tenant, r := range reports {
		if !strings.Contains(strings.Join(r.NotProven, "\n"), "rivals: that no other tenant's log has the same nodes at the same time can't be seen in this one") {
			t.Errorf("%s is not told", tenant)
		}
		if !r.Proven || r.From != reports["acme"].From {
			t.Errorf("%s: proven %v, from %s", tenant, r.Proven, r.From)
		}
	}
}

// TestPlacementIsTheOwnersWord: a report with a lease says what of its place nobody here
// can recompute.
func TestPlacementIsTheOwnersWord(t *testing.T) {
	report, err := verify(write(t, bundletest.Small(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(report.NotProven, "\n"); !strings.Contains(said, "placement: where the nodes of 1 lease are, that they were free, and that fewer domains would not have done is the owner's word") ||
		!strings.Contains(said, "of 1 placement certificate, 0 are about just these nodes") {
		t.Errorf("not said in:\n%s", said)
	}
}
