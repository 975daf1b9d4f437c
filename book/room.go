package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// Rebook places a lease that has not begun again, so that a quote finds room.
type Rebook struct {
	Lease lease.ID
	Nodes []site.Index // in rank order
	Slice place.Slice  // that the certificate is about: Nodes, or all that its ramp holds by then
	Among *site.Set
}

// room is what a quote may take: the state, with what makes room for it lifted.
type room struct {
	now    time.Time
	offer  *OfferQuote
	lifted *dated.Schedule // without the leases that move
	after  *dated.Schedule // with them in their new places; nil: none moves
	taken  *site.Set       // by tranches of the quote before
	before []*TrancheSlice // these
}

// makeRoom checks the moves of a quote: each is of a lease that has not begun and
// is not about to, to nodes that are free for all of its time. A tenant's own
// quote gives nobody a worse shape.
func (s *State) makeRoom(c OfferQuote, env Env) (*room, error) {
	r := &room{now: env.Now, offer: &c, taken: site.NewSet(s.Site.Nodes())}
	if len(c.Moves) == 0 {
		return r, nil
	}
	var err error
	if r.lifted, err = s.Schedule(env.Now); err != nil {
		return nil, err
	}
	for _, m := range c.Moves {
		l, ok := s.LeaseByID(m.Lease)
		if !ok {
			return nil, refuse("moves", "no lease %q", m.Lease)
		}
		h, held := r.lifted.ByID(string(m.Lease))
		switch {
		case !held || h.Pinned || !env.Now.Before(l.Begin.Add(-Lead)):
			return nil, refuse("moves", "%s runs or is about to, or moves twice: it stays where it is", l.ID)
		case len(m.Nodes) != len(l.Slots):
			return nil, refuse("moves", "%s has %d slots, not %d", l.ID, len(l.Slots), len(m.Nodes))
		case c.Offered.Party == contract.Tenant && place.CostOf(s.Site, l.Slots).Less(place.CostOf(s.Site, m.Nodes)):
			return nil, refuse("moves", "%s would be in a worse shape, for a quote that a tenant offers", l.ID)
		}
		if err := checkAmong(s.Site, m.Slice, m.Among); err != nil {
			return nil, fmt.Errorf("moves: %s: placement: %w", l.ID, err)
		}
		if !site.SetOf(m.Slice.Nodes...).Contains(site.SetOf(m.Nodes...)) {
			return nil, refuse("moves", "%s: the placement certificate is about other nodes", l.ID)
		}
		r.lifted.Drop(string(m.Lease))
	}
	r.after = r.lifted.Clone()
	for _, m := range c.Moves {
		l, _ := s.LeaseByID(m.Lease)
		h := dated.Booking{ID: string(l.ID), Owner: projectOf(l.Tenant, l.Project), Fabric: l.Fabric, Kind: l.Kind, Links: l.Links, Begin: l.Begin, End: l.End, Nodes: m.Nodes}
		if err := r.after.Promise(h); err != nil {
			return nil, refuse("moves", "%v", err)
		}
	}
	return r, nil
}

// checkAmong verifies a certificate that is about some nodes, and not about all
// that is free.
func checkAmong(s *site.Site, slice place.Slice, among *site.Set) error {
	if among == nil {
		return fmt.Errorf("it does not say among which nodes it is the best")
	}
	return check.Among(s, among, slice)
}

// calendar refuses tranches that the site can't hold at some instant. One that
// may come in parts is looked at node by node.
func (r *room) calendar(s *State, c *contract.Contract, added []contract.Tranche) error {
	if r.after != nil {
		return nil // every node is looked at, and the calendar is that of before the moves
	}
	whole := slices.DeleteFunc(slices.Clone(added), func(t contract.Tranche) bool { return t.Split })
	return s.CheckCalendar(c, whole)
}

