package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
)

// VersionReport is one version of a contract, as the log puts it in force.
type VersionReport struct {
	Contract  string       `json:"contract"`
	Version   int          `json:"version"`
	Digest    claim.Digest `json:"digest"` // of its canonical JSON
	Signed    time.Time    `json:"signed"`
	By        []string     `json:"by"`            // for each party, who agreed
	How       string       `json:"how"`           // by what the tenant's consent is shown
	Key       string       `json:"key,omitempty"` // fingerprint of the tenant's key that signed; "": none did
	Effective time.Time    `json:"effective"`
	Entry     uint64       `json:"entry"`
}

// consent is what the log tells of the tenant's own acts.
type consent struct {
	keys     contract.TenantKeys           // as the log registers them
	trusted  map[string]*policyKey         // by fingerprint, as the policy names them
	pinned   map[claim.Digest]bool         // contract digests that the policy pins
	assented map[string]*contract.Assented // by quote
	tokens   int                           // made by the owner in the tenant's name
	byToken  int                           // acts of the tenant's under a contract that no key signed
	done     []ActReport
	versions []VersionReport
}

// policyKey is a key of the tenant's in its own policy.
type policyKey struct {
	claim.SSHKey
	TenantKey
}

// TenantKey is a key with which the tenant signs its own acts, as its own policy
// names it.
type TenantKey struct {
	Public  string    `yaml:"public"`          // as in a .pub file; a comment is left out
	From    time.Time `yaml:"from,omitempty"`  // zero: ever since
	Until   time.Time `yaml:"until,omitempty"` // zero: for good
	Revoked bool      `yaml:"revoked,omitempty"`
}

// Name is the key's fingerprint, as ssh-keygen -l prints it.
func (k *TenantKey) Name() string {
	key, err := claim.ParseSSHKey(k.Public)
	if err != nil {
		return k.Public
	}
	return key.Fingerprint()
}

// Validity is when a key counts, in words, as that of the owner's keys.
func (k *TenantKey) Validity() string {
	return (&Key{From: k.From, Until: k.Until, Revoked: k.Revoked}).Validity()
}

// consent reads what the policy says of the tenant's own keys and contracts.
func (p *Policy) consent() (*consent, error) {
	c := &consent{keys: contract.TenantKeys{}, trusted: map[string]*policyKey{}, pinned: map[claim.Digest]bool{}, assented: map[string]*contract.Assented{}}
	for i, k := range p.TenantKeys {
		key, err := claim.ParseSSHKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("tenant_keys[%d]: %w", i, err)
		}
		if c.trusted[key.Fingerprint()] != nil {
			return nil, fmt.Errorf("tenant_keys[%d]: the same key is named twice", i)
		}
		if !k.Until.IsZero() && !k.From.Before(k.Until) {
			return nil, fmt.Errorf("tenant_keys[%d].until: %s is not after from", i, stamp(k.Until))
		}
		c.trusted[key.Fingerprint()] = &policyKey{key, k}
	}
	for i, text := range p.Contracts {
		d, err := claim.ParseDigest(text)
		if err != nil || d.IsZero() || c.pinned[d] {
			return nil, fmt.Errorf("contracts[%d]: %.80q: expected sha256: and 64 hexadecimal digits, each once", i, text)
		}
		c.pinned[d] = true
	}
	return c, nil
}

// keyRegistered takes in a key of the tenant's, by the rules of the server.
func (v *verifier) keyRegistered(b *contract.KeyRegistered) {
	v.budget.spend(statementCost, "keys of the tenant's")
	if err := v.ownKey(b.Tenant, v.consent.keys.Register(v.policy.Site, b, v.time)); err != nil {
		v.fail(v.at, CheckTenantKey, "", "%v", err)
	}
}

// keyRevoked ends one, likewise.
func (v *verifier) keyRevoked(b *contract.KeyRevoked) {
	v.budget.spend(statementCost, "keys of the tenant's")
	if err := v.ownKey(b.Tenant, v.consent.keys.Revoke(v.policy.Site, b, v.time)); err != nil {
		v.fail(v.at, CheckTenantKey, "", "%v", err)
	}
}

