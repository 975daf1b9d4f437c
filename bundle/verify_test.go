package bundle_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/node"
)

var owner = bundletest.NewOwner(bundletest.Site, "owner")

func write(t testing.TB, in bundle.Input) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := bundle.Write(&out, in); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func verify(data []byte, policy *bundle.Policy, opts bundle.Options) (*bundle.Report, error) {
	return bundle.Verify(bytes.NewReader(data), int64(len(data)), policy, opts)
}

func TestTrueLogIsProven(t *testing.T) {
	for name, tell := range map[string]func(*bundletest.Owner) *bundletest.Story{"small": bundletest.Small, "whole": bundletest.Whole} {
		t.Run(name, func(t *testing.T) {
			report, err := verify(write(t, tell(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if err != nil {
				var text strings.Builder
				if report != nil {
					_ = report.WriteText(&text)
				}
				t.Fatalf("%v\n%s", err, text.String())
			}
			var text strings.Builder
			if err := report.WriteText(&text); err != nil || !report.Proven {
				t.Fatal(err)
			}
			t.Log(text.String())
		})
	}
}

// True logs with turns that are easily taken for forgeries.
func TestUnusualLogsAreProven(t *testing.T) {
	for name, tell := range map[string]func() *bundletest.Story{
		"a node leaves before its delivery and comes back": func() *bundletest.Story {
			s := bundletest.NewStory(owner, 2, 1)
			s.Until(s.Contract.Begin.Add(-24 * time.Hour))
			s.Reserve(s.Slots...)
			was, to := s.Slots[1], s.Spare()
			s.Add(lease.KindProposed, lease.Proposed{Lease: s.Lease, Slot: 1, Was: was.ID(), Node: to.ID(), Reason: "part-swap", Deadline: s.Now})
			s.Add(lease.KindAcknowledged, lease.Acknowledged{Lease: s.Lease, Slot: 1, By: "not delivered yet"})
			s.Add(lease.KindSwapped, lease.Swapped{Lease: s.Lease, Slot: 1, Was: was.ID(), WasIndex: uint32(was.Index), Node: to.ID(), Index: uint32(to.Index)})
			s.Slots[1] = to
			s.Reserve(to)
			s.Until(s.Contract.Begin)
			s.Deliver(s.Slots...)
			s.Wait(48 * time.Hour)
			was.State, was.Seq = node.Ready, was.Seq+4 // repaired and wiped; the tenant's log is not told
			s.Swap(s.Slots[0])
			return s
		},
		"a lease is placed again before it begins": func() *bundletest.Story {
			s := bundletest.NewStory(owner, 2, 1)
			s.Rebook(s.Slots[0], s.Spare())
			s.Until(s.Contract.Begin.Add(-24 * time.Hour))
			s.Reserve(s.Slots...)
			s.Until(s.Contract.Begin)
			s.Deliver(s.Slots...)
			s.Wait(48 * time.Hour)
			return s
		},
		"a node goes to quarantine on its way back": func() *bundletest.Story {
			s := bundletest.NewStory(owner, 1, 1)
			s.Until(s.Contract.Begin.Add(-24 * time.Hour))
			s.Reserve(s.Slots...)
			s.Until(s.Contract.Begin)
			s.Deliver(s.Slots...)
			s.Wait(48 * time.Hour)
			was := s.Slots[0]
			s.Swap(was)
			s.Move(node.Quarantined, "a wipe failed", nil, was)
			s.Wait(time.Hour)
			s.Move(node.Repair, "a person's decision", nil, was)
			s.Move(node.Sanitizing, "repaired", nil, was)
			s.Wait(3 * time.Hour)
			s.Move(node.Attesting, "wiped", nil, was)
			s.Wait(time.Minute)
			s.Move(node.Ready, "clean", s.CleanEvidence, was)
			return s
		},
		"a node falls silent, and is back before it is swapped": func() *bundletest.Story {
			s := bundletest.NewStory(owner, 2, 1)
			s.Until(s.Contract.Begin.Add(-24 * time.Hour))
			s.Reserve(s.Slots...)
			s.Until(s.Contract.Begin)
			s.Deliver(s.Slots...)
			s.Wait(48 * time.Hour)
			s.Silence(s.Slots[0])
			s.Wait(time.Hour)
			s.Swap(s.Slots[0])
			return s
		},
		"a lease ends early by notice": func() *bundletest.Story {
			s := bundletest.Small(owner)
			s.Wait(10 * 24 * time.Hour)
			s.Act(contract.ActNotice, contract.Tenant)
			s.Return()
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := verify(write(t, tell().Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if err != nil {
				t.Fatalf("%v\n%v", err, report.Rejected)
			}
		})
	}
}