// take checks the placement of one tranche: its nodes are free for all of its
// time, or come late where it may be delivered in parts, and its certificate is
// about nodes that were open to it.
func (r *room) take(s *State, t *contract.Tranche, p *TrancheSlice) error {
	if err := r.nearOwn(s, t.ID, p.Slice.Certificate.Nearness); err != nil {
		return err
	}
	if linksOf(t) == lease.Hermetic {
		return r.takeLinks(s, t, p)
	}
	free, open := r.free(s, t.Delivery, t.Delivery, t.End)
	own := site.SetOf(p.own()...)
	ask := p.Slice.Certificate.Ask
	var err error
	if p.Among == nil && p.Nodes == nil && r.after == nil {
		err = check.Among(s.Site, free, p.Slice)
	} else {
		came := t.Delivery // when the last of it has come
		if t.Split && own.Len() > 0 {
			for n := range own.All() {
				if int(n) < s.Site.Nodes() && s.Site.InService(n).After(came) && s.Site.InService(n).Before(t.End) {
					came = s.Site.InService(n)
				}
			}
			free, _ = r.free(s, came, t.Delivery, t.End)
			_, open = r.free(s, came, came, t.End)
		}
		err = r.partOf(s, p, own, free, open)
	}
	if err != nil {
		return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
	}
	if err := s.checkRacks(t, p); err != nil {
		return err
	}
	if err := s.checkDomains(t.ID, r.owner(), p.own(), t.Delivery, t.End); err != nil {
		return err
	}
	if len(p.own()) != t.Slots() || own.Len() != t.Slots() || ask.Kind != t.Kind || ask.Links != t.Links || (t.Fabric != "" && ask.Fabric != t.Fabric) {
		return refuse("tranche "+t.ID, "the placement answers another ask: %d nodes of %s in %s, %s links", len(p.own()), ask.Kind, ask.Fabric, ask.Links)
	}
	r.taken.Union(own)
	r.before = append(r.before, p)
	return nil
}

// nearOwn refuses a placement that calls itself near to SUs in which the contract's other
// tranches, those of the quote before it among them, have no node.
func (r *room) nearOwn(s *State, tranche string, n *place.Nearness) error {
	if n == nil {
		return nil
	}
	own := site.NewSet(s.Site.Nodes())
	add := func(nodes []site.Index) {
		for _, one := range nodes {
			if int(one) < s.Site.Nodes() {
				own.Add(one)
			}
		}
	}
	for _, l := range s.LeasesOfContract(r.offer.Contract.ID) {
		if l.End.After(r.now) {
			add(l.Slots)
		}
	}
	for _, other := range r.before {
		add(other.own())
	}
	sus := place.SUsOf(s.Site, own)
	for _, su := range n.Others {
		if _, is := slices.BinarySearch(sus, su); !is {
			return fmt.Errorf("tranche %s: placement: it is called near to SU number %d, where the contract's other tranches have no node: %w", tranche, su, place.ErrOccupancy)
		}
	}
	return nil
}

// takeLinks is take for a hermetic tranche: the whole of it on its date, on links
// and in SUs that nobody has, tranches of the quote before it included.
func (r *room) takeLinks(s *State, t *contract.Tranche, p *TrancheSlice) error {
	schedule := r.after
	if schedule == nil {
		var err error
		if schedule, err = s.Schedule(r.now); err != nil {
			return err
		}
		// The schedule is what the placement was made on; what the state itself
		// says is asked beside it.
		if err := s.Occupancy(t.Delivery, t.End).Apart(p.Slice.Nodes, p.Slice.Certificate.Links); err != nil {
			return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
		}
	}
	if err := s.checkDomains(t.ID, r.owner(), p.own(), t.Delivery, t.End); err != nil {
		return err
	}
	o := schedule.For(r.owner()).Occupancy(t.Delivery, t.Delivery, t.End)
	for _, other := range r.before {
		if err := o.Keep(other.own(), other.Slice.Certificate.Links); err != nil {
			return fmt.Errorf("tranche %s: placement: %w", other.Tranche, err)
		}
	}
	if err := s.checkRacks(t, p); err != nil {
		return err
	}
	ask := p.Slice.Certificate.Ask
	if ask.Nodes != t.Slots() || !slices.Equal(p.own(), p.Slice.Nodes) || ask.Kind != t.Kind || ask.Links != lease.Hermetic || (t.Fabric != "" && ask.Fabric != t.Fabric) {
		return refuse("tranche "+t.ID, "the placement answers another ask: %d nodes of %s in %s, %s links", len(p.own()), ask.Kind, ask.Fabric, ask.Links)
	}
	if err := check.On(o, p.Slice); err != nil {
		return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
	}
	// What comes after it in the quote is kept out of its whole SUs as well.
	territory, err := place.Territory(s.Site, p.Slice.Nodes, p.Slice.Certificate.Links)
	if err != nil {
		return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
	}
	r.taken.Union(territory)
	// And shared links out of SUs of which it has the last uplink.
	cut, err := place.CutOff(s.Site, p.Slice.Certificate.Links)
	if err != nil {
		return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
	}
	r.taken.Union(cut)
	r.before = append(r.before, p)
	return nil
}

