package story

import (
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/run"
	"bulkhead/sim"
)

// failing is a ledger some of whose appends fail, with their entries written or not:
// for the control plane each is the end, and another one begins where it was.
type failing struct {
	ledger.Log
	random *mrand.Rand
	number int    // of appends so far
	often  [2]int // from which append to which one of six fails; elsewhere it is one of three hundred
	quiet  bool   // none fails now
}

var errFailing = errors.New("the append failed")

func (f *failing) Append(ctx context.Context, expect uint64, entries []ledger.Entry, bodies []ledger.Body) error {
	f.number++
	of := 300
	if f.number > f.often[0] && f.number <= f.often[1] {
		of = 6
	}
	if f.quiet || f.often == [2]int{} || f.random.IntN(of) > 0 {
		return f.Log.Append(ctx, expect, entries, bodies)
	}
	if f.random.IntN(2) == 0 {
		if err := f.Log.Append(ctx, expect, entries, bodies); err != nil {
			return err
		}
	}
	return errFailing
}

// tellFailing tells the tiny story in one process, and returns its outcome. Nothing
// fails if it never does so often.
func tellFailing(t *testing.T, seed uint64, often [2]int) []byte {
	ctx := t.Context()
	cast, err := LoadParts("tiny")
	if err != nil {
		t.Fatal(err)
	}
	world, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(5, Begin))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keystore.InMemory(rand.Reader, Begin)
	if err != nil {
		t.Fatal(err)
	}
	log := &failing{Log: memory.New(), random: mrand.New(mrand.NewPCG(seed, 7)), often: often}
	clock := run.NewVirtualClock(Begin)
	open := func() *run.Plane {
		for {
			p, err := run.Open(ctx, run.Config{Log: log, Signers: keys, Clock: clock, Writer: "teller",
				Devices: run.Devices{Fabrics: world.Fabrics(), Nodes: world.Nodes(), Storage: world.Storage()}})
			if err == nil {
				return p
			}
			if !errors.Is(err, errFailing) {
				t.Fatal(err)
			}
		}
	}
	telling := New(cast, open(), world, clock, nil)
	for next := 0; ; {
		now := clock.Now()
		log.quiet = true // what a scene does to the world it does once
		for ; next < len(telling.Scenes) && !telling.Scenes[next].At.After(now); next++ {
			if err := telling.Scenes[next].Play(ctx, telling); err != nil {
				t.Fatal(err)
			}
		}
		log.quiet = false
		for telling.acknowledge(ctx) != nil || telling.Plane.Tick(ctx) != nil {
			telling.Plane = open()
		}
		if !now.Before(telling.End) {
			break
		}
		if err := telling.step(ctx, now, next); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "outcome.json")
	if err := writeOutcome(telling.Plane, path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAppendsThatFail: a control plane that ends hundreds of times at appends, and is
// begun again at the same instant, comes to the same as one that never did. A leaf
// that comes back, a node that recovers while nobody looks, and since when a leaf is
// silent, were once lost so.
func TestAppendsThatFail(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ten seconds; run without -short")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many short lives
	want := tellFailing(t, 0, [2]int{})
	for i, seed := range []uint64{1, 2, 3, 8} {
		often := [2]int{i * 1000, (i + 1) * 1000} // of some 14,000 appends
		if got := tellFailing(t, seed, often); string(got) != string(want) {
			t.Errorf("seed %d: with appends that fail\n%s\nwithout\n%s", seed, got, want)
		}
	}
}
