package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// testEmpty: a new log has no head, no entries, no bodies and no snapshot.
func testEmpty(t *testing.T, engine Engine) {
	log := engine.Open(t)
	for range 2 {
		headIs(t, log, 0)
		for _, from := range []uint64{0, 1, 2, ^uint64(0)} {
			Holds(t, log, from, nil)
		}
		if _, err := log.Body(t.Context(), claim.DigestOf(nil)); !errors.Is(err, ledger.ErrNoBody) {
			t.Fatalf("body: error %v, expected %v", err, ledger.ErrNoBody)
		}
		if _, _, err := log.LoadSnapshot(t.Context(), "s/1"); !errors.Is(err, ledger.ErrNoSnapshot) {
			t.Fatalf("snapshot: error %v, expected %v", err, ledger.ErrNoSnapshot)
		}
		must(t, log.Append(t.Context(), 0, nil, nil))
		log = engine.again(t, log)
	}
}

// testReplay: what was appended comes back in order, to the byte, in groups of
// any size, with texts and bodies at their limits, and after a restart.
func testReplay(t *testing.T, engine Engine) {
	log := engine.Open(t)
	var kept []ledger.Entry
	add := func(entries []ledger.Entry) {
		t.Helper()
		must(t, log.Append(t.Context(), uint64(len(kept)), entries, nil))
		kept = append(kept, entries...)
	}
	for _, n := range []int{1, 2, 3, 199, 200, 201, 1000} {
		add(Entries("a", uint64(len(kept)), n, 90))
	}
	add(Entries("empty", uint64(len(kept)), 3, 0))
	large := Entries("large", uint64(len(kept)), 2, ledger.MaxFrame-1024)
	add(large)
	edge := Entries("edge", uint64(len(kept)), 6, 30)
	edge[0].Kind = strings.Repeat("k", 255)
	edge[1].Command = strings.Repeat("c", 255)
	edge[2].Command = ""
	edge[3].Body = nil
	edge[4].Body = []byte{0, 0xff, '\'', '"', '\n', 0}
	edge[5].Term, edge[5].Time = 1<<63, time.Unix(0, 1<<62).UTC()
	add(edge)
	headIs(t, log, uint64(len(kept)))
	Holds(t, log, 1, kept)
	Holds(t, log, 0, kept)
	Holds(t, log, 1, kept) // a second time

	root := rootOf(t, log)
	log = engine.again(t, log)
	headIs(t, log, uint64(len(kept)))
	Holds(t, log, 1, kept)
	if rootOf(t, log) != root {
		t.Fatal("the root is another one after a restart")
	}
	// What a reader does with what it got must not reach the store.
	for e, err := range log.Read(t.Context(), 1) {
		must(t, err)
		for i := range e.Body {
			e.Body[i] = 'X'
		}
	}
	Holds(t, log, 1, kept)
	must(t, log.Append(t.Context(), uint64(len(kept)), nil, nil))
	conflicts(t, log.Append(t.Context(), 0, nil, nil))
}

func rootOf(t *testing.T, log ledger.Log) claim.Digest {
	t.Helper()
	tree := ledger.NewTree()
	for e, err := range log.Read(t.Context(), 1) {
		must(t, err)
		tree.Append(ledger.LeafHash(ledger.Encode(&e)))
	}
	return tree.Root()
}

// testMiddle: reading may begin anywhere and stop anywhere.
func testMiddle(t *testing.T, engine Engine) {
	log := engine.Open(t)
	kept := Entries("a", 0, 500, 60)
	must(t, log.Append(t.Context(), 0, kept, nil))
	for _, from := range []uint64{1, 2, 199, 250, 499, 500} {
		Holds(t, log, from, kept[from-1:])
	}
	for _, from := range []uint64{501, 502, 1 << 40, 1 << 63, ^uint64(0)} {
		Holds(t, log, from, nil)
	}
	n := 0
	for e, err := range log.Read(t.Context(), 100) {
		must(t, err)
		if n++; e.Seq == 110 {
			break
		}
	}
	if n != 11 {
		t.Fatalf("%d entries until the loop ended, expected 11", n)
	}
	// Appending goes on while a reader stands still.
	for e, err := range log.Read(t.Context(), 500) {
		must(t, err)
		must(t, log.Append(t.Context(), e.Seq, Entries("b", e.Seq, 1, 60), nil))
	}
	headIs(t, log, 501)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for e, err := range log.Read(ctx, 1) {
		if last = err; err != nil {
			break
		}
		if e.Seq == 3 {
			cancel()
		}
	}
	if last != nil && !errors.Is(last, context.Canceled) {
		t.Fatalf("a read whose context ended: error %v, expected %v", last, context.Canceled)
	}
	Holds(t, log, 1, append(kept, Entries("b", 500, 1, 60)...))
}

