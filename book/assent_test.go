package book_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
)

// ownKey is a key of SSH's, by its seed.
func ownKey(t *testing.T, seed byte) (ssh.Signer, claim.SSHKey) {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	must(t, err)
	key, err := claim.SSHKeyOf(signer.PublicKey())
	must(t, err)
	return signer, key
}

// assentBy is an act with a signature.
func assentBy(t *testing.T, a contract.Assent, signer ssh.Signer) *contract.SignedAssent {
	t.Helper()
	s, err := a.Sign(signer)
	must(t, err)
	return s
}

// keyOf registers a tenant's key, by the word of another one.
func keyOf(t *testing.T, siteName, tenant string, now time.Time, signer, warrant ssh.Signer) book.RegisterTenantKey {
	t.Helper()
	key, err := claim.SSHKeyOf(signer.PublicKey())
	must(t, err)
	act := contract.KeyAssent(contract.ActRegisterKey, siteName, tenant, key, now, now.Add(time.Hour))
	b := contract.KeyRegistered{Tenant: tenant, Key: key.String(), By: "officer", Possession: *assentBy(t, act, signer)}
	if warrant != nil {
		b.Warrant = assentBy(t, act, warrant)
	}
	return book.RegisterTenantKey{KeyRegistered: b}
}

func keyGone(t *testing.T, siteName, tenant string, now time.Time, signer, warrant ssh.Signer) book.RevokeTenantKey {
	t.Helper()
	key, err := claim.SSHKeyOf(signer.PublicKey())
	must(t, err)
	act := contract.KeyAssent(contract.ActRevokeKey, siteName, tenant, key, now, now.Add(time.Hour))
	return book.RevokeTenantKey{KeyRevoked: contract.KeyRevoked{Tenant: tenant, Key: key.String(), By: "officer", Warrant: *assentBy(t, act, warrant)}}
}

// tellKeys has a tenant that registers two keys, loses the first, and signs a quote of
// its own that is open no more.
func (g *golden) tellKeys(t *testing.T) {
	t.Helper()
	now := g.entries[len(g.entries)-1].Time
	first, _ := ownKey(t, 1)
	second, _ := ownKey(t, 2)
	const tenant, name = "research", "tiny"
	for _, b := range []contract.KeyRegistered{keyOf(t, name, tenant, now, first, nil).KeyRegistered, keyOf(t, name, tenant, now, second, first).KeyRegistered} {
		g.append(t, book.SiteScope, contract.KindKeyRegistered, b)
		g.append(t, book.TenantScope(tenant), contract.KindKeyRegistered, b)
	}
	gone := keyGone(t, name, tenant, now, first, second).KeyRevoked
	g.append(t, book.SiteScope, contract.KindKeyRevoked, gone)
	g.append(t, book.TenantScope(tenant), contract.KindKeyRevoked, gone)
	approver, approversKey := ownKey(t, 4)
	possession, err := book.Approval{Format: book.ApprovalFormat, Act: book.ActRegisterApprover, Site: name, Subject: approversKey.String(), Reason: "second", Expires: now}.Sign(approver)
	must(t, err)
	g.append(t, book.SiteScope, book.KindApproverRegistered, book.ApproverRegistered{Key: approversKey.String(), Name: "second", By: "approver on duty", Possession: *possession})
	g.append(t, book.SiteScope, book.KindApproved, book.Approved{By: "approver on duty", Signed: *possession})
	g.append(t, book.SiteScope, book.KindApproverRevoked, book.ApproverRevoked{Key: approversKey.String(), By: "approver on duty", Warrants: []book.SignedApproval{*possession}})
	g.append(t, book.SiteScope, book.KindTokenMinted, book.TokenMinted{
		Token: "5f1c02aa", Hash: strings.Repeat("5f1c02aa", 8), Subject: "auditor", Role: "viewer", Tenant: tenant, Created: now, Expires: now.AddDate(0, 3, 0), By: "operator on control1",
	})
	g.append(t, book.TenantScope(tenant), book.KindTenantToken, book.TenantToken{Token: "5f1c02aa", Subject: "auditor", Role: "viewer", Created: now, Expires: now.AddDate(0, 3, 0)})
	c := sold("tidewater", nil)
	g.append(t, book.TenantScope(tenant), contract.KindAssented, contract.Assented{Quote: "gone", By: "officer", Assent: *assentBy(t, c.Assent(name, "gone", now, now.Add(time.Hour)), second)})
}

