package place

import (
	"errors"
	"fmt"
	"strings"

	"bulkhead/site"
)

// ErrOccupancy is returned when a certificate was made for other free nodes
// than those given: something was leased, returned or failed since. Solve again.
var ErrOccupancy = errors.New("the free nodes are not those that the placement certificate was made for: solve again")

// NoFitError says that too few nodes are free for an ask. It names what is free
// in every class, so that it can be answered with another ask.
type NoFitError struct {
	Ask       Ask
	Have      int     // free nodes of the class that was asked
	Short     int     // Ask.Nodes - Have
	Elsewhere []Stock // free nodes of the other classes that have any
}

// Stock is how many free nodes a class has.
type Stock struct {
	site.Class
	Free int
}

func (e *NoFitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s do not fit: %d free, %d too few", e.Ask, e.Have, e.Short)
	for i, s := range e.Elsewhere {
		if i == 0 {
			b.WriteString("; free elsewhere: ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", s.Free, s.Class)
	}
	return b.String()
}

// NoSliceError says that no hermetic slice of a size exists, though enough nodes
// are free: which condition stands against it, and which sizes do fit. Its text
// may be read out to a tenant.
type NoSliceError struct {
	Ask Ask
	// Condition is the first that no choice meets when they are taken one after
	// the other: 1 leaves with equal numbers of nodes but one smaller; 2 as many
	// working uplinks as nodes; 3 the same spines for all leaves; 4 pods of one
	// shape but one smaller; 5 the same cores for all pods. See docs/placement.md.
	Condition int
	Smaller   int  // the largest size below that fits; 0 = none
	Larger    int  // the smallest size above that fits; 0 = none
	Cut       bool // the search was ended, by its bound on work, before it was through

	Looked bool // for other sizes
	Vague  bool // and a search for one of them was ended before it was through
}

// conditions say in plain words what is missing.
var conditions = [...]string{
	1: "too few nodes are in scalable units that nobody else has a part of, and only one unit of a slice may be shared",
	2: "a scalable unit has fewer working uplinks than nodes, and no other can stand in for it",
	3: "links to the spines have failed in different places, so that too few spines are reached by every scalable unit of the slice",
	4: "the free scalable units are spread over pods so unevenly that no set of equal pods with at most one smaller makes up this size",
	5: "too few core links are free at the same positions in all of the pods that it would take",
}

func (e *NoSliceError) Error() string {
	text := fmt.Sprintf("no hermetic slice of %s", e.Ask)
	if e.Cut {
		text += " was found in the work that a search may take; that there is none is not proven"
	}
	text += fmt.Sprintf(": %s (condition %d)", conditions[e.Condition], e.Condition)
	switch {
	case e.Smaller > 0 && e.Larger > 0:
		text += fmt.Sprintf("; %d or %d nodes do fit", e.Smaller, e.Larger)
	case e.Vague && e.Smaller+e.Larger > 0:
		text += fmt.Sprintf("; %s would fit, not proven to be the nearest number", count(e.Smaller+e.Larger, "node"))
	case e.Vague:
		text += "; nor was another size found that fits"
	case e.Smaller > 0:
		text += fmt.Sprintf("; %s would fit, and no larger number", count(e.Smaller, "node"))
	case e.Larger > 0:
		text += fmt.Sprintf("; %s would fit, and no smaller number", count(e.Larger, "node"))
	case e.Looked:
		text += "; no other size fits either"
	}
	return text + "; with shared links it would fit"
}

// NoRacksError says that no whole racks make up a size, and which sizes they do.
type NoRacksError struct {
	Ask     Ask
	Have    int // nodes in whole racks that are free
	Smaller int // the largest size below that they make up; 0 = none
	Larger  int // the smallest size above; 0 = none
}

func (e *NoRacksError) Error() string {
	text := fmt.Sprintf("no whole racks make up %s", e.Ask)
	switch {
	case e.Smaller > 0 && e.Larger > 0:
		text += fmt.Sprintf("; %d or %d nodes would do", e.Smaller, e.Larger)
	case e.Smaller > 0:
		text += fmt.Sprintf("; %s would do, and no larger number", count(e.Smaller, "node"))
	case e.Larger > 0:
		text += fmt.Sprintf("; %s would do, and no smaller number", count(e.Larger, "node"))
	default:
		text += "; no rack of it is free and whole"
	}
	return text + ". Such a rack is one NVLink domain, and is leased whole unless the contract lets it be split (split_racks) or asks for segments of it (segment_gpus)"
}
