package site

import (
	"maps"
	"slices"
)

// Snapshot returns the site as it is now, to be read while the site itself goes
// on growing. What only grows at its end is shared, what is changed in place is
// copied: dates, retired nodes, the numbers of SUs and pods. So it costs what
// halls and SUs cost, not what nodes do: see BenchmarkSnapshot.
//
// Take it where nobody grows the site. A snapshot must not be grown, and has no
// index of node ids, serials and port ids: Lookup and PortByID find
// nothing in it.
func (s *Site) Snapshot() *Site {
	c := *s
	c.Halls, c.Phases = slices.Clone(s.Halls), slices.Clone(s.Phases)
	c.retired = s.retired.Clone()
	c.sus, c.pods = maps.Clone(s.sus), maps.Clone(s.pods)
	c.nodes, c.serials, c.ports = nil, nil, nil
	return &c
}
