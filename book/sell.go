package book

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/place"
	"bulkhead/site"
)

// OfferQuote offers a contract, or a new version of one, with a placement of
// each tranche that it adds. The placements are proposals, made outside the
// writer; the decision checks them.
type OfferQuote struct {
	Quote    string // id
	Contract *contract.Contract
	Expires  time.Time
	Slices   []TrancheSlice     // in the order in which they were planned
	Moves    []Rebook           // leases that have not begun and make room
	Offered  contract.Signature // zero: nobody said
}

// TrancheSlice is the proposed placement of one tranche.
// Of a step of a ramp the slice is all that the ramp holds when the step has
// come, and Nodes is what the step adds.
type TrancheSlice struct {
	Tranche string
	Slice   place.Slice
	Nodes   []site.Index // in rank order; nil: all of Slice
	Among   *site.Set    // what the certificate is about; nil: all that is free from the tranche's date until its end
}

// own is the nodes of the tranche itself.
func (t *TrancheSlice) own() []site.Index {
	if t.Nodes == nil {
		return t.Slice.Nodes
	}
	return t.Nodes
}

func (c OfferQuote) decide(s *State, env Env) (*Decision, error) {
	if err := c.check(s, env); err != nil {
		return nil, err
	}
	d := &Decision{}
	s = s.replaced(d, QuoteKey{c.Contract.Tenant, c.Quote}, c.Offered)
	if c.Offered.Party == contract.Tenant {
		if err := s.CheckTenantQuote(c.Quote, c.Contract, c.Expires, env.Now); err != nil {
			return nil, err
		}
		if err := s.InSteps(c.Contract); err != nil {
			return nil, err
		}
		if len(c.Moves) > 0 && s.Policy.Tenants.AnswerStep > 0 {
			return nil, refuse("moves", "leases would move for a quote that a tenant asks for by itself: what is free in steps needs none")
		}
	}
	added := s.AddedTranches(c.Contract)
	if len(added) != len(c.Slices) {
		return nil, refuse("slices", "%d placements were given for %d new tranches: expected one for each", len(c.Slices), len(added))
	}
	room, err := s.makeRoom(c, env)
	if err != nil {
		return nil, err
	}
	if err := room.calendar(s, c.Contract, added); err != nil {
		return nil, err
	}
	room.write(s, d, c.Quote)
	quoted := contract.Quoted{Quote: c.Quote, Contract: c.Contract.Encode(), Expires: c.Expires, Offered: c.Offered}
	for i := range c.Slices {
		proposal := &c.Slices[i]
		at := slices.IndexFunc(added, func(t contract.Tranche) bool { return t.ID == proposal.Tranche })
		if at < 0 {
			return nil, refuse("slices", "placement %d is of tranche %q, expected one of the contract that has no lease, once", i, proposal.Tranche)
		}
		t := added[at]
		added = slices.Delete(added, at, at+1)
		begin, end := Window(c.Contract, t)
		if begin.Before(env.Now) {
			return nil, refuse("tranche "+t.ID+".delivery", "%s has passed: what is late before it is signed would be billed as late", begin.UTC().Format(time.RFC3339))
		}
		if err := room.take(s, &t, proposal); err != nil {
			return nil, err
		}
		ask, nodes := proposal.Slice.Certificate.Ask, proposal.own()
		cost := place.CostOf(s.Site, nodes)
		whole, tenant := d.body(proposal.Slice.Certificate.Encode()), d.body(proposal.Slice.Certificate.Tenant().Encode())
		where := fmt.Sprintf("%d halls, %d pods, %d SUs, %d racks", cost.Halls, cost.Pods, cost.SUs, cost.Racks)
		if ask.Segment > 0 {
			where += segmented(s.Site, ask.Segment, nodes)
		}
		var held json.RawMessage
		if links := proposal.Slice.Certificate.Links; links != nil {
			held = links.Encode()
			where += ", on links that nobody else uses"
		}
		if n := proposal.Slice.Certificate.Nearness; n != nil {
			where += fmt.Sprintf("; %s of it have no node of the contract's other tranches", place.FarFrom(s.Site, nodes, n.Others))
		}
		if proposal.Slice.Certificate.Cut {
			where += "; not proven optimal: the search was ended before it was through"
		}
		quoted.Parts = append(quoted.Parts, contract.QuotedPart{
			Tranche: t.ID, Fabric: ask.Fabric, Kind: ask.Kind, Slots: len(nodes),
			Nodes: site.FormatOrder(nodes), Begin: begin, End: end,
			Where: where, Certificate: tenant, Assigned: held,
		})
		d.add(SiteScope, place.KindPlaced, place.Placed{Quote: c.Quote, Tranche: t.ID, Whole: whole, Tenant: tenant})
	}
	if err := room.ramps(c.Slices); err != nil {
		return nil, err
	}
	s.quote(d, c.Contract.Tenant, quoted)
	return d, nil
}

