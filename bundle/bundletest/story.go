package bundletest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
	"bulkhead/storage"
)

// Story tells a tenant's log step by step, as the owner's control plane would
// write it.
type Story struct {
	*Log
	Lease    lease.ID
	Contract *contract.Contract
	Slots    []*Node // node in each slot
	world    *world
	labels   []fabric.Label
	epoch    uint64
	invoices int
	last     *meter.Invoice
	before   []*contract.Contract // versions before Contract
	events   []meter.Event
	looks    *meter.Looks // nil: the log says nothing of them
}

// Node is a fictional node with what the log has told of it.
type Node struct {
	Inventory *site.NodeInventory
	Index     site.Index
	SU        string
	State     node.State
	Seq       uint32
	Turnover  uint32
	Statement claim.Digest
}

// ID is the node's name.
func (n *Node) ID() string { return n.Inventory.ID }

// The names that the stories use.
const (
	Site    = "testsite"
	Tenant  = "acme"
	Project = "train"
)

const contractText = `
id: acme-1
version: 1
title: Acme & Sons, a test
fictional: true
tenant: acme
project: train
currency: USD
time_zone: America/Los_Angeles
begin: 2026-05-01
end: 2027-05-01
notice_days: 30
tranches:
  - {id: t1, kind: H100, fabric: roce, gpus: %s, delivery: 2026-05-01, links: shared, volumes: [scratch]}
storage:
  - {id: scratch, capacity_tb: 40, key_mode: owner, from: 2026-05-01, price: 0, clause: "4.1"}
rates:
  - {tranches: [t1], from: 2026-05-01, basis: gpu-hour, price: 3.95, clause: "3.1 <base>"}
sla:
  - {metric: node-availability, tiers: [{below: 100%%, credit: 100%%}], clause: "5.1"}
  - {metric: isolation-proven, tiers: [{below: 100%%, credit: 100%%}], clause: "5.2"}
unknown: {grace: 15m, then: down-owner}
`

// NewStory registers the tenant, signs a contract for slots of the first nodes
// of a site, and assigns labels.
func NewStory(o *Owner, slots, spares int) *Story {
	return NewStoryOf(o, slots, spares, site.GPUs, site.GPUs)
}

// NewStoryOf is NewStory of nodes that have so many GPUs, under a contract that says
// so many.
func NewStoryOf(o *Owner, slots, spares, has, says int) *Story {
	return newStory(o, made{tenant: Tenant, labels: 5000, slots: slots, spares: spares, has: has, says: says})
}

// Beside is Small of another tenant, under labels of its own, on the node that Small is
// about.
func Beside(o *Owner, tenant string) *Story {
	return small(newStory(o, made{tenant: tenant, labels: 6000, slots: 1, has: site.GPUs, says: site.GPUs}))
}

// Domains is Small on a site whose racks of 4 nodes are one NVLink domain each.
func Domains(o *Owner) *Story {
	return small(newStory(o, made{tenant: Tenant, labels: 5000, slots: 1, has: site.GPUs, says: site.GPUs, domains: true}))
}

// Gated is Small on a site that names the management network on which its BMCs are.
func Gated(o *Owner) *Story {
	return small(newStory(o, made{tenant: Tenant, labels: 5000, slots: 1, has: site.GPUs, says: site.GPUs, management: "bmc"}))
}

// made is what a story is made of.
type made struct {
	tenant        string
	labels        uint32 // values from here on
	slots, spares int
	has, says     int // GPUs a node has, and by the contract
	domains       bool
	management    string // network; "": the site names none
	terms         Terms
}

