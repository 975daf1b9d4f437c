package node

import (
	"time"

	"bulkhead/claim"
)

// The entry kinds that nodes own. Moves are batched by scope, scalable unit and
// tick, at most MaxBatch nodes each. A move is written in the site's scope, and
// beside it in the scope of the tenant whose slot the node holds or last held.
const (
	KindMoved   = "node.moved/1"
	KindFlagged = "node.flagged/1"
	KindHealth  = "node.health/1"
	KindSilent  = "node.silent/1"
	KindDead    = "node.dead/1"

	MaxBatch = 64
)

// Moved moves nodes of one scalable unit along one arrow.
type Moved struct {
	SU     string      `json:"su"`
	From   State       `json:"from"`
	To     State       `json:"to"`
	Reason string      `json:"reason"`
	Nodes  []MovedNode `json:"nodes"`
}

// MovedNode is one node of a move. Seq counts the node's moves without a gap;
// Evidence is the body that the arrow needed, zero where it needs none.
type MovedNode struct {
	Node     string       `json:"node"`
	Index    uint32       `json:"index"`
	Seq      uint32       `json:"seq"`
	Turnover uint32       `json:"turnover"`
	Evidence claim.Digest `json:"evidence"`
	Reason   string       `json:"reason,omitempty"`
}

// Flagged cordons or uncordons a node: a cordoned node is given to nobody.
type Flagged struct {
	Node     string `json:"node"`
	Index    uint32 `json:"index"`
	Cordoned bool   `json:"cordoned"`
	Reason   string `json:"reason"`
	By       string `json:"by"`
}

// HealthNoted records what the devices say about a node that answers, in the site's
// scope. It ends the node's silence. Ledgers from before silence was told apart have
// it with Alive false, too: there such a node counted as dead at once.
type HealthNoted struct {
	Node   string `json:"node"`
	Index  uint32 `json:"index"`
	Class  string `json:"class"`
	Alive  bool   `json:"alive"`
	Failed bool   `json:"failed"` // false: it has recovered
	Detail string `json:"detail"`
}

// Silent records that a node does not answer, in the site's scope: nobody knows what
// it is until it does, or counts as dead. A second one while it lasts says that
// something else ails it, as others tell.
type Silent struct {
	Node   string    `json:"node"`
	Index  uint32    `json:"index"`
	Since  time.Time `json:"since"` // when it was last heard
	Class  string    `json:"class,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// Dead records that a node was silent for longer than the policy's grace, in the
// site's scope. It is dead until it answers.
type Dead struct {
	Node  string    `json:"node"`
	Index uint32    `json:"index"`
	Since time.Time `json:"since"` // when it was last heard
}
