package ethlab

import (
	"context"
	"os"
	"os/exec"
	"strings"
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
		err := runAgent(path)
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runAgent runs the agent of a leaf, or of a spine where it is told to reflect.
func runAgent(path string) error {
	if path, reflects := strings.CutPrefix(path, "reflect "); reflects {
		conf, err := linux.ReadReflectorConfig(path)
		if err != nil {
			return err
		}
		return linux.RunReflector(context.Background(), conf)
	}
	conf, err := linux.ReadConfig(path)
	if err != nil {
		return err
	}
	return linux.Run(context.Background(), conf)
}

func reflector(config string) *exec.Cmd { return agent("reflect " + config) }

func agent(config string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), agentOf+"="+config)
	return cmd
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
	o.Say, o.Agent, o.Reflector, o.Bound = func(s string) { t.Log(s) }, agent, reflector, 8*time.Second
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
