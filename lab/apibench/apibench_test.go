package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/custody/exchange"
)

// devices answers every call of the driver protocol in the same words.
func devices(t *testing.T, answer string) (client *exchange.Client, asked <-chan struct{}) {
	t.Helper()
	calls := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- struct{}{}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return &exchange.Client{Head: "Host: devices\r\n", Limit: 1 << 10, Dial: func(context.Context) (net.Conn, error) {
		return net.Dial("tcp", server.Listener.Addr().String())
	}}, calls
}

// TestModes asks a driver in each mode: what comes of the answer before it is told
// to pass again, which ends what hangs.
func TestModes(t *testing.T) {
	const answer = "0123456789"
	for _, c := range []struct {
		mode, path, got string
		ends            bool
	}{
		{passes, "/v1/fabrics/x/apply", answer, true},
		{applies, "/v1/fabrics/x/observe", answer, true},
		{applies, "/v1/fabrics/x/apply", "", false},
		{half, "/v1/fabrics/x/observe", "01234", false},
		{drips, "/v1/fabrics/x/observe", "0", false},
	} {
		client, asked := devices(t, answer)
		d := &slow{devices: client, mode: c.mode, changed: make(chan struct{})}
		server := httptest.NewServer(d)
		read := make(chan string)
		go func() {
			response, err := http.Post(server.URL+c.path, "", strings.NewReader("{}"))
			if err != nil {
				close(read)
				return
			}
			defer response.Body.Close()
			for part := make([]byte, len(answer)); ; {
				n, err := response.Body.Read(part)
				if n > 0 {
					read <- string(part[:n])
				}
				if err != nil {
					close(read)
					return
				}
			}
		}()
		<-asked
		got := ""
		for len(got) < len(c.got) {
			got += <-read
		}
		if !c.ends {
			d.set(passes)
		}
		for more := range read {
			if !strings.HasPrefix(answer, got+more) || !c.ends && c.mode != drips {
				t.Errorf("%s %s: then came %q", c.mode, c.path, more)
			}
		}
		if !strings.HasPrefix(got, c.got) {
			t.Errorf("%s %s: %q, expected %q", c.mode, c.path, got, c.got)
		}
		server.Close()
	}
}

// TestIntroduce splits the simulator's drivers in two that have nothing in common.
func TestIntroduce(t *testing.T) {
	const said = `{"protocol":5,"fabrics":["ib","roce"],"postured":["ib"],"nodes":true,"storage":true,"sim":true}`
	for _, c := range []struct{ fabric, without, want string }{
		{"roce", "", `{"fabrics":["roce"],"nodes":false,"postured":[],"protocol":5,"sim":false,"storage":false}`},
		{"", "roce", `{"fabrics":["ib"],"nodes":true,"postured":["ib"],"protocol":5,"sim":true,"storage":true}`},
	} {
		got, err := (&slow{fabric: c.fabric, without: c.without}).introduce([]byte(said))
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
	if _, err := (&slow{fabric: "none"}).introduce([]byte(said)); err == nil {
		t.Error("a fabric that is not there is driven")
	}
}

// TestLoad: what fails counts as having taken as long as a request may, and is
// counted.
func TestLoad(t *testing.T) {
	l := newLoad(1000, func(_ context.Context, n int) error {
		if n%10 == 0 {
			return errors.New("no")
		}
		return nil
	})
	l.run(t.Context(), 100*time.Millisecond)
	if f := l.figures(); f.Due != 100 || f.Failed != 10 || f.P99 < answerWithin || f.Max < f.P99 || f.P50 >= answerWithin {
		t.Errorf("%+v", f)
	}
}

// The site that is measured is made by the command line as it is now: a verb that asks for
// more than it did would end a bench that nobody has run for a while.
func TestPrepare(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command line")
	}
	binary := filepath.Join(t.TempDir(), "bulkhead")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/bulkhead").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err := prepare(t.Context(), config{Binary: binary, Fabric: "roce", Size: "tiny"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
	if len(s.leases) == 0 || len(s.tokens) == 0 {
		t.Errorf("%d leases, %d tokens", len(s.leases), len(s.tokens))
	}
}
