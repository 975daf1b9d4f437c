package pki

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authority makes one in a folder of its own.
func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	must(t, CreateAuthority(dir, "test", time.Now(), 24*time.Hour))
	return dir
}

// issue has an authority make a pair of files.
func issue(t *testing.T, dir string, use Use, now time.Time, names ...string) (certFile, keyFile string) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "one")
	_, err := Issue(dir, at+".pem", at+".key", Request{Names: names, Use: use, Valid: time.Hour}, now)
	must(t, err)
	return at + ".pem", at + ".key"
}

func identity(t *testing.T, dir string, use Use, vouching string) *Identity {
	t.Helper()
	cert, key := issue(t, dir, use, time.Now(), "localhost", "127.0.0.1")
	i, err := OpenIdentity(cert, key, filepath.Join(vouching, AuthorityCert))
	must(t, err)
	return i
}

// meet has a client say something to a server, and says what became of it at the client.
func meet(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		c, err := tls.NewListener(l, server).Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("?")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// Both ends of a mutual connection have to be vouched for, each for what it does.
func TestBothEndsAreVouchedFor(t *testing.T) {
	own, foreign := authority(t), authority(t)
	server, client := identity(t, own, ForServer, own), identity(t, own, ForClient, own)
	of := func(i *Identity, name string) *tls.Config {
		c, err := i.Client(name)
		must(t, err)
		return c
	}
	if err := meet(t, server.Server(), of(client, "localhost")); err != nil {
		t.Fatalf("two that are: %v", err)
	}
	if err := meet(t, server.Server(), of(client, "127.0.0.1")); err != nil {
		t.Errorf("by its address: %v", err)
	}
	nobody, err := client.Peers.Client("localhost")
	must(t, err)
	for name, c := range map[string]struct{ server, client *tls.Config }{
		"a client without a certificate":           {server.Server(), nobody},
		"a client of another authority":            {server.Server(), of(identity(t, foreign, ForClient, own), "localhost")},
		"a server's certificate at a client":       {server.Server(), of(identity(t, own, ForServer, own), "localhost")},
		"a server of another authority":            {identity(t, foreign, ForServer, own).Server(), of(client, "localhost")},
		"a client's certificate at a server":       {identity(t, own, ForClient, own).Server(), of(client, "localhost")},
		"a server that goes by another name":       {server.Server(), of(client, "other.example.com")},
		"a server that trusts another authority":   {identity(t, own, ForServer, foreign).Server(), of(client, "localhost")},
		"a server that speaks TLS 1.2 and no more": {&tls.Config{MaxVersion: tls.VersionTLS12, GetCertificate: server.Pair.Server().GetCertificate}, of(client, "localhost")},
	} {
		if err := meet(t, c.server, c.client); err == nil || !IsHandshake(err) {
			t.Errorf("%s: %v, expected to be told that somebody is not who he has to be", name, err)
		}
	}
	if IsHandshake(errors.New("connection refused")) || IsHandshake(io.EOF) {
		t.Error("an error of the way is taken for one of who is at an end")
	}
}

// A new certificate counts from the next connection on; one that can't be used, whatever is
// wrong with it, leaves the old one in its place and is told.
func TestFilesAreReadAgain(t *testing.T) {
	own := authority(t)
	cert, key := issue(t, own, ForServer, time.Now(), "localhost")
	p, err := OpenPair(cert, key)
	must(t, err)
	first := p.now().Leaf.SerialNumber
	replace := func(with, in string) {
		data, err := os.ReadFile(with)
		must(t, err)
		must(t, os.WriteFile(in+".new", data, 0o600))
		must(t, os.Rename(in+".new", in))
	}
	next, nextKey := issue(t, own, ForServer, time.Now(), "localhost")
	replace(nextKey, key)
	if p.Trouble() == nil || p.now().Leaf.SerialNumber.Cmp(first) != 0 {
		t.Errorf("half of a new pair: %v, expected trouble, and the old one to be shown", p.Trouble())
	}
	replace(next, cert)
	if p.Trouble() != nil || p.now().Leaf.SerialNumber.Cmp(first) == 0 {
		t.Errorf("a new pair: trouble %v, expected it to be shown", p.Trouble())
	}
	second := p.now().Leaf.SerialNumber
	past, pastKey := issue(t, own, ForServer, time.Now().Add(-3*time.Hour), "localhost")
	for name, change := range map[string]func(){
		"one whose time is over": func() { replace(past, cert); replace(pastKey, key) },
		"no certificate":         func() { must(t, os.WriteFile(cert, []byte("nothing"), 0o644)) },
		"a great one":            func() { must(t, os.WriteFile(cert, make([]byte, 2<<20), 0o644)) },
		"a key for everybody":    func() { replace(next, cert); replace(nextKey, key); must(t, os.Chmod(key, 0o644)) },
		"none":                   func() { must(t, os.Remove(cert)) },
	} {
		if change(); p.Trouble() == nil || p.now().Leaf.SerialNumber.Cmp(second) != 0 {
			t.Errorf("%s: trouble %v, expected some, and the pair before it to be shown", name, p.Trouble())
		}
		if _, err := OpenPair(cert, key); err == nil {
			t.Errorf("%s is taken at a start", name)
		}
		replace(next, cert)
		replace(nextKey, key)
		if p.Trouble() != nil {
			t.Errorf("after %s the pair is back, and there is trouble: %v", name, p.Trouble())
		}
	}
}

// Authorities that are taken out of their file vouch for nobody any more.
func TestAuthoritiesAreReadAgain(t *testing.T) {
	own, other := authority(t), authority(t)
	file := filepath.Join(t.TempDir(), "authorities.pem")
	write := func(dirs ...string) {
		var all []byte
		for _, dir := range dirs {
			data, err := os.ReadFile(filepath.Join(dir, AuthorityCert))
			must(t, err)
			all = append(all, data...)
		}
		must(t, os.WriteFile(file+".new", all, 0o644))
		must(t, os.Rename(file+".new", file))
	}
	write(own, other)
	server := identity(t, own, ForServer, own)
	var err error
	server.Peers, err = OpenAuthorities(file)
	must(t, err)
	client, err := identity(t, other, ForClient, own).Client("localhost")
	must(t, err)
	config := server.Server()
	must(t, meet(t, config, client))
	write(own)
	if err := meet(t, config, client); !IsHandshake(err) {
		t.Errorf("its authority is gone: %v", err)
	}
	leaf, _ := issue(t, own, ForServer, time.Now(), "localhost")
	for name, text := range map[string]string{"nothing": "", "no PEM": "hello", "a key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		must(t, os.WriteFile(file, []byte(text), 0o644))
		if _, err := OpenAuthorities(file); err == nil {
			t.Errorf("%s is taken for authorities", name)
		}
	}
	if _, err := OpenAuthorities(leaf); err == nil || !strings.Contains(err.Error(), "is no authority") {
		t.Errorf("a server's certificate is taken for an authority's: %v", err)
	}
}

// An authority replaces nothing, vouches for no name that is none, and for nobody for
// longer than it counts itself.
func TestIssueRefuses(t *testing.T) {
	own := authority(t)
	if err := CreateAuthority(own, "again", time.Now(), time.Hour); err == nil {
		t.Error("an authority was replaced")
	}
	at := filepath.Join(t.TempDir(), "one")
	expires, err := Issue(own, at+".pem", at+".key", Request{Names: []string{"a.example.com", "10.0.0.1"}, Use: ForServer, Valid: 1000 * time.Hour}, time.Now())
	if err != nil || time.Until(expires) > 24*time.Hour {
		t.Errorf("%v, it ends on %s, and its authority in a day", err, expires)
	}
	if info, err := os.Stat(at + ".key"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its key: %v, %v", info.Mode(), err)
	}
	for name, q := range map[string]Request{
		"the same files":   {Names: []string{"a"}, Use: ForServer, Valid: time.Hour},
		"no name":          {Use: ForServer, Valid: time.Hour},
		"no time":          {Names: []string{"a"}, Use: ForServer},
		"no use":           {Names: []string{"a"}, Valid: time.Hour},
		"capitals":         {Names: []string{"A"}, Use: ForServer, Valid: time.Hour},
		"a look-alike":     {Names: []string{"bulkheаd.example.com"}, Use: ForServer, Valid: time.Hour}, // with a Cyrillic a
		"a star":           {Names: []string{"*.example.com"}, Use: ForServer, Valid: time.Hour},
		"a name of spaces": {Names: []string{" "}, Use: ForServer, Valid: time.Hour},
		"a long name":      {Names: []string{strings.Repeat("a.", 200) + "a"}, Use: ForServer, Valid: time.Hour},
	} {
		to := filepath.Join(t.TempDir(), "x")
		if name == "the same files" {
			to = at
		}
		if _, err := Issue(own, to+".pem", to+".key", q, time.Now()); err == nil {
			t.Errorf("%s: it was issued", name)
		}
		if _, err := os.Stat(to + ".key"); err == nil && to != at {
			t.Errorf("%s: a key is left", name)
		}
	}
	if _, err := Issue(t.TempDir(), at+"2.pem", at+"2.key", Request{Names: []string{"a"}, Use: ForServer, Valid: time.Hour}, time.Now()); err == nil || !strings.Contains(err.Error(), "holds no authority") {
		t.Errorf("a folder without an authority: %v", err)
	}
}
