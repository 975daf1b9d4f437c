package claim

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
	maxSSHKey       = 1024
	maxSSHSignature = 4096
)

// sshKeys are the types of keys that are taken. RSA, DSA and certificates are refused: a
// certificate would make somebody else's key the judge of whose key counts. A signature
// of a hardware key (sk-) counts only with user presence; golang.org/x/crypto/ssh checks
// that.
var sshKeys = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
}

// SSHKey is the public key of a person who signs acts, as OpenSSH writes it; its
// signatures are as ssh-keygen -Y makes them (SSHSIG). The person signs with a file, an
// agent or a hardware key of their own. The zero SSHKey is none.
//
// Sources: OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f.
type SSHKey struct{ public ssh.PublicKey }

// ParseSSHKey reads one line of a .pub file. The comment at its end is left out; options
// before the key, a second line and any other type of key are errors.
func ParseSSHKey(line string) (SSHKey, error) {
	if len(line) > maxSSHKey {
		return SSHKey{}, fmt.Errorf("public key: %d bytes, at most %d are taken", len(line), maxSSHKey)
	}
	public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return SSHKey{}, errors.New("public key: expected one line as OpenSSH writes it into a .pub file, such as \"ssh-ed25519 AAAA...\"")
	}
	if len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return SSHKey{}, errors.New("public key: expected one key on one line, and no options before it")
	}
	return SSHKeyOf(public)
}

// SSHKeyOf is a key that a library has read.
func SSHKeyOf(public ssh.PublicKey) (SSHKey, error) {
	if !slices.Contains(sshKeys, public.Type()) {
		return SSHKey{}, fmt.Errorf("public key: %.60q is not taken: expected one of %s", public.Type(), strings.Join(sshKeys, ", "))
	}
	return SSHKey{public}, nil
}

// IsZero says whether there is no key.
func (k SSHKey) IsZero() bool { return k.public == nil }

// String is the one form of a key in entries and policies: its type and its base64,
// without a comment.
func (k SSHKey) String() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.public)))
}

// Fingerprint is "SHA256:" and the base64 that ssh-keygen -l prints.
func (k SSHKey) Fingerprint() string { return ssh.FingerprintSHA256(k.public) }

// Hardware says whether the private half is on a hardware key that asks for a touch.
func (k SSHKey) Hardware() bool { return strings.HasPrefix(k.public.Type(), "sk-") }

// Verify reports whether an armoured signature by this key is over a message, in a
// namespace. It takes SHA-512 alone, which is what ssh-keygen uses, and one form of
// the armour, so that a signature has one text.
func (k SSHKey) Verify(namespace string, message []byte, armoured string) error {
	if len(armoured) > maxSSHSignature {
		return fmt.Errorf("signature: %d bytes, at most %d are taken", len(armoured), maxSSHSignature)
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

// SSHSignatory is the key that a signature says it is by, and the signature in the one
// form in which it is kept: ssh-keygen breaks lines elsewhere. Nothing is checked.
func SSHSignatory(armoured string) (SSHKey, string, error) {
	if len(armoured) > maxSSHSignature {
		return SSHKey{}, "", fmt.Errorf("signature: %d bytes, at most %d are taken", len(armoured), maxSSHSignature)
	}
	s, err := sshsig.Unarmor([]byte(armoured))
	if err != nil {
		return SSHKey{}, "", fmt.Errorf("signature: %w: expected what ssh-keygen -Y sign writes", err)
	}
	key, err := SSHKeyOf(s.PublicKey)
	return key, string(sshsig.Armor(s)), err
}

// SSHSigner signs with a key; ssh.NewSignerFromKey and an agent's Signers give one.
type SSHSigner = ssh.Signer

// SignSSH makes the armoured signature of a message in a namespace.
func SignSSH(signer SSHSigner, namespace string, message []byte) (string, error) {
	s, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA512, namespace)
	if err != nil {
		return "", err
	}
	return string(sshsig.Armor(s)), nil
}

// MarshalText writes a key in its one form; no key is "".
func (k SSHKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (k *SSHKey) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*k = SSHKey{}
		return nil
	}
	*k, err = ParseSSHKey(string(text))
	return err
}

// Marshal is the key in SSH's wire format.
func (k SSHKey) Marshal() []byte { return k.public.Marshal() }
