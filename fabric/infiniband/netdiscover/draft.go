package netdiscover

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
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
// Nodes are told by the descriptions of their adapters, or by the names that
// o.Names has for their GUIDs: the host's name is the first word, and rails are in
// the order of the numbers that the rest ends in ("mlx5_0", "HCA-1"), then of ports.
// Nodes have as many rails as most of the cabled hosts' ports say, at most eight.
// Hosts under the same leaves are a scalable unit, and a node is in the same port of
// every leaf. What is not so becomes a note with its line, and is left out.
func Draft(files string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	d := &draft.Draft{}
	given := names{}
	if o.Names != "" {
		text, err := read(o.Names)
		if err != nil {
			return nil, err
		}
		given = readNames(d, o.Names, text)
	}
	var bases []string
	var refused error
	for _, part := range strings.Split(files, ",") {
		fabric, file, named := strings.Cut(part, "=")
		if !named {
			fabric, file = "ib", part
		}
		err := one(file, fabric, read, given, d, o)
		if err == nil {
			bases = append(bases, path.Base(file))
			continue
		}
		refused = cmp.Or(refused, err)
		at := &Error{file, 0, strings.TrimPrefix(err.Error(), "open "+file+": ")}
		errors.As(err, &at)
		d.Note(at.File, at.Line, "%s: fabric %s is left out", at.What, fabric)
	}
	if len(d.Fabrics) == 0 {
		return nil, refused
	}
	d.From = strings.Join(bases, ", ") + " (ibnetdiscover)"
	d.Remark("cables above the leaves are not taken over: how many spines and cores there are is for a person to fill in, under shape")
	d.Remark("an ibnetdiscover file does not say in which hall a node stands, nor what is in it: halls and kinds are for a person to fill in")
	return d, nil
}

// one drafts one subnet.
func one(file, fabric string, read draft.Reader, given names, d *draft.Draft, o draft.Options) error {
	text, err := read(file)
	if err != nil {
		return err
	}
	var t *Topology
	if isPorts(text) {
		t, err = ports(file, text)
	} else {
		t, err = parse(file, text, true)
	}
	if err != nil {
		return err
	}
	t.complete(text)
	given.apply(t)
	t.mend(d)
	s := reading{t: t, d: d, o: o, fabric: fabric}
	return s.draft()
}

// mend leaves out what a lenient reading passed over and cables that can't be, with a
// note each.
func (t *Topology) mend(d *draft.Draft) {
	for _, f := range t.faults {
		d.Note(f.File, f.Line, "%s: passed over", f.What)
	}
	if t.early != nil {
		t.early.note(t, d)
	}
	bad := map[*Link]bool{}
	t.check(func(f *Error, at *Link) {
		if !bad[at] {
			d.Note(f.File, f.Line, "%s: the cable is left out", f.What)
		}
		bad[at] = true
	})
	for _, n := range t.Nodes {
		kept := n.Links[:0:0]
		for i := range n.Links {
			if !bad[&n.Links[i]] {
				kept = append(kept, n.Links[i])
			}
		}
		n.Links = kept
	}
}