// testBytesAreCopied: what a caller does with its entries and bodies after an
// append does not reach the store.
func testBytesAreCopied(t *testing.T, engine Engine) {
	log := engine.Open(t)
	entries, bodies := Entries("own", 0, 3, 80), Bodies("own", 1, 200)
	must(t, log.Append(t.Context(), 0, entries, bodies))
	state := []byte("state")
	must(t, log.SaveSnapshot(t.Context(), 1, "s/1", state))
	clear(entries[1].Body)
	clear(bodies[0].Data)
	clear(state)
	Holds(t, log, 1, Entries("own", 0, 3, 80))
	got, err := log.Body(t.Context(), bodies[0].Digest)
	must(t, err)
	if claim.DigestOf(got) != bodies[0].Digest {
		t.Fatal("the stored body changed with the caller's")
	}
	if _, got, err := log.LoadSnapshot(t.Context(), "s/1"); err != nil || string(got) != "state" {
		t.Fatalf("the stored snapshot changed with the caller's: %q, %v", got, err)
	}
}

// testReaders: readers beside a writer see whole groups in order and never a
// gap or half a group.
func testReaders(t *testing.T, engine Engine) {
	log := engine.Open(t)
	const group, groups = 6, 40
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			var most uint64
			for {
				var n uint64
				for e, err := range log.Read(context.Background(), 1) {
					if err != nil {
						t.Errorf("read beside a writer: %v", err)
						return
					}
					if n++; e.Seq != n {
						t.Errorf("read beside a writer: entry %d at place %d", e.Seq, n)
						return
					}
				}
				if n%group != 0 || n < most {
					t.Errorf("read beside a writer: %d entries after %d, in groups of %d", n, most, group)
					return
				}
				most = n
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range uint64(groups) {
		if err := log.Append(t.Context(), i*group, Entries("g", i*group, group, 70), nil); err != nil {
			t.Errorf("append beside readers: %v", err)
			break
		}
	}
	close(stop)
	readers.Wait()
	headIs(t, log, group*groups)
}

// testBodies: bodies come back as they were, given once or often, small or
// large, compressible or not.
func testBodies(t *testing.T, engine Engine) {
	log := engine.Open(t)
	same := Bodies("same", 1, 3000)[0]
	empty := ledger.Body{Digest: claim.DigestOf(nil), Data: nil}
	large := Bodies("large", 1, 3<<20)[0]
	noise := make([]byte, 40_000)
	x := uint64(88172645463325252)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		noise[i] = byte(x >> 32)
	}
	random := ledger.Body{Digest: claim.DigestOf(noise), Data: noise}
	must(t, log.Append(t.Context(), 0, Entries("a", 0, 1, 50), []ledger.Body{same, same, empty, large}))
	must(t, log.Append(t.Context(), 1, Entries("a", 1, 1, 50), []ledger.Body{random, same}))
	must(t, log.Append(t.Context(), 2, nil, Bodies("no entry", 1, 10)))
	headIs(t, log, 2)
	for range 2 {
		for _, want := range []ledger.Body{same, empty, large, random, Bodies("no entry", 1, 10)[0]} {
			got, err := log.Body(t.Context(), want.Digest)
			must(t, err)
			if !bytes.Equal(got, want.Data) {
				t.Fatalf("body %s: other content than was appended", want.Digest)
			}
			for i := range got {
				got[i] = 0 // must not reach the store
			}
		}
		log = engine.again(t, log)
	}
	if _, err := log.Body(t.Context(), claim.DigestOf([]byte("never"))); !errors.Is(err, ledger.ErrNoBody) {
		t.Fatalf("error %v, expected %v", err, ledger.ErrNoBody)
	}
}

// testSnapshots: the newest snapshot of each schema is kept, as it was saved,
// and one of the future is refused.
func testSnapshots(t *testing.T, engine Engine) {
	log := engine.Open(t)
	kept := Entries("a", 0, 30, 50)
	must(t, log.Append(t.Context(), 0, kept, nil))
	load := func(schema string, seq uint64, data string) {
		t.Helper()
		gotSeq, got, err := log.LoadSnapshot(t.Context(), schema)
		must(t, err)
		if gotSeq != seq || string(got) != data {
			t.Fatalf("snapshot %s: entry %d with %d bytes, expected entry %d with %d", schema, gotSeq, len(got), seq, len(data))
		}
	}
	big := strings.Repeat("state ", 200_000)
	must(t, log.SaveSnapshot(t.Context(), 10, "s/1", []byte("ten")))
	load("s/1", 10, "ten")
	must(t, log.SaveSnapshot(t.Context(), 20, "s/1", []byte(big)))
	load("s/1", 20, big)
	must(t, log.SaveSnapshot(t.Context(), 20, "s/1", []byte("twenty again")))
	load("s/1", 20, "twenty again")
	must(t, log.SaveSnapshot(t.Context(), 15, "s/1", []byte("late")))
	load("s/1", 20, "twenty again") // an older one never replaces a newer
	must(t, log.SaveSnapshot(t.Context(), 5, "s/2", nil))
	if err := log.SaveSnapshot(t.Context(), 31, "s/1", []byte("future")); err == nil {
		t.Fatal("a snapshot after an entry that is not there: no error")
	}
	if _, _, err := log.LoadSnapshot(t.Context(), "s/3"); !errors.Is(err, ledger.ErrNoSnapshot) {
		t.Fatalf("error %v, expected %v", err, ledger.ErrNoSnapshot)
	}
	log = engine.again(t, log)
	load("s/1", 20, "twenty again")
	load("s/2", 5, "")
	// A snapshot and the tail after it are the whole.
	seq, _, err := log.LoadSnapshot(t.Context(), "s/1")
	must(t, err)
	Holds(t, log, seq+1, kept[seq:])
}