// check refuses a contract that can't be offered, whatever its nodes are.
func (c OfferQuote) check(s *State, env Env) error {
	if s.Site == nil {
		return refuse("site", "no site has been imported: there is nothing to sell yet")
	}
	if err := c.Contract.Check(); err != nil {
		return err
	}
	if err := checkNodeGPUs(c.Contract, s.Site.NodeGPUs); err != nil {
		return err
	}
	if c.Contract.Ending != nil {
		return refuse("contract.ending", "no quote ends a contract early: leave ending out; it is the act that ends it that writes it")
	}
	if _, ok := s.Tenants[c.Contract.Tenant]; !ok {
		return refuse("contract.tenant", "no tenant %q: register it first", c.Contract.Tenant)
	}
	if q, ok := s.Quotes[QuoteKey{c.Contract.Tenant, c.Quote}]; ok {
		if bytes.Equal(q.Raw, c.Contract.Encode()) && env.Now.Before(q.Expires) {
			return ErrNothing
		}
		if partyOf(q.Offered) != partyOf(c.Offered) {
			return refuse("quote", "%s is open and the other party has offered it: it is replaced by who has offered it; choose another id", c.Quote)
		}
	}
	if !c.Expires.After(env.Now) {
		return refuse("quote.expires", "%s has passed", c.Expires.Format(time.RFC3339))
	}
	if err := s.checkVersion(c.Contract); err != nil || c.Contract.Version == 1 {
		return err // of a first version the dates of its tranches say it
	}
	return checkEffective(c.Contract, env.Now)
}

// checkVersion refuses a version that does not follow the one in force.
func (s *State) checkVersion(next *contract.Contract) error {
	old, ok := s.Contracts[next.ID]
	if !ok {
		if next.Version != 1 {
			return refuse("contract.version", "%[2]s has no version 1 in force that version %[1]d could amend: sign version 1 first", next.Version, next.ID)
		}
		return nil
	}
	if !old.Closed.IsZero() {
		return refuse("contract", "%s is closed", next.ID)
	}
	if old.Current().Tenant != next.Tenant {
		return refuse("contract", "%s is not a contract of this tenant", next.ID)
	}
	if err := s.checkResized(next); err != nil {
		return err
	}
	return old.Current().Amend(next)
}

// AddedTranches lists the tranches of a contract that no lease holds yet.
func (s *State) AddedTranches(c *contract.Contract) []contract.Tranche {
	var added []contract.Tranche
	for _, t := range c.Tranches {
		if _, ok := s.leaseByID[leaseID(c.ID, t.ID)]; !ok {
			added = append(added, t)
		}
	}
	return added
}

func leaseID(contractID, tranche string) lease.ID {
	return lease.ID(contractID + "/" + tranche)
}

// linksOf is the class of links that a tranche is for; shared unless it says.
func linksOf(t *contract.Tranche) lease.Links {
	if t != nil && t.Links == lease.Hermetic {
		return lease.Hermetic
	}
	return lease.Shared
}

// Window is the time for which a tranche holds nodes.
func Window(c *contract.Contract, t contract.Tranche) (begin, end time.Time) {
	return t.Delivery, t.End
}

// SignQuote puts a quote in force: the contract is signed, its leases are bound
// to the quoted slots, its labels are assigned.
type SignQuote struct {
	Tenant string // whose quote; "": of the one tenant that has one of this id
	Quote  string
	By     string
	Page   claim.Digest         // of the page that was read (contract.Page); zero: nobody says that one was
	Signed []contract.Signature // for which party By signs
	Assent *contract.SignedAssent
}

