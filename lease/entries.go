package lease

import (
	"encoding/json"
	"time"

	"bulkhead/claim"
	"bulkhead/site"
)

// The entry kinds that leases own. Each is written in the scope of the tenant
// that it concerns; a body names that tenant's nodes and nobody else's.
const (
	KindBound        = "lease.bound/1"
	KindRebooked     = "lease.rebooked/1"
	KindLate         = "lease.late/1"
	KindDelivered    = "lease.delivered/1"
	KindSlots        = "lease.slots/1"
	KindProposed     = "replacement.proposed/1"
	KindAcknowledged = "replacement.acknowledged/1"
	KindSwapped      = "replacement.swapped/1"
	KindWithdrawn    = "replacement.withdrawn/1"
	KindReturning    = "lease.returning/1"
	KindReturned     = "lease.returned/1"
)

// Bound promises the slots of one part of a tranche. Nodes lists dense indexes
// in slot order ("0-63,128-191"); slot order is rank order.
type Bound struct {
	Lease       ID           `json:"lease"`
	Tenant      string       `json:"tenant"`
	Contract    string       `json:"contract"`
	Tranche     string       `json:"tranche"`
	Project     string       `json:"project"`
	Fabric      string       `json:"fabric"`
	Kind        string       `json:"kind"`
	Links       Links        `json:"links"`
	Begin       time.Time    `json:"begin"`
	End         time.Time    `json:"end"`
	Slots       int          `json:"slots"`
	Nodes       string       `json:"nodes"`
	Certificate claim.Digest `json:"placement_certificate"`

	// Spans are the fabrics on which its nodes have ports, each with how many a node has:
	// isolation is shown when it is shown on every one of them.
	Spans []site.Span `json:"spans"`
	// NVLinkRacks says that a rack of these nodes is one NVLink domain.
	NVLinkRacks bool `json:"nvlink_racks,omitempty"`

	// Assigned is the link assignment of a hermetic slice, as the placement
	// certificate has it. Which links are held follows from the leases alone.
	Assigned json.RawMessage `json:"held_links,omitempty"`

	// Sitting says that the tenant was on these nodes before there was a lease, under
	// labels that it keeps: nobody has wiped them for it, and nothing says that they
	// were clean at their begin. Of a node that comes later into one of its slots that is said.
	Sitting bool `json:"sitting,omitempty"`
}

// Rebooked places leases of a tenant that have not begun again, on other nodes,
// all at once: nothing of them was delivered, so that nothing moves. The number of
// slots, the class and the dates stay.
type Rebooked struct {
	Leases []RebookedLease `json:"leases"`
}

// RebookedLease is the new place of one lease.
type RebookedLease struct {
	Lease       ID           `json:"lease"`
	Slots       int          `json:"slots"`
	Nodes       string       `json:"nodes"` // in slot order, as in Bound
	Certificate claim.Digest `json:"placement_certificate"`
}

// Late says that a tranche has passed its delivery date with slots missing, or
// that the date of a hall under it has moved beyond the tranche's date.
type Late struct {
	Lease    ID        `json:"lease"`
	Tranche  string    `json:"tranche"`
	Slots    string    `json:"slots"`
	Promised time.Time `json:"promised"`
	Expected time.Time `json:"expected"`
	Clause   string    `json:"clause"`
	Reason   string    `json:"reason"`
}

// Delivered hands the nodes of one scalable unit to the tenant: from this
// entry's time on its slots are up and are billed.
type Delivered struct {
	Lease     ID              `json:"lease"`
	Tranche   string          `json:"tranche"`
	SU        string          `json:"su"`
	Reason    string          `json:"reason"`
	Isolation claim.Digest    `json:"isolation_certificate"`
	Nodes     []DeliveredNode `json:"nodes"`
}

// DeliveredNode is one slot's node with the evidence that it was clean.
type DeliveredNode struct {
	Slot      uint32       `json:"slot"`
	Node      string       `json:"node"`
	Index     uint32       `json:"index"`
	Serial    string       `json:"serial"`
	Seq       uint32       `json:"seq"`
	Turnover  uint32       `json:"turnover"`
	Statement claim.Digest `json:"statement"`
}

