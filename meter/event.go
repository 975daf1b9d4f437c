package meter

import (
	"time"

	"bulkhead/lease"
)

// SlotState is what a slot is, from one instant on.
type SlotState string

const (
	Undelivered          SlotState = "undelivered" // promised, not handed over: every slot before its first event
	Up                   SlotState = "up"
	Degraded             SlotState = "degraded"              // reachable, but not as sold
	DownOwner            SlotState = "down-owner"            // down by the owner's fault
	DownTenant           SlotState = "down-tenant"           // down by the tenant's doing
	MaintenanceNoticed   SlotState = "maintenance-noticed"   // announced as agreed
	MaintenanceUnnoticed SlotState = "maintenance-unnoticed" // not announced, or too late
	IsolationUnproven    SlotState = "isolation-unproven"    // running, its isolation not proven
	Unknown              SlotState = "unknown"               // nobody can say
	Returned             SlotState = "returned"              // given back by the tenant: no longer owed
)

// code is a slot state inside the fold.
type code uint8

const (
	undelivered code = iota
	up
	degraded
	downOwner
	downTenant
	maintenanceNoticed
	maintenanceUnnoticed
	isolationUnproven
	unknown
	returned
	codes // how many there are
)

var stateNames = [codes]SlotState{
	Undelivered, Up, Degraded, DownOwner, DownTenant, MaintenanceNoticed, MaintenanceUnnoticed, IsolationUnproven, Unknown, Returned,
}

// States lists every slot state, in the order in which usage is printed.
func States() []SlotState { return append([]SlotState(nil), stateNames[:]...) }

func (s SlotState) code() (code, bool) {
	for c, name := range stateNames {
		if name == s {
			return code(c), true
		}
	}
	return 0, false
}

// Event sets slots of a lease to a state, from At on, until a later event says
// something else. Later is by (At, Entry); At counts in whole seconds, what is
// below a second is cut off. Duplicates, and the order in which events are
// handed in, don't matter.
type Event struct {
	Entry   uint64 // scope_seq of the ledger entry that says so
	Lease   string
	Tranche string
	Slots   string // range set of slot numbers within the lease: "0-63,72"
	At      time.Time
	State   SlotState
	Cause   string // compared with the exclusions of the contract's SLA
	// Ports is how many of each node's ports an IsolationUnproven is about, by who could
	// have made it; zero: the log does not say, and the whole node counts.
	Ports lease.Ports `json:",omitzero"`
}
