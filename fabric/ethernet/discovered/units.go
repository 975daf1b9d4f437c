package discovered

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bulkhead/site"
	"bulkhead/site/draft"
)

var elsewhere = regexp.MustCompile(`(?i)stor|nas\d|mgmt|manage|front|service|login`)

// leftPort is a port that is no rail, and of which adapter, of however many hosts.
type leftPort struct {
	nic  string
	leaf *Leaf
	why  string
}

type leftOut struct {
	leftPort
	line  int // of the first
	hosts []string
}

// rails keeps of every host the ports that are rails, and returns how many a node has:
// what gives the most ports in all, at most eight.
func (f *fabricFiles) rails(hosts []*host) int {
	ports := map[int]int{}
	out := map[leftPort]*leftOut{}
	var order []*leftOut
	for _, h := range hosts {
		before := len(h.rails)
		leave := func(i int, why string) {
			r := h.rails[i]
			key := leftPort{cmp.Or(r.link.NIC, "a port"), r.leaf, why}
			if out[key] == nil {
				out[key] = &leftOut{leftPort: key, line: r.link.Line}
				order = append(order, out[key])
			}
			out[key].hosts = append(out[key].hosts, h.name)
			h.rails = slices.Delete(h.rails, i, i+1)
		}
		for i := len(h.rails) - 1; i >= 0; i-- {
			switch r := h.rails[i]; {
			case !f.o.RailPorts.Has(r.link.NIC):
				leave(i, fmt.Sprintf("--rails %s does not name it", f.o.RailPorts))
			case f.o.RailPorts.All() && elsewhere.MatchString(r.leaf.Name) && !elsewhere.MatchString(h.rails[0].leaf.Name):
				leave(i, "its switch seems to be no leaf of the compute fabric; --rails says which ports are meant")
			}
		}
		for len(h.rails) > site.Rails {
			leave(len(h.rails)-1, fmt.Sprintf("the host has %d ports, and a node at most %d rails; --rails says which ports are meant", before, site.Rails))
		}
		ports[len(h.rails)] += len(h.rails)
	}
	for _, l := range order {
		const most = 4
		hosts := strings.Join(l.hosts[:min(most, len(l.hosts))], ", ")
		if more := len(l.hosts) - most; more > 0 {
			hosts += fmt.Sprintf(" and %d more", more)
		}
		f.note(l.leaf, l.line, "%s, at leaf %s, is left out (%s): %s; a site has no rail for storage (it is reached over the frontend), so this port stays as it is: nothing is leased, written or proven there",
			l.nic, l.leaf.Name, hosts, l.why)
	}
	count := 0
	for n := 1; n <= site.Rails; n++ {
		if ports[n] > 0 && ports[n] >= ports[count] {
			count = n
		}
	}
	return count
}

// nodes notes hosts with another number of rails.
func (f *fabricFiles) nodes(hosts []*host, count int) (nodes []*host) {
	for _, h := range hosts {
		if len(h.rails) == count && count > 0 {
			nodes = append(nodes, h)
			continue
		}
		l, line := f.leaves[0], 0
		if len(h.rails) > 0 {
			l, line = h.rails[0].leaf, h.rails[0].link.Line
		}
		f.note(l, line, "host %s has %d ports at these leaves, a node of the site %d: it is left out, and its leaf ports count as unknown; if it is a node, see that each of its ports speaks LLDP to a leaf whose file is given", h.name, len(h.rails), count)
	}
	return nodes
}

// number finds what number a port name stands for: its rank where the file lists
// all ports; else the number that it ends in, in steps of what SONiC counts lanes
// by. Names with more than one number in them (break-outs) have none: then the
// rank among the ports with hosts counts.
func (f *fabricFiles) number(hosts []*host) {
	step, plain := 0, true
	names := map[string]int{}
	for _, h := range hosts {
		for _, r := range h.rails {
			prefix := strings.TrimRight(r.link.Port, "0123456789")
			n, err := strconv.Atoi(r.link.Port[len(prefix):])
			if err != nil || strings.ContainsAny(prefix, "0123456789") || n > 1<<16 {
				plain = false
				continue
			}
			names[r.link.Port] = n
			if strings.EqualFold(prefix, "Ethernet") {
				for a := n; a != 0; {
					step, a = a, step%a
				}
			}
		}
	}
	f.numbers = names
	if !plain {
		f.numbers = nil
		f.remark("the names of leaf ports have more than one number in them: their order is taken for their numbers, and a port that is left free is not seen")
		return
	}
	for name, n := range names {
		if strings.HasPrefix(strings.ToLower(name), "ethernet") {
			names[name] = n/max(1, step) + 1
		}
	}
}