// ownKey refuses a key of another tenant.
func (v *verifier) ownKey(tenant string, err error) error {
	if tenant != v.tenant {
		return fmt.Errorf("it is a key of tenant %q", tenant)
	}
	return err
}

// quoteAssented notes that the tenant has signed a quote of its own.
func (v *verifier) quoteAssented(b *contract.Assented) {
	q := v.quotes[b.Quote]
	if q == nil || q.Offered.Party != contract.Tenant {
		v.fail(v.at, CheckAssent, b.Quote, "the tenant signs a quote of its own, and none of this id is open")
		return
	}
	v.budget.keep(perWord+v.budget.body, "signatures of the tenant's")
	v.consent.assented[b.Quote] = b
}

// consented judges whether the tenant itself has put a version in force, and when it
// begins to rule.
func (v *verifier) consented(c *contract.Contract, b *contract.Signed, q *contract.Quoted) {
	r := VersionReport{
		Contract: c.ID, Version: c.Version, Digest: c.Digest(), Signed: v.time, By: contract.Signatories(b.Signatures),
		How: "its token alone", Effective: c.Effective.UTC(), Entry: v.at.entry,
	}
	if contract.Backdated(c, v.time) {
		v.fail(v.at, CheckEffective, c.ID, "version %d rules from %s on, and was signed at %s: nothing is effective before it is signed", c.Version, stamp(c.Effective), stamp(v.time))
	}
	if len(v.consent.pinned) > 0 && !v.consent.pinned[r.Digest] {
		v.fail(v.at, CheckPinned, c.ID, "version %d has digest %s, which is none of the contracts that the policy pins", c.Version, r.Digest)
	}
	if !contract.AgreedBy(contract.Tenant, b.Signatures) {
		r.How = "nothing"
		v.fail(v.at, CheckAssent, c.ID, "version %d is in force, and the tenant has not agreed: %q", c.Version, r.By)
	}
	own := v.consent.assented[b.Quote]
	delete(v.consent.assented, b.Quote)
	if own != nil && (b.Assent == nil || own.Assent != *b.Assent) {
		v.fail(v.at, CheckAssent, c.ID, "the tenant's signature is not that which it gave under quote %s", b.Quote)
	}
	if b.Assent != nil {
		v.budget.spend(statementCost, "signatures of the tenant's")
		r.Key, r.How = b.Assent.Key, "a key that the log says is the tenant's"
	}
	if b.Assent != nil || v.consent.keys.Any() || len(v.consent.trusted) > 0 {
		if err := v.assentOf(c, b, q); err != nil {
			r.How = "no signature that counts"
			v.fail(v.at, CheckAssent, c.ID, "version %d: %v", c.Version, err)
		} else if len(v.consent.trusted) > 0 {
			r.How = "a key that the policy names"
		}
	}
	v.keepVersion(r)
}

// assentOf holds the tenant's signature to the contract, to the keys that the log
// registers and to those that the policy names.
func (v *verifier) assentOf(c *contract.Contract, b *contract.Signed, q *contract.Quoted) error {
	if q != nil && b.Assent != nil && b.Assent.Assent.Expires.After(q.Expires) {
		return fmt.Errorf("the signature could be used until %s, and quote %s ended at %s", stamp(b.Assent.Assent.Expires), b.Quote, stamp(q.Expires))
	}
	return v.byOwnKey(b.Assent, c.Assent(v.policy.Site, b.Quote, time.Time{}, time.Time{}))
}

// byOwnKey holds a signature to the act that it must be of, and its key to the log and
// to the policy.
func (v *verifier) byOwnKey(s *contract.SignedAssent, want contract.Assent) error {
	if err := v.consent.keys.Check(s, want, v.time); err != nil {
		return err
	}
	if len(v.consent.trusted) == 0 {
		return nil
	}
	switch key := v.consent.trusted[s.Key]; {
	case key == nil:
		return fmt.Errorf("it is signed by key %q, which is none of the tenant_keys in the policy", s.Key)
	case key.Revoked:
		return fmt.Errorf("it is signed by key %s, which the policy says is revoked", s.Key)
	case v.time.Before(key.From) || !key.Until.IsZero() && !v.time.Before(key.Until):
		return fmt.Errorf("it is signed by key %s, which the policy trusts from %s until %s", s.Key, stamp(key.From), stamp(key.Until))
	}
	return nil
}

