package discovered

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

const (
	maxProblems = 50
	maxLeaves   = 1 << 14
)

// DraftLLDP drafts a site from LLDP dumps of its compute leaves: files is a list
// LEAF=FILE,LEAF=FILE; or @FILE, which has such a list, an entry a line.
//
// A host is a node of the site if it has eight neighbouring leaves, one port each.
// Rails are in the order of its ports' names. Hosts under the same leaves are a
// scalable unit, and a node's position is the number of its leaf port, the same on
// every rail; a fabric that is cabled otherwise is refused by line. Where every
// port says its MAC, the drafted site has these.
func DraftLLDP(files string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	return draftOf(files, "lldpctl", read, LLDP)
}

// DraftSONiC is the same from the config_db.json of SONiC leaves, whose
// DEVICE_NEIGHBOR names the neighbours. The VNIs that are configured become notes.
func DraftSONiC(files string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	return draftOf(files, "SONiC", read, SONiC)
}

func draftOf(files, program string, read draft.Reader, decode func(name, file string, data []byte) (*Leaf, error)) (*draft.Draft, error) {
	list, err := entries(files, read)
	if err != nil {
		return nil, err
	}
	f := &fabricFiles{first: list[0].file}
	names := map[string]string{}
	for _, e := range list {
		data, err := read(e.file)
		if err != nil {
			return nil, err
		}
		name := e.leaf
		if name == "" && program == "lldpctl" {
			name, _, _ = strings.Cut(path.Base(e.file), ".")
		}
		l, err := decode(name, e.file, data)
		if err != nil {
			return nil, err
		}
		if other, twice := names[l.Name]; twice {
			return nil, &Error{e.file, l.Line, "", fmt.Sprintf("leaf %s is in %s already: expected one file a leaf", l.Name, other)}
		}
		names[l.Name] = e.file
		f.leaves = append(f.leaves, l)
	}
	d, err := f.draft()
	if err != nil {
		return nil, err
	}
	d.From = fmt.Sprintf("%d leaves' files, the first %s (%s)", len(list), path.Base(f.first), program)
	return d, nil
}

type entry struct{ leaf, file string }

func entries(files string, read draft.Reader) (out []entry, err error) {
	parts := strings.Split(files, ",")
	listed := ""
	if name, ok := strings.CutPrefix(files, "@"); ok {
		text, err := read(name)
		if err != nil {
			return nil, err
		}
		parts, listed = strings.Split(string(text), "\n"), name
	}
	for i, p := range parts {
		if p = strings.TrimSpace(p); p == "" || strings.HasPrefix(p, "#") {
			continue
		}
		leaf, file, named := strings.Cut(p, "=")
		if !named {
			leaf, file = "", p
		}
		if listed != "" && !path.IsAbs(file) {
			file = path.Join(path.Dir(listed), file)
		}
		if file == "" || len(out) == maxLeaves {
			return nil, &Error{cmp.Or(listed, files), i + 1, "", fmt.Sprintf("expected LEAF=FILE, at most %d of them", maxLeaves)}
		}
		out = append(out, entry{leaf, file})
	}
	if len(out) == 0 {
		return nil, &Error{cmp.Or(listed, files), 0, "", "no files: expected LEAF=FILE, ..."}
	}
	return out, nil
}

// fabricFiles is what all leaves' files say together.
type fabricFiles struct {
	first    string
	leaves   []*Leaf
	problems []error
	notes    []string
	numbers  map[string]int // of port names, where they have one
}

func (f *fabricFiles) fail(l *Leaf, line int, format string, args ...any) {
	if len(f.problems) < maxProblems {
		f.problems = append(f.problems, &Error{l.File, line, "", fmt.Sprintf(format, args...)})
	}
}

// rail is one port of a host.
type rail struct {
	leaf *Leaf
	link *Link
}

type host struct {
	name  string
	rails []rail
}

type unit struct {
	leaves []*Leaf
	hosts  []*host
}

