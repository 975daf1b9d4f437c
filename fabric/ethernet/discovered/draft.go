package discovered

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"bulkhead/site"
	"bulkhead/site/draft"
)

const (
	maxLeaves = 1 << 14
)

// DraftLLDP drafts a site from LLDP dumps of its compute leaves: files is a list
// LEAF=FILE,LEAF=FILE; or @FILE, which has such a list, an entry a line.
//
// Nodes have as many rails as most of the hosts' ports say, at most eight, each to a
// leaf of its own. Rails are in the order of its ports' names. Hosts under the same
// leaves are a scalable unit, and a node is in the same port of every leaf. What is
// not so becomes a note with its line, and is left out. Where every port says its MAC,
// the drafted site has these.
func DraftLLDP(files string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	return draftOf(files, "lldpctl", read, LLDP, o)
}

// DraftSONiC is the same from the config_db.json of SONiC leaves, whose
// DEVICE_NEIGHBOR names the neighbours. The VNIs that are configured become notes.
func DraftSONiC(files string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	return draftOf(files, "SONiC", read, SONiC, o)
}

func draftOf(files, program string, read draft.Reader, decode func(name, file string, data []byte) (*Leaf, error), o draft.Options) (*draft.Draft, error) {
	list, err := entries(files, read)
	if err != nil {
		return nil, err
	}
	f := &fabricFiles{first: list[0].file, o: o}
	names := map[string]string{}
	var refused error
	for _, e := range list {
		data, err := read(e.file)
		if err != nil {
			why := strings.TrimPrefix(err.Error(), "open "+e.file+": ")
			err = &Error{e.file, 0, "", why}
			if e.line > 0 {
				err = &Error{e.list, e.line, e.file, why}
			}
			refused = cmp.Or(refused, err)
			f.leftOut(err)
			continue
		}
		name := e.leaf
		if name == "" && program == "lldpctl" {
			name, _, _ = strings.Cut(path.Base(e.file), ".")
		}
		l, err := decode(name, e.file, data)
		if err != nil {
			refused = cmp.Or(refused, err)
			f.leftOut(err)
			continue
		}
		if other, twice := names[l.Name]; twice {
			f.note(l, l.Line, "leaf %s is in %s already: this file is left out, expected one a leaf", l.Name, other)
			continue
		}
		names[l.Name] = e.file
		f.leaves = append(f.leaves, l)
	}
	if len(f.leaves) == 0 {
		return nil, refused
	}
	d, err := f.draft()
	if err != nil {
		return nil, err
	}
	d.From = fmt.Sprintf("%d leaves' files, the first %s (%s)", len(list), path.Base(f.first), program)
	return d, nil
}

// leftOut notes a leaf of whose file nothing can be taken.
func (f *fabricFiles) leftOut(err error) {
	var at *Error
	if errors.As(err, &at) {
		f.notes = append(f.notes, draft.Note{File: at.File, Line: at.Line, Reason: strings.TrimPrefix(at.Where+": ", ": ") + at.What + ": the leaf is left out"})
	}
}

type entry struct {
	leaf, file string
	list       string // that names it, and its line there; 0: the command line does
	line       int
}

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
		leaf, file = strings.TrimSpace(leaf), strings.TrimSpace(file)
		if listed != "" && !path.IsAbs(file) {
			file = path.Join(path.Dir(listed), file)
		}
		if file == "" || len(out) == maxLeaves {
			return nil, &Error{cmp.Or(listed, files), i + 1, "", fmt.Sprintf("expected LEAF=FILE, at most %d of them", maxLeaves)}
		}
		e := entry{leaf: leaf, file: file}
		if listed != "" {
			e.list, e.line = listed, i+1
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, &Error{cmp.Or(listed, files), 0, "", "no files: expected LEAF=FILE, ..."}
	}
	return out, nil
}

// fabricFiles is what all leaves' files say together.
type fabricFiles struct {
	first   string
	leaves  []*Leaf
	o       draft.Options
	notes   []draft.Note
	remarks []string
	numbers map[string]int // of port names, where they have one
}

