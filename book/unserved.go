package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/place"
	"bulkhead/site"
)

// NoteUnserved records that slots have no node that works and that none fits: the
// tenant is told, once, instead of finding out.
type NoteUnserved struct{ Slots []SlotRef }

func (c NoteUnserved) decide(s *State, env Env) (*Decision, error) {
	by := map[lease.ID]*site.Set{}
	for _, ref := range c.Slots {
		l, ok := s.LeaseByID(ref.Lease)
		if !ok || int(ref.Slot) >= len(l.Slots) {
			return nil, refuse("slot", "no slot %d of lease %q", ref.Slot, ref.Lease)
		}
		if _, known := s.Unserved[ref]; known {
			continue
		}
		if err := s.replaceable(l.Slots[ref.Slot], false); err != nil {
			return nil, err
		}
		if by[ref.Lease] == nil {
			by[ref.Lease] = site.NewSet(len(l.Slots))
		}
		by[ref.Lease].Add(site.Index(ref.Slot))
	}
	if len(by) == 0 {
		return nil, ErrNothing
	}
	d := &Decision{}
	for _, id := range sortedKeys(by) {
		l, _ := s.LeaseByID(id)
		where := fmt.Sprintf("%s in fabric %s", l.Kind, l.Fabric)
		if l.Links == lease.Hermetic {
			where += " on the lease's own links"
		}
		if s.staysInRacks(l) {
			where += " in the slot's own rack, which is one NVLink domain,"
		}
		d.add(TenantScope(l.Tenant), lease.KindUnserved, lease.Unserved{
			Lease: id, Slots: by[id].String(), Reason: "no node of " + where + " is ready and free; they are tried again whenever one is",
		})
	}
	return d, nil
}

func (s *State) applyUnserved(e *ledger.Entry, b lease.Unserved, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %s", b.Lease)
	}
	slots, err := site.ParseSet(b.Slots, len(l.Slots))
	if err != nil {
		return err
	}
	for slot := range slots.All() {
		s.Unserved[SlotRef{b.Lease, uint32(slot)}] = e.Time
	}
	return nil
}

// UnservedOf is the slots of a lease that nothing fits, ascending, with the time of
// the first.
func (s *State) UnservedOf(id lease.ID) (slots []uint32, since time.Time) {
	for ref, at := range s.Unserved {
		if ref.Lease != id {
			continue
		}
		slots = append(slots, ref.Slot)
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	slices.Sort(slots)
	return slots, since
}

// FailureOf says what may take the place of a failed node of a lease.
func (s *State) FailureOf(l *Lease, n site.Index) place.Failure {
	f := place.Failure{Node: n, Within: place.SameFabric}
	links := assignedLinks(l)
	if links == nil {
		if s.staysInRacks(l) {
			f.Within = place.SameRack // a node of another rack is no part of the domain
		}
		return f
	}
	// What has its SU with others under the leaf, or has no link above it, stays
	// in the SU. In whole SUs the lease's own reserve is as good, wherever it is,
	// unless so many spines are out that a leaf can't take another node.
	f.Within = place.SameSU
	if !slices.Contains(links.WholeSUs(), s.Site.SUs[s.Site.SUOf(n)].ID) {
		if own := s.LinksOf()(n); own < 0 {
			f.Links = own // no lease with shared links may have its SU's nodes
		}
		return f
	}
	f.Links = s.leaseByID[l.ID] + 1
	if links.Uplinks() >= s.Site.Shape.SUNodes {
		f.Within = place.SameFabric
	}
	return f
}

// LinksOf says whose links the uplinks of a node are among: the number of the
// hermetic lease that has its SU to itself, from 1, or 0. It is what
// place.ReplaceFailures asks about candidates. A negative number is the SU's own:
// hermetic leases have all the uplinks of its leaves together, so that it serves
// the slots of hermetic leases in that SU and no others.
// Cost: O(SUs of hermetic leases), then O(1) a node.
func (s *State) LinksOf() func(site.Index) int {
	owner := map[int]int{}
	for i, l := range s.Leases {
		if l.Links != lease.Hermetic || !l.Returned.IsZero() {
			continue
		}
		links := assignedLinks(l)
		cut, err := place.CutOff(s.Site, links)
		if err != nil {
			panic("book: links that were bound can't be read: " + err.Error()) // Apply has read them
		}
		for n := range cut.All() {
			if su := s.Site.SUOf(n); owner[su] == 0 {
				owner[su] = -su - 1
			}
		}
		for _, id := range links.WholeSUs() {
			if su, ok := s.Site.SUByID(id); ok {
				owner[su] = i + 1
			}
		}
	}
	return func(n site.Index) int { return owner[s.Site.SUOf(n)] }
}
