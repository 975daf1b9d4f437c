package ethnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Space is one network namespace of a lab. It has no name in the file system: it
// ends with the last process and descriptor that holds it.
type Space struct {
	Name   string
	file   *os.File
	handle *netlink.Handle
}

// newSpace makes a namespace, with its loopback up.
func newSpace(name string) (*Space, error) {
	s := &Space{Name: name}
	err := apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a new network namespace: %w (a lab needs root)", err)
		}
		var err error
		s.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.handle, err = netlink.NewHandleAt(netns.NsHandle(s.file.Fd()), unix.NETLINK_ROUTE); err != nil {
		s.file.Close()
		return nil, err
	}
	lo, err := s.handle.LinkByName("lo")
	if err == nil {
		err = s.handle.LinkSetUp(lo)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%s: loopback: %w", name, err)
	}
	return s, nil
}

func (s *Space) close() {
	if s.handle != nil {
		s.handle.Close()
	}
	s.file.Close()
}

// Netlink is a netlink socket in the namespace.
func (s *Space) Netlink() *netlink.Handle { return s.handle }

// apart runs f on a thread that may change its namespace, and brings the thread
// back. A thread that can't be brought back is not used again.
func apart(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Do runs f in the namespace. Only what f itself does is in it: a goroutine that f
// starts is not. Sockets stay where they were made.
func (s *Space) Do(f func() error) error {
	return apart(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", s.Name, err)
		}
		return f()
	})
}

// Dial connects from inside the namespace.
func (s *Space) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = s.Do(func() error {
		// Addresses are numbers here, so that no resolver's goroutine is needed.
		c, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Listen listens inside the namespace.
func (s *Space) Listen(network, address string) (l net.Listener, err error) {
	err = s.Do(func() error {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// Command prepares a program that will run in the namespace when [Space.Run] or
// [Space.Output] start it.
func Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Start starts a program in the namespace.
func (s *Space) Start(cmd *exec.Cmd) error { return s.Do(cmd.Start) }

// Output runs a program in the namespace and returns what it prints. An error says
// what it printed besides.
func (s *Space) Output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := Command(ctx, program, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := s.Start(cmd); err != nil {
		return "", fmt.Errorf("%s: %s: %w", s.Name, program, err)
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s: %s %s: %w: %s", s.Name, program, strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// set writes values below /proc/sys, in the namespace.
func (s *Space) set(values ...[2]string) error {
	return s.Do(func() error {
		for _, v := range values {
			if err := os.WriteFile("/proc/sys/"+v[0], []byte(v[1]), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		return nil
	})
}

// MAC is the hardware address of an interface.
func (s *Space) MAC(name string) (net.HardwareAddr, error) {
	link, err := s.handle.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("ethnet: %s %s: %w", s.Name, name, err)
	}
	return link.Attrs().HardwareAddr, nil
}