func (f *fabricFiles) note(l *Leaf, line int, format string, args ...any) {
	f.notes = append(f.notes, draft.Note{File: l.File, Line: line, Reason: fmt.Sprintf(format, args...)})
}

func (f *fabricFiles) remark(format string, args ...any) {
	f.remarks = append(f.remarks, fmt.Sprintf(format, args...))
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
	bgp := 0
	for _, l := range f.leaves {
		f.notes = append(f.notes, l.Notes...)
		bgp += l.BGP
	}
	if bgp > 0 {
		f.remark("%d BGP neighbours: addresses of the underlay are not taken over, they follow from the site's own plan", bgp)
	}
	f.standIns()
	hosts := f.hosts()
	count := f.rails(hosts)
	hosts = f.nodes(hosts, count)
	f.number(hosts)
	units := f.units(hosts, count)
	if len(units) == 0 {
		hint := "expected the dumps of all leaves of a scalable unit"
		switch {
		case !f.o.Hosts.All() || !f.o.RailPorts.All():
			hint = "--hosts and --rails leave none"
		case count > 0:
			hint = fmt.Sprintf("hosts have %d rails here, and each is left out for a reason of its own", count)
		}
		why := ""
		if len(f.notes) > 0 {
			why = fmt.Sprintf("; the last reason of %d: %s", len(f.notes), f.notes[len(f.notes)-1])
		}
		return nil, &Error{f.first, 0, "", "no host under these leaves could be a node: " + hint + why}
	}
	macs := f.identities(units)
	d := &draft.Draft{Fabrics: []draft.Fabric{{Name: "roce", Family: site.RoCE, Rails: count}}}
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
				unit.At = append(unit.At, f.position(h.rails[0]))
				if macs {
					ports := make([]uint64, count)
					for i, r := range h.rails {
						ports[i] = r.link.MAC
					}
					unit.Ports = append(unit.Ports, ports)
				}
			}
			f.places(u, &unit, macs)
			p.Units = append(p.Units, unit)
		}
		hall.Pods = append(hall.Pods, p)
	}
	d.Halls = []draft.Hall{hall}
	f.vnis(units)
	d.Notes = f.notes
	d.Remarks = append(f.remarks, "cables above the leaves are not taken over: how many spines and cores there are is for a person to fill in, under shape")
	return d, nil
}

// places keeps in which leaf ports the hosts of a unit are, where a site can have them:
// with identities, in ports that have a number. Otherwise positions stand for ports.
func (f *fabricFiles) places(u *unit, unit *draft.Unit, macs bool) {
	at := unit.At
	unit.At = nil
	plain := true
	for i, port := range at {
		if port < 1 || port > site.MaxSUNodes || i > 0 && port <= at[i-1] {
			return // the order is all that is known, and a remark says so
		}
		plain = plain && port == i+1
	}
	switch r := u.hosts[0].rails[0]; {
	case plain:
	case macs:
		unit.At = at
	default:
		f.note(r.leaf, r.link.Line, "the ports of leaf %s are not 1, 2, ... without a gap, and addresses are made up: nodes are taken in the order of their ports", r.leaf.Name)
	}
}

// standIns gives names to what is behind the ports of leaves that name no neighbour:
// a host for every port number, the same on all leaves.
func (f *fabricFiles) standIns() {
	named := slices.ContainsFunc(f.leaves, func(l *Leaf) bool { return len(l.Links) > 0 })
	if named || len(f.leaves) > site.Rails {
		for _, l := range f.leaves {
			if len(l.Links) == 0 {
				f.note(l, 0, "it names no neighbour (DEVICE_NEIGHBOR): its ports are left out; LLDP dumps of the leaves say who is there (--format lldp)")
			}
		}
		return
	}
	for _, l := range f.leaves {
		if len(l.Access) == 0 {
			continue
		}
		f.note(l, l.Access[0].Line, "it names no neighbour (DEVICE_NEIGHBOR): its %d ports that are up are taken, as a node each under a made-up name; LLDP dumps of the leaves say who is there (--format lldp)", len(l.Access))
		for _, k := range l.Access {
			k.Host = "port-" + k.Port
			l.Links = append(l.Links, k)
		}
	}
}

