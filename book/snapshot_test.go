package book_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/lab/story"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/run"
)

// told is the state at the end of the golden ledger.
func told(t testing.TB) (*golden, *book.State) {
	t.Helper()
	g := newest(t)
	s, err := g.replay()
	must(t, err)
	return g, s
}

func TestSnapshotComesBack(t *testing.T) {
	p := newPrefixes(t)
	s := book.New()
	for i := range p.entries {
		must(t, book.Apply(s, &p.entries[i], p))
		if i%16 != 0 && i != len(p.entries)-1 {
			continue
		}
		snapshot, err := s.Snapshot()
		must(t, err)
		again, err := book.Restore(snapshot, p)
		if err != nil {
			t.Fatalf("after entry %d: %v", s.Seq, err)
		}
		if hashOf(t, again) != hashOf(t, s) {
			t.Fatalf("after entry %d: the state comes back as another", s.Seq)
		}
		must(t, book.CheckInvariants(again))
		other, err := again.Snapshot()
		must(t, err)
		if !bytes.Equal(other, snapshot) {
			t.Fatalf("after entry %d: the same state gives another snapshot", s.Seq)
		}
		if next := i + 1; next < len(p.entries) { // it goes on as the other does
			must(t, book.Apply(again, &p.entries[next], p))
		}
	}
}

// A damaged snapshot is refused: most flips in it would be JSON again, of another
// state.
func TestSnapshotDamaged(t *testing.T) {
	g, s := told(t)
	empty, err := book.New().Snapshot()
	must(t, err)
	for i := range empty {
		for bit := range 8 {
			empty[i] ^= 1 << bit
			if _, err := book.Restore(empty, g); err == nil {
				t.Fatalf("bit %d of byte %d of %d of the empty state's snapshot was flipped and it was taken", bit, i, len(empty))
			}
			empty[i] ^= 1 << bit
		}
		if _, err := book.Restore(empty[:i], g); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for a snapshot", i, len(empty))
		}
	}
	_, err = book.Restore(empty, g)
	must(t, err)

	snapshot, err := s.Snapshot()
	must(t, err)
	random := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		i, bit := random.IntN(len(snapshot)), byte(1)<<random.IntN(8)
		snapshot[i] ^= bit
		if _, err := book.Restore(snapshot, g); err == nil {
			t.Fatalf("bit %#02x of byte %d of %d was flipped and the snapshot was taken", bit, i, len(snapshot))
		}
		snapshot[i] ^= bit
		if _, err := book.Restore(snapshot[:i], g); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for a snapshot", i, len(snapshot))
		}
	}
	if _, err := book.Restore(append(bytes.Clone(snapshot), '\n'), g); err == nil {
		t.Error("a byte behind the end went unnoticed")
	}
	_, err = book.Restore(snapshot, g)
	must(t, err)
}

// What run keeps is the book's snapshot and the root that it belongs to. Whichever
// bit of it flips, in a store that checks nothing by itself, the ledger is replayed
// and the state is what it was.
func TestKeptSnapshotDamaged(t *testing.T) {
	ctx := context.Background()
	g := newest(t)
	log := memory.New()
	var bodies []ledger.Body
	for d, data := range g.bodies {
		bodies = append(bodies, ledger.Body{Digest: d, Data: data})
	}
	must(t, log.Append(ctx, 0, g.entries, bodies))
	keys, err := keystore.InMemory(rand.NewChaCha8([32]byte{2}), story.Begin)
	must(t, err)
	clock := run.NewVirtualClock(g.entries[len(g.entries)-1].Time.Add(time.Hour))
	var said bytes.Buffer
	open := func() *run.Plane {
		t.Helper()
		said.Reset()
		p, err := run.Open(ctx, run.Config{
			Log: log, Signers: keys, Clock: clock, Salt: rand.NewChaCha8([32]byte{3}), Writer: "test",
			Logger: slog.New(slog.NewTextHandler(&said, nil)),
		})
		must(t, err)
		return p
	}
	must(t, open().SaveSnapshot(ctx))
	seq, good, err := log.LoadSnapshot(ctx, run.SnapshotSchema)
	must(t, err)
	flips := 100
	if testing.Short() {
		flips = 10
	}
	random := rand.New(rand.NewPCG(1, 2))
	for flip := range flips + 1 {
		kept := bytes.Clone(good)
		if flip < flips {
			kept[random.IntN(len(kept))] ^= 1 << random.IntN(8)
			if flip%4 == 3 {
				kept = kept[:random.IntN(len(kept))]
			}
		}
		must(t, log.SaveSnapshot(ctx, seq, run.SnapshotSchema, kept))
		before := log // the entries that were there; opening adds one
		want := book.New()
		for e, err := range before.Read(ctx, 1) {
			must(t, err)
			must(t, book.Apply(want, &e, g))
		}
		var got claim.Digest
		plane := open()
		if used := said.Len() == 0; used != (flip == flips) {
			t.Fatalf("flip %d: the snapshot was used: %t; %s", flip, used, said.String())
		}
		for e, err := range log.Read(ctx, want.Seq+1) {
			must(t, err)
			must(t, book.Apply(want, &e, g))
		}
		plane.View(func(s *book.State) { got = hashOf(t, s) })
		if got != hashOf(t, want) {
			t.Fatalf("flip %d: the state is another one than a replay gives", flip)
		}
	}
}

