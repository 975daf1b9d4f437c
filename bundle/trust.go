package bundle

import (
	"fmt"
	"time"

	"bulkhead/claim"
)

// trustFile is what an owner publishes: the public halves of its keys.
type trustFile struct {
	Site string     `yaml:"site"`
	Keys []trustKey `yaml:"keys"`
}

type trustKey struct {
	Purpose string    `yaml:"purpose"`
	ID      string    `yaml:"id"`
	Public  string    `yaml:"public"`
	Note    string    `yaml:"note"` // verifier key of a checkpoint key
	From    time.Time `yaml:"from"`
	Until   time.Time `yaml:"until"`
}

// maxTrust is the size of a trust file in bytes: some thousand keys.
const maxTrust = 1 << 20

// PolicyFromTrust makes a policy for a tenant from the owner's published trust
// file: the keys are the owner's, everything else is still to be decided. Keys
// of purposes that a tenant needs none of are left out.
func PolicyFromTrust(file string, data []byte, tenant string) (*Policy, error) {
	var t trustFile
	if err := claim.DecodeYAML(file, data, maxTrust, "what bulkhead key trust wrote", &t, nil); err != nil {
		return nil, err
	}
	p := &Policy{Policy: PolicyFormat, Site: t.Site, Tenant: tenant}
	for _, k := range t.Keys {
		key := Key{Purpose: k.Purpose, ID: k.ID, Public: k.Public, From: k.From.UTC(), Until: k.Until.UTC()}
		switch k.Purpose {
		case claim.PurposeCheckpoint:
			key.ID, key.Public = "", k.Note
			p.Keys = append(p.Keys, key)
		case claim.PurposeStatement, claim.PurposeInvoice:
			p.Keys = append(p.Keys, key)
		}
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// CheckPins refuses a pinned checkpoint that the policy's own keys do not sign.
func (p *Policy) CheckPins() error {
	if p.Pinned == "" {
		return nil
	}
	_, err := newVerifier(p, Options{})
	return err
}

// Name is how a person tells a key from another one.
func (k *Key) Name() string {
	if k.Purpose == claim.PurposeCheckpoint {
		return k.Public
	}
	if public, err := publicKey(k.Public); err == nil {
		return claim.KeyID(public)
	}
	return k.Public
}

// Validity is when a key counts, in words, with a space before it; "" is ever.
func (k *Key) Validity() string {
	switch {
	case k.Revoked:
		return " revoked"
	case k.From.IsZero() && k.Until.IsZero():
		return ""
	case k.Until.IsZero():
		return " from " + stamp(k.From)
	}
	return " from " + stamp(k.From) + " until " + stamp(k.Until)
}