func newStory(o *Owner, m made) *Story {
	tenant, labels, slots, spares, has, says, terms := m.tenant, m.labels, m.slots, m.spares, m.has, m.says, m.terms
	begin := time.Date(2026, 4, 20, 9, 0, 0, 0, time.UTC)
	s := &Story{Log: NewLog(o, tenant, begin), Lease: lease.ID(tenant + "-1/t1")}
	s.world = newWorld(slots+spares, has)
	for i := range s.world.site.Kinds {
		s.world.site.Kinds[i].NVLinkRacks = m.domains
	}
	s.world.site.Management = m.management
	s.Slots = append(s.Slots, s.world.nodes[:slots]...)
	quantity := fmt.Sprint(slots * says)
	if says != site.GPUs {
		quantity += fmt.Sprintf(", node_gpus: %d", says)
	}
	c, err := contract.Parse("acme.yaml", terms.price(fmt.Appendf(nil, strings.ReplaceAll(contractText, "acme", tenant), quantity)))
	must(err)
	s.Contract = c
	raw := c.Encode()
	for _, n := range s.world.nodes {
		n.Statement = s.SignTurnover(s.Turnover(n))
	}
	s.Add(bundle.KindRegistered, bundle.Registered{Tenant: tenant, Name: "Acme"})
	if terms.Registers != nil {
		s.RegisterKey(terms.Registers, nil)
	}
	placement := s.Body([]byte(`{"version":1,"note":"a placement certificate"}`))
	var order []site.Index
	for _, n := range s.Slots {
		order = append(order, n.Index)
	}
	nodes := site.FormatOrder(order)
	s.Add(contract.KindQuoted, contract.Quoted{Quote: "q1", Contract: raw, Expires: begin.AddDate(0, 0, 7), Parts: []contract.QuotedPart{{
		Tranche: "t1", Fabric: "roce", Kind: "H100", Slots: slots, Nodes: nodes, Begin: c.Begin, End: c.End, Where: "1 hall", Certificate: placement,
	}}})
	s.Wait(time.Hour)
	s.Add(contract.KindSigned, contract.Signed{Contract: raw, Digest: claim.DigestOf(raw), Quote: "q1", By: "officer", Signatures: Agreed(), Assent: s.assent(c, "q1", terms.Signs)})
	s.Add(lease.KindBound, lease.Bound{
		Lease: s.Lease, Tenant: tenant, Contract: c.ID, Tranche: "t1", Project: Project, Fabric: "roce", Kind: "H100", Links: lease.Shared,
		Begin: c.Begin, End: c.End, Slots: slots, Nodes: nodes, Certificate: placement,
		Spans: s.world.site.Spans(0, has), NVLinkRacks: m.domains,
	})
	for i, id := range []string{"roce", "frontend"} {
		label := fabric.Label{Fabric: id, Kind: fabric.VNI, Value: labels + uint32(i)}
		s.labels = append(s.labels, label)
		must(s.world.prover.Own(i, label.Value, prove.FirstProject))
		s.Add(fabric.KindLabelled, fabric.Labelled{Owner: fabric.Owner("project/" + tenant + "/" + Project), Label: label, Action: "assigned"})
	}
	s.Provision()
	return s
}

// Wait lets time pass.
func (s *Story) Wait(d time.Duration) { s.Now = s.Now.Add(d) }

// Until lets time pass until an instant.
func (s *Story) Until(t time.Time) { s.Now = t.UTC() }

// Spare is the first node that is in no slot and ready.
func (s *Story) Spare() *Node {
	for _, n := range s.world.nodes {
		if n.State == node.Ready && !slices.Contains(s.Slots, n) {
			return n
		}
	}
	panic("no spare is left")
}

// Move moves nodes along one arrow.
func (s *Story) Move(to node.State, reason string, evidence func(n *Node) claim.Digest, nodes ...*Node) {
	for len(nodes) > 0 {
		batch := nodes[:min(len(nodes), node.MaxBatch)]
		nodes = nodes[len(batch):]
		entry := node.Moved{SU: batch[0].SU, From: batch[0].State, To: to, Reason: reason}
		for i, n := range batch {
			if n.SU != entry.SU {
				nodes = append(append([]*Node(nil), batch[i:]...), nodes...)
				break
			}
			n.Seq++
			if to == node.Reclaiming {
				n.Turnover++
			}
			n.State = to
			m := node.MovedNode{Node: n.ID(), Index: uint32(n.Index), Seq: n.Seq, Turnover: n.Turnover}
			if evidence != nil {
				m.Evidence = evidence(n)
			}
			entry.Nodes = append(entry.Nodes, m)
		}
		s.Add(node.KindMoved, entry)
	}
}

// Reserve takes ready nodes towards their slots.
func (s *Story) Reserve(nodes ...*Node) { s.Move(node.Reserved, "bound to a lease", nil, nodes...) }

// Deliver hands nodes to the tenant, one scalable unit after the other.
func (s *Story) Deliver(nodes ...*Node) {
	for len(nodes) > 0 {
		su := nodes[0].SU
		var batch []*Node
		for len(nodes) > 0 && nodes[0].SU == su {
			batch, nodes = append(batch, nodes[0]), nodes[1:]
		}
		isolation := s.Certify(0, batch...)
		entry := lease.Delivered{Lease: s.Lease, Tranche: "t1", SU: su, Reason: "ready", Isolation: isolation}
		slots := site.NewSet(0)
		for _, n := range batch {
			slots.Add(site.Index(s.slotOf(n)))
			entry.Nodes = append(entry.Nodes, lease.DeliveredNode{
				Slot: uint32(s.slotOf(n)), Node: n.ID(), Index: uint32(n.Index), Serial: n.Inventory.Serial,
				Seq: n.Seq + 1, Turnover: n.Turnover, Statement: n.Statement,
			})
		}
		s.Add(lease.KindDelivered, entry)
		s.event(slots.String(), meter.Up, "delivered")
		s.Move(node.Delivered, "clean, labelled and proven", func(*Node) claim.Digest { return isolation }, batch...)
	}
}

