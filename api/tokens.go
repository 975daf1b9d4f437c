package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
)

// Role is what a token may do. The owner's roles see the whole site, the
// tenant's roles their tenant.
type Role string

// The roles.
const (
	Operator      Role = "operator"      // owner: runs the site
	Approver      Role = "approver"      // owner: the second person
	Finance       Role = "finance"       // owner: quotes, contracts, invoices
	Auditor       Role = "auditor"       // owner: reads everything, changes nothing
	Monitor       Role = "monitor"       // owner: a program that reads /metrics and nothing else
	Administrator Role = "administrator" // tenant: signs, gives notice, answers
	Viewer        Role = "viewer"        // tenant: reads
)

// Roles lists the roles, the owner's first.
func Roles() []Role {
	return []Role{Operator, Approver, Finance, Auditor, Monitor, Administrator, Viewer}
}

// OfTenant says whether a role belongs to a tenant.
func (r Role) OfTenant() bool { return r == Administrator || r == Viewer }

// Token is what is kept of a token: never the token itself.
type Token struct {
	ID      string    `json:"id"`
	Hash    string    `json:"sha256"`
	Subject string    `json:"subject"` // who holds it, for the ledger
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
	By      string    `json:"by,omitempty"` // who made it
}

// Tokens is a token file. It is read again when it has changed, so that a token
// made or revoked beside a running server counts at once.
type Tokens struct {
	By string // who makes tokens, for the ledger

	path string
	keep *tokenLedger // nil: nothing is looked up
	mu   sync.Mutex
	list []Token
	read time.Time
	size int64
}

// OpenTokens opens a token file; one that does not exist holds no token.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	return t, t.reload()
}

func (t *Tokens) reload() error {
	info, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		t.list, t.read, t.size = nil, time.Time{}, 0 // the same file may come back
		return nil
	}
	if err != nil {
		return err
	}
	if info.ModTime().Equal(t.read) && info.Size() == t.size {
		return nil
	}
	data, err := custody.ReadSecret(t.path, custody.Large)
	if err != nil {
		return err
	}
	var list []Token
	if err := claim.Exact(data, custody.Large, &list); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	t.list, t.read, t.size = list, info.ModTime(), info.Size()
	return nil
}

// Create makes a token and returns it; it can't be read again.
func (t *Tokens) Create(subject string, role Role, tenant string, now time.Time, valid time.Duration) (string, Token, error) {
	switch {
	case !slices.Contains(Roles(), role):
		return "", Token{}, fmt.Errorf("role %.40q: expected one of %v", role, Roles())
	case role.OfTenant() != (tenant != ""):
		return "", Token{}, fmt.Errorf("role %s: the roles administrator and viewer belong to a tenant, the others to none", role)
	case subject == "" || valid <= 0:
		return "", Token{}, errors.New("a token needs a subject and a time for which it is valid")
	}
	secret := "bh_" + rand.Text()
	hash := sha256.Sum256([]byte(secret))
	token := Token{
		ID: hex.EncodeToString(hash[:4]), Hash: hex.EncodeToString(hash[:]), Subject: subject, Role: role, Tenant: tenant,
		Created: now.UTC(), Expires: now.Add(valid).UTC(), By: t.By,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.reload(); err != nil {
		return "", Token{}, err
	}
	return secret, token, t.save(append(slices.Clone(t.list), token))
}

// Revoke ends a token, by its id.
func (t *Tokens) Revoke(id string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.reload(); err != nil {
		return err
	}
	list := slices.Clone(t.list)
	for i := range list {
		if list[i].ID == id && list[i].Revoked.IsZero() {
			list[i].Revoked = now.UTC()
			return t.save(list)
		}
	}
	return fmt.Errorf("%s holds no token %q, or it is revoked", t.path, id)
}

// List lists the tokens, without their hashes.
func (t *Tokens) List() ([]Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.reload(); err != nil {
		return nil, err
	}
	list := slices.Clone(t.list)
	for i := range list {
		list[i].Hash = ""
	}
	return list, nil
}

// check finds the token of a secret that counts now.
func (t *Tokens) check(secret string, now time.Time) (Token, bool) {
	hash := sha256.Sum256([]byte(secret))
	want := []byte(hex.EncodeToString(hash[:]))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reload() != nil {
		return Token{}, false // an unreadable file lets nobody in
	}
	found := -1
	for i := range t.list {
		if subtle.ConstantTimeCompare([]byte(t.list[i].Hash), want) == 1 {
			found = i
		}
	}
	if found < 0 || !t.list[found].Revoked.IsZero() || !now.Before(t.list[found].Expires) {
		return Token{}, false
	}
	return t.list[found], true
}

func (t *Tokens) save(list []Token) error {
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(t.path), ".tokens-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), t.path); err != nil {
		return err
	}
	t.list, t.read = list, time.Time{}
	return nil
}
