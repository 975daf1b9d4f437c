package bundle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/prove"
)

// TestOpenEndsArePrinted: what the log leaves open or lets stand for too long is no lie
// that could be rejected: honest owners are late as well. It stands among what is not
// proven, with how long.
func TestOpenEndsArePrinted(t *testing.T) {
	for _, one := range []struct {
		name, says string
		tell       func() *bundletest.Story
	}{
		{"half a year past its end with no return", "return: acme-1/t1 ended at 2027-05-01T07:00:00Z, and 183 days later, at the end of this log, nobody has taken it back", func() *bundletest.Story {
			s := atWork(1, 0)
			s.Until(s.Contract.End.Add(183 * 24 * time.Hour))
			s.Observed()
			return s
		}},
		{"taken back and never returned", "return: acme-1/t1 has been taken back since 2027-05-01T07:00:00Z and is not returned at the end of this log, 100 days later", func() *bundletest.Story {
			s := atWork(1, 0)
			s.Until(s.Contract.End)
			s.Add(lease.KindReturning, lease.Returning{Lease: s.Lease, Reason: "its time is over"})
			s.Move(node.Reclaiming, "lease ended", nil, s.Slots...)
			s.Wait(100 * 24 * time.Hour)
			s.Observed()
			return s
		}},
		{"a volume never destroyed, years later", "storage: volume acme-1/scratch was sold until 2027-05-01T07:00:00Z and is not shown to be destroyed at the end of this log, 730 days later", func() *bundletest.Story {
			s := bundletest.Whole(owner)
			s.Entries = s.Entries[:len(s.Entries)-1] // without its end
			s.Until(s.Contract.End.Add(730 * 24 * time.Hour))
			s.Observed()
			return s
		}},
		{"a wipe from two years before the hand-over", "wipes: 1 node handed over more than 30 days after the wipe, the longest (a1-su01-n01) by 730 days", func() *bundletest.Story {
			s := reserved(1, 0)
			now := s.Now
			s.Now = now.Add(-730 * 24 * time.Hour)
			s.Slots[0].Statement = s.SignTurnover(s.Turnover(s.Slots[0]))
			s.Now = now
			s.Deliver(s.Slots...)
			return s
		}},
		{"an old wipe under a fresh quote", "the longest (a1-su01-n01) by 730 days", func() *bundletest.Story {
			s := reserved(1, 0)
			turnover := s.Turnover(s.Slots[0])
			for i := range turnover.Receipts {
				turnover.Receipts[i].Start -= 730 * 24 * 3600
				turnover.Receipts[i].End -= 730 * 24 * 3600
			}
			s.Quote(turnover, node.Nonce(turnover.Root, turnover.Node, turnover.Turnover))
			s.Slots[0].Statement = s.SignTurnover(turnover)
			s.Deliver(s.Slots...)
			return s
		}},
		{"isolation that nobody judged for 200 days", "isolation of acme-1/t1 was judged last at 2026-05-01T07:01:00Z, 200 days before the end of this log", func() *bundletest.Story {
			s := atWork(1, 0)
			s.Wait(198*24*time.Hour + time.Minute)
			s.Observed()
			return s
		}},
		{"isolation that nobody judged at all", "isolation of acme-1/t1 was not judged since its nodes were handed over", func() *bundletest.Story {
			s := reserved(1, 0)
			s.Deliver(s.Slots...)
			return s
		}},
		{"a healthy node taken out on the owner's word", "replacements: 1 node taken out while working, on the word of the owner's people, when the tenant's time was up; the first: a1-su01-n01 in slot 0 of acme-1/t1, wanted by \"operator\" and billed as up", func() *bundletest.Story {
			s := atWork(1, 1)
			swap(s, "operator", "deadline")
			return s
		}},
		{"ports red by the certificate, and billed as up", "money: 1 verdict of ports that were not proven while every slot of the lease was billed as up or degraded and the log names no drift; the first: acme-1/t1 at 2026-05-03T07:01:00Z, 1 of 18 ports (verdict 2)", func() *bundletest.Story {
			s := atWork(2, 0)
			c := s.Certificate(2, s.Slots...)
			c.Verdict = prove.Red.String()
			c.NotProven = slices.Insert(c.NotProven, 0, "isolation: the verdict is red")
			c.Fabrics[0].Proven--
			c.Fabrics[0].Red++
			c.Failed = []prove.Failure{{Check: "foreign-label", Fabric: c.Fabrics[0].Fabric, Ports: 1}}
			s.Add(prove.KindVerdict, prove.Judged{Lease: string(s.Lease), Epoch: 2, Verdict: "red", Ports: c.Ports, Red: 1,
				Certificate: s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), prove.PredicateType, &c)})
			return s
		}},
		{"slots that never came", "delivery: 1 of 2 slots of acme-1/t1 were not handed over by the end of this log, 30 days after its begin", func() *bundletest.Story {
			s := reserved(2, 0)
			s.Deliver(s.Slots[0])
			s.Wait(30 * 24 * time.Hour)
			s.Observed()
			return s
		}},
		{"a drift never restored", "isolation of some ports is not proven at the checkpoint", func() *bundletest.Story {
			s := atWork(1, 0)
			drifts(s, s.Slots[0])
			return s
		}},
		{"a node that was taken back and not wiped", "1 node that were taken back are not shown to be wiped by the end of this log", func() *bundletest.Story {
			s := atWork(1, 1)
			s.Swap(s.Slots[0])
			return s
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			report, err := verify(write(t, one.tell().Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if err != nil {
				t.Fatalf("%v: %v", err, report.Rejected)
			}
			if !strings.Contains(strings.Join(report.NotProven, "\n"), one.says) {
				t.Errorf("not said: %s\nin:\n%s", one.says, strings.Join(report.NotProven, "\n"))
			}
		})
	}
	// A log in which nothing is left open says none of it.
	report, err := verify(write(t, bundletest.Whole(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range report.NotProven {
		for _, topic := range []string{"return:", "storage: volume", "wipes:", "replacements:", "money:", "isolation of acme"} {
			if strings.HasPrefix(line, topic) {
				t.Errorf("of a log that is whole: %s", line)
			}
		}
	}
}
