package netdiscover

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"bulkhead/site"
	"bulkhead/site/draft"
)

// leftPort is what becomes of the port of an adapter that is no rail. Who is in the subnet
// and not in the inventory is a stranger to the posture (opensm.Edge.Census).
const leftPort = "a site has no rail for storage (it is reached over the frontend), so its switch port stays as it is: nothing is leased, written or proven there, " +
	"and while it is in one subnet with the rails the posture names it and nothing is handed over: give it a subnet of its own"

// rails keeps of every host the ports that are rails and returns how many a node has:
// what gives the most ports in all, at most eight. Others are noted, together
// where they have one name.
func (s *reading) rails(hosts []*host) int {
	doubt := s.doubts(hosts)
	type left struct {
		line  int
		hosts []string
		why   string
	}
	out := map[string]*left{}
	var order []string
	leave := func(h *host, r rail, why string) {
		name := cmp.Or(r.name, fmt.Sprintf("port %d", r.link.Port))
		key := name + why
		if out[key] == nil {
			out[key] = &left{line: r.link.Line, why: fmt.Sprintf(why, name)}
			order = append(order, key)
		}
		if l := out[key]; !slices.Contains(l.hosts, h.name) {
			l.hosts = append(l.hosts, h.name)
		}
	}
	for _, h := range hosts {
		before := len(h.rails)
		if !s.o.RailPorts.All() {
			h.rails = slices.DeleteFunc(h.rails, func(r rail) bool {
				meant := s.o.RailPorts.Has(r.name, fmt.Sprintf("%s/%d", r.name, r.link.Port))
				if !meant {
					leave(h, r, "%s is none of the rails that --rails names: left out")
				}
				return !meant
			})
			continue
		}
		for len(h.rails) > 1 {
			worst := len(h.rails) - 1
			for i, r := range slices.Backward(h.rails) {
				if doubt[r.link.Peer] > doubt[h.rails[worst].link.Peer] {
					worst = i
				}
			}
			switch d := doubt[h.rails[worst].link.Peer]; {
			case d >= named && d > doubt[h.rails[0].link.Peer], d >= shared && !usual(len(h.rails)) && d > doubt[h.rails[0].link.Peer]:
				why := "by its name"
				if d < named {
					why = "as hosts with few ports are under it too"
				}
				leave(h, h.rails[worst], "%s is under a switch that seems to be no leaf of the compute fabric, "+why+" ("+strings.ReplaceAll(s.t.Node(h.rails[worst].link.Peer).label(), "%", "%%")+"): left out; --rails says which ports are meant")
			case len(h.rails) > site.Rails:
				leave(h, h.rails[worst], fmt.Sprintf("%%s is one of %d cabled ports, and a node has at most %d rails: left out; --rails says which ports are meant", before, site.Rails))
			default:
				worst = -1
			}
			if worst < 0 {
				break
			}
			h.rails = slices.Delete(h.rails, worst, worst+1)
		}
	}
	selected := ""
	if !s.o.RailPorts.All() {
		selected = fmt.Sprintf("the selector is --rails %s; ", s.o.RailPorts)
	}
	for _, key := range order {
		l := out[key]
		s.note(l.line, "%s (%s); %s%s", l.why, few(l.hosts), selected, leftPort)
	}
	ports := map[int]int{}
	lost := s.t.early.lost()
	for _, h := range hosts {
		n := len(h.rails)
		if more := n + lost[strings.ToLower(h.name)]; more <= site.Rails && s.o.RailPorts.All() {
			n = more
		}
		if n <= site.Rails {
			ports[n] += n
		}
	}
	count := 0
	for n := 1; n <= site.Rails; n++ {
		if ports[n] > 0 && ports[n] >= ports[count] {
			count = n
		}
	}
	if count > 0 && !usual(count) && s.o.RailPorts.All() {
		s.d.Remark("fabric %s: nodes have %d cabled ports, which are taken as %d rails; where some are not, say which are with --rails", s.fabric, count, count)
	}
	return count
}

// usual are the numbers of rails that nodes are built with.
func usual(rails int) bool { return rails == 1 || rails == 2 || rails == 4 || rails == 8 }

// How much speaks against a switch being a leaf of the compute fabric.
const (
	crooked = 1 // hosts are in another port of it than of their other switches
	shared  = 2 // hosts with fewer than half of the usual ports are under it
	named   = 4 // its name says something else
)

var elsewhere = regexp.MustCompile(`(?i)stor|nas\d|mgmt|manage|front|service|login`)

