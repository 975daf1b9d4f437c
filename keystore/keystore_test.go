package keystore_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/ledger"
)

var now = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

const (
	master = "master.key"
	sealed = "keys.enc"
	origin = "bulkhead/test/site"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func opened(t *testing.T, dir string) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(dir, now)
	must(t, err)
	return s
}

func folder(t *testing.T) string { return filepath.Join(t.TempDir(), "keys") }

func signed(t *testing.T, s *keystore.Store, size uint64) []byte {
	t.Helper()
	data, err := s.Checkpoint(origin, size, claim.DigestOf([]byte("root")))
	must(t, err)
	return data
}

// opens says whether one of the store's verifiers accepts a checkpoint.
func opens(t *testing.T, s *keystore.Store, data []byte) bool {
	t.Helper()
	verifiers, err := s.Verifiers()
	must(t, err)
	for _, v := range verifiers {
		if _, err := ledger.OpenCheckpoint(data, origin, v); err == nil {
			return true
		}
	}
	return false
}

func TestOpenAgain(t *testing.T) {
	dir := folder(t)
	first := opened(t, dir)
	second := opened(t, dir)
	if len(first.Keys()) != len(keystore.Purposes) {
		t.Fatalf("%d keys, expected one for each of %v", len(first.Keys()), keystore.Purposes)
	}
	for purpose, id := range first.KeyIDs() {
		if second.KeyIDs()[purpose] != id {
			t.Fatalf("the key for %s is another one when opened again", purpose)
		}
	}
	if !opens(t, second, signed(t, first, 5)) {
		t.Fatal("a checkpoint is not accepted after opening again")
	}
	for _, k := range first.Keys() {
		if k.Seed != nil {
			t.Fatal("Keys gives secrets away")
		}
	}
	ids := map[string]bool{}
	for _, id := range first.KeyIDs() {
		ids[id] = true
	}
	if len(ids) != len(keystore.Purposes) {
		t.Fatal("two purposes share a key")
	}
}

// TestRotate: what a retired key signed stays verifiable, new signatures come
// from the new key, other purposes keep theirs, and all of it after opening the
// files again.
func TestRotate(t *testing.T) {
	dir := folder(t)
	s := opened(t, dir)
	before := s.KeyIDs()
	published := &ledger.Published{Path: filepath.Join(t.TempDir(), "checkpoint"), Verifiers: s.Verifiers}
	must(t, published.Store(signed(t, s, 5)))
	old := signed(t, s, 5)
	trusted, err := s.Trust("test")
	must(t, err)
	k, err := s.Rotate("checkpoint", now.Add(time.Hour))
	must(t, err)
	if k.ID == before["checkpoint"] || s.KeyIDs()["checkpoint"] != k.ID {
		t.Fatal("the key in use is still the old one")
	}
	fresh := signed(t, s, 6)
	must(t, published.Store(fresh)) // without a restart
	for _, store := range []*keystore.Store{s, opened(t, dir)} {
		if !opens(t, store, old) || !opens(t, store, fresh) {
			t.Fatal("a checkpoint of before or after the rotation is not accepted")
		}
		for purpose, id := range store.KeyIDs() {
			if purpose != "checkpoint" && id != before[purpose] {
				t.Fatalf("the key for %s changed too", purpose)
			}
		}
		trust, err := store.Trust("test")
		must(t, err)
		if len(trust.Keys) != len(trusted.Keys)+1 {
			t.Fatalf("%d public keys, expected %d", len(trust.Keys), len(trusted.Keys)+1)
		}
		for _, was := range trusted.Keys {
			i := slices.IndexFunc(trust.Keys, func(k keystore.TrustKey) bool { return k.ID == was.ID })
			if i < 0 || trust.Keys[i].Public != was.Public || trust.Keys[i].Note != was.Note {
				t.Fatalf("the public key %s is gone or changed", was.ID)
			}
			if retired := !trust.Keys[i].Until.IsZero(); retired != (was.Purpose == "checkpoint") {
				t.Fatalf("key %s: retired %v", was.ID, retired)
			}
		}
	}
	for range 3 {
		_, err := s.Rotate("checkpoint", now.Add(2*time.Hour))
		must(t, err)
	}
	again := *published
	again.Verifiers = opened(t, dir).Verifiers
	if c, err := again.Load(); err != nil || c.Size != 6 {
		t.Fatalf("after three more rotations: published %d, %v", c.Size, err)
	}
	for _, purpose := range []string{"", "checkpoints", "Invoice", strings.Repeat("x", 1000)} {
		if _, err := s.Rotate(purpose, now); err == nil || len(err.Error()) > 200 {
			t.Fatalf("purpose %.20q: error %v", purpose, err)
		}
	}
}

// TestRotateNotSaved: a rotation that can't be kept has not happened.
func TestRotateNotSaved(t *testing.T) {
	dir := folder(t)
	s := opened(t, dir)
	before := s.Keys()
	must(t, os.Remove(filepath.Join(dir, master)))
	if _, err := s.Rotate("invoice", now); err == nil {
		t.Fatal("rotated without a master key")
	}
	after := s.Keys()
	if len(after) != len(before) || s.KeyIDs()["invoice"] == "" {
		t.Fatal("a rotation that was not saved is in use")
	}
}

