package contract

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/claim"
)

// AssentFormat names the bytes that a tenant signs.
const AssentFormat = "bulkhead-assent/1"

// AssentLasts is for how long a signature that no quote bounds may be used.
const AssentLasts = 10 * time.Minute

// maxAssent is the size of the signed bytes.
const maxAssent = 4 << 10

// What a tenant does by an assent.
const (
	ActContract    = "contract"     // a version of a contract is to be in force
	ActRegisterKey = "register-key" // a public key is the tenant's
	ActRevokeKey   = "revoke-key"   // it counts no more
)

// SignsActs is what a key is registered for: every act of its tenant's from then on, and
// not contracts alone, as keys were before. The key itself has signed it, so that nobody
// can say later that it was less.
const SignsActs = "every-act"

// Assent is an act of a tenant, in the bytes that its key signs (Encode). It names
// everything that it must not be taken for another one by: site, tenant, what is done
// to what, and for how long it may be used.
type Assent struct {
	Format string `json:"format"` // AssentFormat
	Act    string `json:"act"`
	Site   string `json:"site"` // the site's name, as in the tenant's policy
	Tenant string `json:"tenant"`

	// Of a contract.
	Contract  string       `json:"contract,omitempty"`
	Version   int          `json:"version,omitempty"`
	Effective time.Time    `json:"effective,omitzero"`
	Quote     string       `json:"quote,omitempty"`
	Document  claim.Digest `json:"document_digest,omitzero"` // of the contract's canonical JSON
	Page      claim.Digest `json:"page_digest,omitzero"`     // of the page that was read before; zero: none was made

	// Of every other act: what its signer was shown of it (Sheet).
	Shown claim.Digest `json:"shown_digest,omitzero"`

	// Of a key.
	Key   string `json:"key,omitempty"`   // as claim.SSHKey writes it
	Signs string `json:"signs,omitempty"` // registered: what for; "" in older ledgers: contracts

	At      time.Time `json:"at"`      // when it was signed; whole seconds
	Expires time.Time `json:"expires"` // from when on it can't be used any more
}

// SignedAssent is an assent with the signature over its bytes, as entries hold it.
type SignedAssent struct {
	Assent    Assent `json:"assent"`
	Key       string `json:"key"`       // fingerprint of the key that signed
	Signature string `json:"signature"` // SSHSIG, armoured
}

// DecodeSigned reads a signed assent of an entry that doesn't know its form; nil of none.
func DecodeSigned(data []byte) (*SignedAssent, error) {
	if len(data) == 0 {
		return nil, nil
	}
	s := &SignedAssent{}
	if err := claim.Exact(data, 4*maxAssent, s); err != nil {
		return nil, fmt.Errorf("assent: %w", err)
	}
	return s, nil
}

// Encode is the canonical JSON; none of nil.
func (s *SignedAssent) Encode() []byte {
	if s == nil {
		return nil
	}
	return claim.Canonical(s)
}

// Assent is the act that puts a quoted version in force.
func (c *Contract) Assent(site, quote string, at, expires time.Time) Assent {
	return Assent{
		Format: AssentFormat, Act: ActContract, Site: site, Tenant: c.Tenant,
		Contract: c.ID, Version: c.Version, Effective: c.Effective.UTC(), Quote: quote, Document: c.Digest(),
		At: at.UTC().Truncate(time.Second), Expires: expires.UTC().Truncate(time.Second),
	}
}

// KeyAssent is the act that registers or revokes a key.
func KeyAssent(act, site, tenant string, key claim.SSHKey, at, expires time.Time) Assent {
	a := Assent{
		Format: AssentFormat, Act: act, Site: site, Tenant: tenant, Key: key.String(),
		At: at.UTC().Truncate(time.Second), Expires: expires.UTC().Truncate(time.Second),
	}
	if act == ActRegisterKey {
		a.Signs = SignsActs
	}
	return a
}

// ActAssent is the tenant's act under a contract, of which a sheet was shown.
func ActAssent(act Act, site, tenant, contract string, shown claim.Digest, at, expires time.Time) Assent {
	return Assent{
		Format: AssentFormat, Act: string(act), Site: site, Tenant: tenant, Contract: contract, Shown: shown,
		At: at.UTC().Truncate(time.Second), Expires: expires.UTC().Truncate(time.Second),
	}
}

// Encode is the canonical JSON, which is what is signed: fields in the order of the
// struct, instants in UTC, no spaces. Equal assents have equal bytes.
func (a Assent) Encode() []byte {
	a.Effective, a.At, a.Expires = a.Effective.UTC(), a.At.UTC(), a.Expires.UTC()
	return claim.Canonical(a)
}

