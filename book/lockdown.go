package book

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/prove"
	"bulkhead/site"
)

// Lockdown closes one edge port whose read-back shows that it leaks.
type Lockdown struct {
	Port  site.Port
	Check string // what it fails
}

// NextLockdowns plans what must be closed: ports that have drifted in a way that leaks,
// as many as the brake allows by one cause, and the brake itself where there are more:
// a read-back that condemns half a site at once is more likely wrong than the site.
// Unlike other acts it waits for nobody: not for a pause, not for other fabrics.
// Cost: O(drifted ports).
func NextLockdowns(s *State, seen Seen, now time.Time) Plan {
	var p Plan
	if s.Site == nil || s.Control.Adopted || len(s.Drifted) == 0 {
		return p
	}
	budget := s.Budget(CauseLockdown, now)
	for _, port := range slices.Sorted(maps.Keys(s.Drifted)) {
		check, leaks := s.leaks(port, seen)
		if !leaks {
			continue
		}
		if budget > 0 {
			budget--
			p.Lockdowns = append(p.Lockdowns, Lockdown{port, check})
			continue
		}
		if s.Control.Brake == nil && len(p.Commands) == 0 {
			p.Commands = append(p.Commands, s.brakeLockdown(port))
		}
	}
	return p
}

// leaks says whether a drifted port is to be closed. Drift that leaks nothing is
// written again, and closing it would cost its tenant more; it is closed if it leaks
// now. What the brake held back and a second person let go is written again too.
func (s *State) leaks(port site.Port, seen Seen) (check string, leaks bool) {
	lock := s.Drifted[port]
	switch {
	case lock.State == DriftClosed:
		return "", false
	case prove.Rewritten(lock.Check):
		return seen.Red(port)
	}
	return lock.Check, lock.State == DriftOpen
}

func (s *State) brakeLockdown(first site.Port) EngageBrake {
	index := s.Site.FabricOf(first)
	red, locked := 0, 0
	for port, lock := range s.Drifted {
		if s.Site.FabricOf(port) != index || prove.Rewritten(lock.Check) {
			continue
		}
		red++
		if lock.State == DriftClosed {
			locked++
		}
	}
	return EngageBrake{Cause: CauseLockdown, By: Loop, Detail: fmt.Sprintf(
		"read-back shows %d red ports in fabric %s at once; %d were locked down, the rest waits for a second person", red, s.Site.Fabrics[index].ID, locked)}
}
