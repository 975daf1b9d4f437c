package book

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bulkhead/contract"
	"bulkhead/place"
	"bulkhead/place/dated"
)

// PlannedContract is a contract with the kinds that it is best placed in, and
// where its new tranches would lie.
type PlannedContract struct {
	Contract *contract.Contract // all kinds chosen
	Planned  []Planned
	After    *dated.Schedule // with what was planned committed
	Refused  error           // nil: everything can be had; else it names each kind that is accepted, and why not

	failed error // it can't be asked of this site
}

// PlanContract plans the tranches that a contract adds, on a copy of a schedule.
// Where kinds are open, every settlement of them is planned and the best is
// taken: the one that refuses the least, then is late with the least, then
// touches the fewest halls, pods, SUs and racks (the slices counted together),
// then moves the fewest bookings; of equals the one that the contract prefers.
// So it is never worse than any settlement that could have been asked for alone.
// A tranche that has a lease stays of its kind. A kind that can't be asked of the
// site at all is passed over; where none can, that is the error.
// Cost: as PlanTranches, for each settlement (at most contract.MaxSettlements).
func (s *State) PlanContract(schedule *dated.Schedule, c *contract.Contract, worsen bool) (*PlannedContract, error) {
	settlements := []*contract.Contract{c}
	nodeGPUs := schedule.Site().NodeGPUs
	if c.Open() {
		var err error
		if settlements, err = c.Settlements(); err != nil {
			return nil, err
		}
		settlements = slices.DeleteFunc(settlements, func(one *contract.Contract) bool { return !s.keepsKinds(one) })
		if len(settlements) == 0 {
			return nil, refuse("tranches", "one of them has a lease of a kind that it does not accept: name that kind")
		}
	}
	all := make([]*PlannedContract, len(settlements))
	var best *PlannedContract
	for i, one := range settlements {
		one = one.WithNodes(nodeGPUs)
		p := &PlannedContract{Contract: one, After: schedule.Clone()}
		if all[i] = p; p.fits(nodeGPUs) != nil {
			continue // it isn't whole nodes of this kind
		}
		p.Planned, p.failed = PlanTranches(p.After, one, s.AddedTranches(one), worsen)
		if p.failed != nil {
			continue // the others can be asked for all the same
		}
		if best == nil || compareWorth(p.worth(), best.worth()) < 0 {
			best = p
		}
	}
	if best == nil {
		return nil, all[0].failed
	}
	if first := best.firstRefused(); first != nil {
		best.Refused = whyNot(c, first, all)
	}
	return best, nil
}

// fits says of a settlement that it can't be asked of a site, because it isn't
// whole nodes there, or says another number of GPUs a node.
func (p *PlannedContract) fits(nodeGPUs func(kind string) int) error {
	if p.failed = p.Contract.Check(); p.failed == nil {
		p.failed = checkNodeGPUs(p.Contract, nodeGPUs)
	}
	return p.failed
}

// checkNodeGPUs refuses a contract that says another number of GPUs a node than
// the site has: its slots and its invoices would follow from that.
func checkNodeGPUs(c *contract.Contract, nodeGPUs func(kind string) int) error {
	for i := range c.Tranches {
		t := &c.Tranches[i]
		if want := nodeGPUs(t.Kind); t.GPUsANode() != want {
			return refuse("tranche "+t.ID+".node_gpus", "%d, but nodes of %s have %d GPUs on this site: leave it out, and the quote says it", t.GPUsANode(), t.Kind, want)
		}
	}
	return nil
}

// keepsKinds reports whether tranches that have a lease are of its kind.
func (s *State) keepsKinds(c *contract.Contract) bool {
	for i := range c.Tranches {
		t := &c.Tranches[i]
		if l, leased := s.LeaseByID(leaseID(c.ID, t.ID)); leased && len(t.Kinds) > 0 && l.Kind != t.Kind {
			return false
		}
	}
	return true
}

