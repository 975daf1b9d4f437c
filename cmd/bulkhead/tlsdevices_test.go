package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/custody/pki"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/wire"
)

// tlsDevices serves the devices of the tiny site as a driver on another machine would, with
// a certificate, its key and authorities; $devices is HOST:PORT then.
func tlsDevices(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tlsdevices CERT KEY AUTHORITIES")
	}
	who, err := pki.OpenIdentity(ts.MkAbs(args[0]), ts.MkAbs(args[1]), ts.MkAbs(args[2]))
	ts.Check(err)
	file := filepath.Join(ts.Getenv("EXAMPLES"), "tiny", "site.yaml")
	data, err := os.ReadFile(file)
	ts.Check(err)
	template, err := site.ParseTemplate(file, data)
	ts.Check(err)
	s, err := sim.FromTemplate(template, sim.DefaultConfig(1, time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)))
	ts.Check(err)
	l, err := wire.ListenTLS("127.0.0.1:0", who)
	ts.Check(err)
	done := make(chan error, 1)
	go func() { done <- wire.Serve(l, s.Drivers()) }()
	ts.Defer(func() { _ = l.Close(); <-done })
	ts.Setenv("devices", l.Addr().String())
}
