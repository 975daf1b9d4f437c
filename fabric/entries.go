package fabric

import (
	"time"

	"bulkhead/claim"
)

// The entry kinds that fabrics own.
const (
	KindLabelled = "fabric.labelled/1"
	KindDrifted  = "fabric.drifted/1"
	KindLocked   = "fabric.locked/1"
	KindRestored = "fabric.restored/1"
	KindUnread   = "fabric.unread/1"
	KindReread   = "fabric.reread/1"
	KindSilent   = "fabric.silent/1"
	KindPosture  = "fabric.posture/1"
)

// Labelled records the life of a label: assigned, releasing (its owner is gone,
// the cool-down runs and read-back must show zero occurrences), free.
type Labelled struct {
	Owner  Owner  `json:"owner"`
	Label  Label  `json:"label"`
	Action string `json:"action"`
}

// Drifted says that read-back shows a violation on ports that were proven. In a
// tenant's scope only that tenant's ports are named.
type Drifted struct {
	Fabric   string       `json:"fabric"`
	Ports    []PortNote   `json:"ports"`
	Evidence claim.Digest `json:"evidence"` // the raw read-back
}

// PortNote names one port with the check that failed there.
type PortNote struct {
	Port  uint32 `json:"port"`
	Node  string `json:"node"`
	NIC   int    `json:"nic"`
	Check string `json:"check"`
	Seen  string `json:"seen,omitempty"` // of a drift: "leaf" or "host": at whose end it shows, and so who could have made it
}

// Locked says that ports were closed, Restored that they carry their own label
// again and are proven.
type Locked struct {
	Fabric string     `json:"fabric"`
	Ports  []PortNote `json:"ports"`
}

// Restored is the end of a drift: read-back is as compiled, and proven.
type Restored struct {
	Fabric string     `json:"fabric"`
	Ports  []PortNote `json:"ports"`
}

// Unread says that a leaf can't be read: its ports are unknown, neither proven
// nor red. Reread ends that.
type Unread struct {
	Fabric string `json:"fabric"`
	Leaf   string `json:"leaf"`
	Reason string `json:"reason"`
}

// Silent says that leaves did not answer a look, and when they did last: until they
// have been silent for longer than the window nothing follows from it but this. Ended
// says that they answer again, or are not asked any more. It is in the site's scope.
type Silent struct {
	Fabric string    `json:"fabric"`
	Leaves []string  `json:"leaves"`
	Since  time.Time `json:"since,omitzero"`
	Ended  bool      `json:"ended,omitempty"`
}

// Postures records whether what guards a fabric's management holds, when that
// changes: in the site's scope, and in those of the tenants that lease on it.
type Postures struct {
	Fabric string   `json:"fabric"`
	Holds  bool     `json:"holds"`
	Failed []string `json:"failed,omitempty"`  // items that do not hold, with what was seen
	Lacks  []string `json:"lacking,omitempty"` // items that the manager has nothing of
}
