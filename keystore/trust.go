package keystore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
)

// Trust is what the owner publishes about its keys, for tenants to put into
// their policies, having compared it by a way of their own. It is never taken
// from a bundle.
type Trust struct {
	Site string     `json:"site"`
	Keys []TrustKey `json:"keys"`
}

// TrustKey is the public half of one key.
type TrustKey struct {
	Purpose string    `json:"purpose"`
	ID      string    `json:"id"`
	Public  string    `json:"public"`         // base64, 32 bytes, ed25519
	Note    string    `json:"note,omitempty"` // for checkpoints: the verifier key of a signed note
	From    time.Time `json:"from"`
	Until   time.Time `json:"until,omitzero"` // when it was retired
}

// Trust lists the public keys.
func (s *Store) Trust(site string) (Trust, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Trust{Site: site}
	for i := range s.keys {
		k := &s.keys[i]
		entry := TrustKey{Purpose: k.Purpose, ID: k.ID, Public: base64.StdEncoding.EncodeToString(k.Public()), From: k.Created, Until: k.Retired}
		if k.Purpose == claim.PurposeCheckpoint {
			_, verifier, err := noteKeys(k)
			if err != nil {
				return Trust{}, err
			}
			entry.Note = verifier
		}
		t.Keys = append(t.Keys, entry)
	}
	return t, nil
}

// Encode writes the trust file.
func (t Trust) Encode() ([]byte, error) { return json.MarshalIndent(t, "", "  ") }

// Verifiers are the note verifiers of the checkpoint keys, retired ones too.
func (s *Store) Verifiers() ([]note.Verifier, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []note.Verifier
	for i := range s.keys {
		if s.keys[i].Purpose != claim.PurposeCheckpoint {
			continue
		}
		_, public, err := noteKeys(&s.keys[i])
		if err != nil {
			return nil, err
		}
		v, err := note.NewVerifier(public)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// noteKeys writes a key in the encodings of signed notes (C2SP signed-note):
// algorithm byte 1 is ed25519, and the key hash covers the name and the key.
func noteKeys(k *Key) (secret, public string, err error) {
	if len(k.Seed) == 0 {
		return "", "", fmt.Errorf("key %s has no secret here", k.ID)
	}
	encoded := append([]byte{1}, k.Public()...)
	h := sha256.New()
	h.Write([]byte(CheckpointName + "\n"))
	h.Write(encoded)
	hash := binary.BigEndian.Uint32(h.Sum(nil))
	public = fmt.Sprintf("%s+%08x+%s", CheckpointName, hash, base64.StdEncoding.EncodeToString(encoded))
	secret = fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", CheckpointName, hash, base64.StdEncoding.EncodeToString(append([]byte{1}, k.Seed...)))
	return secret, public, nil
}
