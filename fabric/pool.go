package fabric

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/site"
)

// Pool gives out the labels of one fabric: an owner has at most one, and a label
// has one owner at a time. A released label cools down; it is free again only
// when the cool-down has passed and read-back shows it nowhere. The pool is
// deterministic: it always gives the lowest free value.
type Pool struct {
	fabric   string
	family   site.Family
	coolDown time.Duration
	byValue  map[uint32]Allocation
	byOwner  map[Owner]uint32
	next     uint32 // no value below it is free
}

// Allocation is one label that is not free.
type Allocation struct {
	Value    uint32    `json:"value"`
	Owner    Owner     `json:"owner"`
	Assigned time.Time `json:"assigned"`
	Released time.Time `json:"released,omitzero"` // zero: in use
}

// Cooling reports whether the label has been released.
func (a Allocation) Cooling() bool { return !a.Released.IsZero() }

// NewPool returns a pool with every label free.
func NewPool(fabricID string, f site.Family, coolDown time.Duration) *Pool {
	first, _ := poolRange(f)
	return &Pool{fabric: fabricID, family: f, coolDown: coolDown,
		byValue: map[uint32]Allocation{}, byOwner: map[Owner]uint32{}, next: first}
}

// SetCoolDown changes how long released labels cool down, those that cool down
// now too.
func (p *Pool) SetCoolDown(d time.Duration) { p.coolDown = d }

// Clone returns a copy that shares nothing. Cost: O(labels in use).
func (p *Pool) Clone() *Pool {
	q := *p
	q.byValue, q.byOwner = maps.Clone(p.byValue), maps.Clone(p.byOwner)
	return &q
}

func (p *Pool) label(value uint32) Label { return Label{p.fabric, KindOf(p.family), value} }

// Assign gives owner a label. An owner that has one gets the same again; one
// whose label is cooling down gets it back.
func (p *Pool) Assign(owner Owner, now time.Time) (Label, error) {
	if !allocated(owner) {
		return Label{}, fmt.Errorf("fabric %s: owner %.80q gets no label from the pool: expected project/<tenant>/<project>", p.fabric, owner)
	}
	if value, ok := p.byOwner[owner]; ok {
		if a := p.byValue[value]; a.Cooling() {
			a.Released = time.Time{}
			p.byValue[value] = a
		}
		return p.label(value), nil
	}
	_, last := poolRange(p.family)
	for ; p.next <= last; p.next++ {
		if _, taken := p.byValue[p.next]; !taken {
			p.byValue[p.next] = Allocation{Value: p.next, Owner: owner, Assigned: now.UTC()}
			p.byOwner[owner] = p.next
			p.next++
			return p.label(p.next - 1), nil
		}
	}
	return Label{}, fmt.Errorf("fabric %s: no label is free: %d are in use or cooling down; free some first", p.fabric, len(p.byValue))
}

// Keep gives owner a value that was in use before there was a pool, so that it is
// given to nobody else. One that cools down is in use again. A value that the pool
// does not give out is nothing to it.
func (p *Pool) Keep(value uint32, owner Owner, now time.Time) error {
	first, last := poolRange(p.family)
	if value < first || value > last {
		return nil
	}
	if !allocated(owner) {
		return fmt.Errorf("%s: owner %.80q gets no label from the pool", p.label(value), owner)
	}
	if a, taken := p.byValue[value]; taken {
		if a.Owner != owner {
			return fmt.Errorf("%s: in use by %s", p.label(value), a.Owner)
		}
		a.Released = time.Time{}
		p.byValue[value] = a
		return nil
	}
	if other, has := p.byOwner[owner]; has {
		return fmt.Errorf("%s: %s has %s already", p.label(value), owner, p.label(other))
	}
	p.byValue[value] = Allocation{Value: value, Owner: owner, Assigned: now.UTC()}
	p.byOwner[owner] = value
	return nil
}

// Adopt makes a label that was kept for whoever uses it that of an owner who is known
// by now: its value stays, and so does who is reached under it.
func (p *Pool) Adopt(value uint32, was, owner Owner) error {
	a, taken := p.byValue[value]
	switch other, has := p.byOwner[owner]; {
	case !taken || a.Owner != was || a.Cooling():
		return fmt.Errorf("%s: not kept for %.80q", p.label(value), was)
	case !allocated(owner):
		return fmt.Errorf("%s: owner %.80q gets no label from the pool", p.label(value), owner)
	case has:
		return fmt.Errorf("%s: %s has %s already", p.label(value), owner, p.label(other))
	}
	a.Owner = owner
	p.byValue[value] = a
	delete(p.byOwner, was)
	p.byOwner[owner] = value
	return nil
}