// worth is what settlements are compared by, in this order.
type worth struct {
	refused, late int        // nodes
	cost          place.Cost // of all slices together, with the bookings that move
}

func (p *PlannedContract) worth() worth {
	var w worth
	for _, one := range p.Planned {
		if one.Plan == nil {
			for i := range one.Tranches {
				w.refused += one.Tranches[i].Slots()
			}
			continue
		}
		for _, part := range one.Plan.Parts {
			if one.Plan.Late(part) {
				w.late += len(part.Nodes)
			}
		}
		c := one.Plan.Final().Certificate.Cost
		w.cost.Halls, w.cost.Pods, w.cost.SUs, w.cost.Racks = w.cost.Halls+c.Halls, w.cost.Pods+c.Pods, w.cost.SUs+c.SUs, w.cost.Racks+c.Racks
		w.cost.Moves += len(one.Plan.Moves)
	}
	return w
}

func compareWorth(a, b worth) int {
	switch {
	case a.refused != b.refused || a.late != b.late:
		return cmp.Or(cmp.Compare(a.refused, b.refused), cmp.Compare(a.late, b.late))
	case a.cost.Less(b.cost):
		return -1
	case b.cost.Less(a.cost):
		return 1
	}
	return 0
}

func (p *PlannedContract) firstRefused() *Planned {
	for i := range p.Planned {
		if p.Planned[i].Refused != nil {
			return &p.Planned[i]
		}
	}
	return nil
}

// KindsError says for each kind that a tranche accepts why it can't be had.
type KindsError struct{ Kinds []KindRefused }

// KindRefused is one kind, and why not.
type KindRefused struct {
	Kind string
	Why  error
}

func (e *KindsError) Error() string {
	var b strings.Builder
	b.WriteString("no kind that it accepts can be had")
	for i, one := range e.Kinds {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%sas %s: %v", sep, one.Kind, one.Why)
	}
	return b.String()
}

// Unwrap gives the reasons.
func (e *KindsError) Unwrap() []error {
	out := make([]error, len(e.Kinds))
	for i, one := range e.Kinds {
		out[i] = one.Why
	}
	return out
}

// whyNot is the refusal of a contract: of its first tranche that can't be had, in
// each kind that it accepts.
func whyNot(c *contract.Contract, first *Planned, all []*PlannedContract) error {
	id := strings.TrimPrefix(first.Refused.Step, string(leaseID(c.ID, "")))
	t := c.TrancheByID(id)
	if t == nil || t.Kind != "" {
		return fmt.Errorf("tranche %s: %w", id, first.Refused)
	}
	isIt := func(t contract.Tranche) bool { return t.ID == id }
	refusal := &KindsError{}
	for _, kind := range t.Kinds {
		var own, other error // why the tranche itself, or what stands beside it, can't be had
		for _, p := range all {
			if p.Contract.TrancheByID(id).Kind != kind {
				continue
			}
			if p.failed != nil {
				// Its text alone: a Refusal may be read by a tenant as it is, and
				// beside it there are figures.
				other = errors.New(p.failed.Error())
				continue
			}
			of := p.firstRefused()
			for i := range p.Planned {
				if at := &p.Planned[i]; at.Refused != nil && slices.ContainsFunc(at.Tranches, isIt) {
					of = at
				}
			}
			step := strings.TrimPrefix(of.Refused.Step, string(leaseID(c.ID, "")))
			switch {
			case !slices.ContainsFunc(of.Tranches, isIt):
				if other == nil {
					other = fmt.Errorf("then tranche %s is short: %w", step, of.Refused)
				}
			case own == nil:
				own = of.Refused
			}
		}
		if own == nil {
			own = other
		}
		if own != nil { // nil: a lease rules the kind out
			refusal.Kinds = append(refusal.Kinds, KindRefused{kind, own})
		}
	}
	return fmt.Errorf("tranche %s: %w", id, refusal)
}
