package bundle_test

import (
	"strings"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
)

// TestReportSaysWhatOfNVLinkWasShown: of racks that are one NVLink domain each the report
// claims that they were the project's alone, on whose word, and that no partition was
// read back; of others it says that nothing of NVLink is shown.
func TestReportSaysWhatOfNVLinkWasShown(t *testing.T) {
	for _, one := range []struct {
		name     string
		tell     func(*bundletest.Owner) *bundletest.Story
		claims   bool
		unproven string
	}{
		{"domains", bundletest.Domains, true, "NVLink: racks of acme-1/t1 are one NVLink domain each; that they were its project's alone follows from the owner's inventory and ledger, and no partition was read back"},
		{"none", bundletest.Small, false, "NVLink: that no NVLink domain of acme-1/t1 goes beyond a node is the owner's inventory; nothing was read back of it"},
	} {
		report, err := verify(write(t, one.tell(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
		if err != nil {
			t.Fatalf("%s: %v %v", one.name, err, report.Rejected)
		}
		claims := 0
		for _, c := range report.Claims {
			if strings.HasPrefix(c.Sentence, "its NVLink domains were its project's alone") && strings.Contains(c.Note, "no partition was read back") {
				claims++
			}
		}
		if said := strings.Join(report.NotProven, "\n"); (claims == 2) != one.claims || !strings.Contains(said, one.unproven) {
			t.Errorf("%s: %d claims, in:\n%s", one.name, claims, said)
		}
	}
}
