package bundle

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"bulkhead/claim"
	"bulkhead/site"
)

// PolicyFormat is the policy format that this release reads.
const PolicyFormat = "bulkhead-policy/1"

// maxPolicy is the size of a policy file in bytes; golden values of a whole
// site fit many times.
const maxPolicy = 32 << 20

// Policy is what a tenant accepts. It comes from the tenant's own file, never
// from the bundle: who is trusted, what kind of machine may speak, how strong a
// claim must be.
type Policy struct {
	Policy  string         `yaml:"policy"`  // PolicyFormat
	Site    string         `yaml:"site"`    // name of the owner's site
	Tenant  string         `yaml:"tenant"`  // the tenant's id at this site
	Origins []claim.Origin `yaml:"origins"` // accepted origins of evidence; hardware alone where it is left out
	Keys    []Key          `yaml:"keys"`
	Minimum Minimum        `yaml:"minimum,omitempty"`
	Pinned  string         `yaml:"pinned,omitempty"` // a checkpoint that the tenant kept, as it was signed
	Golden  []Golden       `yaml:"golden,omitempty"` // what nodes must have booted; none: what the statement says is taken
	// AttestationKeys are the TPMs' attestation keys, base64, by node, as the
	// tenant learned them by another way than the bundle. None: a TPM quote is
	// checked against the key in the statement itself, and graded for it.
	AttestationKeys map[string]string `yaml:"attestation_keys,omitempty"`
	// AttestationCertificates are certificates of attestation keys, by node, as PEM with
	// what is between them and AttestationRoots: the makers of TPMs whom the tenant
	// believes that a key is in one. Without them that evidence is of hardware is the owner's word.
	AttestationCertificates map[string]string `yaml:"attestation_certificates,omitempty"`
	AttestationRoots        []string          `yaml:"attestation_roots,omitempty"`
	// LooksFrom is from when on the log must say when devices were looked at. None: what a
	// log without a word of looks bills is taken, and the report says so.
	LooksFrom time.Time `yaml:"looks_from,omitempty"`
	// TenantKeys are the tenant's own, with which it signs contracts. With them every
	// version needs a signature by one of them; none: the report says what consent is
	// worth without.
	TenantKeys []TenantKey `yaml:"tenant_keys,omitempty"`
	// Contracts are the digests of the contract versions that the tenant knows of, of
	// their canonical JSON. None: any that is signed is taken.
	Contracts []string `yaml:"contracts,omitempty"`
	// Networks are roles of which each lease must span a network, beside compute and
	// frontend: without, whether BMCs are in its certificates is the owner's to say.
	Networks []site.Role `yaml:"networks,omitempty"`
}

// Key is one public key of the owner with what it may sign, and when.
type Key struct {
	Purpose string    `yaml:"purpose"` // checkpoint, statement, invoice, or probe for the tenant's own key
	ID      string    `yaml:"id,omitempty"`
	Public  string    `yaml:"public"`          // base64 of an Ed25519 key; for a checkpoint its verifier key "name+hash+base64"
	From    time.Time `yaml:"from,omitempty"`  // zero: ever since
	Until   time.Time `yaml:"until,omitempty"` // zero: for good
	Revoked bool      `yaml:"revoked,omitempty"`
}

// Minimum is how strong each kind of claim must be.
type Minimum struct {
	Turnover  claim.Grade `yaml:"turnover"`  // the node was clean and is what was sold
	Sever     claim.Grade `yaml:"fence"`     // nothing of the tenant's is reachable on a node that it gave back
	Storage   claim.Grade `yaml:"storage"`   // volumes are the tenant's own, and access to them ends when it must
	Isolation claim.Grade `yaml:"isolation"` // nobody else's packets reach the tenant's ports
}

// Golden is what PCRs 0, 4 and 7 of a node of a kind must be: they follow from
// the firmware that was bought, the turnover image and the secure-boot policy.
type Golden struct {
	Kind string   `yaml:"kind"`
	PCRs []string `yaml:"pcrs"`
}

// ParsePolicy reads a policy file, YAML or JSON. Unknown fields, unknown
// purposes, keys that are none and empty trust are errors that name file, line
// or field.
func ParsePolicy(file string, data []byte) (*Policy, error) {
	var p Policy
	if err := claim.DecodeYAML(file, data, maxPolicy, fmt.Sprintf("a policy; begin with %q", "policy: "+PolicyFormat), &p, p.Check); err != nil {
		return nil, err
	}
	return &p, nil
}

// Encode writes the policy as YAML that ParsePolicy reads.
func (p *Policy) Encode() ([]byte, error) { return yaml.Marshal(p) }

