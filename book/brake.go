package book

import "time"

// The causes that the brake counts by.
const (
	CauseLockdown    = "lockdown"    // ports are closed because read-back shows that they leak
	CauseReplacement = "replacement" // nodes are severed because others take their slots
)

// The units that causes are counted in.
const (
	UnitPorts = "ports"
	UnitNodes = "nodes"
)

// BrakeBudget is how much one cause may do within the brake's window before the brake
// is engaged: each has one of its own, in its own unit.
type BrakeBudget struct {
	Cause string
	Limit int
	Unit  string
}

// BrakeBudgets lists the budget of every cause.
func (s *State) BrakeBudgets() []BrakeBudget {
	return []BrakeBudget{
		{CauseLockdown, s.Policy.Brake.Ports, UnitPorts},
		{CauseReplacement, s.Policy.Brake.Nodes, UnitNodes},
	}
}

// Budget is how many more of its unit one cause may do now: 0 while the brake is
// engaged, and for a cause that has none.
func (s *State) Budget(cause string, now time.Time) int {
	if s.Control.Brake != nil {
		return 0
	}
	left := 0
	for _, b := range s.BrakeBudgets() {
		if b.Cause == cause {
			left = b.Limit
		}
	}
	for _, a := range s.Control.Acts {
		if a.Cause == cause && now.Sub(a.At) < s.Policy.Brake.Window {
			left -= a.Count
		}
	}
	return max(left, 0)
}
