package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"bulkhead/custody"
)

// Pair is a TLS certificate, with its chain, and its key: two files of PEM. They are read
// again once one of them has changed, so that a new certificate counts from the next
// connection on and nothing is started anew. While what is there can't be used, as between
// the writing of the one file and of the other, the pair that was read last stays.
type Pair struct {
	certFile, keyFile string

	mu      sync.Mutex
	is      *tls.Certificate
	stamps  [2]stamp
	trouble error // of what is in the files now
}

// stamp is by what a file is known to have changed: also one that was moved in its place
// with the same size and time.
type stamp struct {
	size, at int64
	inode    uint64
}

func stampOf(path string) (s stamp) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	s = stamp{size: info.Size(), at: info.ModTime().UnixNano()}
	if own, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = own.Ino
	}
	return s
}

// OpenPair reads a certificate and its key. The key is nobody else's to read. Whose time is
// over, or has not come, is refused.
func OpenPair(certFile, keyFile string) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile}
	p.look()
	if p.is == nil {
		return nil, p.trouble
	}
	return p, nil
}

// look reads the files if they have changed.
func (p *Pair) look() {
	now := [2]stamp{stampOf(p.certFile), stampOf(p.keyFile)}
	if p.is != nil && now == p.stamps {
		return
	}
	is, err := readPair(p.certFile, p.keyFile, time.Now())
	if p.trouble = err; err == nil {
		p.is, p.stamps = is, now
	}
}

func readPair(certFile, keyFile string, now time.Time) (*tls.Certificate, error) {
	cert, err := custody.ReadFile(certFile, custody.Small)
	if err != nil {
		return nil, err
	}
	key, err := custody.ReadSecret(keyFile, custody.Small)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: expected a certificate in PEM, the server's own first, and its key: %w", certFile, keyFile, err)
	}
	switch leaf := pair.Leaf; {
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("%s: its time ended on %s: renew it", certFile, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("%s: its time begins on %s, and this machine's clock says %s: expected one that counts now", certFile, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

func (p *Pair) now() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	return p.is
}

// Expires is when the certificate that is shown ends.
func (p *Pair) Expires() time.Time { return p.now().Leaf.NotAfter }

// Trouble says why what is in the files now is not what is shown; nil: it is.
func (p *Pair) Trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	return p.trouble
}

// Server is a server's side of TLS: it shows the pair, and asks nobody who they are.
func (p *Pair) Server() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.now(), nil },
	}
}

// Authorities are certificates that vouch for others, in one file of PEM, read again when it
// changes.
type Authorities struct {
	file string

	mu    sync.Mutex
	pool  *x509.CertPool
	stamp stamp
}

// OpenAuthorities reads a file of authorities.
func OpenAuthorities(file string) (*Authorities, error) {
	a := &Authorities{file: file}
	_, err := a.now()
	return a, err
}

// now reads the file if it has changed. What can't be read vouches for nobody.
func (a *Authorities) now() (*x509.CertPool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	is := stampOf(a.file)
	if a.pool != nil && is == a.stamp {
		return a.pool, nil
	}
	data, err := custody.ReadFile(a.file, custody.Small)
	if err != nil {
		return nil, err
	}
	pool, n := x509.NewCertPool(), 0
	for rest := bytes.TrimSpace(data); len(rest) > 0; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: piece %d: expected certificates of authorities in PEM, and nothing else", a.file, n+1)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: piece %d: %w", a.file, n+1, err)
		}
		if !cert.IsCA {
			return nil, fmt.Errorf("%s: piece %d, %q, is no authority: expected the certificate of who has issued the others'", a.file, n+1, cert.Subject.CommonName)
		}
		pool.AddCert(cert)
		rest = bytes.TrimSpace(rest)
	}
	if n == 0 {
		return nil, fmt.Errorf("%s: expected at least one certificate of an authority in PEM", a.file)
	}
	a.pool, a.stamp = pool, is
	return pool, nil
}

// Client is a client's side of TLS: the other end has to go by name, and one of the
// authorities has to vouch for that.
func (a *Authorities) Client(name string) (*tls.Config, error) {
	pool, err := a.now()
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: name}, nil
}

// Identity is who one end of a mutual connection is, and by whom it has the other end
// vouched for.
type Identity struct {
	Pair  *Pair
	Peers *Authorities
}

// OpenIdentity reads a pair and authorities.
func OpenIdentity(certFile, keyFile, authorities string) (*Identity, error) {
	pair, err := OpenPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	peers, err := OpenAuthorities(authorities)
	if err != nil {
		return nil, err
	}
	return &Identity{pair, peers}, nil
}

// Server is a server's side: only clients whose certificates are for clients, and that the
// authorities vouch for now, get through.
func (i *Identity) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			pool, err := i.Peers.now()
			if err != nil {
				return nil, err
			}
			c := i.Pair.Server()
			// A ticket would let somebody in again whom nobody vouches for any more.
			c.ClientAuth, c.ClientCAs, c.SessionTicketsDisabled = tls.RequireAndVerifyClientCert, pool, true
			return c, nil
		},
	}
}

// Client is a client's side towards who goes by name.
func (i *Identity) Client(name string) (*tls.Config, error) {
	c, err := i.Peers.Client(name)
	if err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.Pair.now(), nil }
	return c, nil
}

// IsHandshake says whether an error is about who is at an end, and not about the way there:
// it stays until somebody changes a certificate.
func IsHandshake(err error) bool {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	if errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &verify) || errors.As(err, &header) {
		return true
	}
	var alert *net.OpError // crypto/tls has no type for an alert (RFC 8446, section 6) but this
	return errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error")
}
