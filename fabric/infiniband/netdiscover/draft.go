package netdiscover

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"bulkhead/site"
	"bulkhead/site/draft"
)

// Draft reads the subnets of a site, each from a file that ibnetdiscover made, and
// drafts the site: files is one file, or several with the name of each one's
// fabric, as in "east=east.net,west=west.net".
//
// Nodes are told by the descriptions of their adapters: the host's name is the
// first word, and rails are in the order of the numbers that the rest ends in
// ("mlx5_0", "HCA-1"), then of ports. A host with other than eight cabled ports is
// none of the site's nodes and becomes a note. Hosts under the same eight leaves
// are a scalable unit, and a node's position is the number of its leaf port, which
// is the same on every rail; a subnet that is cabled otherwise is refused by line.
func Draft(files string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	d := &draft.Draft{}
	var names []string
	for _, part := range strings.Split(files, ",") {
		fabric, file, named := strings.Cut(part, "=")
		if !named {
			fabric, file = "ib", part
		}
		text, err := read(file)
		if err != nil {
			return nil, err
		}
		t, err := Parse(file, text)
		if err != nil {
			return nil, err
		}
		if err := t.Check(); err != nil {
			return nil, err
		}
		names = append(names, path.Base(file))
		if err := t.draft(d, fabric); err != nil {
			return nil, err
		}
	}
	d.From = strings.Join(names, ", ") + " (ibnetdiscover)"
	d.Notes = append(d.Notes, "cables above the leaves are not taken over: spines and their number are those of the shape",
		"an ibnetdiscover file does not say in which hall a node stands, nor what is in it")
	return d, nil
}

// rail is one cabled port of a host.
type rail struct {
	adapter int // the number that the adapter's name ends in; -1: none
	guid    uint64
	link    *Link
}

// host is what the adapters of one host come to.
type host struct {
	name  string
	line  int
	rails []rail
}

// unit is the hosts under the same leaves.
type unit struct {
	leaves []uint64
	hosts  []*host
}

func (t *Topology) draft(d *draft.Draft, fabric string) error {
	hosts, others := t.hosts()
	for _, text := range others {
		d.Notes = append(d.Notes, fabric+": "+text)
	}
	units, err := t.units(hosts)
	if err != nil {
		return err
	}
	if len(units) == 0 {
		return &Error{t.File, 1, "no host has eight cabled ports: expected adapters described as \"HOST mlx5_0\" or \"HOST HCA-1\""}
	}
	at := len(d.Fabrics)
	d.Fabrics = append(d.Fabrics, draft.Fabric{Name: fabric, Family: site.InfiniBand})
	pod := draft.Pod{Name: fabric, Fabric: at}
	for _, u := range units {
		unit := draft.Unit{Leaves: u.leaves}
		if leaf := t.Node(u.leaves[0]); leaf.Description != "" {
			unit.Name = leaf.Description
		}
		for _, h := range u.hosts {
			ports := make([]uint64, len(h.rails))
			for i, r := range h.rails {
				ports[i] = r.guid
			}
			unit.Hosts, unit.Ports = append(unit.Hosts, h.name), append(unit.Ports, ports)
		}
		pod.Units = append(pod.Units, unit)
	}
	const most = 99 // units of a pod
	hall := draft.Hall{Name: "hall-" + fabric}
	for number := 1; len(pod.Units) > 0; number++ {
		n := min(most, len(pod.Units))
		p := draft.Pod{Name: pod.Name, Fabric: at, Units: pod.Units[:n]}
		if len(units) > most {
			p.Name = fmt.Sprintf("%s%d", pod.Name, number)
		}
		hall.Pods = append(hall.Pods, p)
		pod.Units = pod.Units[n:]
	}
	d.Halls = append(d.Halls, hall)
	return nil
}

