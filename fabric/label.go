package fabric

import (
	"fmt"
	"strings"

	"bulkhead/site"
)

// Label is what a fabric checks at its edge.
type Label struct {
	Fabric string `json:"fabric"`
	Kind   string `json:"kind"` // "pkey" or "vni"
	Value  uint32 `json:"value"`
}

// The kinds of label.
const (
	PKey = "pkey"
	VNI  = "vni"
)

func (l Label) String() string {
	if l.Kind == PKey {
		return fmt.Sprintf("%s/pkey/0x%04x", l.Fabric, l.Value)
	}
	return fmt.Sprintf("%s/%s/%d", l.Fabric, l.Kind, l.Value)
}

// IsZero reports whether the label is none.
func (l Label) IsZero() bool { return l == Label{} }

// KindOf returns the kind of label that a family checks.
func KindOf(f site.Family) string {
	if f == site.InfiniBand {
		return PKey
	}
	return VNI
}

// Owner is who a label stands for: "project/<tenant>/<project>",
// "turnover/<node id>", "quarantine", or "service" for the shared set.
type Owner string

// Owners that are not a tenant's.
const (
	Quarantine Owner = "quarantine" // ports that nobody may use
	Service    Owner = "service"    // the shared set: subnet administration
)

const turnoverPrefix = "turnover/"

// TurnoverOwner is the owner of a node's own label while it changes hands.
func TurnoverOwner(nodeID string) Owner { return Owner(turnoverPrefix + nodeID) }

// The values of labels. P_Keys have 15 bits (IBTA volume 1, 10.9.2; 0 is
// invalid, 0x7fff the default partition), VNIs 24 (RFC 7348).
//
//	             InfiniBand          Ethernet
//	pool         0x0001..0x0fff      4,097..0x3fffff   given out by Pool, lowest first
//	turnover     0x1000..0x7ffd      0x400000..0x7fffff  + node index
//	quarantine   0x7ffe              0xfffffe
//	service      0x7fff              -
//
// VNIs begin above 4,096 so that none can be mistaken for a VLAN number.
const (
	pkeyPoolFirst, pkeyPoolLast         = 0x0001, 0x0fff
	pkeyTurnoverFirst, pkeyTurnoverLast = 0x1000, 0x7ffd
	pkeyQuarantine                      = 0x7ffe
	pkeyService                         = 0x7fff

	vniPoolFirst, vniPoolLast         = 4097, 0x3fffff
	vniTurnoverFirst, vniTurnoverLast = 0x400000, 0x7fffff
	vniQuarantine                     = 0xfffffe

	// DefaultPartition is the P_Key of the default partition: InfiniBand's shared set.
	DefaultPartition = pkeyService

	// MaxValue is the largest label value: 24 bits.
	MaxValue = 1<<24 - 1
)

// TurnoverNodes is how many node indexes of a fabric can have a turnover label:
// 28,670 on InfiniBand (a subnet has about 48,000 unicast LIDs, and P_Keys 15
// bits), 4,194,304 on Ethernet. A site with more nodes must keep the nodes of an
// InfiniBand fabric below that index.
func TurnoverNodes(f site.Family) int {
	if f == site.InfiniBand {
		return pkeyTurnoverLast - pkeyTurnoverFirst + 1
	}
	return vniTurnoverLast - vniTurnoverFirst + 1
}

// TurnoverLabel is the label that only node n ever carries in a fabric. Beyond
// TurnoverNodes there is none: the value is 0, which compiles to a closed port.
func TurnoverLabel(fabricID string, f site.Family, n site.Index) Label {
	l := Label{Fabric: fabricID, Kind: KindOf(f)}
	if int(n) >= TurnoverNodes(f) {
		return l
	}
	if f == site.InfiniBand {
		l.Value = pkeyTurnoverFirst + uint32(n)
	} else {
		l.Value = vniTurnoverFirst + uint32(n)
	}
	return l
}

// TurnoverNode is the inverse of TurnoverLabel: the node whose turnover label
// has this value, or false.
func TurnoverNode(f site.Family, value uint32) (site.Index, bool) {
	first, last := uint32(vniTurnoverFirst), uint32(vniTurnoverLast)
	if f == site.InfiniBand {
		first, last = pkeyTurnoverFirst, pkeyTurnoverLast
	}
	if value < first || value > last {
		return 0, false
	}
	return site.Index(value - first), true
}

// QuarantineLabel is the label of ports that nobody may use. Its members are
// limited, so it connects nothing.
func QuarantineLabel(fabricID string, f site.Family) Label {
	if f == site.InfiniBand {
		return Label{fabricID, PKey, pkeyQuarantine}
	}
	return Label{fabricID, VNI, vniQuarantine}
}

// Shared returns the values that a port of any owner may carry, as a limited
// member only: the quarantine label, and on InfiniBand the default partition
// for subnet administration.
func Shared(f site.Family) []uint32 {
	if f == site.InfiniBand {
		return []uint32{pkeyQuarantine, pkeyService}
	}
	return []uint32{vniQuarantine}
}

// IsShared reports whether value is in Shared(f). It does not allocate.
func IsShared(f site.Family, value uint32) bool {
	if f == site.InfiniBand {
		return value == pkeyQuarantine || value == pkeyService
	}
	return value == vniQuarantine
}

func poolRange(f site.Family) (first, last uint32) {
	if f == site.InfiniBand {
		return pkeyPoolFirst, pkeyPoolLast
	}
	return vniPoolFirst, vniPoolLast
}

// allocated says whether an owner gets its label from a Pool.
func allocated(o Owner) bool {
	return o != "" && o != Quarantine && o != Service && !strings.HasPrefix(string(o), turnoverPrefix)
}
