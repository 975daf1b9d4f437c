package bundle

import (
	"encoding/json"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/site"
)

// maxNodes bounds dense node numbers: a lease of more than that is refused
// before memory is taken for it.
const maxNodes = site.MaxNodes

// contractLog is one contract through its versions.
type contractLog struct {
	versions []*contract.Contract
	noticed  bool
	closed   bool
	leases   []*leaseLog
	events   []meter.Event     // of its leases, in the order of the log
	billed   map[int64]string  // number of the invoice by the begin of its month, Unix seconds
	notes    []meter.GivenBack // credit notes about its invoices
}

func (k *contractLog) current() *contract.Contract { return k.versions[len(k.versions)-1] }

// leaseLog is one lease: which node is in which slot, and what each slot is
// billed as.
type leaseLog struct {
	lease.Bound
	contract  *contractLog
	end       time.Time // as notices have moved it
	slots     []uint32  // number of the node in each slot
	gpus      int       // of each of its nodes, as its tranche says
	billed    []meter.SlotState
	billedAt  []time.Time   // since when
	ports     []lease.Ports // that an isolation-unproven is about
	ever      []bool        // delivered at least once
	upOnce    int           // slots of which that is so
	swaps     map[uint32]*swapLog
	worked    map[uint32]bool // slots that were emptied of a node that works
	given     *site.Set       // slots that were given up
	returning time.Time
	returned  time.Time
	epoch     uint64
	verdicts  map[string]int  // verdicts by word
	inUse     delivered       // numbers of its delivered nodes
	units     map[string]bool // of a hermetic lease: the SUs that its links lead from
	served    time.Time       // when its first node was handed over
	moves     *defragLog      // that is open
	judgedAt  time.Time       // issue of the last verdict's certificate, while verdicts are judged
	judgedEnd time.Time       // entry of the last verdict
	// The last time in which the log said that a port of it was red or unread; until is
	// zero while it says so.
	alarmFrom, alarmUntil time.Time
	alarms                int      // delivered nodes of which it says so now
	alarmed               *nodeLog // one of them, unless it was mended meanwhile
	down                  int      // slots that are billed as neither up nor undelivered
}

// slotRef names a slot.
type slotRef struct {
	lease *leaseLog
	slot  uint32
}

func (r slotRef) String() string { return fmt.Sprintf("slot %d of %s", r.slot, r.lease.Lease) }

// apply folds one entry.
func (v *verifier) apply(body any) {
	switch b := body.(type) {
	case *Registered:
		if v.at.entry != 1 {
			v.fail(v.at, CheckScope, "", "a tenant is registered once, by its first entry")
		}
	case *contract.Quoted:
		v.quoted(b)
	case *contract.Lapsed:
		v.quoteGone(b.Quote)
	case *contract.QuoteWithdrawn:
		v.quoteGone(b.Quote)
	case *contract.Signed:
		v.contractSigned(b)
	case *contract.Acted:
		v.acted(b)
	case *contract.Closed:
		v.closed(b)
	case *TenantToken:
		v.consent.tokens++
	case *contract.Assented:
		v.quoteAssented(b)
	case *contract.KeyRegistered:
		v.keyRegistered(b)
	case *contract.KeyRevoked:
		v.keyRevoked(b)
	case *lease.Bound:
		v.bound(b)
	case *lease.Rebooked:
		v.rebooked(b)
	case *lease.Late:
		if l := v.leaseOf(b.Lease); l != nil {
			v.step(l, actLate)
		}
	case *lease.DefragProposed, *lease.DefragConsented, *lease.DefragAccepted, *lease.DefragEnded:
		v.defrag(b)
	default:
		v.applyNodes(body)
	}
}

var contractShape = claim.ShapeOf[contract.Contract]()

// contractOf decodes the contract in an entry, and gives raw its canonical form.
func (v *verifier) contractOf(raw *json.RawMessage) *contract.Contract {
	*raw = unescaped(*raw)
	weight, err := v.budget.weigh(contractShape, *raw, "a contract")
	if err != nil {
		v.fail(v.at, CheckContract, "", "contract: %v", err)
		return nil
	}
	v.budget.spend(clauses(*raw), "contracts")
	v.contractCost = weight + int64(len(*raw))
	v.budget.keep(v.contractCost, "contracts")
	c, err := contract.Decode(*raw)
	if err != nil {
		v.fail(v.at, CheckContract, "", "contract: %v", err)
		return nil
	}
	if c.Tenant != v.tenant {
		v.fail(v.at, CheckContract, c.ID, "it is of tenant %q", c.Tenant)
	}
	return c
}