func (f *fabricFiles) draft() (*draft.Draft, error) {
	for _, l := range f.leaves {
		f.notes = append(f.notes, l.Notes...)
	}
	hosts := f.hosts()
	f.number(hosts)
	units := f.units(hosts)
	if err := errors.Join(f.problems...); err != nil {
		return nil, err
	}
	if len(units) == 0 {
		return nil, &Error{f.first, 0, "", "no host has eight neighbouring leaves among these files: expected the dumps of all eight leaves of a scalable unit"}
	}
	macs := f.identities(units)
	d := &draft.Draft{Fabrics: []draft.Fabric{{Name: "roce", Family: site.RoCE}}}
	const most = 99 // units of a pod
	hall := draft.Hall{Name: "hall-roce"}
	for number := 0; number*most < len(units); number++ {
		p := draft.Pod{Name: "roce"}
		if len(units) > most {
			p.Name = fmt.Sprintf("roce%d", number+1)
		}
		for _, u := range units[number*most : min(len(units), (number+1)*most)] {
			unit := draft.Unit{Name: u.leaves[0].Name}
			for _, h := range u.hosts {
				unit.Hosts = append(unit.Hosts, h.name)
				if macs {
					ports := make([]uint64, site.Rails)
					for i, r := range h.rails {
						ports[i] = r.link.MAC
					}
					unit.Ports = append(unit.Ports, ports)
				}
			}
			p.Units = append(p.Units, unit)
		}
		hall.Pods = append(hall.Pods, p)
	}
	d.Halls = []draft.Hall{hall}
	f.vnis(units)
	d.Notes = append(f.notes, "cables above the leaves are not taken over: spines and their number are those of the shape")
	return d, nil
}

// switchPort tells a switch's port by its name: SONiC's, Cumulus', Juniper's and
// Cisco's. What a neighbour says of its capabilities does not tell: a host that
// forwards for its containers says that it is a router.
func switchPort(name string) bool {
	for _, prefix := range []string{"Ethernet", "swp", "etp", "ge-", "xe-", "et-"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return true
		}
	}
	return false
}

