package bundletest

import (
	"bytes"
	"fmt"
	"io"

	"bulkhead/bundle"
	"bulkhead/claim"
)

// Accepting is the policy of a tenant that trusts what an owner published (a trust
// file), and decides that evidence of simulated devices will do.
func Accepting(trust []byte, tenant string) (*bundle.Policy, error) {
	policy, err := bundle.PolicyFromTrust("trust.json", trust, tenant)
	if err == nil {
		policy.Origins = []claim.Origin{claim.Simulated}
	}
	return policy, err
}

// Report is what a tenant's verifier says of the bundle that is written for it.
func Report(policy *bundle.Policy, write func(io.Writer) (bundle.Manifest, error)) (*bundle.Report, error) {
	var b bytes.Buffer
	if _, err := write(&b); err != nil {
		return nil, err
	}
	report, err := bundle.Verify(bytes.NewReader(b.Bytes()), int64(b.Len()), policy, bundle.Options{})
	if err != nil {
		err = fmt.Errorf("bundle of %s: %w", policy.Tenant, err)
	}
	return report, err
}