// hosts puts adapters together by the name of their host. What is no node of the
// site is returned in words.
func (t *Topology) hosts() (nodes []*host, others []string) {
	byName := map[string]*host{}
	var order []*host
	for _, n := range t.Nodes {
		switch {
		case n.Kind == Router:
			others = append(others, fmt.Sprintf("line %d: router %s is not taken over: a label must not be rewritten on the way, so isolation is proven for one subnet at a time", n.Line, n.label()))
			continue
		case n.Kind != CA:
			continue
		case strings.Contains(n.Description, "Aggregation Node"):
			others = append(others, fmt.Sprintf("line %d: %s is a switch's own adapter (SHARP)", n.Line, n.label()))
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(n.Description), " ")
		if name == "" {
			others = append(others, fmt.Sprintf("line %d: adapter 0x%016x has no description", n.Line, n.GUID))
			continue
		}
		h := byName[name]
		if h == nil {
			h = &host{name: name, line: n.Line}
			byName[name] = h
			order = append(order, h)
		}
		for i := range n.Links {
			l := &n.Links[i]
			guid := l.PortGUID
			if guid == 0 {
				guid = n.GUID + uint64(l.Port)
			}
			h.rails = append(h.rails, rail{adapterNumber(rest), guid, l})
		}
	}
	for _, h := range order {
		slices.SortStableFunc(h.rails, func(a, b rail) int {
			return cmp.Or(cmp.Compare(a.adapter, b.adapter), cmp.Compare(a.link.Port, b.link.Port))
		})
		if len(h.rails) != site.Rails {
			others = append(others, fmt.Sprintf("line %d: host %s has %d cabled ports, a node of the site %d: it is left out, and its leaf ports count as unknown", h.line, h.name, len(h.rails), site.Rails))
			continue
		}
		nodes = append(nodes, h)
	}
	return nodes, others
}

// adapterNumber is the number that an adapter's name ends in: 3 of "mlx5_3", -1 if
// there is none.
func adapterNumber(name string) int {
	name = strings.TrimSpace(name)
	digits := len(name)
	for digits > 0 && name[digits-1] >= '0' && name[digits-1] <= '9' {
		digits--
	}
	n, err := strconv.Atoi(name[digits:])
	if err != nil {
		return -1
	}
	return n
}

// units puts hosts under the same leaves together, by position.
func (t *Topology) units(hosts []*host) ([]*unit, error) {
	var units []*unit
	byLeaf := map[uint64]*unit{}
	var problems []error
	fail := func(line int, format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, &Error{t.File, line, fmt.Sprintf(format, args...)})
		}
	}
	for _, h := range hosts {
		leaves := make([]uint64, site.Rails)
		fits := true
		for i, r := range h.rails {
			leaves[i] = r.link.Peer
			if r.link.PeerKind != Switch {
				fail(r.link.Line, "rail %d of host %s is cabled to a %s, expected a leaf switch", i, h.name, r.link.PeerKind)
				fits = false
			} else if first := h.rails[0].link; r.link.PeerPort != first.PeerPort {
				fail(r.link.Line, "rail %d of host %s is in port %d of its leaf, and rail 0 in port %d (line %d): a node is expected in the same port of every leaf",
					i, h.name, r.link.PeerPort, first.PeerPort, first.Line)
				fits = false
			}
			if slices.Contains(leaves[:i], leaves[i]) {
				fail(r.link.Line, "rails %d and %d of host %s are in one leaf: expected a leaf for each", slices.Index(leaves, leaves[i]), i, h.name)
				fits = false
			}
		}
		if !fits {
			continue
		}
		u := byLeaf[leaves[0]]
		if u == nil {
			u = &unit{leaves: leaves}
			units = append(units, u)
			for i, leaf := range leaves {
				if byLeaf[leaf] != nil {
					fail(h.rails[i].link.Line, "rail %d of host %s is in a leaf of another scalable unit", i, h.name)
				}
				byLeaf[leaf] = u
			}
		} else if !slices.Equal(u.leaves, leaves) {
			fail(h.line, "host %s is under other leaves than %s (line %d), or in another order: expected the same for all hosts of a leaf", h.name, u.hosts[0].name, u.hosts[0].line)
			continue
		}
		u.hosts = append(u.hosts, h)
	}
	for _, u := range units {
		slices.SortFunc(u.hosts, func(a, b *host) int { return a.rails[0].link.PeerPort - b.rails[0].link.PeerPort })
		for i, h := range u.hosts {
			if got := h.rails[0].link.PeerPort; got != i+1 {
				fail(h.rails[0].link.Line, "host %s is in port %d of %s, and no node in port %d: expected nodes in ports 1, 2, ... without a gap", h.name, got, t.Node(u.leaves[0]).label(), i+1)
				break
			}
		}
	}
	slices.SortFunc(units, func(a, b *unit) int { return compareNames(a.hosts[0].name, b.hosts[0].name) })
	return units, errors.Join(problems...)
}

// compareNames orders names with numbers in them as people do: n2 before n10.
func compareNames(a, b string) int {
	for a != "" && b != "" {
		i, j := digits(a), digits(b)
		if i > 0 && j > 0 {
			x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[i:], b[j:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
