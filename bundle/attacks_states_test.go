package bundle_test

import (
	"bytes"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/node/wipe"
	"bulkhead/prove"
	"bulkhead/site"
	"bulkhead/storage"
)

// reserved is a log whose nodes are about to be handed over.
func reserved(slots, spares int) *bundletest.Story {
	s := bundletest.NewStory(owner, slots, spares)
	s.Until(s.Contract.Begin.Add(-24 * time.Hour))
	s.Reserve(s.Slots...)
	s.Until(s.Contract.Begin)
	return s
}

// at work is a log whose nodes were handed over and judged.
func atWork(slots, spares int) *bundletest.Story {
	s := reserved(slots, spares)
	s.Deliver(s.Slots...)
	s.Wait(time.Minute)
	s.Verdict()
	s.Wait(48 * time.Hour)
	return s
}

// drifts opens a drift as the log would, and bills for it.
func drifts(s *bundletest.Story, n *bundletest.Node) {
	s.Add(fabric.KindDrifted, fabric.Drifted{Fabric: "roce", Ports: ports(n, 3), Evidence: claim.DigestOf([]byte("the owner keeps it"))})
	s.SetPorts(lease.Ports{Owner: 1}, meter.IsolationUnproven, "isolation: read-back shows a violation", n)
}

func ports(n *bundletest.Node, nic int) []fabric.PortNote {
	return []fabric.PortNote{{Port: uint32(site.PortOf(n.Index, nic)), Node: n.ID(), NIC: nic, Check: "foreign-label", Seen: "leaf"}}
}

// swap tells of a replacement of the node in slot 0: on whose word, and who answered.
func swap(s *bundletest.Story, proposedBy, answeredBy string) {
	was, to := s.Slots[0], s.Spare()
	s.Add(lease.KindProposed, lease.Proposed{Lease: s.Lease, Was: was.ID(), Node: to.ID(), Reason: "x", Deadline: s.Now.Add(time.Hour), By: proposedBy})
	s.Wait(time.Hour)
	s.Add(lease.KindAcknowledged, lease.Acknowledged{Lease: s.Lease, By: answeredBy})
	s.Set(meter.DownOwner, "being replaced", was)
	swapped := lease.Swapped{Lease: s.Lease, Was: was.ID(), WasIndex: uint32(was.Index), Node: to.ID(), Index: uint32(to.Index), Reason: "x"}
	if proposedBy != "" {
		swapped.Asked = &lease.Asked{Word: lease.WordOwner, By: proposedBy, Reason: "x"}
	}
	s.Add(lease.KindSwapped, swapped)
	s.Slots[0] = to
	s.Move(node.Reclaiming, "replaced", nil, was)
	s.Wait(time.Hour)
}

// oldVerdict judges on a certificate of another time.
func oldVerdict(s *bundletest.Story, epoch uint64, age time.Duration) {
	now := s.Now
	s.Now = now.Add(-age)
	c := s.Certificate(epoch, s.Slots...)
	s.Now = now
	s.Add(prove.KindVerdict, prove.Judged{Lease: string(s.Lease), Epoch: epoch, Verdict: c.Verdict, Ports: c.Ports,
		Certificate: s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), prove.PredicateType, &c)})
}

// told is an attack that is a log of its own.
func told(tell func() *bundletest.Story) func(a *attempt) {
	return func(a *attempt) { a.Story = tell() }
}

