package place

import (
	"fmt"

	"bulkhead/lease"
	"bulkhead/site"
)

// Ask is a number of nodes of one GPU kind on one fabric.
type Ask struct {
	Nodes  int         `json:"nodes"`
	Fabric string      `json:"fabric"`
	Kind   string      `json:"kind"`
	Links  lease.Links `json:"links"`

	// WholeRacks asks for racks that nobody else has a node of, and all of each:
	// racks that are one NVLink domain. With shared links only.
	WholeRacks bool `json:"whole_racks,omitempty"`

	// Segment asks for nodes in groups of so many, each in an NVLink domain of its own,
	// which may have more. 0: in no groups. With shared links only.
	Segment int `json:"segment,omitempty"`
}

func (a Ask) String() string {
	return fmt.Sprintf("%s of %s on fabric %s", count(a.Nodes, "node"), a.Kind, a.Fabric)
}

// Slice is the nodes of a lease in rank order, with the certificate of how good
// they are.
type Slice struct {
	Nodes       []site.Index
	Certificate Certificate
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
