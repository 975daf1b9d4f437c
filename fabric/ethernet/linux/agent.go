package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/agent"
)

// Agent is what runs on a leaf. It acts on the network namespace that its process is
// in, and is the only one that writes there.
type Agent struct {
	conf *Config

	writing sync.Mutex
	fence   *agent.Fence

	reading sync.Mutex
	changes *agent.Changes
}

// New prepares a leaf: its own filter is in force and every edge port that is in no
// bridge is closed by its filter. Ports that are members stay so. An error is also
// that the fence can't be read.
func New(conf *Config) (*Agent, error) {
	fence, err := agent.OpenFence(conf.State)
	if err != nil {
		return nil, err
	}
	a := &Agent{conf: conf, fence: fence}
	if a.changes, err = agent.NewChanges(a.unnoticed, true); err != nil {
		return nil, err
	}
	if err := a.prepare(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// bridgeHooks make the kernel show bridged packets to the IP filters as well, where
// br_netfilter is loaded; the leaf's own filter, which forwards nothing, would drop
// what goes from port to port of one VNI.
var bridgeHooks = []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"}

func (a *Agent) prepare() error {
	for _, name := range bridgeHooks {
		if err := os.WriteFile("/proc/sys/net/bridge/"+name, []byte("0"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := writeLeafFilter(a.conf); err != nil {
		return err
	}
	l, err := readLayout(a.conf)
	if err != nil {
		return err
	}
	for _, p := range a.conf.Ports {
		// An interface that is not there is no reason to leave the others open.
		if _, in := l.of[p.Number]; !in {
			_ = writePortFilters([]portFilter{{PortConfig: p}})
		}
	}
	return writeQueues(a.conf.State)
}

// Close gives back what the agent holds; the leaf stays as it is.
func (a *Agent) Close() { a.changes.Close() }

// Admit shows the leaf a fence.
func (a *Agent) Admit(_ context.Context, f fabric.Fence) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.fence.Admit(f)
}

// Write makes ports carry rows. A port that the configuration does not name, or a row
// that this leaf can't carry, fails by itself. Once it has begun it goes on although
// its caller has gone, up to writeLimit: half of a change is worse than all of it.
func (a *Agent) Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (map[int]string, error) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := a.fence.Admit(f); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	failed := map[int]string{}
	var members []member
	for number, row := range rows {
		p, known := a.conf.port(number)
		if !known {
			failed[number] = fmt.Sprintf("leaf %s has no port %d in its agent's configuration", a.conf.Leaf, number)
			continue
		}
		m, err := memberOf(p, row)
		if err != nil {
			failed[number] = err.Error()
			continue
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(x, y member) int { return x.Number - y.Number })
	for number, why := range write(ctx, a.conf, members) {
		failed[number] = why
	}
	if err := writeQueues(a.conf.State); err != nil {
		for number := range rows {
			if failed[number] == "" {
				failed[number] = err.Error()
			}
		}
	}
	return failed, nil
}

// writeLimit bounds one change of a leaf.
const writeLimit = 30 * time.Second

// Run serves a leaf's agent at its socket until the context ends.
func Run(ctx context.Context, conf *Config) error {
	a, err := New(conf)
	if err != nil {
		return err
	}
	defer a.Close()
	return agent.Serve(ctx, conf.Socket, a.Handler())
}
