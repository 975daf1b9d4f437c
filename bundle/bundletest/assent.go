package bundletest

import (
	"bytes"
	"crypto/ed25519"
	"time"

	"golang.org/x/crypto/ssh"

	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/site"
)

// Terms are what a story's contract says and who signs it for the tenant.
type Terms struct {
	Price     string          // of a GPU-hour; "": 3.95
	Registers claim.SSHSigner // the key that the log registers as the tenant's; nil: none
	Signs     claim.SSHSigner // the key that signs; nil: a token alone
}

func (t Terms) price(text []byte) []byte {
	if t.Price == "" {
		return text
	}
	return bytes.Replace(text, []byte("price: 3.95"), []byte("price: "+t.Price), 1)
}

// WholeBy is Whole under other terms.
func WholeBy(o *Owner, terms Terms) *Story {
	return tell(newStory(o, made{tenant: Tenant, labels: 5000, slots: 3, spares: 2, has: site.GPUs, says: site.GPUs, terms: terms}))
}

// SmallBy is the log of one node under other terms, until its contract is signed.
func SmallBy(o *Owner, terms Terms) *Story {
	return newStory(o, made{tenant: Tenant, labels: 5000, slots: 1, has: site.GPUs, says: site.GPUs, terms: terms})
}

// RunningBy is Small under other terms, and with a spare.
func RunningBy(o *Owner, terms Terms) *Story {
	s := small(newStory(o, made{tenant: Tenant, labels: 5000, slots: 1, spares: 1, has: site.GPUs, says: site.GPUs, terms: terms}))
	s.Wait(24 * time.Hour)
	return s
}

// Signed is SmallBy with the tenant's own key.
func Signed(o *Owner) *Story { return SmallBy(o, Terms{Registers: o.Officer, Signs: o.Officer}) }

// sshSigner is a key as SSH's library signs with it.
func sshSigner(key ed25519.PrivateKey) claim.SSHSigner {
	s, err := ssh.NewSignerFromKey(key)
	must(err)
	return s
}

// Stranger is a key that is nobody's.
func Stranger(seed byte) claim.SSHSigner {
	return sshSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
}

// KeyOf is the public half.
func KeyOf(s claim.SSHSigner) claim.SSHKey {
	key, err := claim.SSHKeyOf(s.PublicKey())
	must(err)
	return key
}

// OwnKeys is a policy of the tenant's that names its own key.
func (o *Owner) OwnKeys(tenant string) *bundle.Policy {
	p := o.Policy(tenant)
	p.TenantKeys = []bundle.TenantKey{{Public: KeyOf(o.Officer).String()}}
	return p
}

// Agreed is both parties' signatures by their tokens.
func Agreed() []contract.Signature {
	return []contract.Signature{{Party: contract.Owner, By: "seller, finance"}, {Party: contract.Tenant, By: "officer, administrator"}}
}

// assentFor is for how long an assent may be used.
const assentFor = time.Hour

// Assent is a contract's, signed now.
func (s *Story) assent(c *contract.Contract, quote string, signer claim.SSHSigner) *contract.SignedAssent {
	if signer == nil {
		return nil
	}
	return SignAssent(c.Assent(s.Owner.Site, quote, s.Now, s.Now.Add(assentFor)), signer)
}

// SignAssent signs an act.
func SignAssent(a contract.Assent, signer claim.SSHSigner) *contract.SignedAssent {
	signed, err := a.Sign(signer)
	must(err)
	return signed
}

// RegisterKey registers a key of the tenant's, by the word of another one.
func (s *Story) RegisterKey(signer, warrant claim.SSHSigner) {
	key := KeyOf(signer)
	act := contract.KeyAssent(contract.ActRegisterKey, s.Owner.Site, s.Tenant, key, s.Now, s.Now.Add(assentFor))
	b := contract.KeyRegistered{Tenant: s.Tenant, Key: key.String(), By: "officer", Possession: *SignAssent(act, signer)}
	if warrant != nil {
		b.Warrant = SignAssent(act, warrant)
	}
	s.Add(contract.KindKeyRegistered, b)
}

// RevokeKey ends a key of the tenant's, by the word of another one.
func (s *Story) RevokeKey(signer, warrant claim.SSHSigner) {
	key := KeyOf(signer)
	act := contract.KeyAssent(contract.ActRevokeKey, s.Owner.Site, s.Tenant, key, s.Now, s.Now.Add(assentFor))
	s.Add(contract.KindKeyRevoked, contract.KeyRevoked{Tenant: s.Tenant, Key: key.String(), By: "officer", Warrant: *SignAssent(act, warrant)})
}

// Amend quotes and signs the next version of the contract; change makes it, and sign
// may change the entry that puts it in force.
func (s *Story) Amend(signer claim.SSHSigner, change func(c *contract.Contract), sign func(b *contract.Signed)) {
	c := s.Contract.Clone()
	c.Version++
	if c.Effective = s.Now.Add(24 * time.Hour).Truncate(time.Second); c.Effective.Before(c.Begin) {
		c.Effective = c.Begin
	}
	change(c)
	raw, quote := c.Encode(), "q2"
	s.Add(contract.KindQuoted, contract.Quoted{Quote: quote, Contract: raw, Expires: s.Now.AddDate(0, 0, 7)})
	s.Wait(time.Hour)
	b := contract.Signed{Contract: raw, Digest: claim.DigestOf(raw), Quote: quote, By: "officer", Signatures: Agreed(), Assent: s.assent(c, quote, signer)}
	if sign != nil {
		sign(&b)
	}
	s.Add(contract.KindSigned, b)
	s.Contract = c
}
