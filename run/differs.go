package run

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/site"
)

// differing is what of a leaf's configuration is not as desired although no check fails by
// it. It turns no verdict and is in no ledger: it is told with its age, and put back.
type differing struct {
	since   map[string]time.Time // when this writer saw each first, in the leaf's words
	written time.Time            // when the leaf was written last since something was new; zero: it was not
}

// Bounds of what differs.
const (
	// differingAtOnce is how many leaves are written in one round because of it: a read-back
	// that finds fault with half a site at once is more likely wrong than the site.
	differingAtOnce = 64
	maxDiffering    = 64 // lines that are told
)

// differ takes over what differs at a leaf that was read, and reports whether that begins
// or ends.
func (v *seen) differ(leaf site.Leaf, words []string, now time.Time) (begins, ends bool) {
	was := v.differs[leaf]
	if len(words) == 0 {
		delete(v.differs, leaf)
		return false, was != nil
	}
	is := &differing{since: map[string]time.Time{}}
	if was != nil {
		is.written = was.written
	}
	for _, w := range words {
		since, known := time.Time{}, false
		if was != nil {
			since, known = was.since[w]
		}
		if !known {
			since, is.written = now, time.Time{}
		}
		is.since[w] = since
	}
	v.differs[leaf] = is
	return was == nil, false
}

// rewrites are ports that read as wanted and are written all the same, one at each leaf of
// which something differs: a leaf puts back all of it whichever port is written. What a
// write does not mend is tried again a sweep later, and what is to be written anyway is
// left out.
func (v *seen) rewrites(s *book.State, planned []book.PortWork, now time.Time) (again []book.PortWork) {
	if len(v.differs) == 0 || s.Control.Adopted || s.Control.Recovering || s.Control.Doubt != nil || s.Control.Brake != nil || s.PausedAt("") || !v.Fresh() {
		return nil
	}
	written := map[site.Leaf]bool{}
	for _, w := range planned {
		written[v.site.LeafOf(w.Port)] = true
	}
	for _, leaf := range slices.Sorted(maps.Keys(v.differs)) {
		at := v.differs[leaf]
		if written[leaf] || !v.Readable(leaf) || !at.written.IsZero() && now.Sub(at.written) < s.Policy.Sweep {
			continue
		}
		for _, n := range v.site.SUs[leaf.SU()].Nodes {
			port := site.PortOf(n, leaf.NIC())
			if int(n) >= s.Site.Nodes() || !v.AsWanted(port) {
				continue
			}
			label, ok := s.Label(s.Site.FabricOf(port), n, s.Wants(n).Owner)
			if !ok || s.PausedAt(s.Site.Halls[s.Site.HallOf(n)].ID) {
				continue
			}
			again = append(again, book.PortWork{Port: port, Label: label, Owner: s.Wants(n).Owner, Again: true})
			break
		}
		if len(again) == differingAtOnce {
			break
		}
	}
	return again
}

// told is what differs, in words, with since when.
func (v *seen) told() (lines []string) {
	all := 0
	for _, leaf := range slices.Sorted(maps.Keys(v.differs)) {
		since := v.differs[leaf].since
		all += len(since)
		for _, w := range slices.Sorted(maps.Keys(since)) {
			if len(lines) < maxDiffering {
				lines = append(lines, fmt.Sprintf("%s: %s (since %s)", v.site.LeafID(leaf), w, since[w].UTC().Format(time.RFC3339)))
			}
		}
	}
	if all > len(lines) {
		lines = append(lines, fmt.Sprintf("... and %d more", all-len(lines)))
	}
	return lines
}

// Differing says how much differs from what is desired without any check that fails by it,
// and for how long the oldest of it does; 0 where nothing does.
func (p *Plane) Differing() (n int, oldest time.Duration) {
	now := p.config.Clock.Now()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	for _, at := range p.seen.differs {
		for _, since := range at.since {
			n++
			oldest = max(oldest, now.Sub(since))
		}
	}
	return n, oldest
}
