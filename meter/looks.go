package meter

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Looks is what one log says of when devices were looked at, folded from its
// Observed entries. The zero value says nothing: what was last reported holds then,
// as it did before there were such entries.
type Looks struct {
	Since   time.Time            `json:"since,omitzero"` // from here on, what nobody looked at is unknown
	First   uint64               `json:"first,omitempty"`
	Newest  uint64               `json:"newest,omitempty"`
	WithinS int64                `json:"within_s,omitempty"` // the most that two looks of one interval are apart
	BehindS int64                `json:"behind_s,omitempty"` // the most that the log is behind the looks
	Seen    map[string][]Stretch `json:"seen,omitempty"`     // by fabric; of the nodes under ""
}

// Stretch is an interval without silence, with the entries that began and ended it.
type Stretch struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	First uint64    `json:"first"`
	Last  uint64    `json:"last"`
}

// maxApartS is ten days: what is looked at more rarely is not looked at.
const maxApartS = 10 * 24 * 3600

// Add folds an entry of the log, which was written at an instant. What an entry may
// not say is an error: an interval of the future, one before the log began to say, or
// one over a time that is over.
func (l *Looks) Add(entry uint64, at time.Time, o Observed) error {
	first := l.Since.IsZero()
	switch {
	case first == o.Since.IsZero():
		return fmt.Errorf("since: %s: it is in the first such entry of a scope, and in no other", o.Since.Format(time.RFC3339))
	case first && o.Since.After(at):
		return fmt.Errorf("since: %s is after the entry itself", o.Since.Format(time.RFC3339))
	case o.WithinS < 1 || o.WithinS > maxApartS:
		return fmt.Errorf("within_s: %d: expected the most seconds between two looks, 1 to %d", o.WithinS, maxApartS)
	case o.BehindS < 0 || o.BehindS > maxApartS:
		return fmt.Errorf("behind_s: %d: expected by how many seconds the log is behind, up to %d", o.BehindS, maxApartS)
	}
	since := l.Since
	if first {
		since = o.Since
	}
	end := map[string]time.Time{}
	for i, look := range o.Looks {
		last, known := end[look.Fabric]
		if !known {
			if last = since; len(l.Seen[look.Fabric]) > 0 {
				last = l.Until(look.Fabric)
			}
		}
		if look.From.Before(last) || look.Until.Before(look.From) || look.Until.After(at) {
			return fmt.Errorf("looks[%d]: from %s until %s: expected a stretch after %s that was over at %s", i,
				look.From.Format(time.RFC3339), look.Until.Format(time.RFC3339), last.Format(time.RFC3339), at.Format(time.RFC3339))
		}
		end[look.Fabric] = look.Until
	}
	if first {
		l.Since, l.First = o.Since, entry
	}
	l.Newest, l.WithinS, l.BehindS = entry, max(l.WithinS, o.WithinS), o.BehindS
	for _, look := range o.Looks {
		seen := l.Seen[look.Fabric]
		if n := len(seen); n > 0 && seen[n-1].Until.Equal(look.From) {
			seen[n-1].Until, seen[n-1].Last = look.Until, entry
			continue
		}
		if l.Seen == nil {
			l.Seen = map[string][]Stretch{}
		}
		l.Seen[look.Fabric] = append(seen, Stretch{From: look.From, Until: look.Until, First: entry, Last: entry})
	}
	return nil
}

// Until is until when a fabric, or the nodes (""), were looked at; before the first
// look, since when it is missed.
func (l *Looks) Until(fabric string) time.Time {
	if seen := l.Seen[fabric]; len(seen) > 0 {
		return seen[len(seen)-1].Until
	}
	return l.Since
}

// Clone is a copy that later entries don't change.
func (l *Looks) Clone() *Looks {
	if l == nil {
		return nil
	}
	c := *l
	c.Seen = maps.Clone(l.Seen)
	for fabric, seen := range c.Seen {
		c.Seen[fabric] = slices.Clone(seen)
	}
	return &c
}

// Gap is a stretch in which nobody looked at something that slots run on.
type Gap struct {
	From, Until   time.Time
	What          []string // the fabrics, ascending; the nodes as "", before them
	Before, After uint64   // entries: until where the looks went, and where they go on; 0: they don't
}

// Gaps lists the stretches before an instant in which the nodes or one of the fabrics
// were not looked at, in whole seconds. Those that overlap are one: the silence goes on.
func (l *Looks) Gaps(fabrics []string, until time.Time) []Gap {
	if l == nil || l.Since.IsZero() {
		return nil
	}
	var gaps []Gap
	for _, fabric := range slices.Compact(slices.Sorted(slices.Values(append([]string{""}, fabrics...)))) {
		at, entry := l.Since, l.First
		gap := func(to time.Time, after uint64) {
			if to.After(until) {
				to, after = until, 0
			}
			if at.Unix() < to.Unix() {
				gaps = append(gaps, Gap{time.Unix(at.Unix(), 0).UTC(), time.Unix(to.Unix(), 0).UTC(), []string{fabric}, entry, after})
			}
		}
		for _, s := range l.Seen[fabric] {
			gap(s.From, s.First)
			at, entry = s.Until, s.Last
		}
		gap(until, 0)
	}
	slices.SortStableFunc(gaps, func(a, b Gap) int {
		return cmp.Or(a.From.Compare(b.From), a.Until.Compare(b.Until), cmp.Compare(a.What[0], b.What[0]))
	})
	merged := gaps[:0]
	for _, g := range gaps {
		if n := len(merged); n > 0 && g.From.Before(merged[n-1].Until) {
			last := &merged[n-1]
			last.What = slices.Compact(slices.Sorted(slices.Values(append(last.What, g.What...))))
			if g.Until.After(last.Until) {
				last.Until, last.After = g.Until, g.After
			}
			continue
		}
		merged = append(merged, g)
	}
	return merged
}

// Named says what nobody looked at.
func (g *Gap) Named() string {
	text := ""
	for _, fabric := range g.What {
		switch {
		case fabric == "":
			text = "the nodes"
		case text == "":
			text = "fabric " + fabric
		default:
			text += ", fabric " + fabric
		}
	}
	return text
}
