package book

import (
	"bulkhead/site"
)

// Slots that a party has given up, because they came too late, are not owed any more: none
// is delivered, nobody is told that it is late. Their nodes stay booked until the lease
// ends, so that ranks, links and NVLink domains stay as they were chosen.

// GaveUp says whether a slot is not owed any more.
func (l *Lease) GaveUp(slot int) bool { return l.GivenUp != nil && l.GivenUp.Has(site.Index(slot)) }

// Owed is how many slots the lease promises still.
func (l *Lease) Owed() int {
	if l.GivenUp == nil {
		return len(l.Slots)
	}
	return len(l.Slots) - l.GivenUp.Len()
}

// givenUpNode says whether a node is in a slot that was given up.
func (s *State) givenUpNode(n site.Index) bool {
	l := s.LeaseOn(n)
	return l != nil && l.GaveUp(int(s.Nodes.Slot[n]))
}

// GivenUpNode is givenUpNode, for the loop.
func (s *State) GivenUpNode(n site.Index) bool { return s.givenUpNode(n) }

// giveUp marks slots as not owed any more.
func (l *Lease) giveUp(slots *site.Set) {
	if l.GivenUp == nil {
		l.GivenUp = site.NewSet(len(l.Slots))
	}
	l.GivenUp.Union(slots)
}
