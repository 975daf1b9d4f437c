package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// testRefused: whatever is wrong with a group, nothing of it is kept, the log
// goes on, and the error is the same the second time.
func testRefused(t *testing.T, engine Engine) {
	log := engine.Open(t)
	before := Entries("a", 0, 7, 100)
	must(t, log.Append(t.Context(), 0, before, nil))

	for name, spoil := range map[string]func(*[]ledger.Entry, *[]ledger.Body){
		"position zero":            func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[0].Seq = 0 },
		"position again":           func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[0].Seq = 7 },
		"position skipped":         func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[2].Seq++ },
		"positions swapped":        func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[0], (*e)[1] = (*e)[1], (*e)[0] },
		"last scope gap":           func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[4].ScopeSeq++ },
		"scope position again":     func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[0].ScopeSeq-- },
		"scope position zero":      func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[1].ScopeSeq = 0 },
		"new scope not from 1":     func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[3].Scope = "tenant/new" },
		"other scope's position":   func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[0].Scope = "tenant/tide" },
		"no kind":                  func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[1].Kind = "" },
		"no scope":                 func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[1].Scope = "" },
		"kind too long":            func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[1].Kind = strings.Repeat("k", 256) },
		"command too long":         func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[1].Command = strings.Repeat("c", 256) },
		"body too large":           func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[4].Body = make([]byte, ledger.MaxFrame) },
		"time zero":                func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[2].Time = time.Time{} },
		"time that does not fit":   func(e *[]ledger.Entry, _ *[]ledger.Body) { (*e)[2].Time = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) },
		"body of another digest":   func(_ *[]ledger.Entry, b *[]ledger.Body) { (*b)[1].Digest[31] ^= 1 },
		"body of the zero digest":  func(_ *[]ledger.Entry, b *[]ledger.Body) { (*b)[0].Digest = claim.Digest{} },
		"body changed by one byte": func(_ *[]ledger.Entry, b *[]ledger.Body) { (*b)[2].Data[5]++ },
	} {
		try := func() error {
			entries, bodies := Entries("bad", 7, 5, 100), Bodies("bad", 3, 200)
			spoil(&entries, &bodies)
			return log.Append(t.Context(), 7, entries, bodies)
		}
		first, second := try(), try()
		if first == nil || errors.Is(first, ledger.ErrConflict) {
			t.Fatalf("%s: error %v, expected a refusal", name, first)
		}
		if second == nil || first.Error() != second.Error() {
			t.Fatalf("%s: the error was %v and then %v", name, first, second)
		}
		headIs(t, log, 7)
	}
	for _, b := range Bodies("bad", 3, 200) {
		if _, err := log.Body(t.Context(), b.Digest); !errors.Is(err, ledger.ErrNoBody) {
			t.Fatalf("a body of a refused group: error %v, expected %v", err, ledger.ErrNoBody)
		}
	}
	more := Entries("b", 7, 5, 100)
	must(t, log.Append(t.Context(), 7, more, nil))
	Holds(t, engine.again(t, log), 1, append(before, more...))
}

// testConflict: an append that expects another head changes nothing, also with
// no entries at all.
func testConflict(t *testing.T, engine Engine) {
	log := engine.Open(t)
	conflicts(t, log.Append(t.Context(), 1, Entries("a", 1, 1, 50), nil))
	must(t, log.Append(t.Context(), 0, Entries("a", 0, 4, 50), nil))
	bodies := Bodies("lost", 1, 100)
	for _, expect := range []uint64{0, 3, 5, 1 << 40, ^uint64(0)} {
		conflicts(t, log.Append(t.Context(), expect, Entries("b", expect, 2, 50), bodies))
		conflicts(t, log.Append(t.Context(), expect, nil, bodies))
	}
	headIs(t, log, 4)
	if _, err := log.Body(t.Context(), bodies[0].Digest); !errors.Is(err, ledger.ErrNoBody) {
		t.Fatalf("a body of a conflicting append: error %v, expected %v", err, ledger.ErrNoBody)
	}
}

const (
	racers = 16
	rounds = 12
)

