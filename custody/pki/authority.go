package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"bulkhead/custody"
)

// Names of an authority's files in its folder.
const (
	AuthorityCert = "authority.pem"
	authorityKey  = "authority.key"
)

// Use is what a certificate is for. One for the one is no use for the other: a driver's
// lets nobody give orders to another driver.
type Use string

// The uses.
const (
	ForServer Use = "server" // answers calls: bulkhead serve, drivers
	ForClient Use = "client" // makes calls: bulkhead serve towards drivers
)

// skew is how far the clocks of machines may be apart when a certificate is new.
const skew = 5 * time.Minute

// CreateAuthority makes a folder with a new authority: its certificate, which others are
// given, and its key, which stays. ECDSA on P-256, that vouches for no other authority.
func CreateAuthority(dir, name string, now time.Time, valid time.Duration) error {
	if valid <= 0 || name == "" {
		return errors.New("an authority needs a name and a time for which it counts")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := custody.Folder(dir); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-skew), NotAfter: now.Add(valid),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return write(filepath.Join(dir, AuthorityCert), filepath.Join(dir, authorityKey), template, template, key, key)
}

// Request is what a certificate is to say.
type Request struct {
	Names []string // by which the machine is called, or addresses
	Use   Use
	Valid time.Duration
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Issue has the authority of a folder vouch for a new key. Both files are new: what is
// there is never replaced. It returns when the certificate ends: not after the authority.
func Issue(dir, certFile, keyFile string, q Request, now time.Time) (expires time.Time, err error) {
	if len(q.Names) == 0 || q.Valid <= 0 {
		return expires, errors.New("a certificate needs a name and a time for which it counts")
	}
	authority, err := OpenPair(filepath.Join(dir, AuthorityCert), filepath.Join(dir, authorityKey))
	if errors.Is(err, fs.ErrNotExist) {
		return expires, fmt.Errorf("%s holds no authority: %w", dir, err)
	}
	if err != nil {
		return expires, err
	}
	by := authority.now()
	signer, is := by.PrivateKey.(*ecdsa.PrivateKey)
	if !is || !by.Leaf.IsCA {
		return expires, fmt.Errorf("%s: %s is no authority's certificate with its key", dir, AuthorityCert)
	}
	serial, err := newSerial()
	if err != nil {
		return expires, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: q.Names[0]}, NotBefore: now.Add(-skew), NotAfter: now.Add(q.Valid),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	switch q.Use {
	case ForServer:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case ForClient:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	default:
		return expires, fmt.Errorf("use %.40q: expected %s or %s", q.Use, ForServer, ForClient)
	}
	if template.NotAfter.After(by.Leaf.NotAfter) {
		template.NotAfter = by.Leaf.NotAfter
	}
	for _, name := range q.Names {
		switch ip := net.ParseIP(name); {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case len(name) <= 253 && hostName.MatchString(name):
			template.DNSNames = append(template.DNSNames, name)
		default:
			return expires, fmt.Errorf("name %.80q: expected a host name in small letters, such as bulkhead.example.com, or an address", name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return expires, err
	}
	return template.NotAfter, write(certFile, keyFile, template, by.Leaf, key, signer)
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// write makes a certificate and puts it and its key into two new files: the key first, so
// that no certificate is there without one.
func write(certFile, keyFile string, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	files := []struct {
		path string
		mode os.FileMode
		data []byte
	}{
		{keyFile, 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})},
		{certFile, 0o644, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})},
	}
	for i, f := range files {
		if err := writeNew(f.path, f.mode, f.data); err != nil {
			for _, done := range slices.Backward(files[:i]) {
				err = errors.Join(err, os.Remove(done.path))
			}
			return err
		}
	}
	return nil
}

func writeNew(path string, mode os.FileMode, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not replaced: choose another path, or move it away", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
