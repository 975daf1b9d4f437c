package run_test

import (
	"bytes"
	"context"
	"fmt"

	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/run"
)

// takenHome is what a tenant's verifier says of its bundle, by the keys that the owner
// published, those that the tenant adds, and the tenant's decision that simulated
// evidence will do.
func takenHome(ctx context.Context, p *run.Plane, keys *keystore.Store, siteName, tenant string, own ...bundle.Key) (*bundle.Report, error) {
	trust, err := keys.Trust(siteName)
	if err != nil {
		return nil, err
	}
	encoded, err := trust.Encode()
	if err != nil {
		return nil, err
	}
	policy, err := bundle.PolicyFromTrust("trust", encoded, tenant)
	if err != nil {
		return nil, err
	}
	policy.Origins = []claim.Origin{claim.Simulated}
	policy.Keys = append(policy.Keys, own...)
	var b bytes.Buffer
	if _, err := p.WriteBundle(ctx, tenant, &b); err != nil {
		return nil, err
	}
	report, err := bundle.Verify(bytes.NewReader(b.Bytes()), int64(b.Len()), policy, bundle.Options{Workers: 1})
	if err != nil {
		return report, fmt.Errorf("bundle of %s: %w", tenant, err)
	}
	return report, nil
}