// keepVersion keeps what is told of a version.
func (v *verifier) keepVersion(r VersionReport) {
	v.budget.keep(perInvoice+2*(weightOf(r.By)+int64(len(r.Contract)+len(r.How)+len(r.Key))), "versions of contracts")
	v.consent.versions = append(v.consent.versions, r)
}

// byAct is how a version came about that an act makes: what it may change follows from
// the terms, which acted holds it to.
const byAct = "by the terms of the version before"

// versionByAct tells of a version that an act makes.
func (v *verifier) versionByAct(c *contract.Contract, b *contract.Acted, act contract.Act, party string) {
	v.keepVersion(VersionReport{
		Contract: c.ID, Version: c.Version, Digest: c.Digest(), Signed: v.time, By: []string{b.By},
		How: fmt.Sprintf("%s by the %s, %s", act, party, byAct), Effective: c.Effective.UTC(), Entry: v.at.entry,
	})
}

// consentNotProven says what the tenant's consent is worth in this log.
func (v *verifier) consentNotProven(add func(format string, args ...any)) {
	byKey := 0
	signed := 0
	for _, r := range v.consent.versions {
		if r.Key != "" {
			byKey++
		}
		if r.Key != "" || !strings.HasSuffix(r.How, byAct) {
			signed++
		}
	}
	if v.consent.byToken > 0 {
		add("consent: %s in the tenant's name (notice, termination, fewer GPUs, disputes, answers) by the owner's word: no key of the tenant's signed for it", count(v.consent.byToken, "act"))
	}
	switch {
	case signed == 0:
	case len(v.consent.trusted) == 0 && byKey == 0:
		add("consent: the tenant's consent is the owner's word: %s signed by a token that the owner can make, and the policy names no key of the tenant's (tenant_keys)", count(signed, "contract version"))
	case len(v.consent.trusted) == 0:
		add("consent: the tenant's consent is the owner's word: %d of %s signed by a key that the log says is the tenant's, and the policy does not name it (tenant_keys)", byKey, count(signed, "contract version"))
	default:
		add("consent: contract versions are signed by keys that the policy names; who held them, and what else their holder was shown, is not shown here")
	}
	if len(v.consent.trusted) > 0 {
		for _, fingerprint := range sorted(v.consent.keys) {
			if v.consent.trusted[fingerprint] == nil {
				add("keys: the log registers %s as the tenant's, and the policy does not name it: what it signs is rejected; ask who registered it", fingerprint)
			}
		}
	}
	if v.consent.tokens > 0 {
		add("tokens: the owner has made %s in the tenant's name; what was done with a token alone is as good as the owner's word", count(v.consent.tokens, "token"))
	}
	if len(v.consent.pinned) > 0 {
		var missing []string
		for d := range v.consent.pinned {
			if !slices.ContainsFunc(v.consent.versions, func(r VersionReport) bool { return r.Digest == d }) {
				missing = append(missing, d.String())
			}
		}
		slices.Sort(missing)
		for _, d := range missing {
			add("contract %s is pinned by the policy and is not in this log", d)
		}
	}
}

// versionsText is the contracts section of the report.
func (r *Report) versionsText(p *printer) {
	if len(r.Contracts) > 0 {
		p.line("\nContracts")
	}
	for i := range r.Contracts {
		c := &r.Contracts[i]
		p.line("  %s, version %d, effective from %s, %s", c.Contract, c.Version, stamp(c.Effective), c.Digest)
		p.line("    in force by entry %d of %s; the tenant's consent is shown by %s%s", c.Entry, stamp(c.Signed), c.How, keyText(c.Key))
		for _, by := range c.By {
			p.line("    %s", claim.Line(by))
		}
	}
}

// keyText is a fingerprint behind what it is of.
func keyText(fingerprint string) string {
	if fingerprint == "" {
		return ""
	}
	return ", " + claim.Line(fingerprint)
}
