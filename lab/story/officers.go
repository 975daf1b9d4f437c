package story

import (
	"context"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
)

// registerKey registers the key of a tenant that has one.
func (t *Telling) registerKey(ctx context.Context, tenant string) error {
	signer := t.Officers[tenant]
	if signer == nil {
		return nil
	}
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		return err
	}
	state, now := t.Plane.Reading()
	if state.Tenants[tenant].Keys.Any() {
		return nil
	}
	possession, err := contract.KeyAssent(contract.ActRegisterKey, state.Site.Name, tenant, key, now, now.Add(contract.AssentLasts)).Sign(signer)
	if err != nil {
		return err
	}
	_, err = t.Plane.Submit(ctx, "key of "+tenant, book.RegisterTenantKey{KeyRegistered: contract.KeyRegistered{
		Tenant: tenant, Key: key.String(), By: "tenant administrator", Possession: *possession,
	}})
	return err
}

// assent is a tenant's signature under a quote of its; nil of one without a key.
func (t *Telling) assent(quote string, c *contract.Contract) (*contract.SignedAssent, error) {
	signer := t.Officers[c.Tenant]
	if signer == nil {
		return nil, nil
	}
	state, now := t.Plane.Reading()
	q, err := state.OpenQuote(c.Tenant, quote)
	if err != nil {
		return nil, err
	}
	return q.Contract.Assent(state.Site.Name, q.ID, now, q.Expires).Sign(signer)
}

// act does an act of a tenant's, as it was shown, with its key where it has one.
func (t *Telling) act(ctx context.Context, id, tenant string, c book.Deed) error {
	signer := t.Officers[tenant]
	if signer == nil {
		return t.Plane.ActAsShown(ctx, id, c, nil)
	}
	return t.Plane.ActAsShown(ctx, id, c, func(a contract.Assent) (*contract.SignedAssent, error) { return a.Sign(signer) })
}
