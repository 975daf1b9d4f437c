package run_test

import (
	"context"
	"io"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
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
	policy, err := bundletest.Accepting(encoded, tenant)
	if err != nil {
		return nil, err
	}
	policy.Keys = append(policy.Keys, own...)
	return bundletest.Report(policy, func(w io.Writer) (bundle.Manifest, error) { return p.WriteBundle(ctx, tenant, w) })
}