// stateAttacks are logs that contradict themselves: each entry could be, and not where
// it stands.
var stateAttacks = []attack{
	{"handed over after its end", bundle.CheckPhase, "nodes are handed over", told(func() *bundletest.Story {
		s := reserved(1, 0)
		s.Until(s.Contract.End.Add(24 * time.Hour))
		s.Deliver(s.Slots...)
		return s
	})},
	{"handed over before its begin", bundle.CheckPhase, "the lease has not begun", told(func() *bundletest.Story {
		s := reserved(1, 0)
		s.Now = s.Contract.Begin.Add(-time.Hour)
		s.Deliver(s.Slots...)
		return s
	})},
	{"handed over after notice has ended it", bundle.CheckPhase, "is over", told(func() *bundletest.Story {
		s := reserved(2, 0)
		s.Deliver(s.Slots[0])
		s.Act(contract.ActNotice, contract.Tenant)
		s.Until(s.Contract.End.Add(time.Hour))
		s.Deliver(s.Slots[1])
		return s
	})},
	{"judged after it was returned", bundle.CheckPhase, "its isolation is judged", func(a *attempt) { a.Verdict() }},
	{"billed after it was returned", bundle.CheckPhase, "slots are billed otherwise", func(a *attempt) {
		a.Add(lease.KindSlots, lease.Slots{Lease: a.Lease, Tranche: "t1", Slots: "0", State: "up", Cause: "x"})
	}},
	{"let into a volume after it was returned", bundle.CheckPhase, "it is let into a volume", told(func() *bundletest.Story {
		s := atWork(1, 0)
		s.Until(s.Contract.End)
		s.Add(lease.KindReturning, lease.Returning{Lease: s.Lease, Reason: "its time is over"})
		s.Move(node.Reclaiming, "lease ended", nil, s.Slots...)
		s.Revoke(storage.PrincipalOf(s.Lease))
		s.Add(storage.KindGranted, storage.Granted{Volume: storage.IDOf(s.Contract.ID, "scratch"), Lease: s.Lease, Since: s.Now, Origin: claim.Simulated})
		return s
	})},
	{"a node swapped while its lease is taken back", bundle.CheckPhase, "a node is swapped", told(func() *bundletest.Story {
		s := atWork(1, 1)
		s.Set(meter.DownOwner, "failure: dead", s.Slots[0])
		was, to := s.Slots[0], s.Spare()
		s.Add(lease.KindProposed, lease.Proposed{Lease: s.Lease, Was: was.ID(), Node: to.ID(), Deadline: s.Now})
		s.Add(lease.KindAcknowledged, lease.Acknowledged{Lease: s.Lease, By: "deadline"})
		s.Until(s.Contract.End)
		s.Add(lease.KindReturning, lease.Returning{Lease: s.Lease, Reason: "its time is over"})
		s.Move(node.Reclaiming, "lease ended", nil, was)
		s.Wait(time.Minute)
		s.Add(lease.KindSwapped, lease.Swapped{Lease: s.Lease, Was: was.ID(), WasIndex: uint32(was.Index), Node: to.ID(), Index: uint32(to.Index)})
		return s
	})},
	{"a lease placed again after it has begun", bundle.CheckPhase, "it is placed again", told(func() *bundletest.Story {
		s := atWork(1, 1)
		s.Rebook(s.Spare())
		return s
	})},
	{"a label freed while nodes carry it", bundle.CheckPhase, "is released while 1 nodes of train", told(func() *bundletest.Story {
		s := atWork(1, 0)
		s.Add(fabric.KindLabelled, fabric.Labelled{Owner: "project/acme/train", Label: fabric.Label{Fabric: "roce", Kind: fabric.VNI, Value: 5000}, Action: "released"})
		return s
	})},
	{"a contract closed twice", bundle.CheckPhase, "was closed before", func(a *attempt) {
		a.Add(contract.KindClosed, contract.Closed{Contract: a.Contract.ID})
	}},
	{"a verdict on read-back of 200 days before", bundle.CheckAge, "200 days before", told(func() *bundletest.Story {
		s := atWork(1, 0)
		s.Wait(250 * 24 * time.Hour)
		oldVerdict(s, 2, 200*24*time.Hour)
		return s
	})},
	{"a verdict older than the one before", bundle.CheckAge, "the one before on one of", told(func() *bundletest.Story {
		s := atWork(1, 0)
		s.Verdict()
		s.Wait(time.Second)
		oldVerdict(s, 3, time.Minute)
		return s
	})},
	{"isolation shown before its node was reserved", bundle.CheckAge, "was reserved at", func(a *attempt) {
		a.certify(func(c *prove.Certificate) {
			c.Issued, c.WindowSeconds = c.Issued.Add(-2*time.Hour), 7*24*3600
			for i := range c.Fabrics {
				c.Fabrics[i].Oldest, c.Fabrics[i].Newest = c.Issued, c.Issued
			}
		})
	}},
	{"a wipe from before the node was fenced", bundle.CheckAge, "before it was fenced", told(func() *bundletest.Story {
		s := atWork(2, 1)
		was := s.Slots[0]
		s.Swap(was)
		s.Wait(10 * time.Hour)
		s.Move(node.Severed, "x", func(n *bundletest.Node) claim.Digest { return s.Body(s.SeverProof(n)) }, was)
		s.Move(node.Sanitizing, "fenced", nil, was)
		s.Move(node.Attesting, "wiped", nil, was)
		s.Move(node.Ready, "clean", s.CleanEvidence, was)
		return s
	})},
	{"a node that comes back with a wipe from before it was taken back", bundle.CheckAge, "it was the tenant's until", told(func() *bundletest.Story {
		s := atWork(1, 0)
		was := s.Slots[0]
		s.Wait(time.Hour)
		s.Move(node.Reclaiming, "x", nil, was)
		s.Move(node.Severed, "x", func(n *bundletest.Node) claim.Digest { return s.Body(s.SeverProof(n)) }, was)
		s.Move(node.Sanitizing, "fenced", nil, was)
		s.Move(node.Attesting, "wiped", nil, was)
		s.Move(node.Ready, "clean", s.CleanEvidence, was)
		return s
	})},
	{"the end of access of a time to come", bundle.CheckAge, "the receipt for the end of access", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindRevoked, func(_ int, b *storage.Revoked) { b.Receipt.Revoked = b.Receipt.Revoked.AddDate(0, 0, 1) })
	}},
	{"the end of access from before it was given", bundle.CheckAge, "and it was given at", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindRevoked, func(_ int, b *storage.Revoked) { b.Receipt.Revoked = b.Receipt.Revoked.AddDate(-2, 0, 0) })
	}},
	{"a volume destroyed while it was in use", bundle.CheckAge, "and it was in use until", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindDestroyed, func(_ int, b *storage.Destroyed) { b.Receipt.Destroyed = b.Receipt.Destroyed.AddDate(0, -6, 0) })
	}},
	{"a volume made in a time to come", bundle.CheckAge, "the volume's creation", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindProvisioned, func(_ int, b *storage.Provisioned) { b.Volume.Created = b.Volume.Created.AddDate(0, 0, 1) })
	}},
	{"a probe from before there was a node", bundle.CheckAge, "the lease had nodes from", func(a *attempt) {
		a.reprobe(func(p *prove.Probe, _ *prove.Probed) claim.Signer {
			p.At = p.At.AddDate(-1, 0, 0)
			return a.Owner.Probe
		})
	}},
	{"a wipe that answers the nonce of another turnover", bundle.CheckTurnover, "answers another nonce", func(a *attempt) {
		a.resign(func(t *node.Turnover) {
			for i := range t.Receipts {
				r := &t.Receipts[i]
				r.Nonce = node.Nonce(t.Root, t.Node, t.Turnover+1)
				r.Offset = wipe.Place(r.Nonce, r.Serial, r.Size, r.Sampled)
			}
			a.Quote(t, node.Nonce(t.Root, t.Node, t.Turnover))
		})
	}},
	{"two turnovers that answer one state of the log", bundle.CheckStatement, "the same state of the log", told(func() *bundletest.Story {
		s := atWork(2, 1)
		was := s.Slots[0]
		s.Swap(was)
		root := claim.DigestOf([]byte("root before turnover 1"))
		s.Wait(10 * time.Minute)
		s.Move(node.Severed, "x", func(n *bundletest.Node) claim.Digest { return s.Body(s.SeverProof(n)) }, was)
		s.Move(node.Sanitizing, "fenced", nil, was)
		s.Wait(3 * time.Hour)
		s.Move(node.Attesting, "wiped", nil, was)
		s.Move(node.Ready, "clean", func(n *bundletest.Node) claim.Digest {
			t := s.Turnover(n)
			t.Root, t.WipeRoot = root, root
			nonce := node.Nonce(root, t.Node, t.Turnover)
			for i := range t.Receipts {
				r := &t.Receipts[i]
				r.Nonce, r.Offset = claim.Digest(nonce), wipe.Place(nonce, r.Serial, r.Size, r.Sampled)
			}
			s.Quote(t, nonce)
			return s.SignTurnover(t)
		}, was)
		return s
	})},
	{"proven while the log has a port red", bundle.CheckContradiction, "is not proven isolated (rail3 red)", told(func() *bundletest.Story {
		s := atWork(2, 0)
		drifts(s, s.Slots[1])
		s.Wait(time.Hour)
		s.Verdict()
		return s
	})},
	{"proven while a leaf can't be read", bundle.CheckContradiction, "leaf of rail2 unread", told(func() *bundletest.Story {
		s := atWork(2, 0)
		s.Add(fabric.KindUnread, fabric.Unread{Fabric: "roce", Leaf: s.Slots[0].SU + "-leaf2", Reason: "no answer"})
		s.Set(meter.IsolationUnproven, "isolation: the leaf can't be read", s.Slots...)
		s.Verdict()
		return s
	})},
	{"proven by a certificate of a time in which the log has a port red", bundle.CheckContradiction, "the log says that a port was red or unread from", told(func() *bundletest.Story {
		s := atWork(2, 0)
		s.Drift(s.Slots[1], 3) // twenty-one minutes
		s.Wait(time.Minute)
		oldVerdict(s, 2, 10*time.Minute)
		return s
	})},
	{"a verdict about more nodes than are delivered", bundle.CheckCovers, "the verdict is about 1 nodes that are not delivered", told(func() *bundletest.Story {
		s := reserved(2, 0)
		s.Deliver(s.Slots[0])
		oldVerdict(s, 1, 0)
		return s
	})},
	{"one machine under the names of two nodes", bundle.CheckStatement, "one machine, two nodes", func(a *attempt) {
		serial := a.Slots[0].Inventory.Serial
		a.resign(func(t *node.Turnover) { t.Serial = serial })
		a.lastStatement(func(d *lease.DeliveredNode) { d.Serial = serial })
	}},
	{"a port closed of which nothing was said", bundle.CheckContradiction, "is closed, and the log names no drift", told(func() *bundletest.Story {
		s := atWork(1, 0)
		s.Add(fabric.KindLocked, fabric.Locked{Fabric: "roce", Ports: ports(s.Slots[0], 3)})
		return s
	})},
	{"a red port billed as up", bundle.CheckExposed, "is not proven isolated", told(func() *bundletest.Story {
		s := atWork(1, 0)
		drifts(s, s.Slots[0])
		s.Wait(time.Minute)
		s.Set(meter.Up, "all is well", s.Slots[0])
		return s
	})},
	{"a healthy node moved on the word of nobody", bundle.CheckUnasked, "on the word of nobody", told(func() *bundletest.Story {
		s := atWork(1, 1)
		swap(s, "", "deadline")
		return s
	})},
	{"a healthy node that the tenant is said to give up, on the word of nobody", bundle.CheckUnasked, "on the word of nobody", told(func() *bundletest.Story {
		s := atWork(1, 1)
		swap(s, "", "officer")
		return s
	})},
	{"a node taken out of its slot with no other in its place", bundle.CheckUnasked, "is taken out of slot 0 of acme-1/t1 on the word of nobody", told(func() *bundletest.Story {
		s := atWork(1, 0)
		s.Set(meter.DownOwner, "x", s.Slots[0])
		s.Move(node.Reclaiming, "x", nil, s.Slots[0])
		return s
	})},
	{"a swap acknowledged by nobody", bundle.CheckUnasked, "acknowledged by nobody", told(func() *bundletest.Story {
		s := atWork(1, 1)
		s.Set(meter.DownOwner, "failure: dead", s.Slots[0])
		swap(s, "", "")
		return s
	})},
	{"a node that came back, taken out all the same", bundle.CheckUnasked, "when the tenant's time is up, on the word of nobody", told(func() *bundletest.Story {
		s := atWork(1, 1)
		was, to := s.Slots[0], s.Spare()
		s.Set(meter.DownOwner, "failure: dead", was)
		s.Add(lease.KindProposed, lease.Proposed{Lease: s.Lease, Was: was.ID(), Node: to.ID(), Reason: "x", Deadline: s.Now.Add(time.Hour)})
		s.Wait(time.Minute)
		s.Set(meter.Up, "heard again", was)
		s.Wait(time.Hour)
		s.Add(lease.KindAcknowledged, lease.Acknowledged{Lease: s.Lease, By: "deadline"})
		return s
	})},
	{"moves that the tenant never agreed to", bundle.CheckUnasked, "has not consented", told(func() *bundletest.Story {
		s := atWork(1, 1)
		to := s.Spare()
		s.Add(lease.KindDefragProposed, lease.DefragProposed{Lease: s.Lease, Proposal: uint64(len(s.Entries) + 1), Slots: "0",
			Was: site.FormatOrder([]site.Index{s.Slots[0].Index}), Nodes: site.FormatOrder([]site.Index{to.Index}), Before: "1/1/1/1", After: "1/1/1/1", By: "operator"})
		s.Add(lease.KindDefragAccepted, lease.DefragAccepted{Lease: s.Lease, Proposal: uint64(len(s.Entries)), By: "approver"})
		swap(s, "", "deadline")
		return s
	})},
	{"another move than both parties agreed to", bundle.CheckUnasked, "the moves that both parties agreed to are others", told(func() *bundletest.Story {
		s := atWork(1, 2)
		number := uint64(len(s.Entries) + 1)
		s.Add(lease.KindDefragProposed, lease.DefragProposed{Lease: s.Lease, Proposal: number, Slots: "0",
			Was: site.FormatOrder([]site.Index{s.Slots[0].Index}), Nodes: site.FormatOrder([]site.Index{s.Spare().Index + 1}), Before: "1/1/1/1", After: "1/1/1/1", By: "operator"})
		s.Add(lease.KindDefragConsented, lease.DefragConsented{Lease: s.Lease, Proposal: number, By: "officer"})
		s.Add(lease.KindDefragAccepted, lease.DefragAccepted{Lease: s.Lease, Proposal: number, By: "approver"})
		swap(s, "", "deadline")
		return s
	})},
	{"delivered twice", bundle.CheckHandOver, "by the entries before it is delivered", told(func() *bundletest.Story {
		s := atWork(1, 0)
		n := s.Slots[0]
		n.State = node.Reserved
		s.Deliver(n)
		return s
	})},
	{"delivered before it was reserved", bundle.CheckHandOver, "not the tenant's", told(func() *bundletest.Story {
		s := bundletest.NewStory(owner, 1, 0)
		s.Until(s.Contract.Begin)
		s.Slots[0].State = node.Reserved
		s.Deliver(s.Slots...)
		return s
	})},
	{"two leases for one node", bundle.CheckSlotTwice, "which slot 0 of acme-1/t1 holds at the same time", func(a *attempt) {
		for i := range a.Entries {
			if a.Entries[i].Kind == lease.KindBound {
				second := a.Entries[i]
				second.Body = bytes.Replace(second.Body, []byte(`"lease":"acme-1/t1"`), []byte(`"lease":"acme-1/t9"`), 1)
				a.Entries = append(a.Entries[:i+1:i+1], append(a.Entries[i+1:i+1:i+1], append([]ledger.Entry{second}, a.Entries[i+1:]...)...)...)
				a.Reseal()
				return
			}
		}
	}},
}
