package ethlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
	"bulkhead/ledger/sqlite"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/site"
	"bulkhead/wire"
)

// planeOf makes this test program a control plane, which is killed: over the ledger
// and the keys in a folder, and devices behind a socket there.
const planeOf = "BULKHEAD_ETHLAB_PLANE"

// plane looks and acts once, at the time that the simulated devices have.
func plane(dir string) error {
	ctx := context.Background()
	devices, err := wire.Dial(filepath.Join(dir, "devices.sock"))
	if err != nil {
		return err
	}
	now, err := devices.Sim.Now(ctx)
	if err != nil {
		return err
	}
	log, err := sqlite.Open(filepath.Join(dir, "ledger.db"))
	if err != nil {
		return err
	}
	keys, err := keystore.Open(filepath.Join(dir, "keys"), stage.Begin)
	if err != nil {
		return err
	}
	p, err := run.Open(ctx, run.Config{Log: log, Signers: keys, Clock: run.NewVirtualClock(now), Writer: "to be killed", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: devices.Fabrics, Nodes: devices.Nodes, Storage: devices.Storage}})
	if err != nil {
		return err
	}
	if err := p.Tick(ctx); err != nil {
		return err
	}
	return errors.New("nobody killed it")
}

// killWithin runs a control plane in a process of its own and kills it with signal 9
// when so many leaves have been written and the others are about to be. The process
// of the drivers lives on.
func (b *badDays) killWithin(t *testing.T, writes int) {
	t.Helper()
	check(t, b.log.Close())
	l, err := wire.Listen(filepath.Join(b.dir, "devices.sock"))
	check(t, err)
	served := make(chan error, 1)
	drivers := wire.Drivers{Fabrics: b.World.Fabrics(), Nodes: b.World.Nodes(), Storage: b.World.Storage(), Sim: b.World.Drivers().Sim}
	drivers.Fabrics[FabricID] = b.Driver
	go func() { served <- wire.Serve(l, drivers) }()

	var begun, ended, held atomic.Int64
	half := make(chan struct{}, 1)
	at := func() {
		if ended.Load() == int64(writes) && held.Load() > 0 {
			select {
			case half <- struct{}{}:
			default:
			}
		}
	}
	b.on(func(ctx context.Context, _, call string) error {
		switch call {
		case callWrite:
			if begun.Add(1) > int64(writes) {
				held.Add(1)
				at()
				<-ctx.Done() // who asked for it is dead
				return ctx.Err()
			}
		case wasWritten:
			ended.Add(1)
			at()
		}
		return nil
	})
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), planeOf+"="+b.dir)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	check(t, cmd.Start())
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(await.Context(t), await.Patience)
	defer cancel()
	select {
	case <-half:
	case err := <-gone:
		t.Fatalf("the control plane ended before it was killed: %v: %s", err, trouble.String())
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		t.Fatalf("the change did not come so far: %d leaves are written, %d wait: %s", ended.Load(), held.Load(), trouble.String())
	}
	check(t, cmd.Process.Kill())
	<-gone
	check(t, l.Close())
	<-served
	b.on(nil)
	b.log, err = sqlite.Open(filepath.Join(b.dir, "ledger.db"))
	check(t, err)
	b.Log = b.log
}

// killed: five nodes go from one rival to the other, and the control plane is killed
// with signal 9 when half of the leaves are written: as the old label is taken away,
// and again as the new one is given; the second time its drivers die too. A new one on
// the same ledger ends what was begun. At no time has a port two labels, and no packet
// passes between nodes that never had one in common.
func (b *badDays) killed(t *testing.T) {
	ctx := await.Context(t)
	var move []site.Index
	b.Plane.View(func(s *book.State) {
		for _, l := range s.Leases {
			if l.ID == "cobalt-2/w1" {
				move = append(move, l.Slots...)
			}
		}
	})
	if len(move) != 5 {
		t.Fatalf("cobalt-2 has the nodes %v, expected 5", move)
	}
	states := func() (out map[node.State]int) {
		out = map[node.State]int{}
		b.Plane.View(func(s *book.State) {
			for _, n := range move {
				out[s.Nodes.State[n]]++
			}
		})
		return out
	}
	half := func(when string, to time.Time, drivers bool) {
		t.Helper()
		before, was, term := b.labels(), b.members(t), b.term()
		leaves := map[string]bool{}
		for _, n := range move {
			for nic := range site.Rails {
				leaves[b.Site.LeafID(b.Site.LeafOf(site.PortOf(n, nic)))] = true
			}
		}
		check(t, b.World.Advance(ctx, to))
		b.Clock.Set(to)
		b.killWithin(t, len(leaves)/2)
		if got := changed(was, b.members(t)); len(got) != len(leaves)/2 {
			t.Errorf("%s: %d leaves changed, %v: expected half of %d", when, len(got), got, len(leaves))
		}
		if drivers {
			var err error
			b.Driver, err = b.NewDriver()
			check(t, err)
		}
		check(t, b.Open(ctx)) // replays what the dead one wrote
		b.inOneSlice(t, when+", half-way", before)
		if now := b.term(); now != term+2 {
			t.Errorf("%s: term %d, expected %d: the dead one had one of its own", when, now, term+2)
		}
		half := b.members(t)
		if got := changed(was, half); len(got) != len(leaves)/2 {
			t.Errorf("%s: to open a control plane changed %v", when, got)
		}
		check(t, b.Plane.Tick(ctx))
		b.inOneSlice(t, when+", carried on", before)
		if got := changed(was, b.members(t)); len(got) != len(leaves) {
			t.Errorf("%s, carried on: %d of %d leaves changed", when, len(got), len(leaves))
		}
		if got := changed(half, b.members(t)); len(got) != len(leaves)-len(leaves)/2 {
			t.Errorf("%s, carried on: %d leaves were changed after the half, expected the other half: %v", when, len(got), got)
		}
	}
	half("taking away", day(8, 0), false)
	check(t, b.Live(ctx, 6*time.Hour, time.Hour))
	if got := states(); got[node.Ready] != len(move) {
		t.Fatalf("after the first kill nodes are %v, expected all %d to be free and clean", got, len(move))
	}
	half("giving", day(9, 0), true)
	b.until(t, day(11, 0))
	b.proven(t)
	if got := states(); got[node.Delivered] != len(move) || len(b.Nodes(stage.Tenants[0])) != len(move) {
		t.Fatalf("after the second kill nodes are %v, expected all %d to be handed over", got, len(move))
	}
	b.apart(t)
}