// owner is the project that the quote is for.
func (r *room) owner() string { return projectOf(r.offer.Contract.Tenant, r.offer.Contract.Project) }

// free is what is free for a time when the moves have been made, without what
// the quote has taken; open is what was open to its certificates: the same, with
// what moves lifted, and with the rest of the quote.
func (r *room) free(s *State, inService, begin, end time.Time) (free, open *site.Set) {
	if r.after == nil {
		open = s.free(inService, begin, end)
		open.Subtract(place.Domains(s.Site, s.others(r.owner(), begin, end)))
		free = open.Clone()
	} else {
		free, open = r.after.For(r.owner()).FreeWith(inService, begin, end), r.lifted.For(r.owner()).FreeWith(inService, begin, end)
	}
	free.Subtract(r.taken)
	return free, open
}

func (r *room) partOf(s *State, p *TrancheSlice, own, free, open *site.Set) error {
	if err := checkAmong(s.Site, p.Slice, p.Among); err != nil {
		return err
	}
	switch {
	case !open.Contains(p.Among):
		return fmt.Errorf("the certificate is about nodes that are not free: %w", place.ErrOccupancy)
	case !free.Contains(own):
		return fmt.Errorf("some of its nodes are not free for all of its time: %w", place.ErrOccupancy)
	case !site.SetOf(p.Slice.Nodes...).Contains(own):
		return fmt.Errorf("the certificate is about other nodes than those of the tranche")
	}
	return nil
}

// ramps checks that what a certificate is about is of this quote: the steps of a
// ramp, together.
func (r *room) ramps(slices []TrancheSlice) error {
	for i := range slices {
		if !r.taken.Contains(site.SetOf(slices[i].Slice.Nodes...)) {
			return refuse("tranche "+slices[i].Tranche, "its certificate is about more than the steps of its ramp")
		}
	}
	return nil
}

// write adds the entries of the moves: one a tenant, because what is true of its
// leases together need not be so in between.
func (r *room) write(s *State, d *Decision, quote string) {
	by := map[string]*lease.Rebooked{}
	for _, m := range r.offer.Moves {
		l, _ := s.LeaseByID(m.Lease)
		whole, tenant := d.body(m.Slice.Certificate.Encode()), d.body(m.Slice.Certificate.Tenant().Encode())
		d.add(SiteScope, place.KindPlaced, place.Placed{Quote: quote, Tranche: string(l.ID), Whole: whole, Tenant: tenant})
		if by[l.Tenant] == nil {
			by[l.Tenant] = &lease.Rebooked{}
		}
		by[l.Tenant].Leases = append(by[l.Tenant].Leases, lease.RebookedLease{Lease: l.ID, Slots: len(m.Nodes), Nodes: site.FormatOrder(m.Nodes), Certificate: tenant})
	}
	for _, tenant := range sortedKeys(by) {
		d.add(TenantScope(tenant), lease.KindRebooked, by[tenant])
	}
}

func (s *State) applyRebooked(e *ledger.Entry, b lease.Rebooked, _ Bodies) error {
	placed := make([][]site.Index, len(b.Leases))
	for i, one := range b.Leases {
		l, ok := s.LeaseByID(one.Lease)
		if !ok {
			return fmt.Errorf("no lease %q", one.Lease)
		}
		nodes, err := site.ParseOrder(one.Nodes, s.Site.Nodes())
		if err != nil {
			return err
		}
		if len(nodes) != len(l.Slots) || one.Slots != len(nodes) {
			return fmt.Errorf("%d nodes for the %d slots of %s", len(nodes), len(l.Slots), l.ID)
		}
		if l.Delivered > 0 || !e.Time.Before(l.Begin) || !l.Returning.IsZero() {
			return fmt.Errorf("%s has begun: it can't be placed again", l.ID)
		}
		for _, n := range l.Slots {
			if s.LeaseOn(n) == l && s.inUse(n) {
				return fmt.Errorf("%s is being made ready on %s: it can't be placed again", l.ID, s.Site.NodeID[n])
			}
		}
		placed[i] = nodes
	}
	for _, one := range b.Leases {
		index := int32(s.leaseByID[one.Lease])
		for _, n := range s.Leases[index].Slots {
			s.unbookNode(n, index)
		}
	}
	for i, one := range b.Leases {
		index := int32(s.leaseByID[one.Lease])
		l := s.Leases[index]
		l.Slots, l.Certificate = placed[i], one.Certificate
		for slot, n := range placed[i] {
			s.bookNode(n, index, uint32(slot))
		}
	}
	s.rebooked = e.Time
	return nil
}
