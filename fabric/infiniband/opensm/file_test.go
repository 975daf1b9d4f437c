package opensm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"bulkhead/claim"
	"bulkhead/fabric"
)

var (
	oldText = []byte("old\n")
	newText = []byte("new, and longer than the old one\n")
)

func put(t *testing.T, f *File, text []byte, fence fabric.Fence) {
	t.Helper()
	if err := f.Put(t.Context(), text, fence); err != nil {
		t.Fatal(err)
	}
}

func newFile(t *testing.T) *File { return &File{Path: filepath.Join(t.TempDir(), "partitions.conf")} }

func TestPutReplacesAndReadsBack(t *testing.T) {
	f := newFile(t)
	for _, text := range [][]byte{oldText, newText, newText, oldText} {
		put(t, f, text, fabric.Fence{Term: 1})
		if got, err := f.Read(); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.Path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestAccessIsKept: an OpenSM that could read the owner's file can read ours.
func TestAccessIsKept(t *testing.T) {
	f := newFile(t)
	if err := os.WriteFile(f.Path, oldText, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	other := os.Getuid()
	if other == 0 {
		other = 65534
		if err := os.Chown(f.Path, other, other); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.TakeOver(t.Context(), newText, fabric.Fence{Term: 1}, claim.DigestOf(oldText)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.Path)
	if err != nil || info.Mode().Perm() != 0o644 || int(info.Sys().(*syscall.Stat_t).Uid) != other {
		t.Errorf("%v, %v: expected mode 0644 and owner %d as before", info.Mode(), err, other)
	}
}

func TestOlderWriterIsRefused(t *testing.T) {
	f := newFile(t)
	put(t, f, oldText, fabric.Fence{Term: 3, Generation: 10})
	for _, older := range []fabric.Fence{{Term: 2, Generation: 99}, {Term: 3, Generation: 9}} {
		if err := f.Put(t.Context(), newText, older); !errors.Is(err, fabric.ErrFenced) {
			t.Errorf("%s: %v", older, err)
		}
		if err := f.TakeOver(t.Context(), newText, older, claim.DigestOf(oldText)); !errors.Is(err, fabric.ErrFenced) {
			t.Errorf("take over with %s: %v", older, err)
		}
	}
	if err := f.Admit(t.Context(), fabric.Fence{Term: 4}); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), newText, fabric.Fence{Term: 3, Generation: 11}); !errors.Is(err, fabric.ErrFenced) {
		t.Errorf("a newer writer was admitted, and an older one wrote: %v", err)
	}
	if got, err := f.Read(); err != nil || !bytes.Equal(got, oldText) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEditByHandIsNotOverwritten(t *testing.T) {
	edited := []byte("edited\n")
	for name, edit := range map[string]func(f *File) error{
		"changed":     func(f *File) error { return os.WriteFile(f.Path, edited, 0o600) },
		"removed":     func(f *File) error { return os.Remove(f.Path) },
		"rolled back": func(f *File) error { return os.WriteFile(f.Path, oldText, 0o600) },
	} {
		f := newFile(t)
		put(t, f, oldText, fabric.Fence{Term: 1})
		put(t, f, newText, fabric.Fence{Term: 1})
		if err := edit(f); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(); !errors.Is(err, ErrEdited) {
			t.Errorf("%s: read: %v", name, err)
		}
		if err := f.Put(t.Context(), oldText, fabric.Fence{Term: 9}); !errors.Is(err, ErrEdited) {
			t.Errorf("%s: put: %v", name, err)
		}
		found, _ := os.ReadFile(f.Path)
		if err := f.TakeOver(t.Context(), oldText, fabric.Fence{Term: 9}, claim.DigestOf(newText)); err == nil {
			t.Errorf("%s: taken over by who looked at another file", name)
		}
		if err := f.TakeOver(t.Context(), oldText, fabric.Fence{Term: 9}, claim.DigestOf(found)); err != nil {
			t.Errorf("%s: take over: %v", name, err)
		}
		put(t, f, newText, fabric.Fence{Term: 9})
	}
	// A file that was there before us is the owner's.
	f := newFile(t)
	if err := os.WriteFile(f.Path, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), oldText, fabric.Fence{Term: 1}); !errors.Is(err, ErrEdited) {
		t.Errorf("the owner's own file: %v", err)
	}
}

func TestUnreadableFenceStopsWriting(t *testing.T) {
	f := newFile(t)
	put(t, f, oldText, fabric.Fence{Term: 1})
	if err := os.WriteFile(f.fencePath(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), newText, fabric.Fence{Term: 2}); err == nil {
		t.Error("written without knowing who wrote last")
	}
}

func TestWritersAtTheSameTime(t *testing.T) {
	f := newFile(t)
	put(t, f, oldText, fabric.Fence{Term: 1})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			g := &File{Path: f.Path}
			for j := range 10 {
				if err := g.Put(t.Context(), fmt.Appendf(nil, "writer %d.%d\n", i, j), fabric.Fence{Term: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := f.Read(); err != nil {
		t.Error(err)
	}
}

const childEnv = "BULKHEAD_TEST_FILE"

// TestMain turns the test's program into a writer that dies, when it is asked to.
func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		dieAt(path, os.Getenv(childEnv+"_STEP"))
	}
	os.Exit(m.Run())
}

// dieAt puts the new text and kills itself at the n-th step, or at the file size
// limit.
func dieAt(path, step string) {
	f := &File{Path: path}
	if step == "full" {
		limit := syscall.Rlimit{Cur: 1, Max: 1}
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	} else {
		n := 0
		f.step = func(string) {
			if n++; fmt.Sprint(n) == step {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	err := f.Put(context.Background(), newText, fabric.Fence{Term: 2})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(3)
	}
	os.Exit(0)
}

func writer(t *testing.T, path, step string) (string, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path, childEnv+"_STEP="+step)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// TestKilledAtAnyStep: kill -9 leaves the old file or the new one, whole, and the
// next writer goes on.
func TestKilledAtAnyStep(t *testing.T) {
	old, died := 0, 0
	for step := 1; ; step++ {
		f := newFile(t)
		put(t, f, oldText, fabric.Fence{Term: 1})
		out, code := writer(t, f.Path, fmt.Sprint(step))
		if code == 0 {
			break
		}
		died++
		got, err := f.Read()
		if err != nil || !bytes.Equal(got, oldText) && !bytes.Equal(got, newText) {
			t.Fatalf("killed at step %d: %q, %v (%s)", step, got, err, out)
		}
		if bytes.Equal(got, oldText) {
			old++
		}
		put(t, f, newText, fabric.Fence{Term: 2})
		if got, err := f.Read(); err != nil || !bytes.Equal(got, newText) {
			t.Fatalf("after step %d: %q, %v", step, got, err)
		}
	}
	if died != 15 || old != 9 {
		t.Errorf("died %d times, the old file stayed %d times: expected 15 steps, and the old file up to the second rename", died, old)
	}
}

// TestDiskFull: a limit on the size of files stands for a full disk.
func TestDiskFull(t *testing.T) {
	f := newFile(t)
	put(t, f, oldText, fabric.Fence{Term: 1})
	out, code := writer(t, f.Path, "full")
	if code != 3 || !strings.Contains(out, "stays in force") {
		t.Fatalf("exit %d: %s", code, out)
	}
	if got, err := f.Read(); err != nil || !bytes.Equal(got, oldText) {
		t.Errorf("%q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.Path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	put(t, f, newText, fabric.Fence{Term: 1})
}
