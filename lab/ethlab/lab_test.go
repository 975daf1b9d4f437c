package ethlab

import (
	"os"
	"testing"
	"time"

	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
)

func TestMain(m *testing.M) {
	ethnet.BecomeAgent()
	if dir := os.Getenv(planeOf); dir != "" {
		if err := plane(dir); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// bound is the longest that a leaf may take which answers: longer than one does on a
// machine with much else to do. Who does not answer is behind a gate that is cut, and
// that is known at once.
const bound = 2 * time.Minute

// begin starts a lab that ends with the test, or skips it with one line.
func begin(t *testing.T, o Options) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts FRR in network namespaces: not in the inner loop")
	}
	if missing := ethnet.Missing(false); missing != "" {
		t.Skip("needs " + missing + ": as root on Debian, apt-get install frr nftables iproute2 lldpd")
	}
	o.Say, o.Agent, o.Reflector, o.Bound = func(s string) { t.Log(s) }, ethnet.SelfLeaf, ethnet.SelfReflector, bound
	l, err := Start(await.Context(t), o)
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
