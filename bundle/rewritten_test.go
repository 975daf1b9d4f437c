package bundle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
)

// tellMay tells a lease up to its first invoice. event happens in the middle of
// the month, as the owner tells it.
func tellMay(event func(s *bundletest.Story)) *bundletest.Story {
	s := bundletest.NewStory(owner, 3, 2)
	s.Until(s.Contract.Begin.Add(-24 * time.Hour))
	s.Reserve(s.Slots...)
	s.Until(s.Contract.Begin)
	s.Deliver(s.Slots...)
	s.Wait(time.Minute)
	s.Verdict()
	s.Wait(10 * 24 * time.Hour)
	if event != nil {
		event(s)
	}
	s.Until(time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC))
	s.Invoice(2026, time.May)
	return s
}

// failAndRecover is six hours in which the owner's hardware was down.
func failAndRecover(s *bundletest.Story) {
	s.Set(meter.DownOwner, "failure: gpu-reset", s.Slots[1])
	s.Wait(6 * time.Hour)
	s.Set(meter.Up, "recovered", s.Slots[1])
}

func swapAndClean(s *bundletest.Story) {
	was := s.Slots[2]
	s.Swap(was)
	s.Clean(was)
}

// A log that the owner writes anew from the beginning, with everything that
// follows left out as well and invoices rated again, contradicts nothing in
// itself. It is proven, and the report says first that this could be so; a
// checkpoint that the tenant kept catches it.
func TestWhatOnlyAPinnedCheckpointCatches(t *testing.T) {
	for name, event := range map[string]func(s *bundletest.Story){"downtime": failAndRecover, "replacement": swapAndClean} {
		t.Run(name, func(t *testing.T) {
			shown := tellMay(event)
			kept := shown.Checkpoint(len(shown.Entries) - 2) // before the invoice
			data := write(t, tellMay(nil).Input())
			policy := owner.Policy(bundletest.Tenant)
			report, err := verify(data, policy, bundle.Options{})
			if err != nil {
				t.Fatalf("a log written anew is consistent: %v", err)
			}
			if !strings.Contains(strings.Join(report.NotProven, "\n"), "entries may have been left out") {
				t.Fatalf("the report must say that entries may have been left out: %v", report.NotProven)
			}
			report, err = verify(data, policy, bundle.Options{Since: kept})
			if !errors.Is(err, bundle.ErrRejected) || len(findings(report, bundle.CheckSince)) == 0 {
				t.Fatalf("the kept checkpoint must catch it: %v", err)
			}
			report, err = verify(write(t, shown.Input()), policy, bundle.Options{Since: kept})
			if err != nil || strings.Contains(strings.Join(report.NotProven, "\n"), "left out") {
				t.Fatalf("the true log extends what it was: %v", err)
			}
		})
	}
}

// What is left out only in part contradicts the rest, even when the numbers are
// closed up, the invoices rated again, and everything signed again.
func TestWhatTheLogItselfContradicts(t *testing.T) {
	for _, c := range []struct {
		name  string
		check bundle.Check
		event func(s *bundletest.Story)
	}{
		{"a drift that was not credited", bundle.CheckExposed, func(s *bundletest.Story) {
			note := []fabric.PortNote{{Port: uint32(s.Slots[1].Index)*9 + 3, Node: s.Slots[1].ID(), NIC: 3, Check: "foreign-label"}}
			s.Add(fabric.KindDrifted, fabric.Drifted{Fabric: "roce", Ports: note})
			s.Wait(time.Hour)
			s.Add(fabric.KindRestored, fabric.Restored{Fabric: "roce", Ports: note})
		}},
		{"a leaf that could not be read, not credited", bundle.CheckExposed, func(s *bundletest.Story) {
			s.Add(fabric.KindUnread, fabric.Unread{Fabric: "roce", Leaf: s.Slots[0].SU + "-leaf0"})
			s.Wait(time.Hour)
			s.Add(fabric.KindReread, fabric.Unread{Fabric: "roce", Leaf: s.Slots[0].SU + "-leaf0"})
		}},
		{"a replacement without its swap", bundle.CheckSlotNode, func(s *bundletest.Story) {
			to := s.Spare()
			s.Slots[2] = to
			s.Reserve(to)
			s.Wait(time.Hour)
			s.Deliver(to)
		}},
		{"a replacement that was billed without a gap", bundle.CheckSlotUp, func(s *bundletest.Story) {
			was := s.Slots[2]
			at := len(s.Entries)
			s.Swap(was)
			s.Drop(func(e *ledger.Entry) bool {
				return e.Kind == lease.KindSlots && e.ScopeSeq > uint64(at)
			})
		}},
		{"a node that was given back and never fenced", bundle.CheckArrow, func(s *bundletest.Story) {
			was := s.Slots[2]
			s.Swap(was)
			s.Move(node.Ready, "clean", nil, was)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := verify(write(t, tellMay(c.event).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if !errors.Is(err, bundle.ErrRejected) || len(findings(report, c.check)) == 0 {
				t.Fatalf("expected a finding of %s, got %v", c.check, err)
			}
		})
	}
}

// A node that was taken back and is not shown to be wiped is no reason to
// reject, and is never passed over: the report says so before anything else.
func TestWhatIsMissingIsSaid(t *testing.T) {
	report, err := verify(write(t, tellMay(func(s *bundletest.Story) { s.Swap(s.Slots[2]) }).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(report.NotProven, "\n"), "1 node that were taken back") {
		t.Errorf("not said: %q", report.NotProven)
	}
	for _, c := range report.Claims {
		if c.Subject == "a1-su01-n03" && c.Grade == 0 && strings.Contains(c.Note, "neither fence nor wipe") {
			return
		}
	}
	t.Errorf("no claim names the node: %v", report.Claims)
}
