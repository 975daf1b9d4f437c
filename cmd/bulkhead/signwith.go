package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/term"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/custody"
)

// signFlag is the flag of every verb by which a tenant signs.
type signFlag struct {
	Key string `placeholder:"FILE" help:"Your own key, with which you sign for the tenant: a private key file of OpenSSH, or a .pub file whose private half is in the SSH agent or on a hardware key that it holds."`
}

// agentPatience bounds the wait for an agent, which may ask for a touch.
const agentPatience = time.Minute

// openSigner finds the signer that a key file names. leave ends what it needed.
func openSigner(path string) (signer ssh.Signer, leave func(), err error) {
	data, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return nil, nil, fmt.Errorf("--key: %w", err)
	}
	if !bytes.Contains(data, []byte("PRIVATE KEY")) {
		return agentSigner(path, data)
	}
	if data, err = custody.ReadSecret(path, custody.Small); err != nil { // again: that nobody else can read it
		return nil, nil, fmt.Errorf("--key: %w", err)
	}
	signer, err = ssh.ParsePrivateKey(data)
	var sealed *ssh.PassphraseMissingError
	if errors.As(err, &sealed) {
		passphrase, asked := askPassphrase(path)
		if asked != nil {
			return nil, nil, asked
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(data, passphrase)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--key %s: %w", path, err)
	}
	return signer, func() {}, nil
}

func askPassphrase(path string) ([]byte, error) {
	if !isTerminal() {
		return nil, fmt.Errorf("--key %s: it has a passphrase, and there is no terminal to ask for it: add it to the SSH agent (ssh-add) and give its .pub file", path)
	}
	fmt.Fprintf(remarks, "Passphrase of %s: ", path)
	passphrase, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(remarks)
	return passphrase, err
}

// agentSigner finds the private half of a public key in the SSH agent.
func agentSigner(path string, public []byte) (ssh.Signer, func(), error) {
	key, err := claim.ParseSSHKey(strings.TrimSpace(string(public)))
	if err != nil {
		return nil, nil, fmt.Errorf("--key %s: %w", path, err)
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, nil, fmt.Errorf("--key %s: it is a public key, and there is no SSH agent (SSH_AUTH_SOCK): start one and ssh-add the private key, or give its file", path)
	}
	conn, err := net.DialTimeout("unix", socket, agentPatience)
	if err != nil {
		return nil, nil, fmt.Errorf("SSH agent: %w", err)
	}
	leave := func() { _ = conn.Close() }
	_ = conn.SetDeadline(time.Now().Add(agentPatience)) // a socket takes one
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		leave()
		return nil, nil, fmt.Errorf("SSH agent: %w", err)
	}
	for _, s := range signers {
		if bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) {
			return s, leave, nil
		}
	}
	leave()
	return nil, nil, fmt.Errorf("--key %s: the SSH agent does not hold the private half of %s: ssh-add it", path, key.Fingerprint())
}

// signWith signs an act of a tenant with a key, after showing it: the text is made
// of the very fields that are signed. It goes to stderr, beside what is printed.
func signWith(path string, a contract.Assent) (*contract.SignedAssent, error) {
	signer, leave, err := openSigner(path)
	if err != nil {
		return nil, err
	}
	defer leave()
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		return nil, fmt.Errorf("--key %s: %w", path, err)
	}
	fmt.Fprintf(remarks, "signing with key %s\n%s", key.Fingerprint(), a.Text())
	if key.Hardware() {
		fmt.Fprintln(remarks, "touch the key")
	}
	signed, err := a.Sign(signer)
	if err != nil {
		return nil, fmt.Errorf("--key %s: %w", path, err)
	}
	return signed, nil
}

// signRead signs the quote of a request with the key, where one was given, if it still
// has the page that was read.
func (f signFlag) signRead(ctx context.Context, c *client, r *v1.SignLeaseRequest) error {
	if f.Key == "" {
		return nil
	}
	q, err := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ShowQuote, &v1.QuoteRef{Quote: r.Quote, Tenant: r.Tenant})
	if err != nil {
		return err
	}
	if r.Digest != "" && r.Digest != q.PageDigest {
		return fmt.Errorf("--digest: %s is not the digest of the page of quote %s, which is %s: it was replaced since, or another one was read; nothing was signed", r.Digest, r.Quote, q.PageDigest)
	}
	return f.signQuote(r, q)
}

// signQuote signs what a quote offers. The act is made here, of the contract's own
// bytes: a server that shows one thing and asks to sign another gets no signature.
func (f signFlag) signQuote(r *v1.SignLeaseRequest, q *v1.Quote) error {
	c, err := contract.Decode(q.Document)
	if err != nil {
		return fmt.Errorf("quote %s: the server's document: %w", q.Id, err)
	}
	if c.ID != q.Contract || int32(c.Version) != q.Version || c.Tenant != q.Tenant {
		return fmt.Errorf("quote %s: the server says contract %q, version %d, of tenant %q, and its document is of %q, version %d, of %q: nothing was signed", q.Id, q.Contract, q.Version, q.Tenant, c.ID, c.Version, c.Tenant)
	}
	// The page that was read names its document: a server that shows one and has another
	// signed is found out here, by whatever digest it says that the page has.
	if err := isItsPage(q); err != nil {
		return err
	}
	if !contract.IsPageOf(q.Page, c.Digest()) {
		return fmt.Errorf("quote %s: its page is not of the document that would be signed, %s: sign nothing, and ask the site's operator", q.Id, c.Digest())
	}
	now, err := time.Parse(time.RFC3339, q.Now)
	if err != nil {
		return fmt.Errorf("quote %s: now: %w", q.Id, err)
	}
	expires, err := time.Parse(time.RFC3339, q.Expires)
	if err != nil {
		return fmt.Errorf("quote %s: expires: %w", q.Id, err)
	}
	assent := c.Assent(q.Site, q.Id, now, expires)
	assent.Page = claim.DigestOf([]byte(q.Page))
	signed, err := signWith(f.Key, assent)
	if err != nil {
		return err
	}
	r.Assent, r.Signature = signed.Assent.Encode(), []byte(signed.Signature)
	return nil
}

// newKeyFile makes an Ed25519 key in OpenSSH's form: the private half for its owner
// alone, the public half beside it.
func newKeyFile(path, comment string) (claim.SSHKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return claim.SSHKey{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return claim.SSHKey{}, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return claim.SSHKey{}, err
	}
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		return claim.SSHKey{}, err
	}
	if err := writeKeyFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return claim.SSHKey{}, err
	}
	return key, writeKeyFile(path+".pub", []byte(strings.TrimSpace(key.String()+" "+comment)+"\n"), 0o644)
}

// writeKeyFile writes a file that does not exist yet.
func writeKeyFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists, and nothing is overwritten: give another name", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
