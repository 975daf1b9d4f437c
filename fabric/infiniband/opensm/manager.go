package opensm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bulkhead/fabric"
)

// ErrGone is returned, wrapped, when no OpenSM runs where one should: nothing
// that is written comes into force until the owner's supervision starts it.
var ErrGone = errors.New("OpenSM is gone")

// Reloader makes OpenSM read its files again and sweep. It returns when OpenSM
// was told, which says nothing about the devices.
type Reloader interface {
	Reload(ctx context.Context) error
}

// Signal sends SIGHUP to the process in a pid file, if that process is OpenSM: a
// pid is used again.
type Signal struct {
	PIDFile string
	Program string // name of the program; "" is opensm
}

// Reload sends SIGHUP.
func (s Signal) Reload(context.Context) error {
	text, err := os.ReadFile(s.PIDFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s: %.40q: expected the process id of OpenSM", s.PIDFile, text)
	}
	want := s.Program
	if want == "" {
		want = "opensm"
	}
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return fmt.Errorf("%s: process %d: %w", s.PIDFile, pid, ErrGone)
	}
	if got := strings.TrimSpace(string(name)); got != want {
		return fmt.Errorf("%s: process %d is %q, not %q: %w", s.PIDFile, pid, got, want, ErrGone)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("%s: process %d: %w", s.PIDFile, pid, err)
	}
	return nil
}

// Console asks for a heavy sweep over OpenSM's console, which must listen on
// loopback: it asks for no password.
type Console struct{ Port int }

// Reload says "resweep heavy".
func (c Console) Reload(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("%w: console: %w", ErrGone, err)
	}
	defer conn.Close()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(5 * time.Second)
	}
	_ = conn.SetDeadline(end)
	// The console takes one command after its prompt.
	r := bufio.NewReader(conn)
	for seen := ""; !strings.HasSuffix(seen, "OpenSM $ "); {
		b, err := r.ReadByte()
		if err != nil {
			return fmt.Errorf("console: expected the prompt %q after %.80q: %w", "OpenSM $ ", seen, err)
		}
		if seen += string(rune(b)); len(seen) > 4096 {
			return fmt.Errorf("console: expected the prompt %q, got %.80q", "OpenSM $ ", seen)
		}
	}
	if _, err := conn.Write([]byte("resweep heavy\n")); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	// The next prompt says that the command was taken.
	if _, err := r.ReadString('$'); err != nil {
		return fmt.Errorf("console: expected a prompt after the command: %w", err)
	}
	return nil
}

// Manager brings a file into force: in place, OpenSM told, devices followed.
type Manager struct {
	File   *File
	Reload Reloader
	// Bound is how long devices may take to follow; 0: a minute.
	Bound time.Duration
	// Again is how often OpenSM is told again while they do not; 0: five seconds.
	// OpenSM may have been at a sweep that had read the old file.
	Again time.Duration
	// Progress, if set, hears how many ports are left.
	Progress func(left int)
}

// Bring puts text in place, makes OpenSM read it, and waits until left returns
// nothing, as long as the Bound allows. Left reads the devices and names the
// ports that do not carry yet what they should. What is left at the end is
// returned: it is not in force there. The error is for what concerns the whole:
// the file was not put, or OpenSM was not told.
func (m *Manager) Bring(ctx context.Context, text []byte, fence fabric.Fence, left func(context.Context) ([]fabric.PortError, error)) ([]fabric.PortError, error) {
	if err := m.File.Put(ctx, text, fence); err != nil {
		return nil, err
	}
	if err := m.Reload.Reload(ctx); err != nil {
		return nil, err
	}
	return m.Settle(ctx, left)
}

// Settle waits until left returns nothing, and tells OpenSM again now and then.
// It gives up early if what is left does not become less for half of the Bound.
func (m *Manager) Settle(ctx context.Context, left func(context.Context) ([]fabric.PortError, error)) ([]fabric.PortError, error) {
	bound, again := m.Bound, m.Again
	if bound == 0 {
		bound = time.Minute
	}
	if again == 0 {
		again = 5 * time.Second
	}
	start := time.Now()
	told := start
	fewest, since := -1, start
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		ports, err := left(ctx)
		if err != nil {
			return nil, err
		}
		if m.Progress != nil {
			m.Progress(len(ports))
		}
		if len(ports) == 0 {
			return nil, nil
		}
		now := time.Now()
		if fewest < 0 || len(ports) < fewest {
			fewest, since = len(ports), now
		}
		if now.Sub(start) >= bound || now.Sub(since) >= bound/2 {
			return ports, nil
		}
		if now.Sub(told) >= again {
			told = now
			if err := m.Reload.Reload(ctx); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
