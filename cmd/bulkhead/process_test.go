package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bulkhead/lab/await"
)

// process is a bulkhead of its own that a test has started, and ends.
type process struct {
	command *exec.Cmd
	stderr  string // its file
	done    chan error
	over    bool
}

var addressed = regexp.MustCompile(`"address":"(http://[^"]+)"`)

// launch starts bulkhead in the background, through before if it is not nil.
func launch(t *testing.T, before func(*exec.Cmd), args ...string) *process {
	t.Helper()
	path, err := exec.LookPath("bulkhead")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(t.TempDir(), "stderr-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &process{command: exec.Command(path, args...), stderr: f.Name(), done: make(chan error, 1)}
	p.command.Stdout, p.command.Stderr = f, f
	if before != nil {
		before(p.command)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.command.Wait() }()
	t.Cleanup(p.kill)
	return p
}

// kill ends it as the kernel does when there is no memory left.
func (p *process) kill() {
	if !p.over {
		_ = p.command.Process.Kill()
		<-p.done
		p.over = true
	}
}

// interrupt asks it to end, and says how it did.
func (p *process) interrupt(t *testing.T) error {
	t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	return p.wait(t)
}

// wait waits for its end.
func (p *process) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		p.over = true
		return err
	case <-time.After(patience):
		t.Fatalf("it did not end: %s", p.said())
	}
	return nil
}

func (p *process) said() string {
	data, _ := os.ReadFile(p.stderr)
	return string(data)
}

// until waits until ready says so. A process that ends before fails the test.
func (p *process) until(t *testing.T, what string, ready func() bool) {
	t.Helper()
	if err := await.Until(await.Context(t), what, func() (string, bool) {
		if ready() {
			return "", true
		}
		select {
		case err := <-p.done:
			p.over = true
			t.Fatalf("it ended (%v) before %s: %s", err, what, p.said())
		default:
		}
		return p.said(), false
	}); err != nil {
		t.Fatal(err)
	}
}

// address waits until it serves.
func (p *process) address(t *testing.T) (address string) {
	t.Helper()
	p.until(t, "address", func() bool {
		m := addressed.FindStringSubmatch(p.said())
		if m != nil {
			address = m[1]
		}
		return m != nil
	})
	return address
}

// simulate starts simulated devices of the tiny site.
func simulate(t *testing.T, speed string) (socket string) {
	t.Helper()
	return simulateSize(t, "tiny", speed)
}

// simulateSize starts simulated devices of an example site.
func simulateSize(t *testing.T, size, speed string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "bulkhead") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "devices")
	p := launch(t, nil, "sim", "--size", size, "--socket", socket, "--realtime", "--speed", speed)
	p.until(t, "socket", func() bool { _, err := os.Stat(socket); return err == nil })
	return socket
}

// firstLease is the contract of docs/first-lease.md with a term that begins some
// hours from now.
func firstLease(hours int) (string, error) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "first-lease.yaml"))
	begin := time.Now().UTC().Truncate(time.Second).Add(time.Duration(hours) * time.Hour)
	text := regexp.MustCompile(`(begin|delivery|from): [0-9-]+`).ReplaceAllString(string(data), "$1: "+begin.Format(time.RFC3339))
	text = regexp.MustCompile(`(?m)^end: [0-9-]+`).ReplaceAllString(text, "end: "+begin.AddDate(1, 0, 0).Format(time.RFC3339))
	return strings.TrimSpace(text) + "\n", err
}
