package bundle_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/site"
)

// TestHonestActs: acts of the party that the terms name, disputes, and findings that are
// billed by who could have made them, are accepted; each invoice is recomputed.
func TestHonestActs(t *testing.T) {
	for name, tell := range map[string]func(s *bundletest.Story){
		"a forged port that is not credited, and a drift that is": func(s *bundletest.Story) {
			s.DriftAs(s.Slots[0], 2, "wrong-neighbour", "host", lease.Ports{Either: 1})
			s.Wait(time.Hour)
			s.DriftAs(s.Slots[0], 3, "foreign-route", "host", lease.Ports{Tenant: 1})
			s.Wait(time.Hour)
			s.Drift(s.Slots[0], 5)
			s.Until(time.Date(2026, 6, 3, 12, 0, 0, 0, time.UTC))
			s.Invoice(2026, time.May)
		},
		"a port that stays red when the owner's finding is mended": func(s *bundletest.Story) {
			n := s.Slots[0]
			note := func(check, seen string) {
				s.Add(fabric.KindDrifted, fabric.Drifted{Fabric: "roce", Evidence: claim.DigestOf([]byte("x")), Ports: []fabric.PortNote{
					{Port: uint32(site.PortOf(n.Index, 4)), Node: n.ID(), NIC: 4, Check: check, Seen: seen},
				}})
			}
			note("enforcement-off", "leaf")
			s.SetPorts(lease.Ports{Owner: 1}, meter.IsolationUnproven, "isolation: read-back shows a violation", n)
			s.Wait(time.Hour)
			note("wrong-neighbour", "host")
			s.SetPorts(lease.Ports{Either: 1}, meter.IsolationUnproven, "isolation: read-back shows a violation", n)
			s.Wait(time.Hour)
			s.Add(fabric.KindRestored, fabric.Restored{Fabric: "roce", Ports: []fabric.PortNote{{Port: uint32(site.PortOf(n.Index, 4)), Node: n.ID(), NIC: 4, Check: "passed"}}})
			s.Set(meter.Up, "isolation: proven again", n)
			s.Until(time.Date(2026, 6, 3, 12, 0, 0, 0, time.UTC))
			s.Invoice(2026, time.May)
		},
		"a dispute, a credit note, and the invoice after it": func(s *bundletest.Story) {
			s.Until(time.Date(2026, 6, 3, 12, 0, 0, 0, time.UTC))
			s.Invoice(2026, time.May)
			d, settled := s.Dispute("1.00")
			s.Add(meter.KindDisputed, d)
			s.Wait(time.Hour)
			s.Add(meter.KindSettled, settled)
		},
		"a node that works, replaced at the tenant's request": func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], true, "officer", meter.DownTenant, lease.CauseRequested, &lease.Asked{Word: lease.WordRequest, By: "officer", Reason: "a noisy fan"})
		},
		"a node that works, replaced with the tenant's consent": func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], false, "officer", meter.DownOwner, lease.CauseReplaced, &lease.Asked{Word: lease.WordConsent, By: "officer", Reason: "a noisy fan"})
		},
		"a node that works, replaced for the owner's reason": func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], false, "deadline", meter.DownOwner, lease.CauseReplaced, &lease.Asked{Word: lease.WordOwner, By: "operator", Reason: "a noisy fan"})
		},
		"a notice of the tenant's": func(s *bundletest.Story) {
			s.Terms(func(c *contract.Contract) {
				c.Prepaid = &contract.Prepaid{Amount: "1200", From: c.Begin, Months: 12}
			})
			s.Act(contract.ActNotice, contract.Tenant)
			s.Until(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
			s.Invoice(2026, time.May)
			s.Return()
			s.Until(time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC))
			s.Invoice(2026, time.June)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := bundletest.Small(owner)
			s.Wait(10 * 24 * time.Hour)
			tell(s)
			report, err := verify(write(t, s.Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if err != nil {
				t.Fatalf("%v\n%v", err, report.Rejected)
			}
			for _, i := range report.Invoices {
				if !i.Recomputed {
					t.Errorf("invoice %s is not recomputed", i.Number)
				}
			}
			if said := strings.Join(report.NotProven, "\n"); strings.Contains(name, "notice") && !strings.Contains(said, "1 act in the tenant's name") ||
				strings.Contains(name, "owner's reason") && !strings.Contains(said, "1 node that worked left") ||
				strings.Contains(name, "forged") && !strings.Contains(said, "that 2 findings showed at the host's end only") {
				t.Errorf("not proven:\n%s", said)
			}
		})
	}
}

// TestHonestReduce: the tenant keeps what has come, and the invoice of the month is that of
// both versions.
func TestHonestReduce(t *testing.T) {
	for name, forge := range map[string]func(b *contract.Acted){
		"as it is":                     nil,
		"fewer slots than are missing": func(b *contract.Acted) { b.Slots = "" },
		"at half the price": func(b *contract.Acted) {
			b.Contract = []byte(strings.ReplaceAll(string(b.Contract), `"3.95"`, `"1.95"`))
		},
	} {
		s := bundletest.NewStory(owner, 2, 0)
		s.Terms(func(c *contract.Contract) {
			c.Termination = []contract.Right{{When: contract.WhenLate, AfterDays: 5, Remedy: contract.RemedyReduce, By: contract.Tenant}}
		})
		s.Until(s.Contract.Begin.Add(-24 * time.Hour))
		s.Reserve(s.Slots[0])
		s.Until(s.Contract.Begin)
		s.Deliver(s.Slots[0])
		s.Wait(6 * 24 * time.Hour)
		out, err := s.Contract.Perform(contract.Asked{Act: contract.ActReduce, Party: contract.Tenant, Given: s.Now, Missing: []contract.Missing{{Tranche: "t1", Slots: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		s.ActAs(contract.ActReduce, contract.Tenant, out)
		bundletest.Change(s.Log, contract.KindReduced, func(_ int, b *contract.Acted) {
			if b.Slots = "1"; forge != nil {
				forge(b)
			}
		})
		s.Until(time.Date(2026, 6, 3, 12, 0, 0, 0, time.UTC))
		s.Invoice(2026, time.May)
		report, err := verify(write(t, s.Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
		if (err == nil) != (forge == nil) {
			t.Errorf("%s: %v\n%v", name, err, report.Rejected)
		}
		if forge == nil && (len(report.Invoices) != 1 || !report.Invoices[0].Recomputed) {
			t.Errorf("%s: %+v", name, report.Invoices)
		}
	}
}
