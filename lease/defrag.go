package lease

import (
	"encoding/json"

	"bulkhead/claim"
)

// The entry kinds of defragmentation: moving healthy nodes of a running lease
// closer together. All are in the scope of the lease's tenant. What is proposed
// moves nothing; the tenant consents, the owner accepts, and then every move is a
// replacement of its own, with its own question and deadline.
const (
	KindDefragProposed  = "defrag.proposed/1"
	KindDefragConsented = "defrag.consented/1"
	KindDefragAccepted  = "defrag.accepted/1"
	KindDefragEnded     = "defrag.ended/1"

	// KindUnserved says that slots have no node and that none can be found.
	KindUnserved = "replacement.none/1"
)

// DefragProposed offers to move slots of a lease to other nodes. Slot Slots[i] would
// leave Was[i] for Nodes[i]; the three are lists in order. Before and After count
// the domains that the lease is in: halls/pods/SUs/racks.
type DefragProposed struct {
	Lease    ID     `json:"lease"`
	Proposal uint64 `json:"proposal"` // number of this entry in the tenant's scope
	Slots    string `json:"slots"`
	Was      string `json:"was"`
	Nodes    string `json:"nodes"`
	Before   string `json:"before"`
	After    string `json:"after"`
	Reason   string `json:"reason"`
	By       string `json:"by"`
}

// DefragConsented is the tenant's yes to a proposal.
type DefragConsented struct {
	Lease    ID     `json:"lease"`
	Proposal uint64 `json:"proposal"`
	By       string `json:"by"`

	Preview claim.Digest    `json:"preview,omitzero"` // as Acknowledged has them
	Assent  json.RawMessage `json:"assent,omitempty"`
}

// DefragAccepted is the owner's: from now on the nodes are kept for the moves.
type DefragAccepted struct {
	Lease    ID     `json:"lease"`
	Proposal uint64 `json:"proposal"`
	By       string `json:"by"`
}

// DefragEnded ends a proposal: everything has moved, or somebody took it back, or a
// node that it needs is not free any more. What has moved stays where it is.
type DefragEnded struct {
	Lease    ID     `json:"lease"`
	Proposal uint64 `json:"proposal"`
	Moved    int    `json:"moved"` // slots
	Left     int    `json:"left"`  // slots that stay where they are
	Reason   string `json:"reason"`
	By       string `json:"by"`
}

// Unserved says that the nodes of slots have failed and nothing that fits is ready:
// the slots stay down, and are billed so, until something is.
type Unserved struct {
	Lease  ID     `json:"lease"`
	Slots  string `json:"slots"` // range set
	Reason string `json:"reason"`
}