// stale: another control plane began a term and wrote, and the old one, with drivers
// of its own, goes on as if nothing had happened: it sees a violation and wants to lock
// it down. Every leaf refuses it, also one that was out of reach when the new one
// began, and nothing changes anywhere.
func (b *badDays) stale(t *testing.T) {
	ctx := await.Context(t)
	v := b.victims()
	unlock := func(v victim) {
		t.Helper()
		check(t, b.at(ctx, v.leaf, "bridge link set dev %s locked off", v.swp()))
	}
	// The old one has written, under its own term.
	unlock(v[1])
	check(t, b.Live(ctx, time.Minute, time.Minute))
	b.proven(t)
	old, oldDriver, oldTerm := b.Plane, b.Driver, b.term()

	var away string // out of reach as the new one begins
	for leaf := range b.tables(t) {
		if leaf != v[0].leaf {
			away = max(away, leaf)
		}
	}
	var err error
	b.Driver, err = b.NewDriver()
	check(t, err)
	b.setCut(away, true)
	check(t, b.Net.SetManaged(away, false))
	check(t, b.Open(ctx))
	unlock(v[1])
	check(t, b.Live(ctx, time.Minute, time.Minute))
	b.mend(t, away)
	b.proven(t)
	for leaf, fence := range b.fences(t) {
		if begin := fmt.Sprintf("%d ", b.term()); b.term() <= oldTerm || len(fence) < len(begin) || fence[:len(begin)] != begin {
			t.Errorf("%s has seen %q, expected one of term %d", leaf, fence, b.term())
		}
	}

	unlock(v[0])
	tables, fences := b.tables(t), b.fences(t)
	var refused atomic.Int64
	b.on(func(_ context.Context, _, call string) error {
		if call == wasRefused {
			refused.Add(1)
		}
		return nil
	})
	defer b.on(nil)
	for range 3 {
		_ = old.Tick(ctx) // it sees the violation
	}
	if refused.Load() == 0 {
		t.Error("the old control plane asked no leaf: this test shows nothing")
	}
	b.same(t, "after the old control plane looked", tables, fences)
	for _, d := range b.Net.Plan.Leaves(FabricID) {
		port, known := b.Site.PortAt(d.Leaf, 1)
		if !known {
			t.Fatalf("%s has no port 1", d.Name)
		}
		stale := fabric.Fence{Term: oldTerm, Generation: 1 << 60}
		before := refused.Load()
		c := fabric.NewChange(FabricID, []fabric.PortRow{{Port: port, Row: fabric.Closed()}})
		if _, err := oldDriver.Apply(ctx, c, stale); !errors.Is(err, fabric.ErrFenced) || refused.Load() == before {
			t.Errorf("%s: a change of term %d: %v; refused by %d leaves", d.Name, oldTerm, err, refused.Load()-before)
		}
		if err := oldDriver.Lockdown(ctx, []site.Port{port}, stale); !errors.Is(err, fabric.ErrFenced) {
			t.Errorf("%s: a lockdown of term %d: %v", d.Name, oldTerm, err)
		}
	}
	b.same(t, "after the old drivers tried every leaf", tables, fences)
	b.on(nil)
	b.proven(t) // the new one closes what the old one saw
	b.apart(t)
}