// Check refuses a policy that could accept nothing, or anything.
func (p *Policy) Check() error {
	if p.Policy != PolicyFormat {
		return fmt.Errorf("policy: %.60q: expected %q, which is what this release reads", p.Policy, PolicyFormat)
	}
	if p.Site == "" || p.Tenant == "" {
		return errors.New("site and tenant: both must be named, so that a bundle of somebody else is refused")
	}
	for i, o := range p.Origins {
		if !o.Valid() {
			return fmt.Errorf("origins[%d]: %.40q: expected hardware, emulated or simulated", i, o)
		}
	}
	have := map[string]bool{}
	type keyFor struct{ purpose, public string }
	seen := map[keyFor]bool{}
	for i, k := range p.Keys {
		field := fmt.Sprintf("keys[%d]", i)
		switch k.Purpose {
		case claim.PurposeCheckpoint:
			if _, err := checkpointVerifier(k.Public); err != nil {
				return fmt.Errorf("%s.public: %w", field, err)
			}
		case claim.PurposeStatement, claim.PurposeInvoice, claim.PurposeProbe:
			public, err := publicKey(k.Public)
			if err != nil {
				return fmt.Errorf("%s.public: %w", field, err)
			}
			if want := claim.KeyID(public); k.ID != "" && k.ID != want {
				return fmt.Errorf("%s.id: %.40q, but the id of this key is %s", field, k.ID, want)
			}
		default:
			return fmt.Errorf("%s.purpose: %.40q: expected checkpoint, statement, invoice or probe", field, k.Purpose)
		}
		if !k.Until.IsZero() && !k.From.Before(k.Until) {
			return fmt.Errorf("%s.until: %s is not after from", field, k.Until.Format(time.RFC3339))
		}
		if seen[keyFor{k.Purpose, k.Public}] {
			return fmt.Errorf("%s: the same key is named twice for one purpose", field)
		}
		seen[keyFor{k.Purpose, k.Public}] = true
		have[k.Purpose] = have[k.Purpose] || !k.Revoked
	}
	for _, purpose := range [...]string{claim.PurposeCheckpoint, claim.PurposeStatement, claim.PurposeInvoice} {
		if !have[purpose] {
			return fmt.Errorf("keys: none for purpose %s: take them from the owner's published trust file (policy init --trust FILE)", purpose)
		}
	}
	for i, role := range p.Networks {
		if !role.Valid() {
			return fmt.Errorf("networks[%d]: %.40q: expected compute, frontend, storage or management", i, role)
		}
	}
	if _, err := p.golden(); err != nil {
		return err
	}
	if _, err := p.consent(); err != nil {
		return err
	}
	_, err := p.attestationKeys()
	return err
}

// golden is the golden values by kind.
func (p *Policy) golden() (map[string][3]claim.Digest, error) {
	out := map[string][3]claim.Digest{}
	for i, g := range p.Golden {
		if _, twice := out[g.Kind]; twice || g.Kind == "" || len(g.PCRs) != 3 {
			return nil, fmt.Errorf("golden[%d]: expected a kind, each once, and the values of PCRs 0, 4 and 7", i)
		}
		var pcrs [3]claim.Digest
		for j, text := range g.PCRs {
			d, err := claim.ParseDigest(text)
			if err != nil || d.IsZero() {
				return nil, fmt.Errorf("golden[%d].pcrs[%d]: %.80q: expected sha256: and 64 hexadecimal digits", i, j, text)
			}
			pcrs[j] = d
		}
		out[g.Kind] = pcrs
	}
	return out, nil
}

// attestationKeys is the attestation keys by node.
func (p *Policy) attestationKeys() (map[string]attestationKey, error) {
	chains, err := p.chains()
	if err != nil {
		return nil, err
	}
	out := map[string]attestationKey{}
	for id, key := range chains {
		out[id] = key
	}
	for id, text := range p.AttestationKeys {
		var key site.PublicKey
		if err := key.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("attestation_keys.%s: %w", id, err)
		}
		if _, err := key.Verifier(); err != nil {
			return nil, fmt.Errorf("attestation_keys.%s: %w", id, err)
		}
		if with, has := chains[id]; has {
			if with.key != key {
				return nil, fmt.Errorf("attestation_keys.%s: another key than that of attestation_certificates", id)
			}
			continue
		}
		out[id] = attestationKey{key: key}
	}
	return out, nil
}

func publicKey(text string) (ed25519.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%.60q: expected the base64 of a 32-byte Ed25519 public key", text)
	}
	return raw, nil
}

// accepts says whether evidence of this origin counts at all.
func (p *Policy) accepts(o claim.Origin) bool {
	return slices.Contains(p.accepted(), o)
}

// accepted is the origins that the policy accepts.
func (p *Policy) accepted() []claim.Origin {
	if len(p.Origins) == 0 {
		return []claim.Origin{claim.Hardware}
	}
	return p.Origins
}

// trustAt is the keys of a purpose that are valid at an instant.
func (p *Policy) trustAt(purpose string, at time.Time) claim.Trust {
	trust := claim.Trust{}
	for _, k := range p.Keys {
		if k.Purpose != purpose || !k.validAt(at) {
			continue
		}
		if public, err := publicKey(k.Public); err == nil {
			trust[claim.KeyID(public)] = public
		}
	}
	return trust
}

func (k *Key) validAt(at time.Time) bool {
	return !k.Revoked && !at.Before(k.From) && (k.Until.IsZero() || at.Before(k.Until))
}

// all is every key of a purpose, valid or not: what a verifier without the
// check of signers would trust.
func (p *Policy) all(purpose string) claim.Trust {
	trust := claim.Trust{}
	for _, k := range p.Keys {
		if public, err := publicKey(k.Public); err == nil && k.Purpose == purpose {
			trust[claim.KeyID(public)] = public
		}
	}
	return trust
}

// everTrusted is the keys of a purpose that are not revoked, whenever valid.
func (p *Policy) everTrusted(purpose string) claim.Trust {
	trust := claim.Trust{}
	for _, k := range p.Keys {
		if k.Purpose == purpose && !k.Revoked {
			if public, err := publicKey(k.Public); err == nil {
				trust[claim.KeyID(public)] = public
			}
		}
	}
	return trust
}
