package wire_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/custody/pki"
	"bulkhead/fabric/fabrictest"
	"bulkhead/node/nodetest"
	"bulkhead/sim"
	"bulkhead/wire"
)

// identities makes an authority, and who answers and who calls.
func identities(t testing.TB) (server, client *pki.Identity) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	must(t, pki.CreateAuthority(dir, "test", time.Now(), time.Hour))
	of := func(use pki.Use) *pki.Identity {
		at := filepath.Join(dir, string(use))
		_, err := pki.Issue(dir, at+".pem", at+".key", pki.Request{Names: []string{"127.0.0.1"}, Use: use, Valid: time.Hour}, time.Now())
		must(t, err)
		i, err := pki.OpenIdentity(at+".pem", at+".key", filepath.Join(dir, pki.AuthorityCert))
		must(t, err)
		return i
	}
	return of(pki.ForServer), of(pki.ForClient)
}

// serveTLS serves a simulated site as to a control plane on another machine.
func serveTLS(t testing.TB, s *sim.Sim, who *pki.Identity) (wire.Endpoint, net.Listener) {
	t.Helper()
	l, err := wire.ListenTLS("127.0.0.1:0", who)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- wire.Serve(l, s.Drivers()) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	at, err := wire.ParseEndpoint("tls:" + l.Addr().String())
	must(t, err)
	return at, l
}

func dialTLS(t testing.TB, s *sim.Sim) *wire.Client {
	t.Helper()
	server, client := identities(t)
	at, _ := serveTLS(t, s, server)
	c, err := wire.DialEndpoint(t.Context(), at, client)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// The same suites as at a socket.
func TestFabricsConformOverTLS(t *testing.T) {
	fabrictest.Run(t, func(t *testing.T) *fabrictest.Fixture {
		s := simulated(t, 1, false)
		return fabricFixture(t, s, dialTLS(t, s), "roce", 0)
	})
}

func TestNodesConformOverTLS(t *testing.T) {
	nodetest.Run(t, func(t *testing.T) *nodetest.Fixture {
		s := simulated(t, 2, false)
		return nodeFixture(t, s, dialTLS(t, s))
	})
}

// Who is not vouched for is told so, and is not taken for drivers that are away: those are
// tried again, and a person has to look at these.
func TestStrangersAreToldApart(t *testing.T) {
	server, client := identities(t)
	strange, stranger := identities(t)
	s := simulated(t, 4, false)
	at, l := serveTLS(t, s, server)
	if _, err := wire.DialEndpoint(t.Context(), at, stranger); err == nil || errors.Is(err, wire.ErrGone) || !strings.Contains(err.Error(), "not who it has to be") {
		t.Errorf("a control plane of another authority: %v", err)
	}
	other, _ := serveTLS(t, s, strange)
	if _, err := wire.DialEndpoint(t.Context(), other, client); err == nil || errors.Is(err, wire.ErrGone) || !strings.Contains(err.Error(), "not who it has to be") {
		t.Errorf("drivers of another authority: %v", err)
	}
	if _, err := wire.DialEndpoint(t.Context(), at, nil); err == nil || !strings.Contains(err.Error(), "expected a certificate") {
		t.Errorf("without an identity: %v", err)
	}
	plain, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer plain.Close()
	_, _ = io.WriteString(plain, "POST /v1/hello HTTP/1.1\r\nHost: devices\r\nContent-Length: 2\r\n\r\n{}")
	must(t, plain.SetReadDeadline(time.Now().Add(time.Minute)))
	if said, _ := io.ReadAll(plain); strings.Contains(string(said), "fabrics") {
		t.Errorf("in plain text it answers %q", said)
	}
}

func TestAddresses(t *testing.T) {
	for text, socket := range map[string]string{"unix:a/b.sock": "a/b.sock", "tls:h:1": "", "tls:[::1]:8471": ""} {
		if a, err := wire.ParseEndpoint(text); err != nil || a.Socket() != socket {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "unix:", "tls:", "tls:host", "tls::8471", "tls:host:", "tls:host:0", "tcp:host:1", "host:1", "https://host:1"} {
		if a, err := wire.ParseEndpoint(text); err == nil {
			t.Errorf("%q is taken for %+v", text, a)
		}
	}
}