// TestDamagedFiles: every single changed byte and every cut is refused, and the
// files are left as they are.
func TestDamagedFiles(t *testing.T) {
	dir := folder(t)
	opened(t, dir)
	for _, name := range []string{sealed, master} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		must(t, err)
		refused := func(data []byte, what string) {
			t.Helper()
			must(t, os.WriteFile(path, data, 0o600))
			s, err := keystore.Open(dir, now)
			if err == nil {
				t.Fatalf("%s %s was accepted with %d keys", name, what, len(s.Keys()))
			}
			if _, again := keystore.Open(dir, now); again == nil || again.Error() != err.Error() {
				t.Fatalf("%s %s: the error was %v, then %v", name, what, err, again)
			}
			if left, _ := os.ReadFile(path); !bytes.Equal(left, data) {
				t.Fatalf("%s %s: the file was changed", name, what)
			}
		}
		for i := range whole {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			refused(bad, "with a flipped bit")
		}
		for n := 0; n < len(whole); n += 1 + n/20 {
			refused(whole[:n], "cut off")
		}
		refused(append(bytes.Clone(whole), 0), "with a byte more")
		must(t, os.WriteFile(path, whole, 0o600))
	}
	opened(t, dir)
}

// TestWrongMaster: another store's master key does not open it.
func TestWrongMaster(t *testing.T) {
	dir, other := folder(t), folder(t)
	opened(t, dir)
	opened(t, other)
	data, err := os.ReadFile(filepath.Join(other, master))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, master), data, 0o600))
	if _, err := keystore.Open(dir, now); err == nil || !strings.Contains(err.Error(), "restore both") {
		t.Fatalf("error %v", err)
	}
}

// TestHalfMissing: with one file gone no new keys are made in silence.
func TestHalfMissing(t *testing.T) {
	for _, gone := range []string{master, sealed} {
		dir := folder(t)
		opened(t, dir)
		must(t, os.Remove(filepath.Join(dir, gone)))
		if _, err := keystore.Open(dir, now); err == nil {
			t.Fatalf("without %s the keystore was opened", gone)
		}
		if _, err := os.Stat(filepath.Join(dir, gone)); err == nil {
			t.Fatalf("%s was made anew", gone)
		}
	}
}

// TestInterruptedMaking: whoever is killed while a keystore is made for the first time has
// it when it starts again, and a key that had sealed something is never made anew.
func TestInterruptedMaking(t *testing.T) {
	const making = ".making"
	for name, left := range map[string][]string{"at once": {making}, "with a master key": {making, master}, "with all of it": {making, master, sealed}} {
		dir := folder(t)
		made := opened(t, dir).Keys()
		for _, file := range []string{master, sealed} {
			if !slices.Contains(left, file) {
				must(t, os.Remove(filepath.Join(dir, file)))
			}
		}
		must(t, os.WriteFile(filepath.Join(dir, making), nil, 0o600))
		again := opened(t, dir).Keys()
		if kept := len(again) == len(made) && again[0].ID == made[0].ID; kept != (len(left) == 3) {
			t.Errorf("interrupted %s: the keys of before: %v", name, kept)
		}
		if _, err := os.Stat(filepath.Join(dir, making)); err == nil {
			t.Errorf("interrupted %s: the mark is left", name)
		}
		if third := opened(t, dir).Keys(); third[0].ID != again[0].ID {
			t.Errorf("interrupted %s: opened again it has other keys", name)
		}
	}
	// Several that start at once in an empty folder have the same keys.
	dir := folder(t)
	ids := make(chan string, 8)
	for range cap(ids) {
		go func() {
			s, err := keystore.Open(dir, now)
			if err != nil {
				ids <- err.Error()
				return
			}
			ids <- s.Keys()[0].ID
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("two that began at once have %s and %s", first, id)
		}
	}
}

// TestModes: nobody else reads the files or the folder, also after a rotation,
// and neither file holds a secret in the clear.
func TestModes(t *testing.T) {
	dir := folder(t)
	s := opened(t, dir)
	_, err := s.Rotate("invoice", now)
	must(t, err)
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 2 {
		t.Fatalf("%d files, expected 2", len(files))
	}
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, expected 600", f.Name(), info.Mode().Perm())
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		if bytes.Contains(data, []byte("checkpoint")) || bytes.Contains(data, []byte("seed")) {
			t.Errorf("%s can be read", f.Name())
		}
	}
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %o, expected 700", info.Mode().Perm())
	}
}

// TestTrustHoldsNoSecret: the trust file has the public halves, which fit what
// is signed, and nothing else.
func TestTrustHoldsNoSecret(t *testing.T) {
	seed := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 100)
	s, err := keystore.InMemory(bytes.NewReader(seed), now)
	must(t, err)
	trust, err := s.Trust("test")
	must(t, err)
	data, err := trust.Encode()
	must(t, err)
	if bytes.Contains(data, []byte("PRIVATE")) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(seed[:32])[:40])) {
		t.Fatal("the trust file holds a secret")
	}
	var read keystore.Trust
	must(t, json.Unmarshal(data, &read))
	for _, k := range read.Keys {
		public, err := base64.StdEncoding.DecodeString(k.Public)
		if err != nil || len(public) != ed25519.PublicKeySize || claim.KeyID(public) != k.ID {
			t.Errorf("key %s: %d bytes, %v", k.ID, len(public), err)
		}
	}
	if _, err := keystore.InMemory(bytes.NewReader(seed[:100]), now); err == nil {
		t.Fatal("keys were made from too little randomness")
	}
	other, err := keystore.InMemory(rand.Reader, now)
	must(t, err)
	if opens(t, other, signed(t, s, 5)) {
		t.Fatal("another store accepts this one's checkpoints")
	}
}
