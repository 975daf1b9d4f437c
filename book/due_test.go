package book_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// At every point of the story, what is due can be decided, what only looks changes
// nothing, and the same state and time always say the same.
func TestDueAtEveryPointOfTheStory(t *testing.T) {
	p := newPrefixes(t)
	s := book.New()
	every := 1
	if testing.Short() {
		every = 8
	}
	commands := map[string]int{}
	for i := range p.entries {
		must(t, book.Apply(s, &p.entries[i], p))
		if i%every != 0 {
			continue
		}
		before := hashOf(t, s)
		for _, ahead := range []time.Duration{0, time.Hour, 24 * time.Hour, 60 * 24 * time.Hour} {
			now := s.Time.Add(ahead)
			due := book.Due(s, now)
			if again := book.Due(s, now); !reflect.DeepEqual(due, again) {
				t.Fatalf("after entry %d, %s ahead: two answers", s.Seq, ahead)
			}
			for _, c := range due {
				first, err := book.Decide(s, c, book.Env{Now: now})
				commands[strings.TrimPrefix(fmt.Sprintf("%T", c), "book.")]++
				var r *book.Refusal
				if err != nil && !errors.Is(err, book.ErrNothing) && !errors.As(err, &r) {
					t.Fatalf("after entry %d: %T: %v", s.Seq, c, err)
				}
				second, _ := book.Decide(s, c, book.Env{Now: now})
				if !reflect.DeepEqual(first, second) {
					t.Fatalf("after entry %d: %T is decided in two ways", s.Seq, c)
				}
			}
			if s.Site != nil {
				plan := book.Next(s, blind{s}, now)
				if again := book.Next(s, blind{s}, now); !reflect.DeepEqual(plan, again) {
					t.Fatalf("after entry %d: two plans", s.Seq)
				}
			}
		}
		if hashOf(t, s) != before {
			t.Fatalf("after entry %d: what only looks has changed the state", s.Seq)
		}
		if e := p.entries[i]; book.Apply(s, &e, p) == nil {
			t.Fatalf("entry %d was folded twice", e.Seq)
		}
		if hashOf(t, s) != before {
			t.Fatalf("entry %d was refused and has changed the state", s.Seq)
		}
	}
	t.Log(commands)
}

// What Apply refuses before it folds leaves the state as it was; of what it refuses
// while it folds, the state is dead.
func TestApplyLeavesTheStateAlone(t *testing.T) {
	s := on(t, atRunning)
	before := hashOf(t, s.State)
	for _, change := range []func(e *ledger.Entry){
		func(e *ledger.Entry) { e.Seq += 1 },
		func(e *ledger.Entry) { e.ScopeSeq += 1 },
		func(e *ledger.Entry) { e.Kind = "nobody.knows/1" },
	} {
		e := entry(s, book.SiteScope, book.KindWriter, []byte(`{"term":9,"writer":"w"}`))
		change(&e)
		if book.Apply(s.State, &e, s.bodies) == nil {
			t.Errorf("%+v was folded", e)
		}
		if hashOf(t, s.State) != before {
			t.Errorf("%+v was refused and has changed the state", e)
		}
	}
}

// seen is what a loop has seen, for Next.
type seen struct {
	pending         *site.Set
	unread          map[site.Leaf]bool
	notFresh        bool
	strangers, shut map[site.Port]bool
	red             map[site.Port]string
}

func (v seen) Pending() *site.Set                      { return v.pending }
func (v seen) AsWanted(p site.Port) bool               { return !v.pending.Has(p.Node()) }
func (v seen) Stranger(p site.Port) (there, shut bool) { return v.strangers[p], v.shut[p] }
func (v seen) Readable(leaf site.Leaf) bool            { return !v.unread[leaf] }
func (v seen) Red(p site.Port) (check string, red bool) {
	check, red = v.red[p]
	return check, red
}
func (v seen) Fresh() bool { return !v.notFresh }

