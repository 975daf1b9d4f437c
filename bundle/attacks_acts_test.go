package bundle_test

import (
	"strings"
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

// early tells a lease that runs for ten days, whose terms are changed before, and then
// what its parties do.
func early(a *attempt, act func(s *bundletest.Story)) {
	s := bundletest.Small(owner)
	s.Wait(10 * 24 * time.Hour)
	act(s)
	a.Story = s
}

// dispute ends the story with a dispute of its last invoice's first line, and a credit
// note about it, as they are changed.
func dispute(a *attempt, change func(d *meter.Disputed, s *meter.Settled)) {
	d, s := a.Dispute("1.00")
	change(&d, &s)
	a.Add(meter.KindDisputed, d)
	a.Add(meter.KindSettled, s)
}

// actAttacks are on acts under a contract: each log is signed with the owner's real keys.
var actAttacks = []attack{
	{"the owner's notice where only the tenant may give one", bundle.CheckAct, "to the tenant only", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			out, err := s.Contract.Perform(contract.Asked{Act: contract.ActNotice, Party: contract.Tenant, Given: s.Now})
			if err != nil {
				panic(err)
			}
			s.ActAs(contract.ActNotice, contract.Owner, out)
		})
	}},
	{"a notice that does not say by whom", bundle.CheckAct, "does not say for which party", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.Act(contract.ActNotice, contract.Tenant)
			bundletest.Change(s.Log, contract.KindNotice, func(_ int, b *contract.Acted) { b.Signed = contract.Signature{} })
		})
	}},
	{"a notice that raises the price", bundle.CheckAct, "is not what version 1 makes of notice", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			out, err := s.Contract.Perform(contract.Asked{Act: contract.ActNotice, Party: contract.Tenant, Given: s.Now})
			if err != nil {
				panic(err)
			}
			out.Next.Rates[0].Price = "39.5"
			s.ActAs(contract.ActNotice, contract.Tenant, out)
		})
	}},
	{"a notice dated before its entry", bundle.CheckAct, "no act is dated by anything else", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			given := s.Now
			s.Wait(5 * 24 * time.Hour)
			out, err := s.Contract.Perform(contract.Asked{Act: contract.ActNotice, Party: contract.Tenant, Given: given})
			if err != nil {
				panic(err)
			}
			s.ActAs(contract.ActNotice, contract.Tenant, out)
			bundletest.Change(s.Log, contract.KindNotice, func(_ int, b *contract.Acted) { b.Given = given })
		})
	}},
	{"a termination for lateness of what has come", bundle.CheckAct, "gives nobody this right", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			out, err := s.Contract.Perform(contract.Asked{Act: contract.ActNotice, Party: contract.Tenant, Given: s.Now})
			if err != nil {
				panic(err)
			}
			s.ActAs(contract.ActTerminateLate, contract.Tenant, out)
		})
	}},
	{"a preview of something else", bundle.CheckAct, "what was shown before the act", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.Act(contract.ActNotice, contract.Tenant)
			bundletest.Change(s.Log, contract.KindNotice, func(_ int, b *contract.Acted) { b.Preview[0] ^= 1 })
		})
	}},
	{"the owner's own violation billed as the tenant's", bundle.CheckMaker, "only the leaf, which is the owner's, can show it", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.DriftAs(s.Slots[0], 2, "enforcement-off", "host", lease.Ports{Either: 1})
		})
	}},
	{"a red port that the owner made, and bills as if the tenant could have", bundle.CheckMaker, "it is billed for 0 ports by the owner", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.DriftAs(s.Slots[0], 2, "foreign-label", "leaf", lease.Ports{Either: 1})
		})
	}},
	{"two red ports billed as one", bundle.CheckMaker, "it is billed for 1 ports by the owner", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			n := s.Slots[0]
			s.Add(fabric.KindDrifted, fabric.Drifted{Fabric: "roce", Ports: []fabric.PortNote{{Port: uint32(site.PortOf(n.Index, 5)), Node: n.ID(), NIC: 5, Check: "mirrored", Seen: "leaf"}}, Evidence: claim.DigestOf([]byte("x"))})
			s.Drift(n, 2)
		})
	}},
	{"ports counted of a slot that is up", bundle.CheckSlotRange, "only isolation that is not proven is about ports", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.SetPorts(lease.Ports{Tenant: 8}, meter.Up, "so", s.Slots[0])
		})
	}},
	{"a dispute in the tenant's name by the owner", bundle.CheckAct, "gives this right to the tenant only", func(a *attempt) {
		dispute(a, func(d *meter.Disputed, _ *meter.Settled) { d.Signed.Party = contract.Owner })
	}},
	{"a dispute that the tenant settles", bundle.CheckAct, "gives this right to the owner only", func(a *attempt) {
		dispute(a, func(_ *meter.Disputed, s *meter.Settled) { s.Signed.Party = contract.Tenant })
	}},
	{"a dispute that holds more than its line", bundle.CheckDispute, "the entry holds", func(a *attempt) {
		dispute(a, func(d *meter.Disputed, _ *meter.Settled) { d.Contested = "1.00" })
	}},
	{"a credit note of another amount", bundle.CheckDispute, "gives back", func(a *attempt) {
		dispute(a, func(_ *meter.Disputed, s *meter.Settled) { s.Total = "2.00" })
	}},
	{"a credit note that was left out", bundle.CheckDispute, "numbers have no gap", func(a *attempt) {
		dispute(a, func(_ *meter.Disputed, s *meter.Settled) { s.Note = bundletest.Tenant + "-credit-0002" })
	}},
	{"a line settled that nobody disputed", bundle.CheckDispute, "it was not disputed", func(a *attempt) {
		dispute(a, func(d *meter.Disputed, s *meter.Settled) { s.Line = "storage/scratch" })
	}},
	{"a node that works moved on the word of nobody", bundle.CheckUnasked, "does not say on whose word", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], false, "deadline", meter.DownOwner, lease.CauseReplaced, nil)
		})
	}},
	{"a request of the tenant's that a deadline answers", bundle.CheckUnasked, "has not answered for it itself", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], true, "deadline", meter.DownTenant, lease.CauseRequested, &lease.Asked{Word: lease.WordRequest, By: "deadline", Reason: "x"})
		})
	}},
	{"the owner's reason billed as the tenant's", bundle.CheckUnasked, "only what the tenant asked for is billed as the tenant's", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], false, "deadline", meter.DownTenant, lease.CauseReplaced, &lease.Asked{Word: lease.WordOwner, By: "operator", Reason: "x"})
		})
	}},
	{"a consent that nobody gave", bundle.CheckUnasked, "the log has none", func(a *attempt) {
		early(a, func(s *bundletest.Story) {
			s.SwapAsked(s.Slots[0], false, "deadline", meter.DownOwner, lease.CauseReplaced, &lease.Asked{Word: lease.WordConsent, By: "officer", Reason: "x"})
		})
	}},
	{"a signed version that says that an act ended it", bundle.CheckAct, "no such act is in the log", func(a *attempt) {
		change := func(raw []byte) []byte {
			c, err := contract.Decode([]byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(raw))))
			if err != nil {
				panic(err)
			}
			c.Ending = &contract.Ending{Act: contract.ActNotice, Party: contract.Tenant, Clause: "x", Refund: "1"}
			return c.Encode()
		}
		bundletest.Change(a.Log, contract.KindQuoted, func(_ int, b *contract.Quoted) { b.Contract = change(b.Contract) })
		bundletest.Change(a.Log, contract.KindSigned, func(_ int, b *contract.Signed) { b.Contract = change(b.Contract) })
	}},
}
