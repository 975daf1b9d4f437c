package meter

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"bulkhead/contract"
)

// terms are what the versions of a contract say about one period.
type terms struct {
	versions []*contract.Contract
	loc      *time.Location
	from, to int64 // the period, Unix seconds
	month    int64 // its seconds
	last     *contract.Contract
	digits   int
	tranches []*tranche
	byID     map[string]*tranche

	looks   *Looks              // nil: the log says nothing of them
	fabrics map[string][]string // that a lease's slots run on

	sortedRows []change   // what was folded, in order
	silences   []*silence // of all leases
	unsaid     bool       // slots were held in the period before the log began to say when devices were looked at
}

// tranche is one tranche through all versions, with its running totals.
type tranche struct {
	id       string
	maxSlots uint32     // that any version promises
	segments []*segment // within the period, ascending, only while it is due

	// Slots that some event has named; the others are not delivered.
	active, returned int64
	counted          int64   // until when the others have been counted, Unix seconds
	deliveries       rowSet  // changes that ended or began "undelivered"
	over             *excess // more slots than promised
}

// excess is the first instant at which more slots were held than promised.
type excess struct {
	at        int64
	has, want int64
}

// segment is a stretch of one tranche in which version, rate, promise and
// grace stay the same.
type segment struct {
	from, to int64
	version  *contract.Contract
	index    int // of the tranche in the version
	rate     int // in the version
	slots    int64
	owed     int64 // GPUs that the rate's fee is for; 0 for a price by the hour
	late     bool  // after the grace

	usage     [codes]int64 // slot-seconds by state
	matched   []int64      // GPU-seconds by SLA rule: those that match it
	taken     []int64      // those that it credits: no second is in two of them
	unasked   []int64      // those of taken in which nobody looked
	rows      []rowSet     // changes that taken follows from
	handOvers rowSet       // changes by which slots were handed over and given back
	plans     [codes][][]step
}

// newTerms checks the versions and cuts the period into segments.
func newTerms(versions []*contract.Contract, period Period) (*terms, error) {
	if len(versions) == 0 {
		return nil, errors.New("contract: expected at least one version")
	}
	for i, v := range versions {
		err := v.Check()
		if i == 0 && err == nil && v.Version != 1 {
			err = fmt.Errorf("the first version is missing")
		} else if i > 0 && err == nil {
			err = versions[i-1].Amend(v)
		}
		if err != nil {
			return nil, fmt.Errorf("contract %s version %d: %w", v.ID, v.Version, err)
		}
	}
	// The rules of the zone are the same in all versions, where they are about the same time.
	loc := slices.MaxFunc(versions, func(a, b *contract.Contract) int { return a.ZoneRules.Until.Compare(b.ZoneRules.Until) }).Location()
	if err := period.check(loc); err != nil {
		return nil, err
	}
	t := &terms{versions: versions, loc: loc, from: period.From.Unix(), to: period.To.Unix(), month: period.seconds(), byID: map[string]*tranche{}}
	for i, v := range versions {
		from, to := t.rules(i)
		for j := range v.Tranches {
			tr := t.byID[v.Tranches[j].ID]
			if tr == nil {
				tr = &tranche{id: v.Tranches[j].ID, counted: t.from}
				t.byID[tr.id] = tr
				t.tranches = append(t.tranches, tr)
			}
			tr.maxSlots = max(tr.maxSlots, uint32(v.Tranches[j].Slots()))
			tr.cut(v, j, max(from, t.from), min(to, t.to))
		}
		if max(from, t.from) < min(to, t.to) {
			t.last = v
		}
	}
	if t.last == nil {
		return nil, fmt.Errorf("contract %s is not in force from %s until %s", versions[0].ID,
			period.From.In(loc).Format(time.DateOnly), period.To.In(loc).Format(time.DateOnly))
	}
	t.digits, _ = contract.Digits(t.last.Currency)
	return t, nil
}

