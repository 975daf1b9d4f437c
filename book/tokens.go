package book

import (
	"time"

	"bulkhead/ledger"
)

// The entry kinds of tokens: who made one, for whom. KindTokenMinted is in the site's
// scope; KindTenantToken says of a tenant's token in the tenant's own that the owner
// has made it, and nothing of the site.
const (
	KindTokenMinted = "token.minted/1"
	KindTenantToken = "tenant.token-minted/1"
)

// TokenMinted is the body of KindTokenMinted. It names the token's hash, so that no
// other one counts for it; the token itself is 128 random bits, which no hash betrays.
type TokenMinted struct {
	Token   string    `json:"token"`  // id
	Hash    string    `json:"sha256"` // of the token, hexadecimal
	Subject string    `json:"subject"`
	Role    string    `json:"role"`
	Tenant  string    `json:"tenant,omitempty"`
	Created time.Time `json:"created"` // by the clock of the machine that made it
	Expires time.Time `json:"expires"`
	By      string    `json:"by"` // who made it: a person's account on the server's machine
}

// TenantToken is the body of KindTenantToken.
type TenantToken struct {
	Token   string    `json:"token"`
	Subject string    `json:"subject"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// MintToken records a token: one that the ledger does not hold counts for nothing.
type MintToken struct{ TokenMinted }

func (c MintToken) decide(s *State, env Env) (*Decision, error) {
	switch old, known := s.Tokens[c.Hash]; {
	case known && old.same(&c.TokenMinted):
		return nil, ErrNothing
	case known:
		return nil, refuse("token", "%s is in the ledger as that of %q, role %s: it was changed since; make a new one", c.Token, old.Subject, old.Role)
	case c.Token == "" || len(c.Hash) != 64:
		return nil, refuse("token", "it has no id or no hash: expected both")
	}
	d := &Decision{}
	d.add(SiteScope, KindTokenMinted, c.TokenMinted)
	if _, registered := s.Tenants[c.Tenant]; registered {
		d.tellToken(&c.TokenMinted)
	}
	return d, nil
}

// tellToken says it in the tenant's own scope.
func (d *Decision) tellToken(t *TokenMinted) {
	d.add(TenantScope(t.Tenant), KindTenantToken, TenantToken{Token: t.Token, Subject: t.Subject, Role: t.Role, Created: t.Created, Expires: t.Expires})
}

// tellTokens tells a tenant that is new of the tokens that were made for it before.
func (s *State) tellTokens(d *Decision, tenant string) {
	for _, hash := range sortedKeys(s.Tokens) {
		if t := s.Tokens[hash]; t.Tenant == tenant {
			d.tellToken(t)
		}
	}
}

func (t *TokenMinted) same(o *TokenMinted) bool {
	return t.Token == o.Token && t.Hash == o.Hash && t.Subject == o.Subject && t.Role == o.Role && t.Tenant == o.Tenant &&
		t.Created.Equal(o.Created) && t.Expires.Equal(o.Expires)
}

// Minted says whether the ledger holds a token, as it is. By is not compared.
func (s *State) Minted(t *TokenMinted) (known, same bool) {
	old, known := s.Tokens[t.Hash]
	return known, known && old.same(t)
}

func (s *State) applyTokenMinted(e *ledger.Entry, b TokenMinted, _ Bodies) error {
	s.Tokens[b.Hash] = &b
	return nil
}

// applyTenantToken folds nothing: the site's copy says it.
func (s *State) applyTenantToken(e *ledger.Entry, b TenantToken, _ Bodies) error { return nil }
