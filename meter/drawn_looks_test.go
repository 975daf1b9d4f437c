package meter

import (
	"slices"
	"time"

	"bulkhead/contract"
	"bulkhead/reckoning"
)

// drawnLooks is when devices were looked at, in the order in which the ledger says it.
type drawnLooks struct {
	since   time.Time
	fabrics map[string][]string // by lease
	looked  []Look
}

// looks draws when the nodes and two fabrics were looked at, with silences of seconds to
// days, looks of an instant, and looks that go on with the one before. nil: the ledger
// does not say.
func (d *drawer) looks(versions []*contract.Contract, events []Event) *drawnLooks {
	if d.chance(40) {
		return nil
	}
	begin, end := versions[0].Begin, versions[len(versions)-1].End
	w := &drawnLooks{since: begin.Add(time.Duration(d.IntN(20*86400)-5*86400) * time.Second), fabrics: map[string][]string{}}
	for _, e := range events {
		if _, known := w.fabrics[e.Lease]; !known {
			w.fabrics[e.Lease] = pick(d, []string{}, []string{"ib"}, []string{"roce", "ib"})
		}
	}
	for _, fabric := range []string{"", "ib", "roce"} {
		for at := w.since; at.Before(end); {
			from := at.Add(time.Duration(pick(d, 0, 0, 1, 600, d.IntN(1200), d.IntN(8000), d.IntN(40000), d.IntN(2*86400))) * time.Second)
			if next := nextAfter(from, events); d.chance(30) && next.Before(from.Add(3*24*time.Hour)) {
				from = next // the first look finds what has happened
			}
			at = from.Add(time.Duration(pick(d, 0, 1+d.IntN(3600), d.IntN(2*86400), d.IntN(9*86400), d.IntN(9*86400))) * time.Second)
			w.looked = append(w.looked, Look{fabric, from, at})
		}
	}
	slices.SortStableFunc(w.looked, func(a, b Look) int { return a.Until.Compare(b.Until) })
	return w
}

// nextAfter is when the next event after an instant says something.
func nextAfter(at time.Time, events []Event) time.Time {
	next := at.Add(1000 * time.Hour)
	for _, e := range events {
		if e.At.After(at) && e.At.Before(next) {
			next = e.At
		}
	}
	return next
}

// first is the first so many of all looks, as the meter folds them and as the second
// reckoning is told them.
func (w *drawnLooks) first(n int) (*Looks, *reckoning.Sightings, error) {
	folded := &Looks{}
	told := &reckoning.Sightings{Since: w.since.Unix(), Fabrics: w.fabrics}
	if err := folded.Add(1000, w.since, Observed{Since: w.since, WithinS: 60}); err != nil {
		return nil, nil, err
	}
	for i, l := range w.looked[:n] {
		if err := folded.Add(uint64(1001+i), l.Until, Observed{WithinS: 60, Looks: []Look{l}}); err != nil {
			return nil, nil, err
		}
		told.Looked = append(told.Looked, reckoning.Sighting{Fabric: l.Fabric, From: l.From.Unix(), Until: l.Until.Unix()})
	}
	return folded, told, nil
}
