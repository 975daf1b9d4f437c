package run_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

var begin = time.Date(2026, 4, 1, 7, 0, 0, 0, time.UTC)

// world is a small site with its devices, on a ledger in memory.
type world struct {
	log   ledger.Log
	keys  *keystore.Store
	sim   *sim.Sim
	clock *run.VirtualClock
	said  bytes.Buffer
}

func newWorld(t *testing.T) (*world, *site.Template) {
	t.Helper()
	data, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("site.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{log: memory.New(), clock: run.NewVirtualClock(begin)}
	if w.keys, err = keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), begin); err != nil {
		t.Fatal(err)
	}
	if w.sim, err = sim.FromTemplate(template, sim.DefaultConfig(1, begin)); err != nil {
		t.Fatal(err)
	}
	return w, template
}

func (w *world) open(t *testing.T) *run.Plane {
	t.Helper()
	w.said.Reset()
	p, err := run.Open(context.Background(), run.Config{
		Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test",
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
		Logger:  slog.New(slog.NewTextHandler(&w.said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) live(t *testing.T, p *run.Plane, hours int) {
	t.Helper()
	for range hours {
		now := w.clock.Now().Add(time.Hour)
		if err := w.sim.Advance(context.Background(), now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		if err := p.Tick(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// told folds the whole ledger anew.
func (w *world) told(t *testing.T) claim.Digest {
	t.Helper()
	state, bodies := book.New(), run.BodiesOf(w.log)
	for e, err := range w.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if err := book.Apply(state, &e, bodies); err != nil {
			t.Fatal(err)
		}
	}
	return hashOf(t, state)
}

func hashOf(t *testing.T, s *book.State) claim.Digest {
	t.Helper()
	hash, err := s.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func (w *world) same(t *testing.T, p *run.Plane) {
	t.Helper()
	var got claim.Digest
	p.View(func(s *book.State) { got = hashOf(t, s) })
	if want := w.told(t); got != want {
		t.Errorf("state %s after a start, a full replay gives %s", got, want)
	}
}

// A state from a snapshot and the entries after it is the state of a replay, and
// goes on as that does.
func TestSnapshotAndTailIsReplay(t *testing.T) {
	w, template := newWorld(t)
	p := w.open(t)
	if err := p.Import(context.Background(), template, nil); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 4)
	if err := p.SaveSnapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 6) // the tail
	checkpoint, err := p.Checkpoint(book.SiteScope)
	if err != nil {
		t.Fatal(err)
	}
	again := w.open(t)
	if said := w.said.String(); said != "" {
		t.Errorf("the snapshot was not used: %s", said)
	}
	w.same(t, again)
	w.live(t, again, 6)
	w.same(t, again)
	if after, err := again.Checkpoint(book.SiteScope); err != nil || bytes.Equal(after, checkpoint) {
		t.Errorf("the checkpoint has not moved on (%v)", err)
	}
}

// Whatever is wrong with a snapshot, the ledger is replayed and nothing is lost.
func TestBadSnapshotsAreReplayed(t *testing.T) {
	flipped := func(good []byte) []byte {
		bad := bytes.Clone(good)
		bad[0] ^= 1
		return bad
	}
	for name, spoil := range map[string]func(seq uint64, good []byte) (uint64, []byte){
		"too short":          func(seq uint64, good []byte) (uint64, []byte) { return seq, good[:7] },
		"cut":                func(seq uint64, good []byte) (uint64, []byte) { return seq, good[:len(good)/2] },
		"nothing but a root": func(seq uint64, good []byte) (uint64, []byte) { return seq, good[:32] },
		"of another entry":   func(seq uint64, good []byte) (uint64, []byte) { return seq + 1, good },
		"of another history": func(seq uint64, good []byte) (uint64, []byte) { return seq, flipped(good) },
		"of a state of elsewhere": func(seq uint64, good []byte) (uint64, []byte) {
			return seq, append(bytes.Clone(good[:32]), `{"Seq":1}`...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, template := newWorld(t)
			p := w.open(t)
			if err := p.Import(context.Background(), template, nil); err != nil {
				t.Fatal(err)
			}
			w.live(t, p, 3)
			if err := p.SaveSnapshot(context.Background()); err != nil {
				t.Fatal(err)
			}
			hold := book.PauseLoop{By: "op", Reason: "so that the ledger has an entry after the snapshot"}
			if _, err := p.Submit(context.Background(), "hold", hold); err != nil {
				t.Fatal(err)
			}
			schema := run.SnapshotSchema
			seq, good, err := w.log.LoadSnapshot(context.Background(), schema)
			if err != nil {
				t.Fatal(err)
			}
			seq, bad := spoil(seq, good)
			if err := w.log.SaveSnapshot(context.Background(), seq, schema, bad); err != nil {
				t.Fatal(err)
			}
			again := w.open(t)
			if said := w.said.String(); !strings.Contains(said, "replayed from its beginning") {
				t.Errorf("nothing was said of the snapshot: %q", said)
			}
			w.same(t, again)
		})
	}
}
