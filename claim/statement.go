package claim

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// PayloadType is the DSSE payload type of every statement.
const PayloadType = "application/vnd.in-toto+json"

const statementType = "https://in-toto.io/Statement/v1"

// Subject names one thing that a statement is about, by name and digest.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Statement is an in-toto v1 statement: subjects, and a typed predicate about
// them. Its source is the in-toto Attestation Framework, "Statement" v1.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// NewStatement makes a statement about one subject.
func NewStatement(subject string, digest Digest, predicateType string, predicate any) (Statement, error) {
	body, err := marshal(predicate)
	if err != nil {
		return Statement{}, fmt.Errorf("statement about %s: %w", subject, err)
	}
	return Statement{
		Type:          statementType,
		Subject:       []Subject{{Name: subject, Digest: map[string]string{"sha256": fmt.Sprintf("%x", digest[:])}}},
		PredicateType: predicateType,
		Predicate:     body,
	}, nil
}

// Signer signs for one key. KeyID is the name under which a policy trusts it.
type Signer struct {
	KeyID string
	Key   ed25519.PrivateKey
}

// Trust maps key ids to the public keys that a reader accepts. It comes from
// the reader's policy, never from the evidence.
type Trust map[string]ed25519.PublicKey

// KeyID returns the customary id of a public key: the first 16 hexadecimal
// digits of its SHA-256 digest.
func KeyID(public ed25519.PublicKey) string {
	d := DigestOf(public)
	return fmt.Sprintf("%x", d[:8])
}

// Sign puts a statement into a DSSE envelope (DSSE protocol v1). The result is
// deterministic: the same statement and key give the same bytes.
// Cost: about 30 µs and two copies of the predicate.
func Sign(s Statement, signer Signer) ([]byte, error) {
	payload, err := marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	signature := ed25519.Sign(signer.Key, dsse.PAE(PayloadType, payload))
	return json.Marshal(dsse.Envelope{
		PayloadType: PayloadType,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []dsse.Signature{{KeyID: signer.KeyID, Sig: base64.StdEncoding.EncodeToString(signature)}},
	})
}

// ErrUntrusted is returned when no signature on an envelope is by a trusted key.
var ErrUntrusted = errors.New("no signature by a key that the policy trusts")

// Open checks a DSSE envelope against trust and returns its statement. The
// envelope must be the canonical encoding: unknown or repeated fields, or
// other bytes that a decoder would overlook, are refused.
func Open(envelope []byte, trust Trust) (Statement, error) {
	var e dsse.Envelope
	if err := strictJSON(envelope, &e); err != nil {
		return Statement{}, fmt.Errorf("envelope: %w", err)
	}
	canonical, err := json.Marshal(e)
	if err != nil || !bytes.Equal(canonical, envelope) {
		return Statement{}, errors.New("envelope: not in canonical form")
	}
	if e.PayloadType != PayloadType {
		return Statement{}, fmt.Errorf("envelope: payload type %.60q, expected %q", e.PayloadType, PayloadType)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return Statement{}, fmt.Errorf("envelope: payload: %w", err)
	}
	if len(e.Signatures) != 1 {
		return Statement{}, fmt.Errorf("envelope: %d signatures, expected 1", len(e.Signatures))
	}
	key, ok := trust[e.Signatures[0].KeyID]
	if !ok {
		return Statement{}, fmt.Errorf("envelope: key %.40q: %w", e.Signatures[0].KeyID, ErrUntrusted)
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(e.Signatures[0].Sig)
	if err != nil || !ed25519.Verify(key, dsse.PAE(e.PayloadType, payload), signature) {
		return Statement{}, fmt.Errorf("envelope: signature by %s does not fit: %w", e.Signatures[0].KeyID, ErrUntrusted)
	}
	var s Statement
	if err := strictJSON(payload, &s); err != nil {
		return Statement{}, fmt.Errorf("statement: %w", err)
	}
	if s.Type != statementType {
		return Statement{}, fmt.Errorf("statement: type %.60q, expected %q", s.Type, statementType)
	}
	return s, nil
}

// marshal encodes without escaping '<', '>' and '&': a predicate that is canonical
// JSON already must come out of the statement as it went in.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func strictJSON(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("trailing data")
	}
	return nil
}

// Peek returns the predicate of a statement without checking its signature, for
// whoever reads its own store. A reader who distrusts the store uses Open.
func Peek(envelope []byte) ([]byte, error) {
	var e dsse.Envelope
	if err := strictJSON(envelope, &e); err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("envelope: payload: %w", err)
	}
	var s Statement
	if err := strictJSON(payload, &s); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return s.Predicate, nil
}
