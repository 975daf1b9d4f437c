package bundle_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
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
	"bulkhead/prove"
)

// attempt is what an attack may change before the bundle is written: the log,
// which is signed again with the owner's real keys, and what the tenant holds.
type attempt struct {
	*bundletest.Story
	policy *bundle.Policy
	opts   bundle.Options
	in     *bundle.Input // set: written instead of the log's own input
	bodies func([]claim.Digest) []claim.Digest
}

// attack is a forgery with the check that must catch it.
type attack struct {
	name  string
	check bundle.Check
	says  string // part of the finding
	forge func(a *attempt)
}

func movesTo(to node.State) func(e *ledger.Entry) bool {
	return func(e *ledger.Entry) bool {
		return e.Kind == node.KindMoved && strings.Contains(string(e.Body), `"to":"`+to.String()+`"`)
	}
}

func ofKind(kinds ...string) func(e *ledger.Entry) bool {
	return func(e *ledger.Entry) bool { return slices.Contains(kinds, e.Kind) }
}

// first limits a condition to the first entry that meets it.
func first(meets func(e *ledger.Entry) bool) func(e *ledger.Entry) bool {
	done := false
	return func(e *ledger.Entry) bool {
		if done || !meets(e) {
			return false
		}
		done = true
		return true
	}
}

// swapIn replaces the statement that the last hand-over names.
func (a *attempt) lastStatement(change func(d *lease.DeliveredNode)) {
	bundletest.Change(a.Log, lease.KindDelivered, func(i int, b *lease.Delivered) {
		if i == 1 {
			change(&b.Nodes[0])
		}
	})
}

// resign puts another turnover statement under the hand-over of the node that
// was swapped in.
func (a *attempt) resign(change func(t *node.Turnover)) {
	n := a.Slots[2]
	saved := *n
	n.Turnover = 1
	at := a.Now
	a.Now = a.Contract.Begin.Add(-48 * time.Hour)
	t := a.Turnover(n)
	change(t)
	digest := a.SignTurnover(t)
	a.Now, *n = at, saved
	a.lastStatement(func(d *lease.DeliveredNode) { d.Statement = digest })
}

// certify puts another isolation certificate under the last hand-over.
func (a *attempt) certify(change func(c *prove.Certificate)) { a.certifyAt(1, change) }

// certifyAt puts another isolation certificate under a hand-over, counted from 0.
func (a *attempt) certifyAt(which int, change func(c *prove.Certificate)) {
	var digest claim.Digest
	bundletest.Change(a.Log, lease.KindDelivered, func(i int, b *lease.Delivered) {
		if i != which {
			return
		}
		s, err := claim.Open(a.Bodies[b.Isolation], claim.Trust{a.Owner.Statement.KeyID: publicOf(a.Owner.Statement)})
		if err != nil {
			panic(err)
		}
		c, err := prove.DecodeCertificate(s.Predicate)
		if err != nil {
			panic(err)
		}
		change(c)
		digest = a.Sign(a.Owner.Statement, "x", claim.DigestOf(nil), prove.PredicateType, c)
		b.Isolation = digest
	})
	delivered := 0
	bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
		if b.To == node.Delivered {
			if delivered == which {
				b.Nodes[0].Evidence = digest
			}
			delivered++
		}
	})
}

// reissue signs an invoice again after a change.
func (a *attempt) reissue(which int, change func(i *meter.Invoice)) {
	var digest claim.Digest
	var invoice *meter.Invoice
	bundletest.Change(a.Log, meter.KindInvoiced, func(i int, b *meter.Invoiced) {
		if i != which {
			return
		}
		s, err := claim.Open(a.Bodies[b.Statement], claim.Trust{a.Owner.Invoice.KeyID: publicOf(a.Owner.Invoice)})
		if err != nil {
			panic(err)
		}
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(s.Predicate))
		if invoice, err = meter.DecodeInvoice([]byte(plain)); err != nil {
			panic(err)
		}
		change(invoice)
		digest = a.Sign(a.Owner.Invoice, invoice.Number, claim.DigestOf(invoice.Encode()), bundle.InvoiceType, rawJSON(invoice.Encode()))
		b.Statement, b.Number, b.Total = digest, invoice.Number, invoice.Total
	})
}

