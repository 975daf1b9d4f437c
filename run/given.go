package run

import (
	"slices"
	"time"

	"bulkhead/site"
)

// given is what a port was written with in this tick, and by which change.
type given struct {
	value  uint32
	change uint64
}

// give notes that a port is written, by the change that is asked for now.
func (v *seen) give(port site.Port, value uint32, now time.Time) {
	v.given[port] = given{value, v.changes}
	if at := v.differs[v.site.LeafOf(port)]; at != nil {
		at.written = now
	}
}

// stayed looks at what was written before a look at its fabric was asked for. A port that
// reads as before is not given the same again in this tick: one look costs one write. It
// returns those that do so for the first time since they were as wanted.
func (v *seen) stayed(l look) (fresh []site.Port) {
	for port, g := range v.given {
		index := v.site.FabricOf(port)
		if index != l.index || g.change > l.changes {
			continue
		}
		if _, unsure := v.unsure[port]; unsure {
			continue // its reading counts for nothing
		}
		delete(v.given, port)
		if v.tables.Carries(port, v.site.Fabrics[index].Family, g.value) {
			continue
		}
		v.same[port] = g.value
		if !v.unmended[port] {
			v.unmended[port] = true
			fresh = append(fresh, port)
		}
	}
	slices.Sort(fresh)
	return fresh
}

// Unmended counts the ports that were written and read back as before, and do so still.
func (p *Plane) Unmended() int {
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	return len(p.seen.unmended)
}
