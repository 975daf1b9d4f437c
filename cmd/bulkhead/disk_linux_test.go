package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/keystore"
	"bulkhead/run/datadir"
)

// TestFullDisk: a server whose disk is full stops and says so; nothing that it
// has answered is lost, and it goes on when there is room again.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=4m,mode=700"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d := datadir.Dir(filepath.Join(small, "data"))
	serve := func() (*process, *client) {
		p := launch(t, nil, "serve", "--data", string(d), "--listen", "127.0.0.1:0")
		return p, &client{Server: p.address(t), TokenFile: filepath.Join(string(d), "operator.token")}
	}
	register := func(c *client, n int) (*v1.Done, error) {
		id := fmt.Sprintf("tenant-%d", n)
		return ask(t.Context(), c, bulkheadv1connect.ControlPlaneClient.RegisterTenant,
			&v1.RegisterTenantRequest{CommandId: id, Tenant: id, Name: strings.Repeat("A long name. ", 15)})
	}

	answered, head := 0, uint64(0)
	fill := func(p *process) { // until it stops
		t.Helper()
		c := &client{Server: p.address(t), TokenFile: filepath.Join(string(d), "operator.token")}
		for n := answered + 1; n < 10_000; n++ {
			done, err := register(c, n)
			if err != nil {
				t.Logf("tenant %d: %v", n, explain(err))
				break
			}
			answered, head = n, done.Entry
		}
		if err := p.wait(t); err == nil || p.command.ProcessState.ExitCode() != exitFailed {
			t.Errorf("it ended with %v, expected exit code %d", err, exitFailed)
		}
		said := strings.TrimSpace(p.said())
		last := said[strings.LastIndex(said, "\n")+1:]
		t.Logf("after %d tenants: %s", answered, last)
		if !strings.HasPrefix(last, "bulkhead: ") || !strings.Contains(last, "disk is full") || strings.Contains(said, "panic") {
			t.Errorf("it does not say that the disk is full: %s", said)
		}
	}

	first, _ := serve()
	ballast(t, filepath.Join(small, "ballast"), 400<<10)
	fill(first)
	if answered == 0 {
		t.Error("no tenant was registered before the disk was full")
	}
	// Without more room it goes on for as long as what SQLite has taken is
	// enough, or does not come up; it harms nothing.
	for range 2 {
		p := launch(t, nil, "serve", "--data", string(d), "--listen", "127.0.0.1:0")
		up := false
		for !up && !p.over {
			select {
			case err := <-p.done:
				p.over = true
				if err == nil || !strings.Contains(p.said(), "disk is full") {
					t.Errorf("on a full disk it ended with %v: %s", err, p.said())
				}
			case <-time.After(10 * time.Millisecond):
				up = addressed.MatchString(p.said())
			}
		}
		if up {
			fill(p)
		}
	}

	if err := os.Remove(filepath.Join(small, "ballast")); err != nil {
		t.Fatal(err)
	}
	v, err := d.Verify(t.Context(), keystore.Master{})
	if err != nil {
		t.Fatal(err)
	}
	if v.Entries < head {
		t.Errorf("the ledger ends at entry %d, entry %d was answered", v.Entries, head)
	}
	p, c := serve()
	if done, err := register(c, answered); err != nil || !done.Repeated {
		t.Errorf("the last tenant that was answered, again: %v, %v", done, err)
	}
	if _, err := register(c, answered+1); err != nil {
		t.Errorf("the tenant that was refused, again: %v", err)
	}
	if err := p.interrupt(t); err != nil {
		t.Errorf("%v: %s", err, p.said())
	}
	if _, err := d.Verify(t.Context(), keystore.Master{}); err != nil {
		t.Error(err)
	}
}

// ballast fills a file system but for some bytes.
func ballast(t *testing.T, path string, left int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = f.Truncate(size - left)
	}
	if err != nil {
		t.Fatal(err)
	}
}
