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
