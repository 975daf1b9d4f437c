package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/site"
)

// OfferSitting offers a contract to a tenant who was on an adopted site before, under
// labels that were found there: its tranches are the nodes that carry them, and when
// the tenant has signed, nodes and labels are the lease's, as they are. An approver
// offers, since nobody wipes what is handed over; the tenant signs.
type OfferSitting struct {
	Quote    string // id
	Contract *contract.Contract
	Expires  time.Time
	Labels   []fabric.Label
	By       Actor
	Offered  contract.Signature
}

func (c OfferSitting) decide(s *State, env Env) (*Decision, error) {
	switch {
	case c.By.Role != "approver":
		return nil, refuse("by", "an approver offers nodes to who is on them, not %s: nothing says that they are clean", c.By.Role)
	case s.Control.Adopted:
		return nil, refuse("site", "it is only observed: an approver ends that first")
	}
	if err := (OfferQuote{Quote: c.Quote, Contract: c.Contract, Expires: c.Expires, Offered: c.Offered}).check(s, env); err != nil {
		return nil, err
	}
	nodes, err := s.sittingNodes(c.Labels, c.Contract.Project, c.Contract.Tenant)
	if err != nil {
		return nil, err
	}
	d, left := &Decision{}, nodes.Clone()
	s = s.replaced(d, QuoteKey{c.Contract.Tenant, c.Quote}, c.Offered)
	quoted := contract.Quoted{Quote: c.Quote, Contract: c.Contract.Encode(), Expires: c.Expires, Offered: c.Offered}
	for _, t := range s.AddedTranches(c.Contract) {
		begin, end := Window(c.Contract, t)
		own := s.sittingOf(&t, left)
		switch {
		case begin.Before(env.Now):
			return nil, refuse("tranche "+t.ID+".delivery", "%s has passed: what is late before it is signed would be billed as late", begin.UTC().Format(time.RFC3339))
		case linksOf(&t) == lease.Hermetic:
			return nil, refuse("tranche "+t.ID+".links", "links of nodes that were not placed are nobody's alone: expected shared")
		case len(own) != t.Slots():
			return nil, refuse("tranche "+t.ID, "it is of %d nodes of %s in fabric %s, and %d carry the labels", t.Slots(), t.Kind, t.Fabric, len(own))
		}
		if wholeRacks(s.Site, t.Kind, &t) {
			if err := check.Racks(s.Site, own); err != nil {
				return nil, fmt.Errorf("tranche %s: %w", t.ID, err)
			}
		}
		left.Subtract(site.SetOf(own...))
		cost := place.CostOf(s.Site, own)
		quoted.Parts = append(quoted.Parts, contract.QuotedPart{
			Tranche: t.ID, Fabric: s.fabricOf(own[0]), Kind: t.Kind, Slots: len(own), Nodes: site.FormatOrder(own), Begin: begin, End: end, Sitting: true,
			Where: fmt.Sprintf("as found: %d halls, %d pods, %d SUs, %d racks; not wiped before", cost.Halls, cost.Pods, cost.SUs, cost.Racks),
		})
	}
	if !left.Empty() {
		return nil, refuse("labels", "%d nodes carry them and are in no tranche, the first is %s", left.Len(), s.Site.NodeID[left.Slice()[0]])
	}
	d.add(TenantScope(c.Contract.Tenant), contract.KindQuoted, quoted)
	return d, nil
}

// sittingOf is the nodes of a tranche among those that carry the labels, in the order
// of the inventory.
func (s *State) sittingOf(t *contract.Tranche, nodes *site.Set) (own []site.Index) {
	for n := range nodes.All() {
		if s.Site.KindOf(n) == t.Kind && (t.Fabric == "" || s.fabricOf(n) == t.Fabric) {
			own = append(own, n)
		}
	}
	return own
}

// sittingNodes is the nodes that carry found labels, and refuses those that can't
// become one project's: it must be all labels of these nodes, nowhere else, one a fabric.
func (s *State) sittingNodes(labels []fabric.Label, project, tenant string) (*site.Set, error) {
	if s.Site == nil {
		return nil, refuse("site", "no site has been imported")
	}
	nodes, given, in := site.NewSet(s.Site.Nodes()), map[fabric.Label]bool{}, map[string]fabric.Label{}
	for _, l := range labels {
		found := s.Found[l.Fabric][l.Value]
		pool := s.Labels[l.Fabric]
		switch other, twice := in[l.Fabric]; {
		case found == nil:
			return nil, refuse("labels", "no label %s was found", l)
		case twice:
			return nil, refuse("labels", "%s and %s are of one fabric: a project has one label in each, so they are two projects'", other, l)
		}
		owner := ProjectOwner(tenant, project)
		if err := pool.Clone().Adopt(l.Value, FoundOwner(l.Value), owner); err != nil {
			return nil, refuse("labels", "it can't become that of %s: %v", owner, err)
		}
		in[l.Fabric], given[l] = l, true
		nodes.Union(found.Nodes)
	}
	if nodes.Empty() {
		return nil, refuse("labels", "expected the found labels that the tenant is reached under, in each fabric")
	}
	for _, id := range sortedKeys(s.Found) {
		for _, value := range sortedKeys(s.Found[id]) {
			if l := s.foundLabel(id, value); !given[l] && s.Found[id][value].Nodes.Intersects(nodes) {
				return nil, refuse("labels", "some of the nodes carry %s as well: give all labels of the tenant, or take that one away first", l)
			}
		}
	}
	for n := range nodes.All() {
		id := s.Site.NodeID[n]
		switch {
		case s.Nodes.State[n] != node.Discovered || s.Nodes.Lease[n] != NoLease:
			return nil, refuse("node", "%s is %s, expected as it was found", id, s.Nodes.State[n])
		case s.Nodes.Cordoned[n] || s.Nodes.Health[n] > Degraded:
			return nil, refuse("node", "%s is cordoned or not healthy", id)
		}
	}
	return nodes, nil
}

