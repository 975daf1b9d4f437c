package custody

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func listening(t *testing.T, refused func(Peer)) (socket string, l net.Listener) {
	t.Helper()
	dir, err := os.MkdirTemp("", "custody") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	if l, err = Listen(socket, refused); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return socket, l
}

// The kernel says who is at the other end, to both.
func TestPeers(t *testing.T) {
	socket, l := listening(t, nil)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	c, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other := <-accepted
	defer other.Close()
	for _, end := range []net.Conn{c, other} {
		if p, err := peerOf(end); err != nil || p.UID != uint32(os.Geteuid()) || int(p.PID) != os.Getpid() {
			t.Errorf("%+v, %v: expected this process", p, err)
		}
	}
	nobody := func() (uint32, bool) { return 0, false }
	for _, c := range []struct {
		uid, me uint32
		given   func() (uint32, bool)
		want    bool
	}{
		{1000, 1000, nobody, true}, {0, 1000, nobody, true}, {1001, 1000, nobody, false}, {1001, 0, nobody, false},
		{1001, 0, func() (uint32, bool) { return 1001, true }, true}, {1002, 0, func() (uint32, bool) { return 1001, true }, false},
	} {
		if got := admits(c.uid, c.me, c.given); got != c.want {
			t.Errorf("user %d at a socket of user %d: %t", c.uid, c.me, got)
		}
	}
	for _, c := range []struct {
		p    Peer
		me   uint32
		good bool
	}{{Peer{1000, 1}, 1000, true}, {Peer{0, 1}, 1000, true}, {Peer{1000, 1}, 0, false}, {Peer{1001, 1}, 1000, false}} {
		if err := stranger("s", c.p, c.me); (err == nil) != c.good || err != nil && !errors.Is(err, ErrStranger) {
			t.Errorf("%+v seen by user %d: %v", c.p, c.me, err)
		}
	}
}

// Another user's process is refused by the kernel's word, also where the socket's mode
// would let it in. It needs root, to be another user.
func TestAnotherUserIsRefused(t *testing.T) {
	if socket := os.Getenv("CUSTODY_SOCKET"); socket != "" {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("it was let in")
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("it needs root, to start a process of another user")
	}
	const other = 12345
	seen := make(chan Peer, 1)
	socket, l := listening(t, func(p Peer) { seen <- p })
	go func() {
		if c, err := l.Accept(); err == nil {
			t.Error("another user was let in")
			c.Close()
		}
	}()
	for _, path := range []string{filepath.Dir(socket), socket} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	self := filepath.Join(filepath.Dir(socket), "test") // where the other user can run it
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(self, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=TestAnotherUserIsRefused$")
	c.Dir = filepath.Dir(socket)
	c.Env = append(os.Environ(), "CUSTODY_SOCKET="+socket)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if p := <-seen; p.UID != other {
		t.Errorf("user %d was refused, expected %d", p.UID, other)
	}
}

func TestASocketWhereOthersCouldReplaceIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(filepath.Join(dir, "s"), nil); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		if err == nil {
			l.Close()
		}
		t.Errorf("in a folder of everybody's: %v", err)
	}
}
