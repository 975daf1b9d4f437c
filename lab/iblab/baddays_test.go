//go:build labs

package iblab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

// hooked calls a hook before each reading of leaves.
type hooked struct {
	opensm.Reader
	before atomic.Pointer[func(leaves []uint64)]
}

func (h *hooked) Read(ctx context.Context, leaves []uint64) ([]opensm.Capture, error) {
	if f := h.before.Load(); f != nil {
		(*f)(leaves)
	}
	return h.Reader.Read(ctx, leaves)
}

func beginHooked(t *testing.T) (*Lab, *hooked) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts OpenSM: not in short mode")
	}
	if missing := Missing(); missing != "" {
		t.Skipf("needs %s: apt-get install %s", missing, missing)
	}
	h := &hooked{}
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Bound: time.Second, Reader: func(r opensm.Reader) opensm.Reader { h.Reader = r; return h }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, h
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestManagerDiesMidChange kills OpenSM when a change has been put into its file and
// the devices do not follow yet: nothing is handed over on what was meant, nothing
// leaks, and when supervision starts it again all is carried out.
func TestManagerDiesMidChange(t *testing.T) {
	ctx := await.Context(t)
	l, h := beginHooked(t)
	check(t, l.Sell(ctx))
	first, err := os.ReadFile(l.conf.Partitions)
	check(t, err)
	dead := false
	kill := func([]uint64) {
		now, err := os.ReadFile(l.conf.Partitions)
		if err == nil && !dead && strings.Contains(string(now), "K0001=") && !strings.Contains(string(first), "K0001=") {
			dead = true
			_ = l.KillManager()
		}
	}
	h.before.Store(&kill)
	for range 40 {
		check(t, l.Live(ctx, 2*time.Hour, 2*time.Hour))
		if leaks := l.Leaks(); len(leaks) > 0 {
			t.Fatalf("%s", leaks[0])
		}
		if dead {
			break
		}
	}
	if !dead {
		t.Fatal("no change was ever put while somebody read")
	}
	up := l.Delivered()
	check(t, l.Live(ctx, 12*time.Hour, 2*time.Hour))
	for tenant, n := range l.Delivered() {
		if n > up[tenant] {
			t.Errorf("%s: %d nodes were handed over without a manager", tenant, n-up[tenant])
		}
	}
	h.before.Store(nil)
	check(t, l.StartManager(ctx))
	check(t, l.Deliver(ctx, 80*time.Hour))
	l.settle(ctx, t)
	if d := l.Delivered(); d[Tenants[0]] != 6 || d[Tenants[1]] != 6 || len(l.Leaks())+len(l.CutOff()) > 0 {
		t.Errorf("delivered %v, leaks %v, cut off %v", d, l.Leaks(), l.CutOff())
	}
}

// TestMastershipLostMidChange: as above, and a second manager that stood by takes
// over before the first is back. What it manages is not written to.
func TestMastershipLostMidChange(t *testing.T) {
	ctx := await.Context(t)
	l, h := beginHooked(t)
	p := l.spare(t)
	standby := l.standby(t, l.conf.Partitions)
	taken := false
	take := func([]uint64) {
		if !taken {
			taken = true
			_ = l.KillManager()
			if err := await.True(ctx, "the second manager to take over", func() bool { return standby.says("Entering MASTER") }); err != nil {
				t.Error(err)
			}
		}
	}
	row := fabric.Compile(site.InfiniBand, 0x123)
	c := fabric.NewChange(FabricID, []fabric.PortRow{{Port: p, Row: row}})
	h.before.Store(&take)
	receipt, err := l.Driver.Apply(ctx, c, fabric.Fence{Term: 7})
	t.Logf("lost at the first reading: %+v, %v", receipt, err)
	h.before.Store(nil)
	before, rerr := os.ReadFile(l.conf.Partitions)
	check(t, rerr)
	again := fabric.NewChange(FabricID, []fabric.PortRow{{Port: p, Row: fabric.Compile(site.InfiniBand, 0x124)}})
	if _, err := l.Driver.Apply(ctx, again, fabric.Fence{Term: 7}); !errors.Is(err, opensm.ErrNotMaster) {
		t.Errorf("under a manager that is not ours: %v", err)
	}
	if now, err := os.ReadFile(l.conf.Partitions); err != nil || string(now) != string(before) {
		t.Errorf("the file was written under a manager that is not ours: %v", err)
	}
	standby.kill()
	check(t, l.StartManager(ctx))
	receipt, err = l.Driver.Apply(ctx, again, fabric.Fence{Term: 7})
	if err != nil || receipt.Applied != 1 || len(receipt.Failed) > 0 {
		t.Errorf("when ours is back: %+v, %v", receipt, err)
	}
}