type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// raise adds an amount to a line and to the total, so that the sum still fits.
func raise(i *meter.Invoice, line int, by string) {
	add := func(amount string) string {
		a, _ := new(big.Rat).SetString(amount)
		b, _ := new(big.Rat).SetString(by)
		return a.Add(a, b).FloatString(2)
	}
	i.Lines[line].Amount, i.Total = add(i.Lines[line].Amount), add(i.Total)
}

var attacks = []attack{
	{"an entry of another scope", bundle.CheckScope, "it is of scope", func(a *attempt) {
		a.Entries[5].Scope = "tenant/rival"
	}},
	{"a lease of another class of links than was promised", bundle.CheckHermetic, "the tranche promises shared", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.Links = lease.Hermetic })
	}},
	{"a bundle of another tenant", bundle.CheckScope, "the policy is for", func(a *attempt) {
		a.policy.Tenant = "rival"
	}},
	{"a kind that nobody knows", bundle.CheckKind, "not known", func(a *attempt) {
		a.Entries[7].Kind = "lease.forgotten/9"
	}},
	{"a field that nobody knows", bundle.CheckKind, "unknown field", func(a *attempt) {
		a.Entries[7].Body = []byte(`{"nodes":[],"hidden":true}`)
	}},
	{"an entry cut out without hiding it", bundle.CheckSequence, "entries are missing", func(a *attempt) {
		a.Entries = slices.Delete(a.Entries, 12, 13)
	}},
	{"an entry moved to another time", bundle.CheckTime, "the entry before it", func(a *attempt) {
		a.Entries[len(a.Entries)-1].Time = a.Contract.Begin
	}},
	{"a checkpoint by somebody else", bundle.CheckCheckpoint, "no signature by a key", func(a *attempt) {
		stranger := bundletest.NewOwner(bundletest.Site, "stranger")
		log := *a.Log
		log.Owner = stranger
		in := a.Input()
		in.Checkpoint = log.Checkpoint(len(log.Entries))
		a.in = &in
	}},
	{"a checkpoint of another tenant's log", bundle.CheckCheckpoint, "the checkpoint is of", func(a *attempt) {
		log := *a.Log
		log.Tenant = "rival"
		in := a.Input()
		in.Checkpoint = log.Checkpoint(len(log.Entries))
		a.in = &in
	}},
	{"a checkpoint key that had expired", bundle.CheckCheckpoint, "its key is valid", func(a *attempt) {
		a.policy.Keys[0].Until = a.Contract.Begin
	}},
	{"entries behind the checkpoint", bundle.CheckRoot, "the checkpoint signs", func(a *attempt) {
		in := a.Input()
		in.Checkpoint = a.Checkpoint(len(a.Entries) - 1)
		a.in = &in
	}},
	{"two logs of one size", bundle.CheckSince, "two different logs", func(a *attempt) {
		a.opts.Since = a.Checkpoint(20)
		bundletest.Change(a.Log, lease.KindSlots, func(i int, b *lease.Slots) { b.Cause = "nothing happened" })
	}},
	{"a log older than the pinned one", bundle.CheckSince, "it is older", func(a *attempt) {
		a.policy.Pinned = string(a.Checkpoint(len(a.Entries)))
		a.Entries = a.Entries[:30]
	}},
	{"a body that was left out", bundle.CheckBody, "does not hold", func(a *attempt) {
		a.bodies = func(d []claim.Digest) []claim.Digest { return slices.Delete(d, 3, 4) }
	}},
	{"a body changed to another one", bundle.CheckBody, "does not hold", func(a *attempt) {
		in := a.Input()
		body := in.Body
		in.Body = func(d claim.Digest) ([]byte, error) {
			data, err := body(d)
			if bytes.Contains(data, []byte("a placement certificate")) {
				data = []byte(`{"version":1,"note":"another one"}`)
			}
			return data, err
		}
		a.in = &in
	}},
	{"a body that no entry names", bundle.CheckSurplus, "no entry names", func(a *attempt) {
		extra := a.Body([]byte("policy: trust me"))
		a.bodies = func(d []claim.Digest) []claim.Digest { return append(d, extra) }
	}},
	{"statements by a key that was revoked", bundle.CheckSigner, "no signature by a key", func(a *attempt) {
		a.policy.Keys[1].Until = a.Contract.Begin.Add(24 * time.Hour)
	}},
	{"invoices by a key for something else", bundle.CheckSigner, "no signature by a key", func(a *attempt) {
		a.policy.Keys[2].From = a.Contract.End
	}},
	{"another price than was quoted", bundle.CheckContract, "is not what quote", func(a *attempt) {
		bundletest.Change(a.Log, contract.KindSigned, func(_ int, b *contract.Signed) {
			b.Contract = []byte(strings.ReplaceAll(string(b.Contract), `"price":"3.95"`, `"price":"4.95"`))
			b.Digest = claim.DigestOf([]byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b.Contract))))
		})
	}},
	{"another kind than was promised", bundle.CheckBound, "the tranche promises", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.Kind = "H200" })
	}},
	{"one node in two slots", bundle.CheckSlotTwice, "holds it", func(a *attempt) {
		n := a.Slots[0]
		bundletest.Change(a.Log, lease.KindProposed, func(_ int, b *lease.Proposed) { b.Node = n.ID() })
		bundletest.Change(a.Log, lease.KindSwapped, func(_ int, b *lease.Swapped) { b.Node, b.Index = n.ID(), uint32(n.Index) })
	}},
	{"a lease taken back early", bundle.CheckReturn, "and runs until", func(a *attempt) {
		for i := range a.Entries {
			if !a.Entries[i].Time.Before(a.Contract.End) {
				a.Entries[i].Time = a.Entries[i].Time.AddDate(0, -1, 0)
			}
		}
	}},
	{"a lease returned with a node not wiped", bundle.CheckReturned, "neither wiped nor quarantined", func(a *attempt) {
		n := a.Slots[0].ID()
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To == node.Ready {
				b.Nodes = slices.DeleteFunc(b.Nodes, func(m node.MovedNode) bool { return m.Node == n })
			}
		})
	}},
	{"a node under another name", bundle.CheckName, "otherwise", func(a *attempt) {
		bundletest.Change(a.Log, node.KindMoved, func(i int, b *node.Moved) {
			if i == 0 {
				b.Nodes[0].Node = "a1-su09-n09"
			}
		})
	}},
	{"sanitizing skipped", bundle.CheckArrow, "no node moves from", func(a *attempt) {
		a.Drop(first(movesTo(node.Sanitizing)))
		a.Drop(first(movesTo(node.Attesting)))
		done := false
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To == node.Ready && !done {
				b.From, done = node.Severed, true
				b.Nodes[0].Seq -= 2
			}
		})
	}},
	{"a move left out and the numbers closed up", bundle.CheckNodeState, "by the entries before", func(a *attempt) {
		a.Drop(first(movesTo(node.Attesting)))
		done := false
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To == node.Ready && !done {
				done = true
				b.Nodes[0].Seq--
			}
		})
	}},
	{"a gap in a node's moves", bundle.CheckNodeSequence, "moves are missing", func(a *attempt) {
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To != node.Reserved && b.To != node.Delivered {
				for i := range b.Nodes {
					b.Nodes[i].Seq += 2
				}
			}
		})
	}},
	{"a turnover that was not counted", bundle.CheckTurnoverTurn, "expected 2", func(a *attempt) {
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To == node.Reclaiming {
				b.Nodes[0].Turnover--
			}
		})
	}},
	{"fenced on nobody's word", bundle.CheckEvidence, "without evidence", func(a *attempt) {
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To == node.Severed {
				b.Nodes[0].Evidence = claim.Digest{}
			}
		})
	}},
	{"a wipe receipt invented after the quote", bundle.CheckTurnover, "attest", func(a *attempt) {
		a.resign(func(t *node.Turnover) { t.Receipts[9].End++ })
	}},
	{"a wipe that wiped nothing", bundle.CheckTurnover, "read-back", func(a *attempt) {
		a.resign(func(t *node.Turnover) {
			t.Receipts[9].Sample = claim.DigestOf([]byte("somebody's weights"))
			a.Quote(t, node.Nonce(t.Root, t.Node, t.Turnover))
		})
	}},
	{"a device without a receipt", bundle.CheckTurnover, "receipts", func(a *attempt) {
		a.resign(func(t *node.Turnover) {
			t.Receipts = slices.Delete(t.Receipts, 3, 4)
			a.Quote(t, node.Nonce(t.Root, t.Node, t.Turnover))
		})
	}},
	{"an old TPM quote", bundle.CheckTurnover, "nonce", func(a *attempt) {
		a.resign(func(t *node.Turnover) { a.Quote(t, node.Nonce(t.Root, t.Node, t.Turnover-1)) })
	}},
	{"other golden values than the tenant's", bundle.CheckTurnover, "golden", func(a *attempt) {
		d := claim.DigestOf([]byte("other firmware")).String()
		a.policy.Golden = []bundle.Golden{{Kind: "H100", PCRs: []string{d, d, d}}}
	}},
	{"another attestation key than the tenant's", bundle.CheckTurnover, "attestation key", func(a *attempt) {
		a.policy.AttestationKeys = map[string]string{a.Slots[0].ID(): a.Slots[1].Inventory.AttestationKey.String()}
	}},
	{"the statement of the turnover before", bundle.CheckStatement, "is about turnover 1", func(a *attempt) {
		var old claim.Digest
		bundletest.Change(a.Log, lease.KindDelivered, func(i int, b *lease.Delivered) {
			if i == 0 {
				old = b.Nodes[2].Statement
			}
		})
		done := false
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			if b.To == node.Ready && !done {
				done = true
				b.Nodes[0].Evidence = old
			}
		})
	}},
	{"another chassis", bundle.CheckStatement, "chassis", func(a *attempt) {
		a.lastStatement(func(d *lease.DeliveredNode) { d.Serial = "OTHER" })
	}},
	{"fenced with the tenant's label on it", bundle.CheckSever, "still carries label", func(a *attempt) {
		n := a.Slots[0]
		proof := bytes.Replace(a.SeverProof(n), []byte(`"nic":2,"labels":[4194304]`), []byte(`"nic":2,"labels":[5000]`), 1)
		digest := a.Body(proof)
		bundletest.Change(a.Log, node.KindMoved, func(_ int, b *node.Moved) {
			for i := range b.Nodes {
				if b.To == node.Severed && b.Nodes[i].Node == n.ID() {
					b.Nodes[i].Evidence = digest
				}
			}
		})
	}},
	{"a replacement hidden", bundle.CheckSlotNode, "a replacement is missing", func(a *attempt) {
		a.Drop(ofKind(lease.KindProposed, lease.KindAcknowledged, lease.KindSwapped))
	}},
	{"a hand-over without its move", bundle.CheckHandOver, "no move to delivered follows", func(a *attempt) {
		a.Drop(first(movesTo(node.Delivered)))
	}},
	{"a swap that nobody acknowledged", bundle.CheckSwap, "was not proposed and acknowledged", func(a *attempt) {
		a.Drop(ofKind(lease.KindAcknowledged))
	}},
	{"a proposal withdrawn that there was not", bundle.CheckSwap, "and it is not open", func(a *attempt) {
		a.Add(lease.KindWithdrawn, lease.Withdrawn{Lease: a.Lease, Slot: 0, Was: a.Slots[0].ID(), Node: a.Slots[1].ID(), Reason: "x", By: "loop"})
		a.Reseal()
	}},
	{"a swap whose proposal was withdrawn", bundle.CheckSwap, "was not proposed and acknowledged", func(a *attempt) {
		for i := range a.Entries {
			if a.Entries[i].Kind == lease.KindAcknowledged {
				var p lease.Proposed
				if err := json.Unmarshal(a.Entries[i-1].Body, &p); err != nil {
					panic(err)
				}
				a.Add(lease.KindWithdrawn, lease.Withdrawn{Lease: p.Lease, Slot: p.Slot, Was: p.Was, Node: p.Node, Reason: "x", By: "loop"})
				withdrawn := a.Entries[len(a.Entries)-1]
				withdrawn.Time = a.Entries[i].Time
				a.Entries = a.Entries[:len(a.Entries)-1]
				a.Entries[i] = withdrawn
				a.Reseal()
				return
			}
		}
	}},
	{"a slot that was up long after it was", bundle.CheckSilence, "only what nobody could know reaches back", func(a *attempt) {
		n := 0
		bundletest.Change(a.Log, lease.KindSlots, func(_ int, b *lease.Slots) {
			if b.State == "up" && n == 0 {
				n++
				b.Since = a.Now.AddDate(0, 0, -1)
			}
		})
	}},
	{"a silence from before something was said", bundle.CheckSilence, "and something was said of it", func(a *attempt) {
		a.Add(lease.KindSlots, lease.Slots{Lease: a.Lease, Tranche: "t1", Slots: "0", State: "unknown", Cause: "silent", Since: a.Contract.Begin.Add(-time.Hour)})
		a.Reseal()
	}},
	{"a running node swapped without a question", bundle.CheckUnasked, "and it was", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindAcknowledged, func(_ int, b *lease.Acknowledged) { b.By = "not delivered yet" })
	}},
	{"a deadline called early", bundle.CheckUnasked, "had until", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindProposed, func(_ int, b *lease.Proposed) { b.Deadline = b.Deadline.Add(time.Hour) })
		bundletest.Change(a.Log, lease.KindAcknowledged, func(_ int, b *lease.Acknowledged) { b.By = "deadline" })
	}},
	{"a node that was swapped out and never reclaimed", bundle.CheckStayed, "no slot holds it", func(a *attempt) {
		for _, to := range []node.State{node.Reclaiming, node.Severed, node.Sanitizing, node.Attesting, node.Ready} {
			a.Drop(first(movesTo(to)))
		}
	}},
	{"a label that belongs to somebody else", bundle.CheckLabel, "expected a project of", func(a *attempt) {
		bundletest.Change(a.Log, fabric.KindLabelled, func(i int, b *fabric.Labelled) {
			if i == 0 {
				b.Owner = "project/rival/train"
			}
		})
	}},
	{"isolation proven under another label", bundle.CheckLabel, "the log does not give", func(a *attempt) {
		a.certify(func(c *prove.Certificate) { c.Fabrics[0].Labels[0].Label.Value++ })
	}},
	{"isolation of another lease", bundle.CheckIsolation, "is of lease", func(a *attempt) {
		a.certify(func(c *prove.Certificate) { c.Lease = "rival-1/t1" })
	}},
	{"an isolation certificate that hides an assumption", bundle.CheckIsolation, "assumptions", func(a *attempt) {
		a.certify(func(c *prove.Certificate) { c.Assumptions = c.Assumptions[1:] })
	}},
	{"an isolation certificate that was old", bundle.CheckIsolation, "which counts for", func(a *attempt) {
		a.certify(func(c *prove.Certificate) {
			c.Issued = c.Issued.Add(-24 * time.Hour)
			for i := range c.Fabrics {
				c.Fabrics[i].Oldest, c.Fabrics[i].Newest = c.Issued, c.Issued
			}
		})
	}},
	{"isolation of other nodes", bundle.CheckCovers, "is about nodes", func(a *attempt) {
		a.certify(func(c *prove.Certificate) { c.Nodes = "5" })
	}},
	{"a verdict better than its isolation certificate", bundle.CheckVerdict, "the entry says", func(a *attempt) {
		bundletest.Change(a.Log, prove.KindVerdict, func(i int, b *prove.Judged) { b.Ports += 9 })
	}},
	{"a verdict left out", bundle.CheckEpoch, "the one before was", func(a *attempt) {
		n := 0
		a.Drop(func(e *ledger.Entry) bool {
			if e.Kind == prove.KindVerdict {
				n++
			}
			return e.Kind == prove.KindVerdict && n == 2
		})
	}},
	{"the downtime of a drift left out", bundle.CheckExposed, "is not proven isolated", func(a *attempt) {
		a.Drop(first(func(e *ledger.Entry) bool {
			return e.Kind == lease.KindSlots && strings.Contains(string(e.Body), "isolation-unproven")
		}))
	}},
	{"a drift left out", bundle.CheckUnfounded, "names no drift", func(a *attempt) {
		a.Drop(ofKind(fabric.KindDrifted))
	}},
	{"a node handed over while it drifts", bundle.CheckNotExposed, "while its isolation is not proven", func(a *attempt) {
		for i := range a.Entries {
			if movesTo(node.Reserved)(&a.Entries[i]) && i > 10 {
				e := a.Entries[i]
				body := fabric.Drifted{Fabric: "roce", Ports: []fabric.PortNote{{Port: uint32(a.Slots[2].Index)*9 + 1, Node: a.Slots[2].ID(), NIC: 1, Check: "foreign-label"}}}
				a.Add(fabric.KindDrifted, body)
				drift := a.Entries[len(a.Entries)-1]
				drift.Time = e.Time
				a.Entries = slices.Insert(a.Entries[:len(a.Entries)-1], i+1, drift)
				a.Reseal()
				return
			}
		}
	}},
	{"the downtime of a dead node left out", bundle.CheckSlotUp, "no delivered node is in it", func(a *attempt) {
		a.Drop(func(e *ledger.Entry) bool {
			return e.Kind == lease.KindSlots && strings.Contains(string(e.Body), "down-owner")
		})
	}},
	{"a slot in a state that no contract knows", bundle.CheckSlotRange, "sleeping", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindSlots, func(i int, b *lease.Slots) {
			if i == 0 {
				b.State = "sleeping"
			}
		})
	}},
	{"a gap in the invoices", bundle.CheckInvoiceNumber, "expected acme-0002", func(a *attempt) {
		a.reissue(1, func(i *meter.Invoice) { i.Number = "acme-0003" })
	}},
	{"a month invoiced twice", bundle.CheckInvoiceTwice, "before", func(a *attempt) {
		for i := range a.Entries {
			if a.Entries[i].Kind == meter.KindInvoiced {
				a.Entries = slices.Insert(a.Entries, i, a.Entries[i])
				break
			}
		}
		a.Reseal()
	}},
	{"a line raised", bundle.CheckInvoice, "the log gives", func(a *attempt) {
		a.reissue(0, func(i *meter.Invoice) { raise(i, 0, "0.01") })
	}},
	{"a credit left out", bundle.CheckInvoice, "is missing", func(a *attempt) {
		a.reissue(0, func(i *meter.Invoice) {
			raise(i, 0, "0.00")
			i.Lines = i.Lines[:2]
			i.Total = "70467.47"
		})
	}},
	{"an invoice that does not count the last entries", bundle.CheckInvoice, "is about its period", func(a *attempt) {
		a.reissue(0, func(i *meter.Invoice) { i.Through -= 8 })
	}},
	{"looks of the future", bundle.CheckLooks, "is after the entry itself", func(a *attempt) {
		a.Add(meter.KindObserved, meter.Observed{Since: a.Now.Add(time.Hour), WithinS: 60})
	}},
	{"an entry with another total", bundle.CheckInvoiceEntry, "the entry says", func(a *attempt) {
		bundletest.Change(a.Log, meter.KindInvoiced, func(_ int, b *meter.Invoiced) { b.Total = "1.00" })
	}},
	{"a rehearsal passed off as a delivery", bundle.CheckOrigin, "of origin", func(a *attempt) {
		a.policy.Origins, a.policy.Minimum = []claim.Origin{claim.Hardware}, bundle.Minimum{}
	}},
	{"weaker evidence than the tenant asks", bundle.CheckGrade, "the policy asks for", func(a *attempt) {
		a.policy.Minimum.Turnover = claim.HardwareAttested
	}},
}
