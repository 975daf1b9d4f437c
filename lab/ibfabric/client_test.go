package ibfabric_test

import (
	"testing"
	"time"

	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/ibnet"
)

// client is a host's software.
func client(t testing.TB, s *ibnet.Sim, host string) *smp.Client {
	t.Helper()
	p, err := umad.OpenSim(umad.SimOptions{Socket: s.Name, Host: host})
	if err != nil {
		t.Fatal(err)
	}
	c, err := smp.New(p, smp.Options{Window: 16, Timeout: 500 * time.Millisecond, Tries: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