// rail is one cabled port of a host.
type rail struct {
	name    string // of the adapter, such as mlx5_0
	adapter int    // the number that the adapter's name ends in; -1: none
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

// reading is one file on its way into a draft.
type reading struct {
	t      *Topology
	d      *draft.Draft
	o      draft.Options
	fabric string
}

func (s *reading) note(line int, format string, args ...any) {
	s.d.Note(s.t.File, line, format, args...)
}

func (s *reading) draft() error {
	t := s.t
	if !slices.ContainsFunc(t.Nodes, func(n *Node) bool { return n.Kind == Switch }) {
		if t.early.ends() {
			return &Error{t.File, t.early.last, t.early.String()}
		}
		return &Error{t.File, t.Nodes[0].Line, "no switch in it: hosts are cabled to each other, and a site has a leaf switch for every rail: run ibnetdiscover on a host of the subnet that the switches are in"}
	}
	before := len(s.d.Notes)
	hosts := s.hosts()
	count := s.rails(hosts)
	if count == 0 {
		hint := "expected adapters that are described as \"HOST mlx5_0\" or \"HOST HCA-1\"; where they are not, give their names with --names FILE, a line GUID \"HOST mlx5_0\" each, as ibnetdiscover --node-name-map has them"
		if !s.o.Hosts.All() || !s.o.RailPorts.All() {
			hint = "--hosts and --rails leave none"
		}
		return s.none("no host of it has a cabled port that could be a rail: "+hint, before)
	}
	units := s.units(hosts, count)
	if len(units) == 0 {
		return s.none(fmt.Sprintf("no host of it has %d rails in %d leaves, a leaf each", count, count), before)
	}
	at := len(s.d.Fabrics)
	s.d.Fabrics = append(s.d.Fabrics, draft.Fabric{Name: s.fabric, Family: site.InfiniBand, Rails: count})
	var list []draft.Unit
	for _, u := range units {
		unit := draft.Unit{Leaves: u.leaves, Name: t.Node(u.leaves[0]).Description}
		for _, h := range u.hosts {
			ports := make([]uint64, len(h.rails))
			for i, r := range h.rails {
				ports[i] = r.guid
			}
			unit.Hosts, unit.Ports, unit.At = append(unit.Hosts, h.name), append(unit.Ports, ports), append(unit.At, h.rails[0].link.PeerPort)
		}
		if unit.At[len(unit.At)-1] == len(unit.At) {
			unit.At = nil
		}
		list = append(list, unit)
	}
	const most = 99 // units of a pod
	hall := draft.Hall{Name: "hall-" + s.fabric}
	for number := 1; len(list) > 0; number++ {
		n := min(most, len(list))
		p := draft.Pod{Name: s.fabric, Fabric: at, Units: list[:n]}
		if len(units) > most {
			p.Name = fmt.Sprintf("%s%d", s.fabric, number)
		}
		hall.Pods = append(hall.Pods, p)
		list = list[n:]
	}
	s.d.Halls = append(s.d.Halls, hall)
	return nil
}

// none refuses a file of which no host is left. Notes are not printed then: the last of
// them, if there are more than before, says in the error why.
func (s *reading) none(what string, before int) error {
	line := 1
	if notes := s.d.Notes[before:]; len(notes) > 0 {
		last := notes[len(notes)-1]
		line = last.Line
		what += fmt.Sprintf("; the last reason of %d: %s", len(notes), last.Reason)
	}
	if s.t.early.ends() {
		line, what = s.t.early.last, s.t.early.String()+". As it is, "+what
	}
	return &Error{s.t.File, line, what}
}

// hosts puts adapters together by the name of their host. What is no host is noted.
func (s *reading) hosts() (order []*host) {
	t := s.t
	byName := map[string]*host{}
	var others []string // that --hosts does not name
	othersLine := 0
	for _, n := range t.Nodes {
		switch {
		case n.Kind == Router:
			s.note(n.Line, "router %s is not taken over: a label must not be rewritten on the way, so isolation is proven for one subnet at a time", n.label())
			continue
		case n.Kind != CA:
			continue
		case strings.Contains(n.Description, "Aggregation Node"):
			s.note(n.Line, "%s is a switch's own adapter (SHARP): left out", n.label())
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(n.Description), " ")
		if name == "" {
			s.note(n.Line, "adapter 0x%016x has no description, so its host is not known: left out; --names FILE gives it a name", n.GUID)
			continue
		}
		if factory.MatchString(n.Description) {
			s.note(n.Line, "adapter %s has the factory's description, so its host is not known: left out; --names FILE gives it a name", n.label())
			continue
		}
		if !s.o.Hosts.Has(name) {
			if others = append(others, name); len(others) == 1 {
				othersLine = n.Line
			}
			continue
		}
		h := byName[strings.ToLower(name)]
		if h == nil {
			h = &host{name: name, line: n.Line}
			byName[strings.ToLower(name)] = h
			order = append(order, h)
		}
		rest = strings.TrimSpace(rest)
		for i := range n.Links {
			l := &n.Links[i]
			guid := l.PortGUID
			if guid == 0 {
				guid = n.GUID + uint64(l.Port)
			}
			h.rails = append(h.rails, rail{rest, adapterNumber(rest), guid, l})
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		others = slices.Compact(others)
		s.note(othersLine, "hosts that --hosts does not name are left out, %d of them (%s)", len(others), few(others))
	}
	for _, h := range order {
		slices.SortStableFunc(h.rails, func(a, b rail) int {
			return cmp.Or(cmp.Compare(a.adapter, b.adapter), draft.CompareNames(a.name, b.name), cmp.Compare(a.link.Port, b.link.Port),
				draft.CompareNames(s.leafName(a), s.leafName(b)), cmp.Compare(a.link.Peer, b.link.Peer))
		})
	}
	return order
}

func (s *reading) leafName(r rail) string {
	if n := s.t.Node(r.link.Peer); n != nil {
		return n.Description
	}
	return ""
}

// factory tells descriptions that adapters have before anybody names their host.
var factory = regexp.MustCompile(`(?i)^(MT\d{3,}|ConnectX|InfiniHost|Mellanox|NVIDIA|BlueField|localhost\b|QLE\d|QLogic|HFI|HCA\b|mlx\d_\d)|Mellanox Technologies`)

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
