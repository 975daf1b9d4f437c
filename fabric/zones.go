package fabric

import (
	"encoding/json"
	"time"

	"bulkhead/claim"
)

// Zones is a read-back of a site's management network: of each node, what may reach its
// BMC and what its BMC may reach. Nodes are named, because whoever reads may number them
// otherwise.
type Zones struct {
	At     time.Time `json:"at"`
	Source string    `json:"source"` // which path read: "nftables+neighbours"
	// Digest is of Nodes, see Sum: what has the same one need be neither sent nor judged
	// again. Zero: it is not known.
	Digest claim.Digest `json:"digest,omitzero"`
	Nodes  []Zone       `json:"nodes,omitempty"`
}

// Sum returns the digest of nodes, of their JSON.
func Sum(nodes []Zone) claim.Digest {
	if len(nodes) == 0 {
		nodes = nil
	}
	text, err := json.Marshal(nodes)
	if err != nil {
		panic(err) // plain numbers and strings always encode
	}
	return claim.DigestOf(text)
}

// Zone is what was read where one node's BMC is attached.
type Zone struct {
	Node string `json:"node"`
	// Filtered says that nothing is taken in but the BMC's own answers to managers, and
	// nothing let out but what managers send it.
	Filtered bool `json:"filtered"`
	// Joined are the nodes in whose zone the port is: this node's where managers reach
	// its BMC and hear its answers, another's where packets may pass between the two.
	Joined    []string `json:"joined,omitempty"`
	Faults    Faults   `json:"faults,omitempty"`
	Neighbour uint64   `json:"neighbour"` // MAC seen there; 0 nobody, NeighbourConflict more than one
}