func (c SignQuote) decide(s *State, env Env) (*Decision, error) {
	q, err := s.OpenQuote(c.Tenant, c.Quote)
	if err != nil {
		return nil, err
	}
	if err := q.read(c.Page); err != nil {
		return nil, err
	}
	if !env.Now.Before(q.Expires) {
		return nil, refuse("quote", "%s expired at %s: ask for a new one", c.Quote, q.Expires.Format(time.RFC3339))
	}
	// Another quote of the same contract may have been signed since this one.
	if err := s.checkVersion(q.Contract); err != nil {
		return nil, err
	}
	assent, err := s.assented(q, c, env.Now)
	if err != nil {
		return nil, err
	}
	for _, part := range q.Parts {
		if _, bound := s.leaseByID[leaseID(q.Contract.ID, part.Tranche)]; bound {
			return nil, refuse("quote", "tranche %s of contract %s is leased already", part.Tranche, q.Contract.ID)
		}
	}
	d := &Decision{}
	scope := TenantScope(q.Tenant)
	d.add(scope, contract.KindSigned, contract.Signed{
		Contract: q.Raw, Digest: digestOf(q.Raw), Quote: q.ID, By: c.By, Page: c.Page, Signatures: q.signatures(c.Signed), Assent: assent,
	})
	seen := map[string]bool{}
	if err := s.checkQuotedDomains(q); err != nil {
		return nil, err
	}
	for _, part := range q.Parts {
		d.add(scope, lease.KindBound, lease.Bound{
			Lease: leaseID(q.Contract.ID, part.Tranche), Tenant: q.Tenant, Contract: q.Contract.ID,
			Tranche: part.Tranche, Project: q.Contract.Project, Fabric: part.Fabric, Kind: part.Kind,
			Links: linksOf(q.Contract.TrancheByID(part.Tranche)), Begin: part.Begin, End: part.End, Slots: part.Slots, Nodes: part.Nodes,
			Certificate: part.Certificate, Assigned: part.Assigned, Sitting: part.Sitting,
			Spans: s.spans(part.Fabric, part.Kind), NVLinkRacks: s.Site.NVLinkRacks(part.Kind),
		})
		if part.Sitting {
			if err := s.adoptSitting(d, q, part, seen); err != nil {
				return nil, err
			}
		}
		for _, f := range s.Site.Fabrics {
			if (f.ID != part.Fabric && !f.Frontend) || seen[f.ID] {
				continue
			}
			seen[f.ID] = true
			owner := ProjectOwner(q.Tenant, q.Contract.Project)
			if _, has := s.Labels[f.ID].ValueOf(owner); has {
				continue
			}
			label, err := s.Labels[f.ID].Clone().Assign(owner, env.Now)
			if err != nil {
				return nil, fmt.Errorf("label in fabric %s: %w", f.ID, err)
			}
			body := fabric.Labelled{Owner: owner, Label: label, Action: "assigned"}
			d.add(SiteScope, fabric.KindLabelled, body)
			d.add(scope, fabric.KindLabelled, body)
		}
	}
	if err := s.seat(d, q); err != nil {
		return nil, err
	}
	return d, nil
}

// signatures adds those who sign to who has offered.
func (q *Quote) signatures(signed []contract.Signature) []contract.Signature {
	if q.Offered == (contract.Signature{}) {
		return signed
	}
	return append([]contract.Signature{q.Offered}, signed...)
}

// LapseQuote gives back the capacity that an expired quote held.
type LapseQuote struct {
	Tenant string // whose quote; "": of the one tenant that has one of this id
	Quote  string
}