// Release begins the cool-down of owner's label.
func (p *Pool) Release(owner Owner, now time.Time) error {
	value, ok := p.byOwner[owner]
	if !ok {
		return fmt.Errorf("fabric %s: %s has no label to release", p.fabric, owner)
	}
	a := p.byValue[value]
	if a.Cooling() {
		return fmt.Errorf("fabric %s: the label of %s was released at %s already", p.fabric, owner, a.Released.Format(time.RFC3339))
	}
	a.Released = now.UTC()
	p.byValue[value] = a
	return nil
}

// Free makes a released label available again. Occurrences is at how many ports
// the newest read-back of the whole fabric shows it: it must be 0, and the
// cool-down must have passed.
func (p *Pool) Free(value uint32, occurrences int, now time.Time) error {
	a, ok := p.byValue[value]
	switch {
	case !ok:
		return fmt.Errorf("%s: not in use", p.label(value))
	case !a.Cooling():
		return fmt.Errorf("%s: still in use by %s: release it first", p.label(value), a.Owner)
	case occurrences != 0:
		return fmt.Errorf("%s: read-back shows it at %d ports: it is free when that is 0", p.label(value), occurrences)
	case now.Before(a.Released.Add(p.coolDown)):
		return fmt.Errorf("%s: cools down until %s", p.label(value), a.Released.Add(p.coolDown).Format(time.RFC3339))
	}
	delete(p.byValue, value)
	delete(p.byOwner, a.Owner)
	p.next = min(p.next, value)
	return nil
}

// OwnerOf returns the owner of a value, in use or cooling down.
func (p *Pool) OwnerOf(value uint32) (Owner, bool) {
	a, ok := p.byValue[value]
	return a.Owner, ok
}

// ValueOf returns the label that an owner uses; one that cools down is none.
func (p *Pool) ValueOf(owner Owner) (Label, bool) {
	value, ok := p.byOwner[owner]
	if !ok || p.byValue[value].Cooling() {
		return Label{}, false
	}
	return p.label(value), true
}

// Allocations returns all labels that are not free, by value.
func (p *Pool) Allocations() []Allocation {
	return slices.SortedFunc(maps.Values(p.byValue), func(a, b Allocation) int { return int(a.Value) - int(b.Value) })
}

// CoolUntil returns when the cool-down of a released label has passed.
func (p *Pool) CoolUntil(value uint32) (time.Time, bool) {
	a, ok := p.byValue[value]
	if !ok || !a.Cooling() {
		return time.Time{}, false
	}
	return a.Released.Add(p.coolDown), true
}

type poolJSON struct {
	Fabric   string       `json:"fabric"`
	Family   site.Family  `json:"family"`
	CoolDown string       `json:"cool_down"`
	Labels   []Allocation `json:"labels"`
}

// MarshalJSON writes the pool; equal pools give equal bytes.
func (p *Pool) MarshalJSON() ([]byte, error) {
	labels := p.Allocations()
	if labels == nil {
		labels = []Allocation{}
	}
	return json.Marshal(poolJSON{p.fabric, p.family, p.coolDown.String(), labels})
}

// UnmarshalJSON reads what MarshalJSON wrote, and refuses a pool in which a
// label has two owners or an owner two labels.
func (p *Pool) UnmarshalJSON(data []byte) error {
	var j poolJSON
	if err := claim.Exact(data, len(data), &j); err != nil {
		return fmt.Errorf("label pool: %w", err)
	}
	coolDown, err := time.ParseDuration(j.CoolDown)
	if err != nil || coolDown < 0 {
		return fmt.Errorf("label pool: cool_down %.40q: expected a duration such as 24h0m0s", j.CoolDown)
	}
	if !j.Family.Valid() {
		return fmt.Errorf("label pool: family %.40q: expected %s or %s", j.Family, site.RoCE, site.InfiniBand)
	}
	q := NewPool(j.Fabric, j.Family, coolDown)
	first, last := poolRange(j.Family)
	for i, a := range j.Labels {
		_, taken := q.byValue[a.Value]
		_, has := q.byOwner[a.Owner]
		switch {
		case a.Value < first || a.Value > last:
			return fmt.Errorf("label pool: labels[%d]: value %d: expected %d to %d", i, a.Value, first, last)
		case !allocated(a.Owner):
			return fmt.Errorf("label pool: labels[%d]: owner %.80q gets no label from a pool", i, a.Owner)
		case taken:
			return fmt.Errorf("label pool: labels[%d]: value %d has two owners", i, a.Value)
		case has:
			return fmt.Errorf("label pool: labels[%d]: owner %.80q has two labels", i, a.Owner)
		}
		q.byValue[a.Value], q.byOwner[a.Owner] = a, a.Value
	}
	*p = *q
	return nil
}