// DecodeAssent reads the canonical JSON of an assent, and nothing else.
func DecodeAssent(data []byte) (Assent, error) {
	var a Assent
	if err := claim.Exact(data, maxAssent, &a); err != nil {
		return a, fmt.Errorf("assent: %w", err)
	}
	if !bytes.Equal(a.Encode(), data) {
		return a, errors.New("assent: not in canonical form")
	}
	if a.Format != AssentFormat {
		return a, fmt.Errorf("assent: format %.40q, expected %q", a.Format, AssentFormat)
	}
	return a, nil
}

// Text is the assent for a person, a line each: made from the very fields that are
// signed, so that what is read is what is signed.
func (a Assent) Text() string {
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch a.Act {
	case ActContract:
		line("act", "put version %d of contract %q in force, effective from %s", a.Version, a.Contract, stamp(a.Effective))
		line("quote", "%q", a.Quote)
		line("document", "%s", a.Document)
		if !a.Page.IsZero() {
			line("page", "%s", a.Page)
		}
	case ActRegisterKey:
		line("act", "register a key of the tenant's")
		line("key", "%q", a.Key)
		if a.Signs == SignsActs {
			line("signs", "every act of the tenant's from then on: by a token alone none is done")
		}
	case ActRevokeKey:
		line("act", "revoke a key of the tenant's")
		line("key", "%q", a.Key)
	default:
		line("act", "%q under contract %q", a.Act, a.Contract)
		line("shown", "%s", a.Shown)
	}
	line("tenant", "%q at site %q", a.Tenant, a.Site)
	line("signed", "%s, to be used before %s", stamp(a.At), stamp(a.Expires))
	return out.String()
}

// Check reports whether an assent is, at an instant, the one that is wanted, and
// signed by a key. Of the wanted one the times and the page are left open: the page
// is what its signer was shown, and whoever can make that page again compares it.
func (s *SignedAssent) Check(want Assent, key claim.SSHKey, now time.Time) error {
	is := s.Assent
	want.At, want.Expires, want.Page = is.At, is.Expires, is.Page
	if is.Format != AssentFormat {
		return fmt.Errorf("assent: format %.40q, expected %q", is.Format, AssentFormat)
	}
	if !bytes.Equal(is.Encode(), want.Encode()) {
		return fmt.Errorf("assent: it is of another act: signed is %.300s, expected %.300s", is.Encode(), want.Encode())
	}
	if !is.At.Equal(is.At.Truncate(time.Second)) || !is.Expires.Equal(is.Expires.Truncate(time.Second)) {
		return errors.New("assent: its times are of whole seconds")
	}
	switch {
	case is.At.After(now):
		return fmt.Errorf("assent: signed at %s, which is after %s", stamp(is.At), stamp(now))
	case !now.Before(is.Expires):
		return fmt.Errorf("assent: it could be used until %s, and it is %s", stamp(is.Expires), stamp(now))
	}
	if s.Key != key.Fingerprint() {
		return fmt.Errorf("assent: it names key %.80q as its signer, expected %s", s.Key, key.Fingerprint())
	}
	if err := key.Verify(claim.PurposeTenantAct, is.Encode(), s.Signature); err != nil {
		return fmt.Errorf("assent: %w", err)
	}
	return nil
}

// Sign signs an assent.
func (a Assent) Sign(signer claim.SSHSigner) (*SignedAssent, error) {
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	signature, err := claim.SignSSH(signer, claim.PurposeTenantAct, a.Encode())
	if err != nil {
		return nil, err
	}
	return &SignedAssent{Assent: a, Key: key.Fingerprint(), Signature: signature}, nil
}

// TenantKey is a key of a tenant as its log tells of it.
type TenantKey struct {
	Key     claim.SSHKey
	Since   time.Time // registered
	Revoked time.Time // zero: it counts
	Acts    bool      `json:",omitempty"` // it was registered for every act (SignsActs)
}

// The entry kinds of a tenant's keys, in its own scope and the site's.
const (
	KindKeyRegistered = "tenant.key-registered/1"
	KindKeyRevoked    = "tenant.key-revoked/1"
)

// KeyRegistered is the body of KindKeyRegistered. Possession is signed by the key
// itself; Warrant by a key that counted before, and is missing of the first one alone.
type KeyRegistered struct {
	Tenant     string        `json:"tenant"`
	Key        string        `json:"key"`
	Name       string        `json:"name,omitempty"` // what its holder calls it
	By         string        `json:"by"`             // whose token was shown
	Possession SignedAssent  `json:"possession"`
	Warrant    *SignedAssent `json:"warrant,omitempty"`
}

