// Package sshkey is what a person signs an act with: a public key and signatures as
// OpenSSH writes them. Signatures are as ssh-keygen -Y makes them (SSHSIG). It only
// checks; who signs does so with a file, an agent or a hardware key of their own.
//
// Taken are Ed25519 and ECDSA on the NIST curves, in a file or on a hardware key
// (sk-). RSA, DSA and certificates are refused: a certificate would make somebody
// else's key the judge of whose key counts. A signature of a hardware key counts only
// with user presence; golang.org/x/crypto/ssh checks that.
//
// Sources: OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f.
package sshkey

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// Limits in bytes, far above what keys and signatures of the types that are taken
// need: they bound what is decoded.
const (
	MaxKey       = 1024
	MaxSignature = 4096
)

var types = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
}

// Key is a public key. The zero Key is none.
type Key struct{ public ssh.PublicKey }

// Parse reads one line of a .pub file. The comment at its end is left out; options
// before the key, a second line and any other type of key are errors.
func Parse(line string) (Key, error) {
	if len(line) > MaxKey {
		return Key{}, fmt.Errorf("public key: %d bytes, at most %d are taken", len(line), MaxKey)
	}
	public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, errors.New("public key: expected one line as OpenSSH writes it into a .pub file, such as \"ssh-ed25519 AAAA...\"")
	}
	if len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, errors.New("public key: expected one key on one line, and no options before it")
	}
	return Of(public)
}

// Of is a key that a library has read.
func Of(public ssh.PublicKey) (Key, error) {
	if !slices.Contains(types, public.Type()) {
		return Key{}, fmt.Errorf("public key: %.60q is not taken: expected one of %s", public.Type(), strings.Join(types, ", "))
	}
	return Key{public}, nil
}

// IsZero says whether there is no key.
func (k Key) IsZero() bool { return k.public == nil }

// String is the one form of a key in entries and policies: its type and its base64,
// without a comment.
func (k Key) String() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.public)))
}

// Fingerprint is "SHA256:" and the base64 that ssh-keygen -l prints.
func (k Key) Fingerprint() string { return ssh.FingerprintSHA256(k.public) }

// Hardware says whether the private half is on a hardware key that asks for a touch.
func (k Key) Hardware() bool { return strings.HasPrefix(k.public.Type(), "sk-") }

// Verify reports whether an armoured signature by this key is over a message, in a
// namespace. It takes SHA-512 alone, which is what ssh-keygen uses, and one form of
// the armour, so that a signature has one text.
func (k Key) Verify(namespace string, message []byte, armoured string) error {
	if len(armoured) > MaxSignature {
		return fmt.Errorf("signature: %d bytes, at most %d are taken", len(armoured), MaxSignature)
	}
	s, err := sshsig.Unarmor([]byte(armoured))
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if string(sshsig.Armor(s)) != armoured {
		return errors.New("signature: not in the form that it is kept in")
	}
	if s.HashAlgorithm != sshsig.HashSHA512 {
		return fmt.Errorf("signature: made with %.20q, expected %q", string(s.HashAlgorithm), string(sshsig.HashSHA512))
	}
	if err := sshsig.Verify(bytes.NewReader(message), s, k.public, sshsig.HashSHA512, namespace); err != nil {
		return fmt.Errorf("signature by %s: %w", k.Fingerprint(), err)
	}
	return nil
}

// Signatory is the key that a signature says it is by, and the signature in the one
// form in which it is kept: ssh-keygen breaks lines elsewhere. Nothing is checked.
func Signatory(armoured string) (Key, string, error) {
	if len(armoured) > MaxSignature {
		return Key{}, "", fmt.Errorf("signature: %d bytes, at most %d are taken", len(armoured), MaxSignature)
	}
	s, err := sshsig.Unarmor([]byte(armoured))
	if err != nil {
		return Key{}, "", fmt.Errorf("signature: %w: expected what ssh-keygen -Y sign writes", err)
	}
	key, err := Of(s.PublicKey)
	return key, string(sshsig.Armor(s)), err
}

// Signer signs with a key; ssh.NewSignerFromKey and an agent's Signers give one.
type Signer = ssh.Signer

// Sign makes the armoured signature of a message in a namespace.
func Sign(signer Signer, namespace string, message []byte) (string, error) {
	s, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA512, namespace)
	if err != nil {
		return "", err
	}
	return string(sshsig.Armor(s)), nil
}

// MarshalText writes a key in its one form; no key is "".
func (k Key) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*k = Key{}
		return nil
	}
	*k, err = Parse(string(text))
	return err
}

// Marshal is the key in SSH's wire format.
func (k Key) Marshal() []byte { return k.public.Marshal() }
