// Package keystore keeps the owner's signing keys encrypted in one file, by purpose and
// with rotation. The master key lies beside it, elsewhere, or nowhere (see Master). No key
// of a tenant and nothing that opens a tenant's data is ever in it.
package keystore

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/mod/sumdb/note"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/ledger"
)

// Purposes are what keys sign: each has its own, so that each can be rotated by
// itself and trusted for one thing only.
var Purposes = []string{claim.PurposeCheckpoint, claim.PurposeInvoice, claim.PurposeStatement, claim.PurposeWebhook}

// Key is one key. Retired is zero for the one in use.
type Key struct {
	Purpose string    `json:"purpose"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Retired time.Time `json:"retired,omitzero"`
	Seed    []byte    `json:"seed"` // ed25519 seed, 32 bytes
}

func (k *Key) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.Seed) }

// Public is the key's public half.
func (k *Key) Public() ed25519.PublicKey { return k.private().Public().(ed25519.PublicKey) }

// Store is an open keystore. It is safe for concurrent use.
type Store struct {
	dir    string // "" keeps everything in memory
	random io.Reader

	master    Master
	described description // of how the file is sealed

	mu   sync.Mutex
	keys []Key
}

const (
	masterFile = "master.key"
	keysFile   = "keys.enc"
	makingFile = ".making" // is there while the others are being made for the first time
)

// InMemory makes a keystore that is gone with the process, for tests and for
// the simulator. random is where the keys come from.
func InMemory(random io.Reader, now time.Time) (*Store, error) {
	s := &Store{random: random}
	return s, s.fill(now)
}

// Open opens the keystore of a folder whose master key lies beside it, and makes it
// where there is none.
func Open(dir string, now time.Time) (*Store, error) { return OpenWith(dir, now, Master{}) }

// OpenWith opens the keystore of a folder, and makes it with a key for every purpose
// where there is none. A folder with one of two files is refused: keys were lost, and
// making new ones would hide it. One whose making was interrupted is made anew: nobody
// has had its keys.
func OpenWith(dir string, now time.Time, master Master) (s *Store, err error) {
	s = &Store{dir: dir, random: rand.Reader, master: master}
	keys, making := filepath.Join(dir, keysFile), filepath.Join(dir, makingFile)
	if there(keys) && !there(making) {
		return s, s.load()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	locked, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer locked.Close()
	if err := syscall.Flock(int(locked.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if there(keys) { // another process has made it meanwhile, or was interrupted at the end
		if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return s, s.load()
	}
	return s, s.makeNew(now)
}

// makeNew makes the keystore of a locked folder. While it does, a mark says so: whoever
// finds it without keys knows that a master key beside it has sealed nothing.
func (s *Store) makeNew(now time.Time) (err error) {
	master, making := filepath.Join(s.dir, masterFile), filepath.Join(s.dir, makingFile)
	if there(master) && !there(making) {
		return fmt.Errorf("%s: expected both %s and %s, or neither: restore what is missing from the backup", s.dir, masterFile, keysFile)
	}
	if err := custody.Replace(making, nil); err != nil {
		return err
	}
	if err := os.Remove(master); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.described, err = s.master.describe(); err != nil {
		return err
	}
	if err := s.master.make(s.dir, s.random); err != nil {
		return err
	}
	if err := s.fill(now); err != nil {
		return err
	}
	return os.Remove(making)
}

// there says whether something of a name exists, or may.
func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Store) fill(now time.Time) error {
	for _, purpose := range Purposes {
		if err := s.add(purpose, now); err != nil {
			return err
		}
	}
	return s.save()
}

func (s *Store) add(purpose string, now time.Time) error {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(s.random, seed); err != nil {
		return fmt.Errorf("new key: %w", err)
	}
	for i := range s.keys {
		if s.keys[i].Purpose == purpose && s.keys[i].Retired.IsZero() {
			s.keys[i].Retired = now.UTC()
		}
	}
	k := Key{Purpose: purpose, Created: now.UTC(), Seed: seed}
	k.ID = claim.KeyID(k.Public())
	s.keys = append(s.keys, k)
	return nil
}

// Rotate makes a new key for a purpose and retires the one in use. Retired keys
// are kept: what they signed stays verifiable.
func (s *Store) Rotate(purpose string, now time.Time) (Key, error) {
	if !slices.Contains(Purposes, purpose) {
		return Key{}, fmt.Errorf("purpose %.40q: expected one of %v", purpose, Purposes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := slices.Clone(s.keys)
	if err := s.add(purpose, now); err != nil {
		return Key{}, err
	}
	if err := s.save(); err != nil {
		s.keys = before
		return Key{}, err
	}
	return s.keys[len(s.keys)-1], nil
}

// Keys lists all keys, without their secrets.
func (s *Store) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.keys)
	for i := range list {
		list[i].Seed = nil
	}
	return list
}

func (s *Store) current(purpose string) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.Purpose == purpose && k.Retired.IsZero() {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("no key for %q", purpose)
}

// KeyIDs maps each purpose to the key in use.
func (s *Store) KeyIDs() map[string]string {
	ids := map[string]string{}
	for _, k := range s.Keys() {
		if k.Retired.IsZero() {
			ids[k.Purpose] = k.ID
		}
	}
	return ids
}

// Statement returns the signer of statements for a purpose.
func (s *Store) Statement(purpose string) (claim.Signer, error) {
	k, err := s.current(purpose)
	if err != nil {
		return claim.Signer{}, err
	}
	return claim.Signer{KeyID: k.ID, Key: k.private()}, nil
}

// CheckpointName is the name under which checkpoint keys sign notes.
const CheckpointName = "bulkhead-checkpoint"

// Checkpoint signs a checkpoint.
func (s *Store) Checkpoint(origin string, size uint64, root claim.Digest) ([]byte, error) {
	k, err := s.current(claim.PurposeCheckpoint)
	if err != nil {
		return nil, err
	}
	signer, err := noteSigner(&k)
	if err != nil {
		return nil, err
	}
	return ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: size, Root: root}, signer)
}

func (s *Store) save() error {
	if s.dir == "" {
		return nil
	}
	plain, err := json.Marshal(s.keys)
	if err != nil {
		return err
	}
	master, err := s.master.key(s.dir, s.described)
	if err != nil {
		return err
	}
	seal, err := chacha20poly1305.NewX(master)
	if err != nil {
		return fmt.Errorf("%s: %w", masterFile, err)
	}
	head, associated, err := s.described.head()
	if err != nil {
		return err
	}
	nonce := make([]byte, seal.NonceSize())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return err
	}
	return custody.Replace(filepath.Join(s.dir, keysFile), append(head, seal.Seal(nonce, nonce, plain, associated)...))
}

func (s *Store) load() error {
	path := filepath.Join(s.dir, keysFile)
	data, err := custody.ReadSecret(path, custody.Large)
	if err != nil {
		return err
	}
	described, associated, sealed, err := splitSealed(data)
	if err != nil {
		return fmt.Errorf("%s: %w: restore it from the backup", path, err)
	}
	s.described = described
	master, err := s.master.key(s.dir, described)
	if err != nil {
		return err
	}
	open, err := chacha20poly1305.NewX(master)
	if err != nil {
		return fmt.Errorf("%s: expected %d bytes: %w", filepath.Join(s.dir, masterFile), chacha20poly1305.KeySize, err)
	}
	if len(sealed) < open.NonceSize() {
		return fmt.Errorf("%s: cut off: restore it from the backup", path)
	}
	plain, err := open.Open(nil, sealed[:open.NonceSize()], sealed[open.NonceSize():], associated)
	if err != nil {
		return fmt.Errorf("%s: it was changed, or %s is another one: restore both from one backup", path, s.master.named())
	}
	if err := claim.Exact(plain, custody.Small, &s.keys); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i := range s.keys {
		if k := &s.keys[i]; len(k.Seed) != ed25519.SeedSize || k.ID != claim.KeyID(k.Public()) {
			return fmt.Errorf("%s: key %d does not fit its id", path, i)
		}
	}
	return nil
}

func noteSigner(k *Key) (note.Signer, error) {
	secret, _, err := noteKeys(k)
	if err != nil {
		return nil, err
	}
	return note.NewSigner(secret)
}
