package custody

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrStranger is wrapped by what refuses the process at the other end of a socket.
var ErrStranger = errors.New("the process at the other end belongs to another user")

// Peer is the process at the other end of a unix socket, as the kernel says.
type Peer struct {
	UID uint32
	PID int32
}

// Listen opens a unix socket for its owner alone. A socket that nobody answers on is left
// from a process that died, and is replaced; one that is in use is an error, as is a file
// that is no socket, and a folder in which others could put one in its place.
//
// Who connects is this process's user, root, or whom the socket's file was given to
// (chown) by one of these: anybody else's connection is closed, and refused tells of it.
func Listen(socket string, refused func(Peer)) (net.Listener, error) {
	if info, err := os.Lstat(socket); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("%s exists and is no socket: choose another path", socket)
		}
		if c, err := net.DialTimeout("unix", socket, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: another process serves devices there: stop it or choose another path", socket)
		}
		if err := os.Remove(socket); err != nil {
			return nil, fmt.Errorf("socket left by a process that died: %w", err)
		}
	}
	if err := safeFolder(socket); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return &listener{l, socket, refused}, nil
}

// safeFolder refuses a socket in a folder where anybody may replace it. In a folder that is
// everybody's, such as /tmp, nobody may remove what is another's. Whose it is does not
// count: its owner, such as FRR's user, could put a socket of his own there, and whoever
// connects would find out by asking the kernel.
func safeFolder(socket string) error {
	dir := filepath.Dir(socket)
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("socket %s: %s has mode %04o, so others may put a socket there: expected at most 0755 (chmod go-w %s)", socket, dir, mode, dir)
	}
	return nil
}

type listener struct {
	net.Listener
	socket  string
	refused func(Peer)
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := peerOf(c)
		if err == nil && l.admits(p.UID) {
			return c, nil
		}
		c.Close()
		if l.refused != nil {
			l.refused(p)
		}
	}
}

func (l *listener) admits(uid uint32) bool {
	return admits(uid, uint32(os.Geteuid()), func() (uint32, bool) {
		info, err := os.Lstat(l.socket)
		if err != nil {
			return 0, false
		}
		own, ok := info.Sys().(*syscall.Stat_t)
		return own.Uid, ok
	})
}

func admits(uid, me uint32, givenTo func() (uint32, bool)) bool {
	if uid == me || uid == 0 {
		return true
	}
	owner, known := givenTo()
	return known && uid == owner
}

// Dial connects to a unix socket whose process belongs to this process's user, or to
// root: whoever else could listen there would be told secrets and believed.
func Dial(ctx context.Context, socket string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	p, err := peerOf(c)
	if err == nil {
		err = stranger(socket, p, uint32(os.Geteuid()))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func stranger(socket string, p Peer, me uint32) error {
	if p.UID == me || p.UID == 0 {
		return nil
	}
	return fmt.Errorf("%s: process %d of user %d listens there, and this process is user %d: %w: start both as one user, or that one as root", socket, p.PID, p.UID, me, ErrStranger)
}
