package story

import (
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
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
	left   int  // appends that may still fail
	quiet  bool // none fails now
}

var errFailing = errors.New("the append failed")

func (f *failing) Append(ctx context.Context, expect uint64, entries []ledger.Entry, bodies []ledger.Body) error {
	f.left--
	if f.quiet || f.left < 0 || f.random.IntN(6) > 0 {
		return f.Log.Append(ctx, expect, entries, bodies)
	}
	if f.random.IntN(2) == 0 {
		if err := f.Log.Append(ctx, expect, entries, bodies); err != nil {
			return err
		}
	}
	return errFailing
}

// tellFailing tells the tiny story in one process, and returns its outcome. With
// seed 0 nothing fails.
func tellFailing(t *testing.T, seed uint64) []byte {
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
	log := &failing{Log: memory.New(), random: mrand.New(mrand.NewPCG(seed, 7))}
	if seed > 0 {
		log.left = 4000
	}
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
	want := tellFailing(t, 0)
	for _, seed := range []uint64{1, 2, 3, 8} {
		if got := tellFailing(t, seed); string(got) != string(want) {
			t.Errorf("seed %d: with appends that fail\n%s\nwithout\n%s", seed, got, want)
		}
	}
}
