package book

import (
	"fmt"

	"bulkhead/contract"
	"bulkhead/ledger"
)

// RegisterTenantKey takes in a public key of a tenant's own: in the tenant's log, so
// that it sees which keys count as its own, and in the site's.
type RegisterTenantKey struct{ contract.KeyRegistered }

func (c RegisterTenantKey) decide(s *State, env Env) (*Decision, error) {
	keys, err := s.keysOf(c.Tenant)
	if err != nil {
		return nil, err
	}
	if err := keys.Register(s.Site.Name, &c.KeyRegistered, env.Now); err != nil {
		return nil, refuse("key", "%v", err)
	}
	d := &Decision{}
	d.add(SiteScope, contract.KindKeyRegistered, c.KeyRegistered)
	d.add(TenantScope(c.Tenant), contract.KindKeyRegistered, c.KeyRegistered)
	return d, nil
}

// RevokeTenantKey ends a key of a tenant's.
type RevokeTenantKey struct{ contract.KeyRevoked }

func (c RevokeTenantKey) decide(s *State, env Env) (*Decision, error) {
	keys, err := s.keysOf(c.Tenant)
	if err != nil {
		return nil, err
	}
	if err := keys.Revoke(s.Site.Name, &c.KeyRevoked, env.Now); err != nil {
		return nil, refuse("key", "%v", err)
	}
	d := &Decision{}
	d.add(SiteScope, contract.KindKeyRevoked, c.KeyRevoked)
	d.add(TenantScope(c.Tenant), contract.KindKeyRevoked, c.KeyRevoked)
	return d, nil
}

// keysOf is a copy of a tenant's keys, to try a change on.
func (s *State) keysOf(tenant string) (contract.TenantKeys, error) {
	t, ok := s.Tenants[tenant]
	if !ok {
		return nil, refuse("tenant", "no tenant %q: register it first", tenant)
	}
	if s.Site == nil {
		return nil, refuse("site", "no site has been imported, and an act of a tenant names the site that it is for")
	}
	keys := contract.TenantKeys{}
	for fingerprint, k := range t.Keys {
		one := *k
		keys[fingerprint] = &one
	}
	return keys, nil
}

func (s *State) applyKeyRegistered(e *ledger.Entry, b contract.KeyRegistered, _ Bodies) error {
	return s.changeKeys(e, b.Tenant, func(keys contract.TenantKeys) error { return keys.Register(s.Site.Name, &b, e.Time) })
}

func (s *State) applyKeyRevoked(e *ledger.Entry, b contract.KeyRevoked, _ Bodies) error {
	return s.changeKeys(e, b.Tenant, func(keys contract.TenantKeys) error { return keys.Revoke(s.Site.Name, &b, e.Time) })
}

// changeKeys folds the site's copy of what both hold.
func (s *State) changeKeys(e *ledger.Entry, tenant string, change func(contract.TenantKeys) error) error {
	if e.Scope != SiteScope {
		return nil
	}
	keys, err := s.keysOf(tenant)
	if err != nil {
		return err
	}
	if err := change(keys); err != nil {
		return fmt.Errorf("tenant %s: %w", tenant, err)
	}
	next := *s.Tenants[tenant] // readers may hold the old one
	next.Keys = keys
	s.Tenants[tenant] = &next
	return nil
}