func (s *Story) slotOf(n *Node) int {
	for slot, in := range s.Slots {
		if in == n {
			return slot
		}
	}
	panic(n.ID() + " is in no slot")
}

// Set changes what slots are billed as.
func (s *Story) Set(state meter.SlotState, cause string, nodes ...*Node) {
	s.SetPorts(lease.Ports{}, state, cause, nodes...)
}

// SetPorts is Set of slots of whose nodes some ports are not proven.
func (s *Story) SetPorts(ports lease.Ports, state meter.SlotState, cause string, nodes ...*Node) {
	slots := site.NewSet(0)
	for _, n := range nodes {
		slots.Add(site.Index(s.slotOf(n)))
	}
	body := lease.Slots{Lease: s.Lease, Tranche: "t1", Slots: slots.String(), State: string(state), Cause: cause}
	if ports != (lease.Ports{}) {
		body.Ports = &ports
	}
	s.Add(lease.KindSlots, body)
	s.event(slots.String(), state, cause)
	s.events[len(s.events)-1].Ports = ports
}

func (s *Story) event(slots string, state meter.SlotState, cause string) {
	s.events = append(s.events, meter.Event{
		Entry: uint64(len(s.Entries)), Lease: string(s.Lease), Tranche: "t1", Slots: slots, At: s.Now, State: state, Cause: cause,
	})
}

// Drift is a port that reads back red, is locked, restored and proven again.
func (s *Story) Drift(n *Node, nic int) {
	s.DriftAs(n, nic, "foreign-label", "leaf", lease.Ports{Owner: 1})
}

// DriftAs is Drift by a check that shows at one end, billed as the owner says.
func (s *Story) DriftAs(n *Node, nic int, check, seen string, ports lease.Ports) {
	notes := []fabric.PortNote{{Port: uint32(site.PortOf(n.Index, nic)), Node: n.ID(), NIC: nic, Check: check, Seen: seen}}
	id := "roce"
	if nic == site.Frontend {
		id = "frontend"
	}
	s.Add(fabric.KindDrifted, fabric.Drifted{Fabric: id, Ports: notes, Evidence: claim.DigestOf([]byte("the owner keeps it"))})
	s.SetPorts(ports, meter.IsolationUnproven, "isolation: read-back shows a violation", n)
	s.Wait(time.Minute)
	s.Add(fabric.KindLocked, fabric.Locked{Fabric: id, Ports: notes})
	s.Wait(20 * time.Minute)
	s.Add(fabric.KindRestored, fabric.Restored{Fabric: id, Ports: notes})
	s.Set(meter.Up, "isolation: proven again", n)
}

// Unread is a leaf that can't be read for a while.
func (s *Story) Unread(su string, nic int) {
	leaf := fabric.Unread{Fabric: "roce", Leaf: fmt.Sprintf("%s-leaf%d", su, nic), Reason: "no answer"}
	var behind []*Node
	for _, n := range s.Slots {
		if n.SU == su && n.State == node.Delivered {
			behind = append(behind, n)
		}
	}
	s.Add(fabric.KindUnread, leaf)
	s.SetPorts(lease.Ports{Owner: 1}, meter.IsolationUnproven, "isolation: the leaf can't be read", behind...)
	s.Wait(time.Hour)
	s.Add(fabric.KindReread, leaf)
	s.Set(meter.Up, "isolation: the leaf is read again, and proven", behind...)
}

// Rebook places a lease that has not begun again, on these nodes.
func (s *Story) Rebook(nodes ...*Node) {
	var order []site.Index
	for _, n := range nodes {
		order = append(order, n.Index)
	}
	s.Slots = nodes
	s.Add(lease.KindRebooked, lease.Rebooked{Leases: []lease.RebookedLease{{Lease: s.Lease, Slots: len(order), Nodes: site.FormatOrder(order),
		Certificate: s.Body([]byte(`{"version":1,"note":"another placement certificate"}`))}}})
}

