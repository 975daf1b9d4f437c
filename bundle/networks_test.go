package bundle_test

import (
	"slices"
	"strings"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/prove"
	"bulkhead/site"
)

// TestReportSaysWhichNetworksWereShown: each fabric that a lease spans has a line of its own
// with its ports and a grade, at the hand-over and later; what is on no fabric that was read
// back is said to be not shown.
func TestReportSaysWhichNetworksWereShown(t *testing.T) {
	report, err := verify(write(t, bundletest.Small(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil {
		t.Fatalf("%v %v", err, report.Rejected)
	}
	for _, fabric := range []string{"isolated on roce (compute, 8 ports a node) ", "isolated on frontend (frontend, 1 port a node) "} {
		for _, when := range []string{"when its nodes were handed over", "at a later time"} {
			lines := 0
			for _, c := range report.Claims {
				if strings.HasPrefix(c.Sentence, fabric+when) && c.Grade == claim.SimulatedGrade {
					lines++
				}
			}
			if lines != 1 {
				t.Errorf("%d claims of %s%s", lines, fabric, when)
			}
		}
	}
	said := strings.Join(report.NotProven, "\n")
	for _, line := range []string{
		"storage network: the nodes of acme-1/t1 have no port on a fabric of its own for it",
		"management zone: no port of a BMC of acme-1/t1 is in an isolation certificate",
	} {
		if !strings.Contains(said, line) {
			t.Errorf("not said: %s\nin:\n%s", line, said)
		}
	}
}

// TestReportSaysWhoReachesBMCs: where the site names its management network, the BMCs are a
// part of each certificate, claimed and held to what the lease spans; a policy may ask for it.
func TestReportSaysWhoReachesBMCs(t *testing.T) {
	asking := owner.Policy(bundletest.Tenant)
	asking.Networks = []site.Role{site.RoleManagement}
	report, err := verify(write(t, bundletest.Gated(owner).Input()), asking, bundle.Options{})
	if err != nil {
		t.Fatalf("%v %v", err, report.Rejected)
	}
	claims := 0
	for _, c := range report.Claims {
		if strings.HasPrefix(c.Sentence, "isolated on bmc (management, 1 port a node) ") && strings.HasSuffix(c.Sentence, "was reached by the owner's managers only, and reached nobody") {
			claims++
		}
	}
	said := strings.Join(report.NotProven, "\n")
	if claims != 2 || strings.Contains(said, "no port of a BMC") || !strings.Contains(said, "a port that it shares with its BMC, and who knows the BMC's passwords") {
		t.Errorf("%d claims, and not proven:\n%s", claims, said)
	}
	bmcs := func(c *prove.Certificate) *prove.FabricPart { return &c.Fabrics[len(c.Fabrics)-1] }
	for _, c := range []struct {
		name  string
		check bundle.Check
		says  string
		forge func(a *attempt)
	}{
		{"a lease whose BMCs nobody mentions", bundle.CheckSpans, "which the policy asks for", func(a *attempt) {
			bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.Spans = b.Spans[:2] })
		}},
		{"two BMCs a node", bundle.CheckSpans, "by what was signed", func(a *attempt) {
			bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.Spans[2].Ports = 2 })
		}},
		{"a certificate that leaves its BMCs out", bundle.CheckSpans, "shows nothing on bmc", func(a *attempt) {
			a.certifyAt(0, func(c *prove.Certificate) {
				c.Ports -= bmcs(c).Proven
				c.Fabrics = c.Fabrics[:2]
				c.Assumptions = slices.DeleteFunc(c.Assumptions, func(s string) bool { return strings.HasPrefix(s, "bmc:") })
				for i, line := range c.NotProven {
					if strings.HasPrefix(line, "management zone:") {
						c.NotProven[i] = "management zone: no port of a BMC is among these, so nothing here says who reaches one"
					}
				}
			})
		}},
		{"a BMC that others reach, and proven", bundle.CheckIsolation, "the figures give red", func(a *attempt) {
			a.certifyAt(0, func(c *prove.Certificate) {
				part := bmcs(c)
				part.Proven, part.Red = part.Proven-1, 1
				c.Failed = append(c.Failed, prove.Failure{Check: prove.ForeignLabel.String(), Fabric: part.Fabric, Ports: 1})
			})
		}},
		{"BMCs read before the window", bundle.CheckIsolation, "outside the window", func(a *attempt) {
			a.certifyAt(0, func(c *prove.Certificate) { bmcs(c).Oldest = bmcs(c).Oldest.AddDate(0, 0, -200) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &attempt{Story: bundletest.Gated(owner), policy: asking}
			c.forge(a)
			report, err := verify(write(t, a.Input()), a.policy, bundle.Options{})
			if err == nil || !slices.ContainsFunc(report.Rejected, func(f bundle.Finding) bool { return f.Check == c.check && strings.Contains(f.Reason, c.says) }) {
				t.Errorf("expected %s to say %q: %v %v", c.check, c.says, err, report.Rejected)
			}
		})
	}
}
