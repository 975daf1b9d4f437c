package ethlab

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"bulkhead/fabric/ethernet/linux"
	"bulkhead/lab/ethnet"
)

// agentOf makes this test program a leaf's agent.
const agentOf = "BULKHEAD_ETHLAB_AGENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(planeOf); dir != "" {
		if err := plane(dir); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	if path := os.Getenv(agentOf); path != "" {
		conf, err := linux.ReadConfig(path)
		if err == nil {
			err = linux.Run(context.Background(), conf)
		}
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func agent(config string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), agentOf+"="+config)
	return cmd
}

// begin starts a lab that ends with the test, or skips it with one line.
func begin(t *testing.T) *Lab {
	t.Helper()
	return beginWith(t, Options{Bound: 8 * time.Second})
}

func beginWith(t *testing.T, o Options) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts FRR in network namespaces: not in the inner loop")
	}
	if missing := ethnet.Missing(false); missing != "" {
		t.Skip("needs " + missing + ": as root on Debian, apt-get install frr nftables iproute2 lldpd")
	}
	o.Say, o.Agent = func(s string) { t.Log(s) }, agent
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