// Silence is a node that is not heard for a while, dies, and comes back before the other
// node that is proposed for its slot is swapped in.
func (s *Story) Silence(n *Node) {
	slot, since, to := s.slotOf(n), s.Now, s.Spare()
	slots := fmt.Sprint(slot)
	s.Wait(2 * time.Minute)
	s.Add(lease.KindSlots, lease.Slots{Lease: s.Lease, Tranche: "t1", Slots: slots, State: string(meter.Unknown), Cause: "silent", Since: since})
	s.event(slots, meter.Unknown, "silent")
	s.events[len(s.events)-1].At = since
	s.Wait(4 * time.Minute)
	s.Set(meter.DownOwner, "failure: dead", n)
	s.Add(lease.KindProposed, lease.Proposed{Lease: s.Lease, Slot: uint32(slot), Was: n.ID(), Node: to.ID(), Distance: "same SU", Reason: "dead", Deadline: s.Now.Add(30 * time.Minute)})
	s.Wait(20 * time.Minute)
	s.Set(meter.Up, "heard again", n)
	s.Add(lease.KindWithdrawn, lease.Withdrawn{Lease: s.Lease, Slot: uint32(slot), Was: n.ID(), Node: to.ID(), Reason: n.ID() + " is healthy", By: "loop"})
}

// Swap replaces a dead node and delivers the other one two hours later.
func (s *Story) Swap(was *Node) (to *Node) {
	to, slot := s.Spare(), s.slotOf(was)
	s.Set(meter.DownOwner, "failure: return-to-vendor", was)
	s.Wait(time.Minute)
	s.Add(lease.KindProposed, lease.Proposed{Lease: s.Lease, Slot: uint32(slot), Was: was.ID(), Node: to.ID(), Distance: "same SU", Reason: "return-to-vendor", Deadline: s.Now})
	s.Add(lease.KindAcknowledged, lease.Acknowledged{Lease: s.Lease, Slot: uint32(slot), By: "dead node"})
	s.Add(lease.KindSwapped, lease.Swapped{
		Lease: s.Lease, Slot: uint32(slot), Was: was.ID(), WasIndex: uint32(was.Index), Node: to.ID(), Index: uint32(to.Index), Reason: "return-to-vendor",
	})
	s.Slots[slot] = to
	s.Move(node.Reclaiming, "replaced", nil, was)
	s.Wait(time.Hour)
	s.Reserve(to)
	s.Wait(time.Hour)
	s.Deliver(to)
	return to
}

// Clean takes reclaimed nodes to ready.
func (s *Story) Clean(nodes ...*Node) {
	s.Wait(10 * time.Minute)
	s.Move(node.Severed, "no label, grant or session of the last tenant is left", func(n *Node) claim.Digest { return s.Body(s.SeverProof(n)) }, nodes...)
	s.Wait(time.Minute)
	s.Move(node.Sanitizing, "fenced", nil, nodes...)
	s.Wait(time.Hour)
	s.Move(node.Attesting, "wiped", nil, nodes...)
	s.Wait(time.Hour)
	s.Move(node.Ready, "clean", s.CleanEvidence, nodes...)
}

// CleanEvidence signs the turnover of a node that is clean again.
func (s *Story) CleanEvidence(n *Node) claim.Digest {
	n.Statement = s.SignTurnover(s.Turnover(n))
	return n.Statement
}

// SeverProof is what read-back shows of a node whose labels were taken away.
func (s *Story) SeverProof(n *Node) []byte {
	p := bundle.SeverProof{Node: n.ID(), Turnover: n.Turnover, Origin: claim.Simulated}
	for _, nic := range s.world.site.NICsOf(n.Index) {
		id := "roce"
		if nic == site.Frontend {
			id = "frontend"
		}
		p.Ports = append(p.Ports, bundle.SeveredPort{Fabric: id, NIC: nic, Labels: []uint32{0x400000 + uint32(n.Index)}})
	}
	encoded, err := json.Marshal(p)
	must(err)
	return encoded
}

// Verdict records the isolation of every delivered node.
func (s *Story) Verdict() {
	s.epoch++
	var nodes []*Node
	for _, n := range s.Slots {
		if n.State == node.Delivered {
			nodes = append(nodes, n)
		}
	}
	s.Add(prove.KindVerdict, prove.Judged{
		Lease: string(s.Lease), Epoch: s.epoch, Verdict: prove.Proven.String(), Ports: s.ports(nodes), Certificate: s.Certify(s.epoch, nodes...),
	})
}

