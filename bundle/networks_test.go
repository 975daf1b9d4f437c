package bundle_test

import (
	"strings"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
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
