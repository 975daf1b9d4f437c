package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/claim"
	"bulkhead/contract"
)

// TestSignWithAnAgent signs with a key that an SSH agent holds, named by its public
// half, and with the private key file itself: both are the key's.
func TestSignWithAnAgent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "officer")
	key, err := newKeyFile(file, "officer, laptop")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	socket := filepath.Join(dir, "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, conn) }()
		}
	}()
	now := time.Date(2026, 4, 27, 0, 0, 0, 0, time.UTC)
	act := contract.KeyAssent(contract.ActRegisterKey, "tiny", "acme", key, now, now.Add(time.Hour))

	t.Setenv("SSH_AUTH_SOCK", "")
	if _, err := signWith(file+".pub", act); err == nil || !strings.Contains(err.Error(), "there is no SSH agent") {
		t.Errorf("without an agent: %v", err)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	if _, err := signWith(file+".pub", act); err == nil || !strings.Contains(err.Error(), "does not hold the private half") {
		t.Errorf("by an agent that does not hold it: %v", err)
	}
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + ".pub"} {
		s, err := signWith(path, act)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(act, key, now); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := signWith(file, act); err == nil {
		t.Error("a private key that others can read is used")
	}
}

// TestNoOtherDocumentIsSignedThanWasRead: a dishonest server answers with the digest of
// the page that was read, and with another document or page beside it.
func TestNoOtherDocumentIsSignedThanWasRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "officer")
	if _, err := newKeyFile(file, "officer"); err != nil {
		t.Fatal(err)
	}
	quote := func(price string) *v1.Quote {
		data, err := os.ReadFile("../../docs/first-lease.yaml")
		if err != nil {
			t.Fatal(err)
		}
		c, err := contract.Parse("first-lease.yaml", []byte(strings.Replace(string(data), "3.95", price, 1)))
		if err != nil {
			t.Fatal(err)
		}
		expires := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
		page, err := contract.Page(&contract.Quoted{Quote: "q", Contract: c.Encode(), Expires: expires, Offered: contract.Signature{Party: contract.Owner, By: "sales"}})
		if err != nil {
			t.Fatal(err)
		}
		return &v1.Quote{
			Id: "q", Contract: c.ID, Version: int32(c.Version), Tenant: c.Tenant, Site: "tiny", Now: "2026-04-27T00:00:00Z", Expires: expires.Format(time.RFC3339),
			Document: c.Encode(), Page: string(page), PageDigest: claim.DigestOf(page).String(),
		}
	}
	read, dear := quote("3.95"), quote("39.5")
	for name, c := range map[string]struct{ document, page, digest *v1.Quote }{
		"the page that was read, and another document":               {dear, read, read},
		"the digest that was read, and another page and document":    {dear, dear, read},
		"another page, the digest and the document that were read":   {read, dear, read},
		"the document that was read, and all else of another's page": {read, dear, dear},
	} {
		q := quote("3.95")
		q.Document, q.Page, q.PageDigest = c.document.Document, c.page.Page, c.digest.PageDigest
		r := &v1.SignLeaseRequest{}
		if err := (signFlag{Key: file}).signQuote(r, q); err == nil || !strings.Contains(err.Error(), "sign nothing") || r.Signature != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := &v1.SignLeaseRequest{}
	if err := (signFlag{Key: file}).signQuote(r, read); err != nil || r.Signature == nil {
		t.Errorf("an honest server gets no signature: %v", err)
	}
}
