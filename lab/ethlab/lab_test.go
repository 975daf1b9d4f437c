package ethlab

import (
	"os"
	"testing"
	"time"

	"bulkhead/lab/ethnet"
	"bulkhead/lab/ethnet/agenttest"
)

func TestMain(m *testing.M) {
	agenttest.Main()
	if dir := os.Getenv(planeOf); dir != "" {
		if err := plane(dir); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// begin starts a lab that ends with the test, or skips it with one line.
func begin(t *testing.T, o Options) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts FRR in network namespaces: not in the inner loop")
	}
	if missing := ethnet.Missing(false); missing != "" {
		t.Skip("needs " + missing + ": as root on Debian, apt-get install frr nftables iproute2 lldpd")
	}
	o.Say, o.Agent, o.Reflector, o.Bound = func(s string) { t.Log(s) }, agenttest.Leaf, agenttest.Reflector, 8*time.Second
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
