// Package node is how a node changes hands: its states, the evidence that each arrow
// needs, and the Driver. The Driver does the work on devices.
package node

import "fmt"

// State is where a node is in its life.
type State uint8

const (
	Discovered    State = iota // in the inventory, not looked at yet
	Commissioning              // wiped and attested for the first time
	Ready                      // clean, held by nobody
	Reserved                   // its lease's labels are being applied and proven
	Delivered                  // the tenant's
	Reclaiming                 // the tenant's labels, grants and sessions are being taken away
	Severed                    // nothing of the tenant's reaches it any more
	Sanitizing                 // every device is being wiped
	Attesting                  // firmware and boot chain are being measured
	Quarantined                // something was wrong, late or missing: nothing goes on by itself
	Repair                     // people work on its hardware
	Retired                    // never comes back

	States = iota // number of states
)

var stateNames = [States]string{"discovered", "commissioning", "ready", "reserved", "delivered", "reclaiming", "fenced", "sanitizing", "attesting", "quarantined", "repair", "retired"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// ParseState reads the name of a state.
func ParseState(name string) (State, error) {
	for i, n := range stateNames {
		if n == name {
			return State(i), nil
		}
	}
	return 0, fmt.Errorf("node state %.40q: expected one of %v", name, stateNames)
}

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("node state %d does not exist", uint8(s))
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText reads the name.
func (s *State) UnmarshalText(text []byte) error {
	parsed, err := ParseState(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// arrows are the moves that exist, each with the evidence that it needs. What
// is not here can't happen: no shortcut leads from a tenant to ready.
var arrows = map[[2]State]string{
	{Discovered, Commissioning}: "its hall is in service",
	{Discovered, Reserved}:      "a slot of a lease whose tenant was on it before, on an adopted site: its data is the tenant's",
	{Commissioning, Ready}:      "a turnover statement",
	{Ready, Reserved}:           "a slot of a lease",
	{Reserved, Ready}:           "the lease ended before delivery; nothing was handed over",
	{Reserved, Delivered}:       "an isolation certificate and a turnover statement; of a node that its tenant was on before, the certificate alone",
	{Reserved, Reclaiming}:      "it leaves its slot before it was handed over, and its tenant was on it before",
	{Delivered, Reclaiming}:     "the lease ended, or the slot has another node",
	{Reclaiming, Severed}:       "read-back without the tenant's labels; no grant, no session",
	{Severed, Sanitizing}:       "nothing beyond being fenced",
	{Sanitizing, Attesting}:     "one wipe receipt a device",
	{Attesting, Ready}:          "a turnover statement",
	{Repair, Sanitizing}:        "the repair has ended; it is wiped and attested anew",
	{Ready, Repair}:             "a hardware failure on a clean node",
	{Reserved, Repair}:          "a hardware failure on a clean node that no slot holds any more",
	{Severed, Repair}:           "a hardware failure; the data stays fenced",
	{Quarantined, Repair}:       "a person's decision",
	{Quarantined, Retired}:      "a person's decision; the drives are destroyed",
	{Repair, Retired}:           "a person's decision; the drives are destroyed",
}

// Allowed says whether a move exists. Every state but retired and delivered can
// be left for quarantine: a delivered node is the tenant's until it is reclaimed.
func Allowed(from, to State) bool {
	if to == Quarantined {
		return from != Quarantined && from != Retired && from != Delivered && from < States
	}
	_, ok := arrows[[2]State{from, to}]
	return ok
}
