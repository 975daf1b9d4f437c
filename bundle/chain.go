package bundle

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/site"
)

// attestationKey is a key that the tenant knows by another way than the bundle.
type attestationKey struct {
	key     site.PublicKey
	chained bool // a maker whom the policy trusts says that it is in a TPM
	// From when until when the maker's certificate says so.
	from, until time.Time
}

// chains reads the certificates of attestation keys, by node: each is followed by those
// between it and one of the makers whom the policy trusts.
func (p *Policy) chains() (map[string]attestationKey, error) {
	if len(p.AttestationCertificates) == 0 {
		return nil, nil
	}
	roots := x509.NewCertPool()
	for i, text := range p.AttestationRoots {
		list, err := certificates(text)
		if err != nil {
			return nil, fmt.Errorf("attestation_roots[%d]: %w", i, err)
		}
		for _, c := range list {
			roots.AddCert(c)
		}
	}
	out := map[string]attestationKey{}
	for id, text := range p.AttestationCertificates {
		key, err := chained(roots, text)
		if err != nil {
			return nil, fmt.Errorf("attestation_certificates.%s: %w", id, err)
		}
		out[id] = key
	}
	return out, nil
}

// chained judges a certificate at its own begin: whether it counts at the time of a
// TPM quote is compared where the quote is.
func chained(roots *x509.CertPool, text string) (attestationKey, error) {
	list, err := certificates(text)
	if err != nil {
		return attestationKey{}, err
	}
	between := x509.NewCertPool()
	for _, c := range list[1:] {
		between.AddCert(c)
	}
	leaf := list[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return attestationKey{}, fmt.Errorf("no chain to one of attestation_roots: %w", err)
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return attestationKey{}, errors.New("its key is none on P-256, as attestation keys are here")
	}
	k := attestationKey{chained: true, from: leaf.NotBefore, until: leaf.NotAfter}
	point, err := public.ECDH() // refuses what is not on its curve
	if err != nil || len(point.Bytes()) != len(k.key) {
		return attestationKey{}, errors.New("its key is none on P-256, as attestation keys are here")
	}
	copy(k.key[:], point.Bytes())
	return k, nil
}

// certificates reads one certificate or more, as PEM.
func certificates(text string) (list []*x509.Certificate, err error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("expected a certificate as PEM")
	}
	return list, nil
}

// attested is how strong the claim of a turnover statement is, and why no better. That
// it is about hardware is the owner's word, as is the attestation key, unless a maker
// says that this key is in a TPM.
func (s *turnoverSays) attested() (claim.Grade, string) {
	switch {
	case !s.ownKey:
		return claim.OperatorAsserted, "the attestation key is the one that the statement names"
	case !s.chained:
		return claim.OperatorAsserted, "the attestation key is one that the tenant keeps; no maker's certificate says that it is in a TPM"
	}
	return claim.HardwareAttested, ""
}