func (v *verifier) quoted(b *contract.Quoted) {
	if v.contractOf(&b.Contract) == nil {
		return
	}
	v.quoteGone(b.Quote)
	v.budget.keep(perWord+v.budget.body, "quotes")
	v.quotes[b.Quote] = b
	v.quoteCosts[b.Quote] = v.contractCost + perWord + v.budget.body
}

// quoteGone forgets a quote, and gives back what it took.
func (v *verifier) quoteGone(id string) {
	v.budget.keep(-v.quoteCosts[id], "contracts")
	delete(v.quoteCosts, id)
	delete(v.quotes, id)
}

func (v *verifier) contractSigned(b *contract.Signed) {
	c := v.contractOf(&b.Contract)
	if c == nil {
		return
	}
	if b.Digest != claim.DigestOf(b.Contract) {
		v.fail(v.at, CheckContract, c.ID, "the entry names digest %s, the contract in it has %s", b.Digest, claim.DigestOf(b.Contract))
	}
	v.checkNoEnding(c)
	q, ok := v.quotes[b.Quote]
	switch {
	case !ok:
		v.fail(v.at, CheckContract, c.ID, "no quote %q is open", b.Quote)
	case claim.DigestOf(q.Contract) != b.Digest:
		v.fail(v.at, CheckContract, c.ID, "what was signed is not what quote %s offered", b.Quote)
	case !v.time.Before(q.Expires):
		v.fail(v.at, CheckContract, c.ID, "quote %s expired at %s", b.Quote, stamp(q.Expires))
	}
	if ok && !b.Page.IsZero() {
		v.budget.spend(pricing(c)+int(v.quoteCosts[b.Quote]/stepBytes), "pages that were signed")
		if page, err := contract.PageDigest(q); err != nil || page != b.Page {
			v.fail(v.at, CheckContract, c.ID, "the page that was read has digest %s, that of quote %s has %s", b.Page, b.Quote, page)
		}
	}
	if ok {
		for _, part := range q.Parts {
			if part.Sitting {
				v.budget.keep(perWord+2*int64(len(c.ID)+len(part.Tranche)), "nodes that their tenant was on")
				v.sitting[leaseIDOf(c.ID, part.Tranche)] = true
			}
		}
	}
	v.quoteGone(b.Quote)
	v.consented(c, b, q)
	v.version(c)
}

// leaseIDOf is the lease of a tranche: neither id has a slash in it.
func leaseIDOf(contract, tranche string) lease.ID { return lease.ID(contract + "/" + tranche) }

// version puts a version of a contract in force.
func (v *verifier) version(c *contract.Contract) {
	k := v.contracts[c.ID]
	if k == nil {
		if c.Version != 1 {
			v.fail(v.at, CheckContract, c.ID, "version %d is signed, and no version 1 before it", c.Version)
		}
		v.contracts[c.ID] = &contractLog{versions: []*contract.Contract{c}, billed: map[int64]string{}}
		return
	}
	if k.closed {
		v.fail(v.at, CheckPhase, c.ID, "version %d is put in force after the contract was closed", c.Version)
	}
	if err := k.current().Amend(c); err != nil {
		v.fail(v.at, CheckContract, c.ID, "version %d may not follow version %d: %v", c.Version, k.current().Version, err)
	}
	k.versions = append(k.versions, c)
}

func (v *verifier) closed(b *contract.Closed) {
	k := v.contracts[b.Contract]
	if k == nil {
		v.fail(v.at, CheckContract, b.Contract, "no contract of this id is in force")
		return
	}
	if k.closed {
		v.fail(v.at, CheckPhase, b.Contract, "it is closed, and was closed before")
	}
	k.closed = true
	v.budget.spend(len(k.leases), "contracts that are closed")
	for _, l := range k.leases {
		if l.returned.IsZero() {
			v.fail(v.at, CheckReturned, string(l.Lease), "its contract is closed, and it was not returned")
		}
	}
}