// rules is the time in which version i rules: from its effective instant until
// the next version's, within its own term.
func (t *terms) rules(i int) (from, to int64) {
	v := t.versions[i]
	from, to = v.Effective.Unix(), v.End.Unix()
	if i+1 < len(t.versions) {
		to = min(to, t.versions[i+1].Effective.Unix())
	}
	return from, to
}

// at is the version whose rules hold at an instant.
func (t *terms) at(second int64) *contract.Contract {
	v := t.versions[0]
	for _, next := range t.versions[1:] {
		if next.Effective.Unix() <= second {
			v = next
		}
	}
	return v
}

// cut adds the segments of a tranche under one version.
func (tr *tranche) cut(v *contract.Contract, index int, from, to int64) {
	t := &v.Tranches[index]
	from, to = max(from, t.Delivery.Unix()), min(to, t.End.Unix())
	if from >= to {
		return
	}
	grace := v.GraceEnd(t).Unix()
	marks := []int64{from, to, grace}
	for i := range v.Rates {
		marks = append(marks, v.Rates[i].From.Unix(), v.Rates[i].To.Unix())
	}
	for i := range v.Tranches { // others under the same fee share it
		marks = append(marks, v.Tranches[i].Delivery.Unix(), v.Tranches[i].End.Unix())
	}
	slices.Sort(marks)
	marks = slices.Compact(marks)
	for i := 1; i < len(marks); i++ {
		if marks[i-1] < from || marks[i] > to {
			continue
		}
		s := &segment{
			from: marks[i-1], to: marks[i], version: v, index: index, slots: int64(t.Slots()), late: marks[i-1] >= grace,
			matched: make([]int64, len(v.SLA)), taken: make([]int64, len(v.SLA)), unasked: make([]int64, len(v.SLA)), rows: make([]rowSet, len(v.SLA)),
		}
		s.rate = slices.IndexFunc(v.Rates, func(r contract.Rate) bool {
			return slices.Contains(r.Tranches, t.ID) && r.From.Unix() <= s.from && s.from < r.To.Unix()
		})
		if v.Rates[s.rate].Basis == contract.PerMonth {
			s.owed = owed(v, &v.Rates[s.rate], s.from)
		}
		tr.segments = append(tr.segments, s)
	}
}

// owed is the number of GPUs that a flat fee is for at an instant.
func owed(v *contract.Contract, r *contract.Rate, at int64) int64 {
	var gpus int64
	for i := range v.Tranches {
		if t := &v.Tranches[i]; slices.Contains(r.Tranches, t.ID) && t.Delivery.Unix() <= at && at < t.End.Unix() {
			gpus += t.GPUs
		}
	}
	return gpus
}

func (s *segment) theRate() *contract.Rate { return &s.version.Rates[s.rate] }

func (s *segment) theTranche() *contract.Tranche { return &s.version.Tranches[s.index] }

// gpuSecond is the exact price of one GPU for one second.
func (s *segment) gpuSecond(month int64) *big.Rat {
	price := s.theRate().Price.Rat()
	if s.owed == 0 {
		return price.Quo(price, big.NewRat(3600, 1))
	}
	all := new(big.Int).Mul(big.NewInt(s.owed), big.NewInt(month))
	return price.Quo(price, new(big.Rat).SetInt(all))
}

// gpus are slots, or slot-seconds, as GPUs, or GPU-seconds.
func (s *segment) gpus(slots int64) int64 { return slots * int64(s.theTranche().GPUsANode()) }

// deliveredSeconds is the slot-seconds that were delivered and not given back.
func (s *segment) deliveredSeconds() int64 {
	return s.slots*(s.to-s.from) - s.usage[undelivered] - s.usage[returned]
}

// rowSet is a set of changes, by their index. The zero value is empty.
type rowSet struct {
	bits []uint64
}

func (r *rowSet) add(row int32, rows int) {
	if row < 0 {
		return
	}
	if r.bits == nil {
		r.bits = make([]uint64, (rows+63)/64)
	}
	r.bits[row/64] |= 1 << (row % 64)
}