// Invoice rates a month and issues it.
func (s *Story) Invoice(year int, month time.Month) {
	s.invoices++
	period, err := meter.Month(s.Contract.TimeZone, year, month)
	must(err)
	invoice, err := meter.RateInput(meter.Input{
		Versions: append(slices.Clone(s.before), s.Contract), Events: s.events, Period: period, Number: fmt.Sprintf("%s-%04d", s.Tenant, s.invoices),
		Looks: s.looks, Fabrics: map[string][]string{string(s.Lease): {"roce"}},
	})
	must(err)
	s.SignInvoice(invoice)
	s.last = invoice
}

// Observed says from when to when the lease's fabric and its nodes were looked at; the
// first time, that silence counts from now on.
func (s *Story) Observed(froms ...time.Time) {
	o := meter.Observed{WithinS: 900, BehindS: 3600}
	if s.looks == nil {
		s.looks, o.Since = &meter.Looks{}, s.Now
	}
	for _, from := range froms {
		o.Looks = append(o.Looks, meter.Look{Fabric: "roce", From: from, Until: s.Now}, meter.Look{From: from, Until: s.Now})
	}
	s.Add(meter.KindObserved, o)
	must(s.looks.Add(uint64(len(s.Entries)), s.Now, o))
}

// Watched is the log of nodes that were delivered and looked at all of May, but for
// sixty hours in which nobody did.
func Watched(o *Owner) *Story {
	s := NewStory(o, 2, 0)
	s.Until(s.Contract.Begin.Add(-24 * time.Hour))
	s.Observed()
	begin := s.Now
	s.Reserve(s.Slots...)
	s.Until(s.Contract.Begin)
	s.Deliver(s.Slots...)
	s.Wait(time.Minute)
	s.Verdict()
	s.Wait(7 * 24 * time.Hour)
	s.Observed(begin)
	s.Wait(60 * time.Hour)
	s.Observed(s.Now)
	again := s.Now
	s.Until(time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC))
	s.Observed(again)
	s.Invoice(2026, time.May)
	return s
}

// Return ends the lease at its contract's end: every node is taken back and
// wiped.
func (s *Story) Return() {
	s.Until(s.Contract.End)
	s.Add(lease.KindReturning, lease.Returning{Lease: s.Lease, Reason: "its time is over"})
	s.Move(node.Reclaiming, "lease ended", nil, s.Slots...)
	s.Revoke(storage.PrincipalOf(s.Lease))
	s.Clean(s.Slots...)
	s.Wait(time.Minute)
	s.Add(lease.KindReturned, lease.Returned{Lease: s.Lease, Wiped: len(s.Slots), Labels: "released"})
	for _, label := range s.labels {
		s.Add(fabric.KindLabelled, fabric.Labelled{Owner: fabric.Owner("project/" + s.Tenant + "/" + Project), Label: label, Action: "released"})
	}
	s.Add(contract.KindClosed, contract.Closed{Contract: s.Contract.ID})
	s.Wait(8 * 24 * time.Hour)
	s.Destroy()
}

// Small is the log of one node that was delivered.
func Small(o *Owner) *Story { return small(NewStory(o, 1, 0)) }

func small(s *Story) *Story {
	s.Until(s.Contract.Begin.Add(-24 * time.Hour))
	s.Reserve(s.Slots...)
	s.Until(s.Contract.Begin)
	s.Deliver(s.Slots...)
	s.Wait(time.Minute)
	s.Verdict()
	return s
}

// Whole is a log with everything in it: a drift, an unread leaf, a dead node
// and its replacement, two invoices, and the return of the lease.
func Whole(o *Owner) *Story { return tell(NewStory(o, 3, 2)) }

// WholeOf is Whole with nodes of so many GPUs, under a contract that says so many.
func WholeOf(o *Owner, has, says int) *Story { return tell(NewStoryOf(o, 3, 2, has, says)) }

func tell(s *Story) *Story {
	s.Until(s.Contract.Begin.Add(-24 * time.Hour))
	s.Reserve(s.Slots...)
	s.Until(s.Contract.Begin)
	s.Deliver(s.Slots...)
	s.Wait(time.Minute)
	s.Verdict()
	s.Wait(5 * 24 * time.Hour)
	s.Drift(s.Slots[1], 3)
	s.Wait(time.Minute)
	s.Verdict()
	s.Wait(24 * time.Hour)
	s.Unread(s.Slots[0].SU, 2)
	s.Wait(24 * time.Hour)
	s.Stray("maintenance")
	s.Probe(s.Slots[0], nil)
	was := s.Slots[2]
	s.Swap(was)
	s.Wait(time.Minute)
	s.Verdict()
	s.Clean(was)
	s.Until(time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC))
	s.Invoice(2026, time.May)
	s.Until(time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC))
	s.Invoice(2026, time.June)
	s.Return()
	return s
}