// TestOnlyTheTenantPutsAVersionInForce: nobody else's word, and after a key was
// registered no token, signs for a tenant.
func TestOnlyTheTenantPutsAVersionInForce(t *testing.T) {
	signer, _ := ownKey(t, 1)
	stranger, _ := ownKey(t, 7)
	finance := []contract.Signature{{Party: contract.Owner, By: "finance"}}
	token := contract.ByTenant("officer")
	const registered = true
	for _, c := range []struct {
		name   string
		key    bool // the tenant has registered one
		signed []contract.Signature
		assent func(s *stage, q *book.Quote) *contract.SignedAssent
		says   string // "": it is in force
	}{
		{"finance alone", false, finance, nil, "the tenant has not agreed"},
		{"finance alone, beside a registered key", registered, finance, nil, "the tenant has not agreed"},
		{"finance with a key of its own", registered, finance, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("tiny", q.ID, s.now, q.Expires), stranger)
		}, "the tenant has not agreed"},
		{"the tenant's token", false, token, nil, ""},
		{"the tenant's token, beside its key", registered, token, nil, "a token alone does not sign"},
		{"a key that is not registered", registered, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("tiny", q.ID, s.now, q.Expires), stranger)
		}, "is not registered as the tenant's"},
		{"a signature before there is a key", false, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("tiny", q.ID, s.now, q.Expires), signer)
		}, "has registered no key"},
		{"a signature under another quote", registered, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("tiny", "another", s.now, q.Expires), signer)
		}, "of another act"},
		{"a signature at another site", registered, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("large", q.ID, s.now, q.Expires), signer)
		}, "of another act"},
		{"a signature under another price", registered, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			other := q.Contract.Clone()
			other.Rates[0].Price = "0.01"
			return assentBy(t, other.Assent("tiny", q.ID, s.now, q.Expires), signer)
		}, "of another act"},
		{"a signature that outlives the quote", registered, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("tiny", q.ID, s.now, q.Expires.Add(time.Hour)), signer)
		}, "and the quote ends at"},
		{"the tenant's key", registered, token, func(s *stage, q *book.Quote) *contract.SignedAssent {
			return assentBy(t, q.Contract.Assent("tiny", q.ID, s.now, q.Expires), signer)
		}, ""},
	} {
		s := on(t, atTenants)
		k := sold("tidewater", nil)
		s.do(t, s.offer("q", k))
		if c.key {
			s.do(t, keyOf(t, "tiny", "tidewater", s.now, signer, nil))
		}
		command := book.SignQuote{Quote: "q", By: "x", Signed: c.signed}
		if c.assent != nil {
			command.Assent = c.assent(s, s.Quotes[book.QuoteKey{Tenant: "tidewater", ID: "q"}])
		}
		d, err := s.decide(t, command)
		switch {
		case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, expected %q", c.name, err, c.says)
		case err == nil:
			s.fold(t, d.Drafts...)
		}
	}
}

// TestNothingIsEffectiveBeforeItIsSigned quotes a version in time and signs it late.
func TestNothingIsEffectiveBeforeItIsSigned(t *testing.T) {
	s := on(t, atRunning)
	s.later(48 * time.Hour)
	dear := func(effective time.Time) *contract.Contract {
		c := s.Contracts["tidewater"].Current().Clone()
		c.Version++
		c.Effective, c.Rates[0].Price = effective, "4.95"
		return c
	}
	if _, err := s.decide(t, s.offer("late", dear(s.now.Truncate(time.Second).Add(-time.Second)))); err == nil || !strings.Contains(err.Error(), "nothing is effective before it is signed") {
		t.Errorf("it is offered when it would rule already: %v", err)
	}
	s.do(t, s.offer("q", dear(s.now.Truncate(time.Second).Add(time.Minute))))
	s.later(2 * time.Minute)
	if _, err := s.decide(t, book.SignQuote{Quote: "q", By: "x", Signed: contract.ByTenant("x")}); err == nil || !strings.Contains(err.Error(), "nothing is effective before it is signed") {
		t.Errorf("it is signed after it would rule: %v", err)
	}
}