// testRace: of many that append at one position, exactly one wins, the others
// get ErrConflict, and what is kept is the winner's whole group.
func testRace(t *testing.T, engine Engine) {
	log := engine.Open(t)
	var kept []ledger.Entry
	for round := range rounds {
		head := uint64(len(kept))
		errs := make([]error, racers)
		var ready, done sync.WaitGroup
		start := make(chan struct{})
		for i := range racers {
			ready.Add(1)
			done.Go(func() {
				label := fmt.Sprintf("r%d-%d", round, i)
				// Groups of different sizes, so that a mixture shows.
				entries, bodies := Entries(label, head, 1+i%4, 80), Bodies(label, 1, 100)
				ready.Done()
				<-start
				errs[i] = log.Append(context.Background(), head, entries, bodies)
			})
		}
		ready.Wait()
		close(start)
		done.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("round %d: %d and %d both appended after entry %d", round, winner, i, head)
			case err == nil:
				winner = i
			default:
				conflicts(t, err)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody could append: %v", round, errors.Join(errs...))
		}
		for i := range racers {
			_, err := log.Body(t.Context(), Bodies(fmt.Sprintf("r%d-%d", round, i), 1, 100)[0].Digest)
			if i == winner && err != nil || i != winner && !errors.Is(err, ledger.ErrNoBody) {
				t.Fatalf("round %d: body of %d, winner %d: %v", round, i, winner, err)
			}
		}
		kept = append(kept, Entries(fmt.Sprintf("r%d-%d", round, winner), head, 1+winner%4, 80)...)
		headIs(t, log, uint64(len(kept)))
	}
	Holds(t, engine.again(t, log), 1, kept)
}

// testOrder: writers that read the head again after a conflict all get their
// entries in, each once, in the order in which they were acknowledged.
func testOrder(t *testing.T, engine Engine) {
	log := engine.Open(t)
	const writers, each = 6, 8
	var mu sync.Mutex
	kept := map[uint64]ledger.Entry{}
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for n := 0; n < each; {
				head, err := log.Head(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				e := Entries(fmt.Sprintf("w%d-%d", w, n), head, 1, 60)
				err = log.Append(context.Background(), head, e, nil)
				if errors.Is(err, ledger.ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if _, twice := kept[head+1]; twice {
					t.Errorf("position %d was given twice", head+1)
				}
				kept[head+1] = e[0]
				mu.Unlock()
				n++
			}
		})
	}
	done.Wait()
	if len(kept) != writers*each {
		t.Fatalf("%d positions, expected %d", len(kept), writers*each)
	}
	all := make([]ledger.Entry, 0, len(kept))
	for seq := uint64(1); seq <= writers*each; seq++ {
		all = append(all, kept[seq])
	}
	Holds(t, log, 1, all)
}

// testCancelled: an append whose context ends, before or at any moment, leaves
// all of its group or nothing, and the log usable.
func testCancelled(t *testing.T, engine Engine) {
	log := engine.Open(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Append(gone, 0, Entries("gone", 0, 3, 50), nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("an append with an ended context: error %v, expected %v", err, context.Canceled)
	}
	headIs(t, log, 0)
	var kept []ledger.Entry
	var acknowledged, lost int
	for round := range 40 {
		head := uint64(len(kept))
		label := fmt.Sprintf("c%d", round)
		entries, bodies := Entries(label, head, 300, 120), Bodies(label, 1, 1000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round*round)*4*time.Microsecond)
		err := log.Append(ctx, head, entries, bodies)
		cancel()
		if errors.Is(err, ledger.ErrConflict) {
			t.Fatalf("round %d: %v", round, err)
		}
		now, headErr := log.Head(t.Context())
		must(t, headErr)
		_, bodyErr := log.Body(t.Context(), bodies[0].Digest)
		switch {
		case now == head+uint64(len(entries)) && bodyErr == nil: // all
			kept = append(kept, entries...)
			acknowledged++
		case now == head && errors.Is(bodyErr, ledger.ErrNoBody) && err != nil: // nothing
			lost++
		default:
			t.Fatalf("round %d: the head went from %d to %d of a group of %d, body %v, error %v", round, head, now, len(entries), bodyErr, err)
		}
	}
	t.Logf("%d groups were kept whole, %d not at all", acknowledged, lost)
	Holds(t, log, 1, kept)
	head := uint64(len(kept))
	last := Entries("last", head, 2, 50)
	must(t, log.Append(t.Context(), head, last, nil))
	Holds(t, engine.again(t, log), 1, append(kept, last...))
}
