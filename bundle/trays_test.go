package bundle_test

import (
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
)

// TestNodesOfFewerGPUs: a log about nodes of fewer GPUs is proven where the contract
// says how many; where it says more than the nodes have, or fewer, each kind of evidence is held
// against it.
func TestNodesOfFewerGPUs(t *testing.T) {
	for _, one := range []struct {
		name      string
		has, says int
		against   []bundle.Check // beside nothing else; nil: proven
	}{
		{"as the contract says", 4, 4, nil},
		{"five GPUs a node", 5, 5, nil},
		{"sold as 8", 4, 8, []bundle.Check{bundle.CheckTurnover, bundle.CheckSpans, bundle.CheckSever}},
		{"sold as 6", 4, 6, []bundle.Check{bundle.CheckTurnover, bundle.CheckSpans, bundle.CheckSever}},
		{"more than were sold", 8, 4, []bundle.Check{bundle.CheckSpans, bundle.CheckSever}},
	} {
		t.Run(one.name, func(t *testing.T) {
			report, err := verify(write(t, bundletest.WholeOf(owner, one.has, one.says).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if report == nil {
				t.Fatal(err)
			}
			if one.against == nil && (err != nil || !report.Proven || !report.Invoices[0].Recomputed || !report.Invoices[1].Recomputed) {
				t.Errorf("not proven: %v %v", err, report.Rejected)
			}
			if len(report.RejectedBy) != len(one.against) {
				t.Errorf("rejected by %v, expected %v", report.RejectedBy, one.against)
			}
			for _, check := range one.against {
				if report.RejectedBy[check] == 0 {
					t.Errorf("%s says nothing against it: %v", check, report.Rejected)
				}
			}
		})
	}
}