func (c LapseQuote) decide(s *State, env Env) (*Decision, error) {
	q, err := s.OpenQuote(c.Tenant, c.Quote)
	if err != nil || env.Now.Before(q.Expires) {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(TenantScope(q.Tenant), contract.KindLapsed, contract.Lapsed{Quote: q.ID})
	return d, nil
}

func (s *State) applyQuoted(e *ledger.Entry, b contract.Quoted, _ Bodies) error {
	c, err := contract.Decode(b.Contract)
	if err != nil {
		return err
	}
	for _, part := range b.Parts {
		if s.Site == nil {
			return fmt.Errorf("quote %s: no site has been imported", b.Quote)
		}
		if err := s.checkPart(part); err != nil {
			return err
		}
	}
	q := &Quote{ID: b.Quote, Tenant: c.Tenant, Contract: c, Raw: bytes.Clone(b.Contract), Expires: b.Expires, Parts: b.Parts, Offered: b.Offered, Since: e.Time, Withheld: b.PlaceWithheld}
	s.Quotes[q.Key()] = q
	return nil
}

func (s *State) applyPlaced(e *ledger.Entry, b place.Placed, _ Bodies) error {
	s.Placements[b.Tenant] = b.Whole
	return nil
}

func (s *State) applyLapsed(e *ledger.Entry, b contract.Lapsed, _ Bodies) error {
	delete(s.Quotes, QuoteKey{tenantOf(e.Scope), b.Quote})
	return nil
}

func (s *State) applySigned(e *ledger.Entry, b contract.Signed, _ Bodies) error {
	c, err := contract.Decode(b.Contract)
	if err != nil {
		return err
	}
	delete(s.Quotes, QuoteKey{c.Tenant, b.Quote})
	key := ""
	if b.Assent != nil {
		key = b.Assent.Key
	}
	if k, ok := s.Contracts[c.ID]; ok {
		k.Versions = append(k.Versions, c)
		k.Signatures, k.Key = b.Signatures, key
		return nil
	}
	s.Contracts[c.ID] = &Contract{Versions: []*contract.Contract{c}, Signed: e.Time, Signatures: b.Signatures, Key: key}
	return nil
}

func (s *State) applyBound(e *ledger.Entry, b lease.Bound, _ Bodies) error {
	if s.Site == nil || s.Contracts[b.Contract] == nil {
		return fmt.Errorf("no contract %q", b.Contract)
	}
	nodes, err := site.ParseOrder(b.Nodes, s.Site.Nodes())
	if err != nil {
		return err
	}
	if _, bound := s.leaseByID[b.Lease]; bound {
		return fmt.Errorf("%s is bound already", b.Lease)
	}
	if len(nodes) != b.Slots {
		return fmt.Errorf("%d nodes for %d slots", len(nodes), b.Slots)
	}
	if err := s.checkAssigned(nodes, b.Links, b.Assigned); err != nil {
		return err
	}
	index := int32(len(s.Leases))
	l := &Lease{Lease: lease.Lease{
		ID: b.Lease, Tenant: b.Tenant, Contract: b.Contract, Tranche: b.Tranche, Project: b.Project,
		Fabric: b.Fabric, Kind: b.Kind, Links: b.Links, Begin: b.Begin, End: b.End, Slots: nodes, Assigned: bytes.Clone(b.Assigned),
	}, Certificate: b.Certificate, Up: make([]bool, len(nodes)), Sitting: b.Sitting}
	for _, span := range b.Spans {
		if span.Role == site.RoleManagement {
			l.Management = span.Fabric
		}
	}
	s.Leases = append(s.Leases, l)
	s.leaseByID[b.Lease] = int(index)
	s.number(l)
	for slot, n := range nodes {
		s.bookNode(n, index, uint32(slot))
	}
	return nil
}

// checkAssigned refuses links that could not be kept later: of a class that has none,
// or of SUs that the site does not have.
func (s *State) checkAssigned(nodes []site.Index, class lease.Links, assigned json.RawMessage) error {
	if (class == lease.Hermetic) != (len(assigned) > 0) {
		return fmt.Errorf("%s links with a link assignment of %d bytes: hermetic slices have one, and no others", class, len(assigned))
	}
	links, err := place.DecodeLinks(assigned)
	if err != nil || links == nil {
		return err
	}
	return place.NewOccupancy(s.Site).Keep(nodes, links)
}

// number gives the owner of a project's labels its holder number.
func (s *State) number(l *Lease) {
	owner := ProjectOwner(l.Tenant, l.Project)
	if _, ok := s.projects[owner]; !ok {
		s.projects[owner] = firstProject + HolderNumber(len(s.projects))
	}
}