// KeyRevoked is the body of KindKeyRevoked.
type KeyRevoked struct {
	Tenant  string       `json:"tenant"`
	Key     string       `json:"key"`
	By      string       `json:"by"`
	Warrant SignedAssent `json:"warrant"` // by a key that counts
}

// MaxTenantKeys is how many keys a tenant may ever register. Each change looks at all
// of them, and a log must not make that long.
const MaxTenantKeys = 64

// TenantKeys is the keys of one tenant, by fingerprint. Server and verifier hold every
// act to the same rules.
type TenantKeys map[string]*TenantKey

// Any says whether a key was ever registered: from then on a token alone does nothing
// that a key must sign.
func (k TenantKeys) Any() bool { return len(k) > 0 }

// SignActs says whether one was ever registered for every act: from then on no act of the
// tenant's goes by a token alone. Keys of older ledgers were registered for contracts.
func (k TenantKeys) SignActs() bool {
	for _, key := range k {
		if key.Acts {
			return true
		}
	}
	return false
}

// signer finds the key that signed, and refuses one that did not count at an instant.
func (k TenantKeys) signer(fingerprint string, at time.Time) (claim.SSHKey, error) {
	key, ok := k[fingerprint]
	switch {
	case !ok:
		return claim.SSHKey{}, fmt.Errorf("key %.80q is not registered as the tenant's", fingerprint)
	case !key.Revoked.IsZero():
		return claim.SSHKey{}, fmt.Errorf("key %s was revoked at %s", fingerprint, stamp(key.Revoked))
	case at.Before(key.Since.Truncate(time.Second)):
		return claim.SSHKey{}, fmt.Errorf("key %s was registered at %s, after it signed at %s", fingerprint, stamp(key.Since), stamp(at))
	}
	return key.Key, nil
}

// Check reports whether an act was signed by a key of the tenant's that counts.
func (k TenantKeys) Check(s *SignedAssent, want Assent, now time.Time) error {
	if s == nil {
		return errors.New("it is not signed by a key of the tenant's")
	}
	key, err := k.signer(s.Key, s.Assent.At)
	if err != nil {
		return err
	}
	return s.Check(want, key, now)
}

// Register takes in a key, or says why not.
func (k TenantKeys) Register(site string, b *KeyRegistered, now time.Time) error {
	key, err := claim.ParseSSHKey(b.Key)
	if err != nil {
		return err
	}
	if key.String() != b.Key {
		return errors.New("public key: expected its type and its base64, without a comment")
	}
	if len(k) >= MaxTenantKeys {
		return fmt.Errorf("%d keys were registered, which is all that a tenant may have, revoked ones with them", len(k))
	}
	if _, again := k[key.Fingerprint()]; again {
		return fmt.Errorf("key %s was registered before, and a key is registered once", key.Fingerprint())
	}
	want := Assent{Format: AssentFormat, Act: ActRegisterKey, Site: site, Tenant: b.Tenant, Key: b.Key}
	if b.Possession.Assent.Signs != "" {
		want.Signs = SignsActs
	}
	if err := b.Possession.Check(want, key, now); err != nil {
		return fmt.Errorf("whoever registers a key shows that they hold it: %w", err)
	}
	if k.Any() {
		if err := k.Check(b.Warrant, want, now); err != nil {
			return fmt.Errorf("a key beside the first is registered by one that counts: %w", err)
		}
	} else if b.Warrant != nil {
		return errors.New("the first key is warranted by none")
	}
	k[key.Fingerprint()] = &TenantKey{Key: key, Since: now, Acts: want.Signs == SignsActs}
	return nil
}

// Revoke ends a key, or says why not. The last one that counts stays: without it
// nobody could act for the tenant again.
func (k TenantKeys) Revoke(site string, b *KeyRevoked, now time.Time) error {
	key, err := claim.ParseSSHKey(b.Key)
	if err != nil {
		return err
	}
	old, ok := k[key.Fingerprint()]
	if !ok || !old.Revoked.IsZero() {
		return fmt.Errorf("no key %s counts as the tenant's", key.Fingerprint())
	}
	left := 0
	for _, other := range k {
		if other != old && other.Revoked.IsZero() {
			left++
		}
	}
	if left == 0 {
		return fmt.Errorf("key %s is the last one: register another first", key.Fingerprint())
	}
	want := Assent{Format: AssentFormat, Act: ActRevokeKey, Site: site, Tenant: b.Tenant, Key: b.Key}
	if err := k.Check(&b.Warrant, want, now); err != nil {
		return err
	}
	old.Revoked = now
	return nil
}

// Backdated says whether a version would rule before the instant at which it is
// signed; of that instant the second counts.
func Backdated(c *Contract, signed time.Time) bool {
	return c.Effective.Before(signed.Truncate(time.Second))
}
