package reckoning

import "slices"

// Sightings are from when to when devices were looked at, as the ledger says.
type Sightings struct {
	Since   int64               // from here on it says so
	Fabrics map[string][]string // that each lease runs on, beside its nodes
	Looked  []Sighting
}

// Sighting is a stretch, both ends of which belong to it.
type Sighting struct {
	Fabric      string // "": the nodes
	From, Until int64
}

// interval is a time in which something holds.
type interval struct{ from, to int64 }

// covered says whether a lease was looked at from one instant to another.
func (s *Sightings) covered(lease string, from, to int64) bool {
	for _, what := range append([]string{""}, s.Fabrics[lease]...) {
		if !slices.ContainsFunc(s.Looked, func(k Sighting) bool { return k.Fabric == what && k.From <= from && to <= k.Until }) {
			return false
		}
	}
	return true
}

// counting lists the stretches before an instant in which a lease's silence counts as an
// outage by the owner, ascending.
func (s *Sightings) counting(versions []*version, lease string, until int64) (out []interval) {
	if s == nil || until <= s.Since {
		return nil
	}
	// Between two marks a lease is looked at throughout, or at no instant.
	marks := []int64{s.Since, until}
	for _, k := range s.Looked {
		marks = append(marks, k.From, k.Until)
	}
	slices.Sort(marks)
	quiet := int64(-1) // since when it is silent
	for n, at := range marks {
		if at < s.Since || at > until {
			continue
		}
		if quiet >= 0 && (at == until || s.covered(lease, at, at)) {
			if turns := graceOver(versions, quiet, at); turns < at {
				out = append(out, interval{turns, at})
			}
			quiet = -1
		}
		if at < until && at < marks[n+1] && quiet < 0 && !s.covered(lease, at, marks[n+1]) {
			quiet = at
		}
	}
	return out
}

// graceOver is from when a silence counts; its end where it never does.
func graceOver(versions []*version, from, to int64) int64 {
	turns := to
	for i, v := range versions {
		begins, ends := v.from, v.to
		if i == 0 {
			begins = from
		}
		if i == len(versions)-1 {
			ends = to
		}
		if begins = max(begins, from); begins < min(ends, to) && v.Unknown.Then == "down-owner" {
			turns = min(turns, begins+span(v.Unknown.Grace))
		}
	}
	return turns
}

// listen cuts a slot's life where silence begins or ends to count, and says of each
// stretch since when it is an outage by the owner, by word or by silence.
func (s *slot) listen(silences []interval) {
	if len(silences) == 0 {
		return
	}
	var life []stretch
	for _, st := range s.life {
		at := st.from
		piece := func(to int64, silent bool) {
			one := st
			one.from, one.to, one.silent = at, to, silent
			life, at = append(life, one), to
		}
		if st.said != "undelivered" && st.said != "returned" {
			for _, q := range silences {
				if a, z := max(q.from, at), min(q.to, st.to); a < z {
					if at < a {
						piece(a, false)
					}
					piece(z, true)
				}
			}
		}
		if at < st.to || st.from == st.to {
			piece(st.to, false)
		}
	}
	var before *stretch // the last that was down by the owner's fault
	for i := range life {
		st := &life[i]
		down := st.silent || st.counts == "down-owner"
		if !down || st.from == st.to {
			continue
		}
		switch {
		case before != nil && before.to == st.from && (before.silent || st.silent || st.since < st.from):
			st.down = before.down
		case st.counts == "down-owner":
			st.down = st.since
		default:
			st.down = st.from
		}
		before = st
	}
	s.life = life
}