func (v *verifier) leaseOf(id lease.ID) *leaseLog {
	l := v.leases[string(id)]
	if l == nil {
		v.fail(v.at, CheckBound, string(id), "no lease of this id was bound")
	}
	return l
}

// bound gives a lease its slots.
func (v *verifier) bound(b *lease.Bound) {
	id := string(b.Lease)
	if v.leases[id] != nil {
		v.fail(v.at, CheckBound, id, "it was bound before")
		return
	}
	l := &leaseLog{
		Bound: *b, end: b.End, gpus: site.GPUs, swaps: map[uint32]*swapLog{}, worked: map[uint32]bool{}, given: site.NewSet(0),
		verdicts: map[string]int{}, inUse: delivered{budget: v.budget},
	}
	order, err := site.ParseOrder(b.Nodes, maxNodes)
	if err != nil || len(order) != b.Slots {
		v.fail(v.at, CheckBound, id, "%d slots, and nodes that are not as many different ones: %v", b.Slots, err)
		return
	}
	v.budget.spend(maxNodes/64+len(order), "the slots of leases")
	v.budget.keep(perLease+v.budget.body+perSlot*int64(len(order)), "the slots of leases")
	for _, n := range order {
		l.slots = append(l.slots, uint32(n))
	}
	l.ever = make([]bool, len(l.slots))
	l.billed, l.billedAt, l.ports = make([]meter.SlotState, len(l.slots)), make([]time.Time, len(l.slots)), make([]lease.Ports, len(l.slots))
	for i := range l.billed {
		l.billed[i] = meter.Undelivered
	}
	v.leases[id] = l
	v.order = append(v.order, l)
	l.contract = v.contracts[b.Contract]
	if l.contract == nil {
		v.fail(v.at, CheckBound, id, "contract %q is not in force", b.Contract)
		l.contract = &contractLog{billed: map[int64]string{}}
	} else if l.contract.closed {
		v.fail(v.at, CheckPhase, id, "it is bound for a contract that was closed")
	} else {
		v.promise(l)
	}
	if b.Sitting && !v.sitting[b.Lease] {
		v.fail(v.at, CheckBound, id, "its nodes count as those that the tenant was on before, and the quote that was signed did not say so")
	}
	v.hermetic(l)
	v.placed(l, l.Certificate, order)
	l.contract.leases = append(l.contract.leases, l)
	v.claimSlots(l)
}

// promise holds a lease to the tranche that it is for.
func (v *verifier) promise(l *leaseLog) {
	id := string(l.Lease)
	c := l.contract.current()
	t := c.TrancheByID(l.Tranche)
	if t != nil {
		l.gpus = t.GPUsANode()
	}
	switch {
	case t == nil:
		v.fail(v.at, CheckBound, id, "contract %s has no tranche %q", c.ID, l.Tranche)
	case t.Slots() != len(l.slots) || t.Kind != l.Kind || t.Fabric != "" && t.Fabric != l.Fabric:
		v.fail(v.at, CheckBound, id, "%d slots of %s in %s, the tranche promises %d of %s in %s", len(l.slots), l.Kind, l.Fabric, t.Slots(), t.Kind, t.Fabric)
	case !l.Begin.Equal(t.Delivery) || !l.End.Equal(t.End):
		v.fail(v.at, CheckBound, id, "from %s until %s, the tranche promises %s until %s", stamp(l.Begin), stamp(l.End), stamp(t.Delivery), stamp(t.End))
	case spansOf(l) != "":
		v.fail(v.at, CheckSpans, id, "%s", spansOf(l))
	case v.policy.lacks(l.Spans) != "":
		v.fail(v.at, CheckSpans, id, "it spans no network of the role %s, which the policy asks for (networks)", v.policy.lacks(l.Spans))
	case c.Project != l.Project || c.Tenant != l.Tenant:
		v.fail(v.at, CheckBound, id, "for project %s of %s, the contract is for %s of %s", l.Project, l.Bound.Tenant, c.Project, c.Tenant)
	}
}
