package node

import "bulkhead/claim"

// The entry kinds that nodes own. Moves are batched by scope, scalable unit and
// tick, at most MaxBatch nodes each. A move is written in the site's scope, and
// beside it in the scope of the tenant whose slot the node holds or last held.
const (
	KindMoved   = "node.moved/1"
	KindFlagged = "node.flagged/1"
	KindHealth  = "node.health/1"

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

// HealthNoted records what the devices say about a node, in the site's scope.
type HealthNoted struct {
	Node   string `json:"node"`
	Index  uint32 `json:"index"`
	Class  string `json:"class"`
	Alive  bool   `json:"alive"`
	Failed bool   `json:"failed"` // false: it has recovered
	Detail string `json:"detail"`
}
