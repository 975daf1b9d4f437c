package book

import (
	"fmt"
	"time"

	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// projectOf names a project of a tenant, across tenants.
func projectOf(tenant, project string) string { return tenant + "/" + project }

// promises yields the nodes that somebody holds or is promised for a time: leases,
// open quotes, replacements and moves under way.
func (s *State) promises(yield func(owner string, nodes []site.Index, begin, end time.Time)) {
	for _, l := range s.Leases {
		if !l.Returned.IsZero() {
			continue
		}
		owner := projectOf(l.Tenant, l.Project)
		yield(owner, l.Slots, l.Begin, l.End)
		if ready := s.madeReady(l); len(ready) > 0 {
			yield(owner, ready, time.Time{}, l.End)
		}
	}
	for _, q := range s.Quotes {
		for _, part := range q.Parts {
			nodes, err := site.ParseOrder(part.Nodes, s.Site.Nodes())
			if err != nil {
				continue // Apply has parsed it once: it parses
			}
			yield(projectOf(q.Tenant, q.Contract.Project), nodes, part.Begin, part.End)
		}
	}
	s.underWay(yield)
}

// underWay yields the nodes that slots are about to get.
func (s *State) underWay(yield func(owner string, nodes []site.Index, begin, end time.Time)) {
	for ref, swap := range s.Swaps {
		if l, ok := s.LeaseByID(ref.Lease); ok {
			yield(projectOf(l.Tenant, l.Project), []site.Index{swap.Node}, time.Time{}, l.End)
		}
	}
	for id, p := range s.Defrags {
		if l, ok := s.LeaseByID(id); ok {
			yield(projectOf(l.Tenant, l.Project), p.Nodes, time.Time{}, l.End)
		}
	}
}

// others is the nodes that projects but one hold or are promised at some instant of
// [begin, end), of kinds whose racks are NVLink domains. Cost: O(slots) on such a site.
func (s *State) others(owner string, begin, end time.Time) *site.Set {
	out := site.NewSet(s.Site.Nodes())
	if !s.hasDomains() {
		return out
	}
	s.promises(func(whose string, nodes []site.Index, from, until time.Time) {
		if whose == owner || !from.Before(end) || !begin.Before(until) {
			return
		}
		for _, n := range nodes {
			out.Add(n)
		}
	})
	return out
}

func (s *State) hasDomains() bool {
	for i := range s.Site.Kinds {
		if s.Site.Kinds[i].NVLinkRacks {
			return true
		}
	}
	return false
}

// closePromised tells a schedule of the nodes that slots are about to get.
func (s *State) closePromised(c *dated.Schedule) {
	if s.hasDomains() {
		s.underWay(func(owner string, nodes []site.Index, begin, end time.Time) {
			c.Close(owner, site.SetOf(nodes...), begin, end)
		})
	}
}

// checkDomains refuses nodes in an NVLink domain that another project is in.
func (s *State) checkDomains(what, owner string, nodes []site.Index, begin, end time.Time) error {
	if !s.hasDomains() {
		return nil
	}
	if err := check.Domains(s.Site, nodes, s.others(owner, begin, end)); err != nil {
		return refuse("placement "+what, "%v", err)
	}
	return nil
}

// checkQuotedDomains is checkDomains of all that a quote would put in force.
func (s *State) checkQuotedDomains(q *Quote) error {
	if !s.hasDomains() {
		return nil
	}
	for _, part := range q.Parts {
		nodes, err := site.ParseOrder(part.Nodes, s.Site.Nodes())
		if err != nil {
			return err
		}
		if err := s.checkDomains(part.Tranche, projectOf(q.Tenant, q.Contract.Project), nodes, part.Begin, part.End); err != nil {
			return err
		}
	}
	return nil
}

// CandidatesFor is Candidates without the nodes of NVLink domains that another project
// than the lease's is in.
func (s *State) CandidatesFor(l *Lease) *site.Set {
	out := s.Candidates()
	if s.Site.NVLinkRacks(l.Kind) {
		out.Subtract(place.Domains(s.Site, s.others(projectOf(l.Tenant, l.Project), s.Time, l.End)))
	}
	return out
}

// checkAlone verifies that no two projects are in one NVLink domain at any instant:
// not in what is held, nor in what is promised.
func (s *State) checkAlone() error {
	if !s.hasDomains() {
		return nil
	}
	type stay struct {
		owner      string
		begin, end time.Time
	}
	in := map[int][]stay{}
	var shared error
	s.promises(func(owner string, nodes []site.Index, begin, end time.Time) {
		for _, n := range nodes {
			if !s.Site.NVLinkRacks(s.Site.KindOf(n)) {
				continue
			}
			rack := s.Site.RackOf(n)
			for _, other := range in[rack] {
				if other.owner != owner && other.begin.Before(end) && begin.Before(other.end) {
					shared = fmt.Errorf("rack %s is one NVLink domain, and %s and %s are in it at the same time", s.Site.RackID(rack), other.owner, owner)
				}
			}
			if stays := in[rack]; len(stays) == 0 || stays[len(stays)-1] != (stay{owner, begin, end}) {
				in[rack] = append(stays, stay{owner, begin, end})
			}
		}
	})
	return shared
}