// TestATenantsOwnQuoteIsSignedTwice: with a key the tenant signs its own offer, and
// then the owner's signature puts it in force.
func TestATenantsOwnQuoteIsSignedTwice(t *testing.T) {
	s := on(t, atTenants)
	signer, _ := ownKey(t, 1)
	s.do(t, keyOf(t, "tiny", "tidewater", s.now, signer, nil))
	o := s.offer("q", sold("tidewater", func(c *contract.Contract) { c.Tranches[0].GPUs = 16 }))
	o.Offered, o.Expires = contract.ByTenant("officer")[0], s.now.Add(time.Hour)
	s.do(t, o)
	finance := book.SignQuote{Quote: "q", By: "finance", Signed: []contract.Signature{{Party: contract.Owner, By: "finance"}}}
	if _, err := s.decide(t, finance); err == nil || !strings.Contains(err.Error(), "a token alone does not sign") {
		t.Errorf("the owner signs an offer that the tenant's token made: %v", err)
	}
	q := s.Quotes[book.QuoteKey{Tenant: "tidewater", ID: "q"}]
	own := book.AssentQuote{Quote: "q", By: "officer", Assent: assentBy(t, q.Contract.Assent("tiny", "q", s.now, q.Expires), signer)}
	s.do(t, own)
	if _, err := s.decide(t, own); err != book.ErrNothing {
		t.Errorf("the tenant signs twice: %v", err)
	}
	s.do(t, finance)
	if _, bound := s.LeaseByID("tidewater/w1"); !bound {
		t.Error("both have signed, and nothing is in force")
	}
}

// TestTenantKeysRefuse: a key is registered by who holds it and by one that counted
// before, and the last one stays.
func TestTenantKeysRefuse(t *testing.T) {
	first, _ := ownKey(t, 1)
	second, key := ownKey(t, 2)
	const tenant = "tidewater"
	register := func(s *stage, signer, warrant ssh.Signer) book.RegisterTenantKey {
		return keyOf(t, "tiny", tenant, s.now, signer, warrant)
	}
	with := func(s *stage, k ...ssh.Signer) {
		s.fold(t, drafts(s, register(s, k[0], nil))...)
		for _, more := range k[1:] {
			s.fold(t, drafts(s, register(s, more, k[0]))...)
		}
	}
	refuseAll(t, []refused{
		{"before there is a site", atNothing, func(s *stage) book.Command { return register(s, first, nil) }, "tenant", "no tenant"},
		{"a tenant that is none", atTenants, func(s *stage) book.Command { return keyOf(t, "tiny", "nobody", s.now, first, nil) }, "tenant", "no tenant"},
		{"for another site", atTenants, func(s *stage) book.Command { return keyOf(t, "large", tenant, s.now, first, nil) }, "key", "of another act"},
		{"by who does not hold it", atTenants, func(s *stage) book.Command {
			c := register(s, first, nil)
			c.Key = key.String()
			return c
		}, "key", "shows that they hold it"},
		{"twice", atTenants, func(s *stage) book.Command { with(s, first); return register(s, first, first) }, "key", "was registered before"},
		{"the second without the first", atTenants, func(s *stage) book.Command { with(s, first); return register(s, second, nil) }, "key", "registered by one that counts"},
		{"the second by itself", atTenants, func(s *stage) book.Command { with(s, first); return register(s, second, second) }, "key", "is not registered"},
		{"the last one revoked", atTenants, func(s *stage) book.Command {
			with(s, first)
			return keyGone(t, "tiny", tenant, s.now, first, first)
		}, "key", "the last one"},
		{"revoked by a stranger", atTenants, func(s *stage) book.Command {
			with(s, first, second)
			stranger, _ := ownKey(t, 7)
			return keyGone(t, "tiny", tenant, s.now, first, stranger)
		}, "key", "is not registered"},
		{"revoked twice", atTenants, func(s *stage) book.Command {
			with(s, first, second)
			s.fold(t, drafts(s, keyGone(t, "tiny", tenant, s.now, first, second))...)
			return keyGone(t, "tiny", tenant, s.now, first, second)
		}, "key", "no key"},
		{"the second by one that was revoked", atTenants, func(s *stage) book.Command {
			with(s, first, second)
			s.fold(t, drafts(s, keyGone(t, "tiny", tenant, s.now, first, second))...)
			third, _ := ownKey(t, 3)
			return register(s, third, first)
		}, "key", "was revoked at"},
	})
}

// TestKeysAreInBothScopes: the tenant's log tells of its keys, and so does the site's;
// a snapshot keeps them.
func TestKeysAreInBothScopes(t *testing.T) {
	s := on(t, atTenants)
	first, key := ownKey(t, 1)
	if got, want := kinds(s.do(t, keyOf(t, "tiny", "tidewater", s.now, first, nil))), "site tenant.key-registered/1, tenant/tidewater tenant.key-registered/1"; got != want {
		t.Errorf("entries %s, expected %s", got, want)
	}
	snapshot, err := s.Snapshot()
	must(t, err)
	again, err := book.Restore(snapshot, s.bodies)
	must(t, err)
	if k := again.Tenants["tidewater"].Keys[key.Fingerprint()]; k == nil || k.Key.String() != key.String() {
		t.Errorf("a snapshot keeps %+v", again.Tenants["tidewater"].Keys)
	}
}