// sealed puts the right digest behind what a snapshot holds.
func sealed(data []byte) []byte {
	digest := claim.DigestOf(data)
	return append(bytes.Clone(data), digest[:]...)
}

// TestSnapshotOfNonsense reads snapshots that are whole and hold nonsense: whoever
// writes one is not stopped by the digest.
func TestSnapshotOfNonsense(t *testing.T) {
	p := newPrefixes(t)
	snapshot, err := p.after(t, uint64(len(p.entries)/2)).Snapshot()
	must(t, err)
	var parts map[string]json.RawMessage
	must(t, json.Unmarshal(snapshot[:len(snapshot)-32], &parts))
	each := 40
	if testing.Short() {
		each = 3
	}
	tried, taken := 0, 0
	for key, was := range parts {
		bodies := mutations(t, was)
		for i := 0; i < len(bodies); i += 1 + len(bodies)/each {
			parts[key] = bodies[i]
			var data bytes.Buffer
			encoder := json.NewEncoder(&data)
			encoder.SetEscapeHTML(false) // contracts must stay as they were signed
			must(t, encoder.Encode(parts))
			tried++
			if restore(t, p, sealed(data.Bytes())) {
				taken++
			}
		}
		parts[key] = was
	}
	t.Logf("%d tried, %d of them are a state", tried, taken)
}

// restore reads a snapshot, and uses the state if it is one.
func restore(t *testing.T, bodies book.Bodies, data []byte) (taken bool) {
	t.Helper()
	s, err := book.Restore(data, bodies)
	if err != nil {
		return false
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatalf("a state that was restored has no snapshot: %v", err)
	}
	if _, err := book.Restore(snapshot, bodies); err != nil {
		t.Fatalf("a state that was restored once is not again: %v", err)
	}
	if book.CheckInvariants(s) == nil {
		for _, c := range book.Due(s, s.Time.Add(time.Hour)) {
			_, _ = book.Decide(s, c, book.Env{Now: s.Time.Add(time.Hour)})
		}
	}
	return true
}

// FuzzRestore reads snapshots of which one part is something else, and small ones
// that are wholly so.
func FuzzRestore(f *testing.F) {
	p := newPrefixes(f)
	snapshot, err := p.after(f, uint64(len(p.entries)/2)).Snapshot()
	must(f, err)
	var parts map[string]json.RawMessage
	must(f, json.Unmarshal(snapshot[:len(snapshot)-32], &parts))
	for key, was := range parts {
		f.Add(key, []byte(was))
	}
	empty, err := book.New().Snapshot()
	must(f, err)
	f.Add("", empty[:len(empty)-32])
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if _, err := book.Restore(value, p); err == nil {
			t.Fatal("a snapshot without its digest was taken")
		}
		restore(t, p, sealed(value))
		if !json.Valid(value) {
			return
		}
		changed := maps.Clone(parts)
		changed[key] = value
		var data bytes.Buffer
		encoder := json.NewEncoder(&data)
		encoder.SetEscapeHTML(false)
		must(t, encoder.Encode(changed))
		restore(t, p, sealed(data.Bytes()))
	})
}