func (s *State) foundLabel(fabricID string, value uint32) fabric.Label {
	index, _ := s.Site.FabricByID(fabricID)
	return fabric.Label{Fabric: fabricID, Kind: fabric.KindOf(s.Site.Fabrics[index].Family), Value: value}
}

// adoptSitting makes the labels that the nodes of a part carry those of its project:
// they keep their values.
func (s *State) adoptSitting(d *Decision, q *Quote, part contract.QuotedPart, seen map[string]bool) error {
	order, err := site.ParseOrder(part.Nodes, s.Site.Nodes())
	if err != nil {
		return err
	}
	nodes := site.SetOf(order...)
	for _, id := range sortedKeys(s.Found) {
		for _, value := range sortedKeys(s.Found[id]) {
			if !s.Found[id][value].Nodes.Intersects(nodes) || seen[id] {
				continue
			}
			seen[id] = true
			s.labelled(d, q.Tenant, ProjectOwner(q.Tenant, q.Contract.Project), s.foundLabel(id, value), "adopted")
		}
	}
	return nil
}

// seat checks that what was offered to a sitting tenant is still as it was found, and
// moves its nodes into their slots.
func (s *State) seat(d *Decision, q *Quote) error {
	var order []site.Index
	for _, part := range q.Parts {
		if part.Sitting {
			own, err := site.ParseOrder(part.Nodes, s.Site.Nodes())
			if err != nil {
				return err
			}
			order = append(order, own...)
		}
	}
	if len(order) == 0 {
		return nil
	}
	all := site.SetOf(order...)
	var labels []fabric.Label
	for _, id := range sortedKeys(s.Found) {
		for _, value := range sortedKeys(s.Found[id]) {
			if s.Found[id][value].Nodes.Intersects(all) {
				labels = append(labels, s.foundLabel(id, value))
			}
		}
	}
	nodes, err := s.sittingNodes(labels, q.Contract.Project, q.Tenant)
	if err != nil {
		return err
	}
	if nodes.String() != all.String() {
		return refuse("quote", "the nodes with the labels are not those that were offered: offer it again")
	}
	m := s.newMover()
	for _, n := range order {
		m.move(n, node.Discovered, node.Reserved, 0, claim.Digest{}, "its tenant was on it before, and stays")
	}
	for _, key := range m.order { // who holds a node is only known when the entries before are folded
		if key.scope == SiteScope {
			tenant := key
			tenant.scope = TenantScope(q.Tenant)
			if _, is := m.batches[tenant]; !is {
				m.order = append(slices.Clone(m.order), tenant)
				m.batches[tenant] = m.batches[key]
			}
		}
	}
	m.write(d)
	return nil
}

// adoptLabel makes a found label that of a project.
func (s *State) adoptLabel(pool *fabric.Pool, b fabric.Labelled) error {
	if s.Found[b.Label.Fabric][b.Label.Value] == nil {
		return fmt.Errorf("label %s was not found", b.Label)
	}
	if err := pool.Adopt(b.Label.Value, FoundOwner(b.Label.Value), b.Owner); err != nil {
		return err
	}
	delete(s.Found[b.Label.Fabric], b.Label.Value)
	if len(s.Found[b.Label.Fabric]) == 0 {
		delete(s.Found, b.Label.Fabric)
	}
	s.keepFound()
	return nil
}

// Sits says whether a node is in a slot because its tenant was on it before there was
// a lease: it has never changed hands here, and nothing says that it was clean.
func (s *State) Sits(n site.Index) bool {
	l := s.LeaseOn(n)
	return l != nil && l.Sitting && s.Nodes.Turnover[n] == 0 && s.Nodes.Owner[n] == s.Nodes.Lease[n]
}

// occupied says whether a tenant is on a node: it was handed over, or the tenant was on
// it before. It leaves its slot by being reclaimed, and so wiped, and in no other way.
func (s *State) occupied(n site.Index) bool {
	return s.Nodes.State[n] == node.Delivered || s.Nodes.State[n] == node.Reserved && s.Sits(n)
}