// doubts weighs the switches that hosts are cabled to.
func (s *reading) doubts(hosts []*host) map[uint64]int {
	most := 0
	for _, h := range hosts {
		most = max(most, len(h.rails))
	}
	doubt := map[uint64]int{}
	small, straight, all := map[uint64]bool{}, map[uint64]int{}, map[uint64]int{}
	for _, h := range hosts {
		ports := map[int]int{}
		usually := 0
		for _, r := range h.rails {
			if ports[r.link.PeerPort]++; ports[r.link.PeerPort] > ports[usually] {
				usually = r.link.PeerPort
			}
		}
		for _, r := range h.rails {
			all[r.link.Peer]++
			if r.link.PeerPort == usually {
				straight[r.link.Peer]++
			}
			if 2*len(h.rails) < most {
				small[r.link.Peer] = true
			}
		}
	}
	for guid, n := range all {
		if 2*straight[guid] < n {
			doubt[guid] += crooked
		}
		if small[guid] {
			doubt[guid] += shared
		}
		if leaf := s.t.Node(guid); leaf != nil && elsewhere.MatchString(leaf.Description) {
			doubt[guid] += named
		}
	}
	return doubt
}

// few lists names, the rest as a number.
func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more hosts", strings.Join(names[:most], ", "), len(names)-most)
}

// units puts hosts under the same leaves together, by the ports of the leaves. A host
// that does not fit is noted. Of units that want the same leaf the one with the most
// hosts has it.
func (s *reading) units(hosts []*host, count int) []*unit {
	groups := map[string]*unit{}
	var units []*unit
	for _, h := range hosts {
		leaves, fits := s.fits(h, count)
		if !fits {
			continue
		}
		key := fmt.Sprint(leaves)
		u := groups[key]
		if u == nil {
			u = &unit{leaves: leaves}
			groups[key] = u
			units = append(units, u)
		}
		u.hosts = append(u.hosts, h)
	}
	slices.SortStableFunc(units, func(a, b *unit) int { return len(b.hosts) - len(a.hosts) })
	taken := map[uint64]*unit{}
	var out []*unit
	for _, u := range units {
		at := slices.IndexFunc(u.leaves, func(leaf uint64) bool { return taken[leaf] != nil })
		if at >= 0 {
			other := taken[u.leaves[at]].hosts[0]
			for _, h := range u.hosts {
				s.note(h.line, "host %s is under other leaves than %s (line %d), or in another order: left out; expected the same for all hosts of a leaf", h.name, other.name, other.line)
			}
			continue
		}
		for _, leaf := range u.leaves {
			taken[leaf] = u
		}
		slices.SortStableFunc(u.hosts, func(a, b *host) int { return a.rails[0].link.PeerPort - b.rails[0].link.PeerPort })
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b *unit) int { return draft.CompareNames(a.hosts[0].name, b.hosts[0].name) })
	return out
}

// fits returns the leaves of a host's rails, or notes why it is no node.
func (s *reading) fits(h *host, count int) (leaves []uint64, fits bool) {
	if len(h.rails) != count {
		var names []string
		for _, r := range h.rails {
			names = append(names, cmp.Or(r.name, fmt.Sprintf("port %d", r.link.Port)))
		}
		has := "none"
		if len(names) > 0 {
			has = strings.Join(names, ", ")
		}
		s.note(h.line, "host %s has %d cabled ports, a node of the site %d: it is left out, and its leaf ports count as unknown; it has %s: if it is a node, cable the others and discover the subnet again", h.name, len(h.rails), count, has)
		return nil, false
	}
	for i, r := range h.rails {
		first := h.rails[0].link
		switch {
		case r.link.PeerKind != Switch:
			s.note(r.link.Line, "rail %d of host %s is cabled to a %s, expected a leaf switch: the host is left out", i, h.name, r.link.PeerKind)
		case slices.Contains(leaves, r.link.Peer):
			s.note(r.link.Line, "rails %d and %d of host %s are in one leaf, expected a leaf for each: the host is left out", slices.Index(leaves, r.link.Peer), i, h.name)
		case r.link.PeerPort != first.PeerPort:
			s.note(r.link.Line, "rail %d of host %s is in port %d of its leaf, and rail 0 in port %d (line %d): the host is left out; a node is expected in the same port of every leaf",
				i, h.name, r.link.PeerPort, first.PeerPort, first.Line)
		case r.link.PeerPort > site.MaxSUNodes:
			s.note(r.link.Line, "host %s is in port %d of its leaf, expected at most %d: the host is left out", h.name, r.link.PeerPort, site.MaxSUNodes)
		default:
			leaves = append(leaves, r.link.Peer)
			continue
		}
		return nil, false
	}
	return leaves, true
}