// position is the number of a host's port at its first rail; 0 where it has none.
func (f *fabricFiles) position(r rail) int {
	if r.leaf.Ports != nil {
		return slices.Index(r.leaf.Ports, r.link.Port) + 1
	}
	return f.numbers[r.link.Port]
}

// units puts hosts under the same leaves together, by position.
func (f *fabricFiles) units(hosts []*host, count int) []*unit {
	var units []*unit
	first := map[*Leaf][]*unit{} // by their first leaf
	for _, h := range hosts {
		leaves, fits := f.fits(h, count)
		if !fits {
			continue
		}
		var u *unit
		for _, other := range first[leaves[0]] {
			if slices.Equal(other.leaves, leaves) {
				u = other
			}
		}
		if u == nil {
			u = &unit{leaves: leaves}
			first[leaves[0]] = append(first[leaves[0]], u)
			units = append(units, u)
		}
		u.hosts = append(u.hosts, h)
	}
	// Of units that want the same leaf the one with the most hosts has it.
	slices.SortStableFunc(units, func(a, b *unit) int { return len(b.hosts) - len(a.hosts) })
	taken := map[*Leaf]*unit{}
	var out []*unit
	for _, u := range units {
		if at := slices.IndexFunc(u.leaves, func(l *Leaf) bool { return taken[l] != nil }); at >= 0 {
			other := taken[u.leaves[at]].hosts[0]
			for _, h := range u.hosts {
				f.note(h.rails[0].leaf, h.rails[0].link.Line, "host %s is under other leaves than %s, or its ports are in another order: left out; expected the same for all hosts of a leaf", h.name, other.name)
			}
			continue
		}
		for _, l := range u.leaves {
			taken[l] = u
		}
		slices.SortStableFunc(u.hosts, func(a, b *host) int {
			x, y := a.rails[0], b.rails[0]
			return cmp.Or(cmp.Compare(f.position(x), f.position(y)), draft.CompareNames(x.link.Port, y.link.Port))
		})
		for hosts := range slices.Chunk(u.hosts, site.MaxSUNodes) {
			if len(hosts) < len(u.hosts) && len(out) > 0 && out[len(out)-1].leaves[0] == u.leaves[0] {
				r := hosts[0].rails[0]
				f.note(r.leaf, r.link.Line, "leaf %s has more than %d hosts: host %s and those behind it are left out", r.leaf.Name, site.MaxSUNodes, hosts[0].name)
				break
			}
			out = append(out, &unit{u.leaves, hosts})
		}
	}
	slices.SortFunc(out, func(a, b *unit) int { return draft.CompareNames(a.hosts[0].name, b.hosts[0].name) })
	return out
}

// fits returns the leaves of a host's rails, or notes why it is no node.
func (f *fabricFiles) fits(h *host, count int) (leaves []*Leaf, fits bool) {
	for i, r := range h.rails {
		first := h.rails[0]
		switch k := slices.Index(leaves, r.leaf); {
		case k >= 0:
			f.note(r.leaf, r.link.Line, "rails %d and %d of host %s are in one leaf, expected a leaf for each: the host is left out", k, i, h.name)
		case r.link.Port != first.link.Port:
			f.note(r.leaf, r.link.Line, "rail %d of host %s is in port %s of its leaf, and rail 0 in port %s (%s:%d): the host is left out; a node is expected in the same port of every leaf",
				i, h.name, r.link.Port, first.link.Port, first.leaf.File, first.link.Line)
		default:
			leaves = append(leaves, r.leaf)
			continue
		}
		return nil, false
	}
	return leaves, len(leaves) == count
}
