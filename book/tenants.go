package book

import (
	"bulkhead/ledger"
)

// KindTenant is the entry kind of a new tenant, in the site's scope and in the
// tenant's own, where it is entry 1.
const KindTenant = "tenant.registered/1"

// Registered is the body of KindTenant.
type Registered struct {
	Tenant   string `json:"tenant"`
	Name     string `json:"name"`
	Internal bool   `json:"internal"` // one of the owner's own teams
}

// RegisterTenant opens a tenant's scope.
type RegisterTenant struct {
	Tenant   string
	Name     string
	Internal bool
}

func (c RegisterTenant) decide(s *State, env Env) (*Decision, error) {
	if !validID(c.Tenant) {
		return nil, refuse("tenant", "%.40q: expected 1 to 40 of a-z, 0-9 and '-'", c.Tenant)
	}
	if old, ok := s.Tenants[c.Tenant]; ok {
		if old.Name == c.Name && old.Internal == c.Internal {
			return nil, ErrNothing
		}
		return nil, refuse("tenant", "%s is registered already, as %q", c.Tenant, old.Name)
	}
	d := &Decision{}
	body := Registered(c)
	d.add(SiteScope, KindTenant, body)
	d.add(TenantScope(c.Tenant), KindTenant, body)
	s.tellTokens(d, c.Tenant)
	return d, nil
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > 40 {
		return false
	}
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

func (s *State) applyTenant(e *ledger.Entry, b Registered, _ Bodies) error {
	if e.Scope == SiteScope {
		s.Tenants[b.Tenant] = &Tenant{ID: b.Tenant, Name: b.Name, Internal: b.Internal, Since: e.Time}
	}
	return nil
}
