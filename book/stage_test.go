package book_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// moment is a point of the golden story: the first at which something is so.
type moment func(s *book.State) bool

func atNothing(*book.State) bool     { return true }
func atSite(s *book.State) bool      { return s.Site != nil }
func atTenants(s *book.State) bool   { return len(s.Tenants) == 3 }
func atContracts(s *book.State) bool { return len(s.Contracts) == 3 }
func atUnsigned(s *book.State) bool {
	_, ok := s.Quotes[unsigned]
	return ok
}

// unsigned is the quote of the story that lapses.
var unsigned = book.QuoteKey{Tenant: "tidewater", ID: "unsigned"}

func atTurnover(s *book.State) bool { return s.Nodes.By[node.Commissioning].Len() > 0 }
func atReserved(s *book.State) bool { return s.Nodes.By[node.Reserved].Len() > 0 }
func atVolume(s *book.State) bool   { return len(s.Volumes) > 0 }
func atRunning(s *book.State) bool {
	for _, id := range []lease.ID{"flagship/t1", "tidewater/w1"} {
		if l, ok := s.LeaseByID(id); !ok || l.Delivered < len(l.Slots) || s.Nodes.State[l.Slots[0]] != node.Delivered {
			return false
		}
	}
	return true
}
func atNotice(s *book.State) bool    { return !s.Contracts["tidewater"].Noticed.IsZero() }
func atUnread(s *book.State) bool    { return len(s.Unread) > 0 }
func atBrake(s *book.State) bool     { return s.Control.Brake != nil }
func atReturning(s *book.State) bool { return s.Nodes.By[node.Reclaiming].Len() > 1 }
func atClosed(s *book.State) bool    { return !s.Contracts["tidewater"].Closed.IsZero() }
func atDestroyed(s *book.State) bool {
	for _, v := range s.Volumes {
		if !v.Destroyed.IsZero() {
			return true
		}
	}
	return false
}
func atSwap(s *book.State) bool { return len(s.Swaps) > 0 }

// atEnd is when everything has been told and the site was adopted.
func atEnd(s *book.State) bool { return s.Control.Adopted && len(s.Invoices) > 0 }

// stage is a state at a moment, on which commands can be given.
type stage struct {
	*book.State
	bodies *golden
	now    time.Time
	silent bool // no leaf answers
}

// on plays the golden story up to a moment.
func on(t *testing.T, is moment) *stage {
	t.Helper()
	g := newest(t)
	s := book.New()
	for i := range g.entries {
		if ok := func() (ok bool) {
			defer func() { _ = recover() }() // what the moment looks at is not there yet
			return is(s)
		}(); ok {
			return &stage{State: s, bodies: g, now: s.Time}
		}
		must(t, book.Apply(s, &g.entries[i], g))
	}
	if is(s) {
		return &stage{State: s, bodies: g, now: s.Time}
	}
	t.Fatal("the golden story has no such moment")
	return nil
}

// decide gives a command. Deciding never changes the state.
func (s *stage) decide(t *testing.T, c book.Command) (*book.Decision, error) {
	t.Helper()
	before := hashOf(t, s.State)
	d, err := book.Decide(s.State, c, book.Env{Now: s.now})
	if after := hashOf(t, s.State); after != before {
		t.Fatalf("deciding %T has changed the state", c)
	}
	if (err == nil) != (d != nil && len(d.Drafts) > 0) {
		t.Fatalf("%T: decision %v with error %v", c, d, err)
	}
	return d, err
}

// do gives a command that must be taken, and folds what it comes to.
func (s *stage) do(t *testing.T, c book.Command) []book.Draft {
	t.Helper()
	d, err := s.decide(t, c)
	if err != nil {
		t.Fatalf("%T is refused: %v", c, err)
	}
	for _, b := range d.Bodies {
		s.bodies.bodies[b.Digest] = b.Data
	}
	s.fold(t, d.Drafts...)
	return d.Drafts
}

func (s *stage) fold(t *testing.T, drafts ...book.Draft) {
	t.Helper()
	for _, draft := range drafts {
		e := entry(s, draft.Scope, draft.Kind, draft.Body)
		must(t, book.Apply(s.State, &e, s.bodies))
		if err := book.CheckInvariants(s.State); err != nil {
			t.Fatalf("after %s: %v", draft.Kind, err)
		}
		if err := book.Apply(s.State, &e, s.bodies); err == nil {
			t.Fatalf("%s was folded twice", draft.Kind)
		}
	}
}

// refused is a command that is not taken at a moment.
type refused struct {
	name  string
	at    moment
	give  func(s *stage) book.Command
	field string // of the refusal; "": it is an error of the room that the rule belongs to
	says  string // part of the reason; "": nothing is to be done, which is no refusal
}

func refuseAll(t *testing.T, rows []refused) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := on(t, row.at)
			_, err := s.decide(t, row.give(s))
			if row.says == "" {
				if !errors.Is(err, book.ErrNothing) {
					t.Fatalf("expected that there is nothing to do, got %v", err)
				}
				return
			}
			if err == nil || errors.Is(err, book.ErrNothing) || !strings.Contains(err.Error(), row.says) {
				t.Fatalf("expected a refusal with %q, got %v", row.says, err)
			}
			var r *book.Refusal
			if row.field != "" && (!errors.As(err, &r) || r.Field != row.field) {
				t.Fatalf("expected a refusal of field %q, got %q", row.field, err)
			}
		})
	}
}

// kinds lists the kinds of drafts in order.
func kinds(drafts []book.Draft) string {
	var out []string
	for _, d := range drafts {
		out = append(out, d.Scope+" "+d.Kind)
	}
	return strings.Join(out, ", ")
}

// first is the first node in a state.
func (s *stage) first(st node.State) site.Index {
	for n := range s.Nodes.By[st].All() {
		return n
	}
	panic("no node is " + st.String())
}

// up is the first node that a lease runs on.
func (s *stage) up(id string) site.Index {
	for _, l := range s.Leases {
		for slot, n := range l.Slots {
			if string(l.ID) == id && s.SlotUp(l, slot) {
				return n
			}
		}
	}
	panic("nothing runs of " + id)
}

// spare is the first ready node that nobody holds.
func (s *stage) spare() site.Index {
	for n := range s.Nodes.By[node.Ready].All() {
		if s.LeaseOn(n) == nil {
			return n
		}
	}
	panic("no spare is left")
}

func (s *stage) id(n site.Index) string { return s.Site.NodeID[n] }

func (s *stage) later(d time.Duration) { s.now = s.now.Add(d) }

// entry is the next entry of a stage.
func entry(s *stage, scope, kind string, body []byte) ledger.Entry {
	return ledger.Entry{Seq: s.Seq + 1, Time: s.now, Term: s.Term, Kind: kind, Scope: scope, ScopeSeq: s.Scopes[scope] + 1, Body: body}
}
