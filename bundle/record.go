package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"bulkhead/claim"
)

// A record is a length (unsigned varint, shortest form) and that many bytes. In
// the entries section these are the exact bytes of an entry's frame.
//
// In the bodies section the first byte says how the body is kept. A signed
// statement is base64 within JSON, which hides its text from compression: it is
// kept as key id, signature and payload, from which its one canonical envelope
// is made again, byte by byte.
const (
	keptPlain    = 0
	keptEnvelope = 1
)

var errRecord = errors.New("record is cut off, or its length is not in shortest form")

func appendRecord(b, record []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(record)))
	return append(b, record...)
}

// cutRecord takes the first record off b.
func cutRecord(b []byte) (record, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > maxRecord || size > uint64(len(b)-n) || n > 1 && b[n-1] == 0 {
		return nil, nil, errRecord
	}
	return b[n : n+int(size) : n+int(size)], b[n+int(size):], nil
}

// appendBody appends the kept form of a body.
func appendBody(b, body []byte) []byte {
	if e, ok := splitEnvelope(body); ok {
		b = append(b, keptEnvelope)
		b = appendRecord(b, []byte(e.keyID))
		b = appendRecord(b, e.signature)
		return append(b, e.payload...)
	}
	return append(append(b, keptPlain), body...)
}

// restoreBody is the inverse of appendBody, and gives an envelope apart as well.
// It refuses what appendBody would have kept in another form: one body has one
// form.
func restoreBody(kept []byte) (body []byte, apart *envelope, err error) {
	if len(kept) == 0 {
		return nil, nil, errRecord
	}
	switch kept[0] {
	case keptPlain:
		body := kept[1:]
		if _, ok := splitEnvelope(body); ok {
			return nil, nil, errors.New("a statement is kept as plain bytes")
		}
		return body, nil, nil
	case keptEnvelope:
		keyID, rest, err := cutRecord(kept[1:])
		if err != nil {
			return nil, nil, err
		}
		signature, payload, err := cutRecord(rest)
		if err != nil {
			return nil, nil, err
		}
		e := &envelope{string(keyID), signature, payload}
		body, err := joinEnvelope(*e)
		return body, e, err
	}
	return nil, nil, errors.New("a body is kept in an unknown form")
}

// openEnvelope is claim.Open for an envelope that is still apart: the envelope
// that stands for it is canonical by the way it is made, so that making it,
// reading it and comparing it again would show nothing. A property test holds
// the two to the same answers. It costs a third of claim.Open.
func openEnvelope(e envelope, trust claim.Trust) (claim.Statement, error) {
	key, ok := trust[e.keyID]
	if !ok {
		return claim.Statement{}, fmt.Errorf("envelope: key %.40q: %w", e.keyID, claim.ErrUntrusted)
	}
	if !ed25519.Verify(key, dsse.PAE(claim.PayloadType, e.payload), e.signature) {
		return claim.Statement{}, fmt.Errorf("envelope: signature by %s does not fit: %w", e.keyID, claim.ErrUntrusted)
	}
	s, err := decodeStatement(e.payload)
	if err != nil {
		return claim.Statement{}, fmt.Errorf("statement: %w", err)
	}
	return s, nil
}

var statementShape = claim.ShapeOf[claim.Statement]()

const predicateStart = `,"predicate":`

// decodeStatement reads a statement in the form that claim.Sign writes: type,
// subject, type of the predicate, predicate. The predicate is cut out and not
// read twice. A quote inside a text is escaped, so that predicateStart stands
// in no text.
func decodeStatement(payload []byte) (claim.Statement, error) {
	var s claim.Statement
	if usual(payload, &s) {
		return s, nil
	}
	cut := bytes.Index(payload, []byte(predicateStart))
	if cut < 0 || payload[len(payload)-1] != '}' {
		return s, errors.New("not in the form that statements are signed in")
	}
	head := append(append(make([]byte, 0, cut+1), payload[:cut]...), '}')
	if err := statementShape.Decode(head, &s); err != nil {
		return s, err
	}
	if s.Type != statementType || len(s.Predicate) != 0 {
		return s, fmt.Errorf("type %.60q, expected %q", s.Type, statementType)
	}
	s.Predicate = payload[cut+len(predicateStart) : len(payload)-1]
	return s, nil
}

// usual reads a statement about one thing, of which no text holds anything that JSON
// would escape: nearly all. A property test holds it to the same answers.
func usual(payload []byte, s *claim.Statement) bool {
	rest, ok := bytes.CutPrefix(payload, []byte(`{"_type":"`+statementType+`","subject":[{"name":"`))
	name, rest, ok2 := bytes.Cut(rest, []byte(`","digest":{"sha256":"`))
	digest, rest, ok3 := bytes.Cut(rest, []byte(`"}}],"predicateType":"`))
	kind, predicate, ok4 := bytes.Cut(rest, []byte(`"`+predicateStart))
	if !ok || !ok2 || !ok3 || !ok4 || len(predicate) == 0 || predicate[len(predicate)-1] != '}' {
		return false
	}
	for _, text := range [...][]byte{name, digest, kind} {
		for _, c := range text {
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				return false
			}
		}
	}
	s.Type, s.PredicateType, s.Predicate = statementType, string(kind), predicate[:len(predicate)-1]
	s.Subject = append(s.Subject, claim.Subject{Name: string(name), Digest: map[string]string{"sha256": string(digest)}})
	return true
}

// statementType is the in-toto type that claim writes and reads.
const statementType = "https://in-toto.io/Statement/v1"

type envelope struct {
	keyID     string
	signature []byte
	payload   []byte
}

// splitEnvelope takes a canonical envelope with one signature apart.
func splitEnvelope(body []byte) (envelope, bool) {
	payload, keyID, signature, err := claim.DecodeEnvelope(body)
	return envelope{keyID, signature, payload}, err == nil
}

// joinEnvelope makes the canonical envelope.
func joinEnvelope(e envelope) ([]byte, error) {
	return claim.EncodeEnvelope(e.payload, e.keyID, e.signature), nil
}
