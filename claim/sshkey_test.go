package claim_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"bulkhead/claim"
)

func readKey(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSignaturesOfOpenSSH checks what ssh-keygen has made (testdata, by
// "ssh-keygen -Y sign -n tenant-act@bulkhead" over the text "the act"), and that
// nothing else is taken for it.
func TestSignaturesOfOpenSSH(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa"} {
		key, err := claim.ParseSSHKey(readKey(t, kind+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		by, signature, err := claim.SSHSignatory(readKey(t, kind+".sig"))
		if err != nil || by.Fingerprint() != key.Fingerprint() {
			t.Fatalf("%s: it is by %v, %v", kind, by, err)
		}
		if err := key.Verify(claim.PurposeTenantAct, []byte("the act"), signature); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for what, err := range map[string]error{
			"another message":          key.Verify(claim.PurposeTenantAct, []byte("another act"), signature),
			"another namespace":        key.Verify("file", []byte("the act"), signature),
			"another form of the same": key.Verify(claim.PurposeTenantAct, []byte("the act"), readKey(t, kind+".sig")),
			"something behind it":      key.Verify(claim.PurposeTenantAct, []byte("the act"), signature+"more\n"),
			"something before it":      key.Verify(claim.PurposeTenantAct, []byte("the act"), "more\n"+signature),
			"nothing":                  key.Verify(claim.PurposeTenantAct, []byte("the act"), ""),
			"too much":                 key.Verify(claim.PurposeTenantAct, []byte("the act"), strings.Repeat(signature, 20)),
		} {
			if err == nil {
				t.Errorf("%s: %s is taken", kind, what)
			}
		}
	}
}

func TestSSHKeysThatAreNotTaken(t *testing.T) {
	good := strings.TrimSpace(readKey(t, "ed25519.pub"))
	for what, line := range map[string]string{
		"RSA": readKey(t, "rsa.pub"), "an option before it": `command="x" ` + good, "two keys": good + "\n" + good, "nothing": "",
		"half a key": good[:40], "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----", "too long": good + strings.Repeat("x", 1024),
	} {
		if key, err := claim.ParseSSHKey(line); err == nil {
			t.Errorf("%s is taken as %s", what, key)
		}
	}
	key, err := claim.ParseSSHKey(good)
	if err != nil || key.String()+" a comment" != good {
		t.Errorf("%s is kept as %s: %v", good, key, err)
	}
}

// hardware is a key on a hardware key, as far as its signatures go.
type hardware struct {
	private ed25519.PrivateKey
	flags   byte
}

const application = "ssh:"

func (h hardware) PublicKey() ssh.PublicKey {
	public, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, h.private.Public().(ed25519.PublicKey), application}))
	if err != nil {
		panic(err)
	}
	return public
}

func (h hardware) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	app, message := sha256.Sum256([]byte(application)), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{h.flags}, 7)
	blob := bytes.Join([][]byte{app[:], rest, message[:]}, nil)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(h.private, blob), Rest: rest}, nil
}

// TestHardwareKeysAreTouched: a signature for which nobody touched the key is none.
func TestHardwareKeysAreTouched(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	for flags, counts := range map[byte]bool{0: false, 1: true, 4: false, 5: true} { // 1: present, 4: verified
		signer := hardware{private, flags}
		key, err := claim.SSHKeyOf(signer.PublicKey())
		if err != nil || !key.Hardware() {
			t.Fatal(err)
		}
		again, err := claim.ParseSSHKey(key.String())
		if err != nil {
			t.Fatal(err)
		}
		signature, err := claim.SignSSH(signer, claim.PurposeTenantAct, []byte("the act"))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Verify(claim.PurposeTenantAct, []byte("the act"), signature); (err == nil) != counts {
			t.Errorf("flags %d: %v", flags, err)
		}
	}
}

func FuzzSSHKey(f *testing.F) {
	public, err := os.ReadFile(filepath.Join("testdata", "ed25519.pub"))
	if err != nil {
		f.Fatal(err)
	}
	signature, err := os.ReadFile(filepath.Join("testdata", "ed25519.sig"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(public), string(signature))
	f.Fuzz(func(t *testing.T, line, armoured string) {
		key, err := claim.ParseSSHKey(line)
		if err != nil {
			return
		}
		if again, err := claim.ParseSSHKey(key.String()); err != nil || again.String() != key.String() {
			t.Fatalf("%q is read again as %v, %v", key, again, err)
		}
		if _, text, err := claim.SSHSignatory(armoured); err == nil {
			_ = key.Verify(claim.PurposeTenantAct, []byte("the act"), text)
		}
		_ = key.Verify(claim.PurposeTenantAct, []byte("the act"), armoured)
	})
}