// hosts puts links together by the neighbour's name.
func (f *fabricFiles) hosts() (nodes []*host) {
	leaf := map[string]bool{}
	for _, l := range f.leaves {
		leaf[l.Name] = true
	}
	byName := map[string]*host{}
	var order []*host
	switches := map[string]bool{}
	for _, l := range f.leaves {
		at := map[string]*Link{}
		for i := range l.Links {
			k := &l.Links[i]
			if leaf[k.Host] || switchPort(k.NIC) {
				switches[k.Host] = true
				continue
			}
			if other := at[k.Port]; other != nil {
				f.fail(l, k.Line, "port %s has two neighbours, %s and %s (line %d): expected one, is there a hub or a bridge between?", k.Port, other.Host, k.Host, other.Line)
				continue
			}
			at[k.Port] = k
			h := byName[k.Host]
			if h == nil {
				h = &host{name: k.Host}
				byName[k.Host] = h
				order = append(order, h)
			}
			h.rails = append(h.rails, rail{l, k})
		}
	}
	for _, h := range order {
		if switches[h.name] {
			f.notes = append(f.notes, fmt.Sprintf("%s is a switch by some of its ports: left out", h.name))
			continue
		}
		slices.SortStableFunc(h.rails, func(a, b rail) int {
			return cmp.Or(compareNames(a.link.NIC, b.link.NIC), compareNames(a.leaf.Name, b.leaf.Name))
		})
		if first := h.rails[0]; len(h.rails) != site.Rails {
			f.notes = append(f.notes, fmt.Sprintf("%s:%d: host %s has %d ports at these leaves, a node of the site %d: it is left out, and its leaf ports count as unknown",
				first.leaf.File, first.link.Line, h.name, len(h.rails), site.Rails))
			continue
		}
		nodes = append(nodes, h)
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
		f.notes = append(f.notes, "the names of leaf ports have more than one number in them: their order is taken for their numbers, and a port that is left free is not seen")
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
func (f *fabricFiles) units(hosts []*host) []*unit {
	var units []*unit
	byLeaf := map[*Leaf]*unit{}
	for _, h := range hosts {
		leaves := make([]*Leaf, site.Rails)
		fits := true
		for i, r := range h.rails {
			if k := slices.Index(leaves[:i], r.leaf); k >= 0 {
				f.fail(r.leaf, r.link.Line, "rails %d and %d of host %s are in one leaf: expected a leaf for each", k, i, h.name)
				fits = false
			}
			leaves[i] = r.leaf
			if first := h.rails[0]; r.link.Port != first.link.Port {
				f.fail(r.leaf, r.link.Line, "rail %d of host %s is in port %s of its leaf, and rail 0 in port %s (%s:%d): a node is expected in the same port of every leaf",
					i, h.name, r.link.Port, first.link.Port, first.leaf.File, first.link.Line)
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
			for i, l := range leaves {
				if byLeaf[l] != nil {
					f.fail(l, h.rails[i].link.Line, "rail %d of host %s is in a leaf of another scalable unit", i, h.name)
				}
				byLeaf[l] = u
			}
		} else if !slices.Equal(u.leaves, leaves) {
			f.fail(h.rails[0].leaf, h.rails[0].link.Line, "host %s is under other leaves than %s, or its ports are in another order: expected the same for all hosts of a leaf", h.name, u.hosts[0].name)
			continue
		}
		u.hosts = append(u.hosts, h)
	}
	for _, u := range units {
		slices.SortFunc(u.hosts, func(a, b *host) int {
			x, y := a.rails[0], b.rails[0]
			return cmp.Or(cmp.Compare(f.position(x), f.position(y)), compareNames(x.link.Port, y.link.Port))
		})
		for i, h := range u.hosts {
			if r := h.rails[0]; f.position(r) != i+1 && (r.leaf.Ports != nil || f.numbers != nil) {
				f.fail(r.leaf, r.link.Line, "host %s is in port %s of %s, which is its port %d, and no node in port %d: expected nodes in ports 1, 2, ... without a gap", h.name, r.link.Port, r.leaf.Name, f.position(r), i+1)
				break
			}
		}
	}
	slices.SortFunc(units, func(a, b *unit) int { return compareNames(a.hosts[0].name, b.hosts[0].name) })
	return units
}

// identities reports whether every port of every node says its MAC, each once.
func (f *fabricFiles) identities(units []*unit) bool {
	missing, all := 0, 0
	seen := map[uint64]rail{}
	var twice []error
	for _, u := range units {
		for _, h := range u.hosts {
			for _, r := range h.rails {
				if all++; r.link.MAC == 0 {
					missing++
				} else if other, known := seen[r.link.MAC]; known {
					twice = append(twice, fmt.Errorf("%s:%d and %s:%d", other.leaf.File, other.link.Line, r.leaf.File, r.link.Line))
				} else {
					seen[r.link.MAC] = r
				}
			}
		}
	}
	switch {
	case len(twice) > 0:
		f.notes = append(f.notes, fmt.Sprintf("%d MACs are at two ports (%v): addresses are made up", len(twice), twice[0]))
	case missing == all:
		f.notes = append(f.notes, "no port says its MAC: addresses are made up")
	case missing > 0:
		f.notes = append(f.notes, fmt.Sprintf("%d of %d ports do not say their MAC: all addresses are made up", missing, all))
	}
	return len(twice) == 0 && missing == 0
}

// vnis notes which VNIs are there, and at which nodes.
func (f *fabricFiles) vnis(units []*unit) {
	type vniUse struct {
		leaves, ports int
		nodes         map[string]bool
	}
	uses := map[uint32]*vniUse{}
	for _, u := range units {
		for _, l := range u.leaves {
			at := map[string]string{}
			for _, h := range u.hosts {
				for _, r := range h.rails {
					if r.leaf == l {
						at[r.link.Port] = h.name
					}
				}
			}
			for _, v := range l.VNIs {
				p := uses[v.VNI]
				if p == nil {
					p = &vniUse{nodes: map[string]bool{}}
					uses[v.VNI] = p
				}
				p.leaves++
				for _, port := range v.Ports {
					if name := at[port]; name != "" {
						p.ports++
						p.nodes[name] = true
					}
				}
			}
		}
	}
	var values []uint32
	for v := range uses {
		values = append(values, v)
	}
	slices.Sort(values)
	for _, v := range values {
		text := fmt.Sprintf("VNI %d is configured on %d leaves, at %d ports of %d nodes: a server with --observe finds and keeps what the leaves really carry", v, uses[v].leaves, uses[v].ports, len(uses[v].nodes))
		if v <= 4094 {
			text += "; its number could be a VLAN's, so ports with it will not be proven"
		}
		f.notes = append(f.notes, text)
	}
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