// The neighbour of a port that has several is the host whose NIC it is: not a card
// in it that speaks as well, and one that says its port's MAC; then whom more leaves
// hear. The others are notes.
func (f *fabricFiles) neighbour(l *Leaf, all []*Link, heard map[string]int) *Link {
	best := slices.MinFunc(all, func(a, b *Link) int {
		order := func(yes bool) int { return map[bool]int{true: 0, false: 1}[yes] }
		return cmp.Or(order(f.o.Hosts.Has(a.Host))-order(f.o.Hosts.Has(b.Host)), order(!a.DPU)-order(!b.DPU),
			order(a.MAC != 0)-order(b.MAC != 0), heard[b.Host]-heard[a.Host], a.Line-b.Line)
	})
	for _, k := range all {
		if k == best {
			continue
		}
		why := "one neighbour is expected; is there a hub or a bridge between?"
		switch {
		case f.o.Hosts.Has(best.Host) && !f.o.Hosts.Has(k.Host):
			why = "--hosts names " + best.Host
		case k.DPU && !best.DPU:
			why = k.Host + " is a card in a host (a DPU), whose NIC's own address is at the same port"
		case k.MAC == 0 && best.MAC != 0:
			why = k.Host + " does not say the MAC of its port"
		}
		address := ""
		if best.MAC != 0 {
			address = " with MAC " + macText(best.MAC)
		}
		f.note(l, k.Line, "port %s has a second neighbour, %s: left out, %s%s (line %d) is taken: %s", k.Port, k.Host, best.Host, address, best.Line, why)
	}
	return best
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
	var others []string // that --hosts does not name
	var othersAt rail   // the first of them
	switches := map[string]bool{}
	heard := map[string]int{}
	for _, l := range f.leaves {
		for i := range l.Links {
			heard[l.Links[i].Host]++
		}
	}
	for _, l := range f.leaves {
		at := map[string][]*Link{}
		var ports []string
		for i := range l.Links {
			k := &l.Links[i]
			if leaf[k.Host] || switchPort(k.NIC) {
				switches[k.Host] = true
				continue
			}
			if at[k.Port] == nil {
				ports = append(ports, k.Port)
			}
			at[k.Port] = append(at[k.Port], k)
		}
		for _, port := range ports {
			k := f.neighbour(l, at[port], heard)
			if !f.o.Hosts.Has(k.Host) {
				if others = append(others, k.Host); len(others) == 1 {
					othersAt = rail{l, k}
				}
				continue
			}
			h := byName[k.Host]
			if h == nil {
				h = &host{name: k.Host}
				byName[k.Host] = h
				order = append(order, h)
			}
			h.rails = append(h.rails, rail{l, k})
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		others = slices.Compact(others)
		f.note(othersAt.leaf, othersAt.link.Line, "hosts that --hosts does not name are left out, %d of them, the first %s", len(others), others[0])
	}
	for _, h := range order {
		if switches[h.name] {
			f.note(h.rails[0].leaf, h.rails[0].link.Line, "%s is a switch by some of its ports: left out", h.name)
			continue
		}
		slices.SortStableFunc(h.rails, func(a, b rail) int {
			return cmp.Or(draft.CompareNames(a.link.NIC, b.link.NIC), draft.CompareNames(a.leaf.Name, b.leaf.Name))
		})
		nodes = append(nodes, h)
	}
	return nodes
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
		f.remarks = append(f.remarks, fmt.Sprintf("%d MACs are at two ports (%v): addresses are made up", len(twice), twice[0]))
	case missing == all:
		f.remarks = append(f.remarks, "no port says its MAC: addresses are made up")
	case missing > 0:
		f.remarks = append(f.remarks, fmt.Sprintf("%d of %d ports do not say their MAC: all addresses are made up", missing, all))
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
		f.remarks = append(f.remarks, text)
	}
}