// TestHostUnreachableAtEveryStep: an HCA falls silent at the first, second, ...
// reading of a change. The change ends in bounded time, names the port unless it
// was done, and is carried out when the HCA is back.
func TestHostUnreachableAtEveryStep(t *testing.T) {
	ctx := await.Context(t)
	l, h := beginHooked(t)
	p := l.spare(t)
	hca := ibnet.HCAName(l.Site.NodeID[p.Node()], p.NIC())
	named := 0
	for step := 1; step <= 6; step++ {
		row := fabric.Compile(site.InfiniBand, uint32(0x100+step))
		c := fabric.NewChange(FabricID, []fabric.PortRow{{Port: p, Row: row}})
		reads := 0
		silence := func([]uint64) {
			if reads++; reads == step {
				_ = l.Fabric.Silence(hca, true)
			}
		}
		h.before.Store(&silence)
		receipt, err := l.Driver.Apply(ctx, c, fabric.Fence{Term: 7})
		h.before.Store(nil)
		switch {
		case err != nil:
			t.Errorf("step %d: %v", step, err)
		case reads < step:
			t.Logf("step %d: the change was done after %d readings", step, reads)
		case len(receipt.Failed) == 1 && receipt.Failed[0].Port == p:
			named++
		case receipt.Applied == 1:
			t.Logf("step %d: it was done before", step)
		default:
			t.Errorf("step %d: %+v", step, receipt)
		}
		check(t, l.Fabric.Silence(hca, false))
		receipt, err = l.Driver.Apply(ctx, c, fabric.Fence{Term: 7})
		if err != nil || receipt.Applied != 1 || len(receipt.Failed) > 0 {
			t.Errorf("step %d, when it is back: %+v, %v", step, receipt, err)
		}
		o, err := l.Driver.Observe(ctx, fabric.Scope{Leaves: []site.Leaf{l.Site.LeafOf(p)}})
		if err != nil || len(o.Devices) != 1 || !o.Devices[0].Reachable {
			t.Errorf("step %d: read back: %+v, %v", step, o, err)
		}
	}
	if named < 2 {
		t.Errorf("only %d steps named the silent port", named)
	}
}

// TestStalePlane: a control plane that another one has taken over from writes
// nothing any more, whatever it thinks it has to do.
func TestStalePlane(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t)
	check(t, l.Sell(ctx))
	check(t, l.Live(ctx, 24*time.Hour, 2*time.Hour))
	old := l.Plane
	check(t, l.Open(ctx))
	check(t, l.Live(ctx, 60*time.Hour, 2*time.Hour))
	// The new one writes: from here on the device's fence is its.
	check(t, l.Fabric.Tamper(l.victims().hca[1], 1, add(l.victims().key[0])))
	check(t, l.Live(ctx, time.Hour, time.Hour))
	newest, err := l.Driver.Manager.File.Newest()
	check(t, err)
	if newest.Term != 2 {
		t.Fatalf("the new plane wrote under %v", newest)
	}
	before, err := os.ReadFile(l.conf.Partitions)
	check(t, err)
	check(t, l.Fabric.Tamper(l.victims().hca[0], 1, add(l.victims().key[1])))
	for range 3 {
		_ = old.Tick(ctx) // it sees the violation, and wants to lock down
	}
	now, err := os.ReadFile(l.conf.Partitions)
	check(t, err)
	if fence, err := l.Driver.Manager.File.Newest(); err != nil || fence != newest || string(now) != string(before) {
		t.Errorf("an older plane wrote: fence %v, before it %v, error %v", fence, newest, err)
	}
	if err := l.Driver.Lockdown(ctx, []site.Port{l.victims().port[0]}, fabric.Fence{Term: newest.Term - 1, Generation: 1 << 60}); !errors.Is(err, fabric.ErrFenced) {
		t.Errorf("an older term locks down: %v", err)
	}
	l.settle(ctx, t)
}

// spare is a port of the compute fabric that nobody holds.
func (l *Lab) spare(t *testing.T) site.Port {
	t.Helper()
	n, ok := l.Site.Lookup("a1-su02-n08")
	if !ok {
		t.Fatal("the lab's site has no node a1-su02-n08")
	}
	return site.PortOf(n, 0)
}

// second is a second manager, on the canary's host.
type second struct {
	log  string
	kill func()
}

func (s *second) says(text string) bool {
	said, err := os.ReadFile(s.log)
	return err == nil && strings.Contains(string(said), text)
}

func (l *Lab) standby(t *testing.T, file string) *second {
	t.Helper()
	guid, err := l.Fabric.GUID(ibnet.Canary)
	check(t, err)
	s := &second{log: filepath.Join(l.Dir, "second.log")}
	cmd, err := l.second(guid, file, s.log)
	check(t, err)
	s.kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	check(t, await.True(await.Context(t), "the second manager to stand by", func() bool { return s.says("STANDBY") }))
	return s
}
