package keystore_test

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/keystore"
)

// Each place opens what it sealed, and nothing else does; the folder alone does not, nor
// is the key in it any more when it was moved away.
func TestPlacesOfTheMasterKey(t *testing.T) {
	elsewhere := t.TempDir()
	file := filepath.Join(elsewhere, "key")
	words := filepath.Join(elsewhere, "words")
	must(t, os.WriteFile(words, []byte("correct horse battery\n"), 0o600))
	printed := filepath.Join(elsewhere, "printed")
	must(t, os.WriteFile(printed, []byte(hex.EncodeToString([]byte(strings.Repeat("k", 32)))+"\n"), 0o600))
	places := []keystore.Master{
		{Place: keystore.InFile, From: file}, {Place: keystore.ByCommand, From: "cat " + printed}, {Place: keystore.Passphrase, From: words},
	}
	wrong := filepath.Join(elsewhere, "wrong")
	must(t, os.WriteFile(wrong, []byte(strings.Repeat("w", 32)), 0o600))
	for _, m := range places {
		for _, moved := range []bool{false, true} {
			dir := folder(t)
			var s *keystore.Store
			var err error
			if moved {
				s = opened(t, dir)
				must(t, s.Protect(m))
			} else {
				s, err = keystore.OpenWith(dir, now, m)
				must(t, err)
			}
			if _, err := os.Stat(keystore.MasterFile(dir)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the master key lies beside what it opens: %v", m.Place, err)
			}
			if place, err := keystore.Place(dir); err != nil || place != m.Place || keystore.Worth(place) == "" {
				t.Errorf("%s: found %s, %v", m.Place, place, err)
			}
			_, err = s.Rotate("invoice", now)
			must(t, err)
			again, err := keystore.OpenWith(dir, now, m)
			must(t, err)
			if again.KeyIDs()["invoice"] != s.KeyIDs()["invoice"] {
				t.Errorf("%s: the rotated key is not there", m.Place)
			}
			if _, err := keystore.Open(dir, now); err == nil || !strings.Contains(err.Error(), "give --") {
				t.Errorf("%s, and no key given: %v", m.Place, err)
			}
			for _, other := range []keystore.Master{{Place: keystore.InFile, From: wrong}, {Place: keystore.ByCommand, From: "head -c 32 /dev/zero"}, {Place: keystore.Passphrase, From: wrong}} {
				if _, err := keystore.OpenWith(dir, now, other); err == nil {
					t.Errorf("%s was opened by %s", m.Place, other.Place)
				}
			}
		}
	}
	for _, bad := range []string{"exit 1", "printf short", "head -c 5000 /dev/zero", "cat /dev/zero", "true"} {
		if _, err := keystore.OpenWith(folder(t), now, keystore.Master{Place: keystore.ByCommand, From: bad}); err == nil {
			t.Errorf("the command %q gave a key", bad)
		}
	}
	must(t, os.WriteFile(wrong, []byte("short"), 0o600))
	if _, err := keystore.OpenWith(folder(t), now, keystore.Master{Place: keystore.Passphrase, From: wrong}); err == nil || !strings.Contains(err.Error(), "at least 12") {
		t.Errorf("a short passphrase: %v", err)
	}
}

// What is written before what is sealed is covered by the seal: it can't be made weaker.
func TestTheDescriptionIsSealed(t *testing.T) {
	words := filepath.Join(t.TempDir(), "words")
	must(t, os.WriteFile(words, []byte("correct horse battery"), 0o600))
	m := keystore.Master{Place: keystore.Passphrase, From: words}
	dir := folder(t)
	_, err := keystore.OpenWith(dir, now, m)
	must(t, err)
	path := filepath.Join(dir, sealed)
	whole, err := os.ReadFile(path)
	must(t, err)
	for _, change := range [][2]string{{`"place":"passphrase"`, `"place":"file"`}, {`"threads":1`, `"threads":2`}, {`"memory_kib":65536`, `"memory_kib":4294967295`}, {`"time":3`, `"time":0`}, {"bulkhead keys 2", "bulkhead keys 3"}} {
		bad := strings.Replace(string(whole), change[0], change[1], 1)
		if bad == string(whole) {
			t.Fatalf("%s is not in the file", change[0])
		}
		must(t, os.WriteFile(path, []byte(bad), 0o600))
		if _, err := keystore.OpenWith(dir, now, m); err == nil {
			t.Errorf("%s was taken for %s", change[1], change[0])
		}
	}
}

// FuzzSealedFile: whatever the file says, it is refused with an error.
func FuzzSealedFile(f *testing.F) {
	f.Add([]byte("bulkhead keys 2\n{\"place\":\"file\"}\nsealed"))
	f.Add([]byte("bulkhead keys 2\n{\"place\":\"passphrase\",\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"time\":1,\"memory_kib\":8192,\"threads\":1}\n"))
	f.Add([]byte("bulkhead keys 2\n"))
	f.Add([]byte{})
	dir := f.TempDir()
	if err := os.WriteFile(keystore.MasterFile(dir), make([]byte, 32), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, sealed), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keystore.Open(dir, now); err == nil {
			t.Errorf("%q was opened", data)
		}
	})
}