// Slots changes what slots are billed as. State is one of meter's slot states;
// Slots is a range set of slot numbers. What nobody could know at once reaches back:
// a slot whose node fell silent is unknown from Since on, when the node was last
// heard, which is after all that was said of the slot before. Zero: from the entry on.
type Slots struct {
	Lease   ID        `json:"lease"`
	Tranche string    `json:"tranche"`
	Slots   string    `json:"slots"`
	State   string    `json:"state"`
	Cause   string    `json:"cause"`
	Since   time.Time `json:"since,omitzero"`
	Ports   *Ports    `json:"ports,omitempty"` // isolation-unproven: how many of each node's, by who could have made it
}

// Ports counts the ports of a node whose isolation is not proven, by who could have made
// what was found there.
type Ports struct {
	Owner  uint8 `json:"owner,omitempty"`
	Either uint8 `json:"either,omitempty"`
	Tenant uint8 `json:"tenant,omitempty"`
}

// Proposed offers another node for a slot. A node that was not delivered yet is
// swapped without a question: then Deadline is the entry's own time. Older ledgers
// have dead nodes swapped so, too.
type Proposed struct {
	Lease    ID        `json:"lease"`
	Slot     uint32    `json:"slot"`
	Was      string    `json:"was"`
	Node     string    `json:"node"`
	Distance string    `json:"distance"` // same rack | same SU | same pod | same fabric
	Reason   string    `json:"reason"`
	Deadline time.Time `json:"deadline"`
	By       string    `json:"by,omitempty"` // who proposed it; "": the loop

	// Requested says that the tenant has asked for it, by the owner's word: it is made
	// when the tenant itself answers, and not before.
	Requested bool `json:"requested,omitempty"`
}

// Asked says on whose word a node that works leaves its slot.
type Asked struct {
	Word   string `json:"word"`
	By     string `json:"by"` // subject
	Reason string `json:"reason"`
}

// The words on which a node that works leaves its slot.
const (
	WordRequest = "request" // the tenant asked for it, and has answered for it: it is billed as the tenant's
	WordConsent = "consent" // the owner asked, and the tenant agreed
	WordOwner   = "owner"   // the owner asked, and the tenant did not answer in its time
)

// The causes of a slot that is empty because a node left that works.
const (
	CauseReplaced  = "being replaced"
	CauseRequested = "being replaced at the tenant's request"
)

// Acknowledged ends the conversation: the tenant agreed, or its time passed.
type Acknowledged struct {
	Lease ID     `json:"lease"`
	Slot  uint32 `json:"slot"`
	By    string `json:"by"` // subject | "deadline" | "not delivered yet"; "dead node" in older ledgers

	Preview claim.Digest    `json:"preview,omitzero"` // of what was shown before, and confirmed
	Assent  json.RawMessage `json:"assent,omitempty"` // a contract.SignedAssent: the tenant's key's, where it has registered one
}

// Withdrawn takes back a proposal before its node was swapped: what it was made for
// is not so any more, or somebody took it back by hand. The slot keeps its node.
type Withdrawn struct {
	Lease  ID     `json:"lease"`
	Slot   uint32 `json:"slot"`
	Was    string `json:"was"`  // stays
	Node   string `json:"node"` // that had been proposed
	Reason string `json:"reason"`
	By     string `json:"by"` // subject | "loop"
}

// Swapped puts another node into a slot; the slot and its rank stay.
type Swapped struct {
	Lease    ID     `json:"lease"`
	Slot     uint32 `json:"slot"`
	Was      string `json:"was"`
	WasIndex uint32 `json:"was_index"`
	Node     string `json:"node"`
	Index    uint32 `json:"index"`
	Reason   string `json:"reason"`
	Asked    *Asked `json:"asked,omitempty"` // of a node that works: on whose word; nil: it failed, or was not delivered
}

// Returning begins the return of a lease: no more capacity is owed, every node
// is reclaimed.
type Returning struct {
	Lease  ID     `json:"lease"`
	Reason string `json:"reason"`
}

// Returned ends a lease: read-back shows its labels nowhere and each of its
// nodes has been wiped and attested, or is quarantined and named.
type Returned struct {
	Lease       ID     `json:"lease"`
	Wiped       int    `json:"wiped"`
	Quarantined int    `json:"quarantined"`
	Labels      string `json:"labels"`
}