func TestNext(t *testing.T) {
	s := on(t, atReturning)
	n := s.first(node.Reclaiming)
	clean := seen{pending: site.NewSet(64)}
	p := book.Next(s.State, clean, s.now)
	if !strings.Contains(fmt.Sprint(p.Steps), s.id(n)+"/") {
		t.Errorf("a node whose labels are gone is not fenced: %+v", p.Steps)
	}
	stale := clean
	stale.notFresh = true
	if p := book.Next(s.State, stale, s.now); !p.Empty() || len(p.Deferred) != 1 {
		t.Errorf("something is decided from what was not seen: %+v", p)
	}
	dirty := seen{pending: site.SetOf(n), unread: map[site.Leaf]bool{s.Site.LeafOf(site.PortOf(n, 2)): true}}
	p = book.Next(s.State, dirty, s.now)
	if len(p.Ports) != site.NICs-1 || strings.Contains(fmt.Sprint(p.Steps), s.id(n)+"/") {
		t.Errorf("%d ports are written of %d that can be read, steps %+v", len(p.Ports), site.NICs-1, p.Steps)
	}
	// Something else is plugged in at a port of an Ethernet fabric.
	port := site.PortOf(n, site.Frontend)
	for _, shut := range []bool{false, true} {
		dirty.strangers, dirty.shut = map[site.Port]bool{port: true}, map[site.Port]bool{port: shut}
		var written []fabric.Owner
		for _, w := range book.Next(s.State, dirty, s.now).Ports {
			if w.Port == port {
				written = append(written, w.Owner)
			}
		}
		if want := map[bool][]fabric.Owner{false: {fabric.Quarantine}, true: nil}[shut]; !slices.Equal(written, want) {
			t.Errorf("a stranger is at a port that is shut: %t; written is %v, expected %v", shut, written, want)
		}
	}
	for _, w := range p.Ports {
		if !strings.HasPrefix(string(w.Owner), "turnover/") || w.Label.Value == 0 {
			t.Errorf("%+v", w)
		}
	}
	// With the brake engaged no label is taken from a tenant.
	s.do(t, book.EngageBrake{Cause: "x", Detail: "too much", By: operator})
	if p := book.Next(s.State, dirty, s.now); len(p.Ports) != 0 || len(p.Deferred) == 0 {
		t.Errorf("the brake is engaged: %+v", p.Ports)
	}
}

// More replaced nodes than the brake allows are not severed: it is engaged.
func TestBrakeOnReplacements(t *testing.T) {
	s := on(t, atRunning)
	s.Policy.Brake.Nodes = 1
	n := s.up("flagship/t1")
	s.swapOut(t, n)
	clean := seen{pending: site.NewSet(64)}
	p := book.Next(s.State, clean, s.now)
	if len(p.Commands) != 0 || !strings.Contains(fmt.Sprint(p.Steps), s.id(n)) {
		t.Fatalf("one is allowed: %+v", p)
	}
	s.do(t, book.BeginSteps{Steps: []node.Step{{Node: n, Kind: node.StepSever, Attempt: 1}}})
	if left := s.Budget(book.CauseReplacement, s.now); left != 0 {
		t.Fatalf("%d left", left)
	}
	other := s.up("flagship/t1")
	s.swapOut(t, other)
	p = book.Next(s.State, clean, s.now)
	if len(p.Commands) != 1 || strings.Contains(fmt.Sprint(p.Steps), s.id(other)) {
		t.Fatalf("a second one is severed: %+v", p)
	}
	s.do(t, p.Commands[0])
	if s.Control.Brake == nil || s.Control.Brake.Cause != book.CauseReplacement {
		t.Error("the brake is not engaged")
	}
	if p := book.Next(s.State, clean, s.now); len(p.Commands) != 0 || len(p.Deferred) == 0 {
		t.Errorf("%+v", p)
	}
}

// A step that does not end is tried again, and then the node is quarantined.
func TestStepsThatHang(t *testing.T) {
	s := on(t, atTurnover)
	n := s.first(node.Commissioning)
	clean := seen{pending: site.NewSet(64)}
	for attempt := 1; attempt <= s.Policy.Turnover.Attempts; attempt++ {
		if attempt > 1 {
			s.later(s.Policy.Turnover.Commission + time.Second)
		}
		var step node.Step
		for _, planned := range book.Next(s.State, clean, s.now).Steps {
			if planned.Node == n {
				step = planned
			}
		}
		if step.Attempt != attempt || step.ID != book.StepID(s.id(n), 1, node.StepCommission, attempt) {
			t.Fatalf("attempt %d: %+v", attempt, step)
		}
		s.do(t, book.BeginSteps{Steps: []node.Step{step}})
		for _, planned := range book.Next(s.State, clean, s.now).Steps {
			if planned.Node == n {
				t.Fatal("a step that runs is given again")
			}
		}
	}
	s.later(s.Policy.Turnover.Commission + time.Second)
	p := book.Next(s.State, clean, s.now)
	if len(p.Commands) != 1 {
		t.Fatalf("nothing comes of a step that never ends: %+v", p)
	}
	s.do(t, p.Commands[0])
	if s.Nodes.State[n] != node.Quarantined {
		t.Errorf("it is %s", s.Nodes.State[n])
	}
}
