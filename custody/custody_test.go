package custody

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyRegularFilesOfTheExpectedSizeAreRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink("/dev/zero", at("link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/dev/zero": "a device", "/dev/null": "a device", at("link"): "a device", at("pipe"): "a pipe", dir: "a folder",
		at("socket"): "", at("none"): "no such file", at("file"): "at most 7",
	} {
		_, err := ReadFile(path, 7)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, expected %q", path, err, want)
		}
		if want == "at most 7" {
			continue // a stream has limits of its own
		}
		if f, err := Open(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
	if data, err := ReadFile(at("file"), 8); err != nil || string(data) != "12345678" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestSecretsAndFoldersAreTheirOwners(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSecret(path, 8); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("secret of mode %o: %v", mode, err)
		}
	}
	for mode, good := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o775: false, 0o757: false, 0o777: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := Folder(dir); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("folder of mode %o: %v", mode, err)
		}
	}
	for _, c := range []struct {
		owner, me uint32
		good      bool
	}{{1000, 1000, true}, {0, 1000, true}, {1000, 1001, false}, {1000, 0, false}} {
		if err := oursAs("it", c.owner, c.me); (err == nil) != c.good {
			t.Errorf("owner %d, user %d: %v", c.owner, c.me, err)
		}
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"one", "two"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := ReadSecret(path, 8); err != nil || string(data) != text {
			t.Errorf("%q, %v", data, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left, expected one", len(left))
	}
}
