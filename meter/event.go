package meter

import (
	"time"
)

// SlotState is what a slot is billed as, from one instant on.
type SlotState string

const (
	Undelivered          SlotState = "undelivered" // promised, not handed over yet: every slot before its first event
	Up                   SlotState = "up"
	Degraded             SlotState = "degraded"              // reachable, but not as sold
	DownOwner            SlotState = "down-owner"            // down by the owner's fault
	DownTenant           SlotState = "down-tenant"           // down by the tenant's doing
	MaintenanceNoticed   SlotState = "maintenance-noticed"   // announced as the contract asks
	MaintenanceUnnoticed SlotState = "maintenance-unnoticed" // not announced, or too late
	IsolationUnproven    SlotState = "isolation-unproven"    // running, isolation not proven
	Unknown              SlotState = "unknown"               // nobody can say
	Returned             SlotState = "returned"              // given back by the tenant: no longer owed
)

// States lists every slot state, in the order in which usage is printed.
func States() []SlotState { return append([]SlotState(nil), stateNames[:]...) }

// Event sets slots of a lease to a state, from At on, until a later event says
// something else. Order is by (At, Entry); At counts in whole seconds, what is
// below a second is cut off. Duplicates and the order in which events are
// handed in don't matter.
type Event struct {
	Entry   uint64 // scope_seq of the ledger entry that says so
	Lease   string
	Tranche string
	Slots   string // range set of slot numbers: "0-63,72"
	At      time.Time
	State   SlotState
	Cause   string
}
