package slurm

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bulkhead/site"
	"bulkhead/site/draft"
	"bulkhead/site/hostlist"
)

// vertex is a switch or a block.
type vertex struct {
	at       fileLine
	nodesAt  fileLine // of the list of nodes
	name     string
	nodes    string // host list, "" = none
	children string // list of switches, "" = none

	shown  bool // a line as scontrol show topology prints it
	hosts  []string
	below  []*vertex
	parent *vertex
	seen   bool // on the way down from a root
}

// network is what a file says, in its order.
type network struct {
	switches []*vertex
	byName   map[string]*vertex
	blocks   []*vertex
	sizes    []int // of blocks: the base, then what is planned together
	sizesAt  fileLine
	waiting  []*vertex          // of topology.yaml: nothing is below them yet
	hostAt   map[string]*vertex // by name in lower case
	notes    []draft.Note       // what is left out
	hidden   []fileLine         // BlockName and SwitchName lines that are commented out
	selected draft.Selection    // hosts that are nodes of the site
	real     draft.Selection    // switches that are what they seem, whatever their names suggest
}

// note says what of a line is left out, and why.
func (n *network) note(at fileLine, format string, args ...any) {
	n.notes = append(n.notes, draft.Note{File: at.file, Line: at.line, Reason: fmt.Sprintf(format, args...)})
}

// addSwitch takes a switch with either nodes or children. The names of the two
// fields are for errors.
func (n *network) addSwitch(s *vertex, nodes, children string) error {
	if n.byName == nil {
		n.byName = map[string]*vertex{}
	}
	if other, twice := n.byName[s.name]; twice {
		n.note(s.at, "switch %s: left out, there is one of this name in line %d of %s already", s.name, other.at.line, other.at.file)
		return nil
	}
	if s.name == "" || strings.ContainsAny(s.name, "[],") {
		n.note(s.at, "switch %.60q: left out, expected the name of one switch", s.name)
		return nil
	}
	switch {
	case s.nodes != "" && s.children != "":
		// scontrol show topology repeats above what is below.
		if !s.shown {
			n.note(s.at, "switch %s: both %s and %s: its %s are left out, a switch has either nodes or switches below it", s.name, nodes, children, nodes)
		}
		s.nodes = ""
	case s.nodes == "" && s.children == "":
		n.waiting = append(n.waiting, s)
	}
	if len(n.switches) == maxSwitches {
		return s.at.fail("more than %d switches: expected fewer in one file", maxSwitches)
	}
	if err := n.takeHosts(s, nodes); err != nil {
		return err
	}
	n.byName[s.name] = s
	n.switches = append(n.switches, s)
	return nil
}

// addBlock takes a block.
func (n *network) addBlock(b *vertex) error {
	for _, other := range n.blocks {
		if other.name == b.name {
			n.note(b.at, "block %s: left out, there is one of this name in line %d of %s already", b.name, other.at.line, other.at.file)
			return nil
		}
	}
	if b.nodes == "" {
		n.waiting = append(n.waiting, b)
		return nil
	}
	if len(n.blocks) == maxSwitches {
		return b.at.fail("more than %d blocks: expected fewer in one file", maxSwitches)
	}
	if err := n.takeHosts(b, "Nodes"); err != nil {
		return err
	}
	n.blocks = append(n.blocks, b)
	return nil
}

// takeHosts expands the nodes of a vertex. A node is in one place only: a site is
// a tree.
func (n *network) takeHosts(v *vertex, key string) error {
	if v.nodes == "" {
		return nil
	}
	hosts, err := expand(v.nodesAt, key, v.nodes)
	if err != nil {
		n.note(v.nodesAt, "%s: the nodes of %s are left out", reason(err), v.name)
		n.waiting = append(n.waiting, v)
		return nil
	}
	if n.hostAt == nil {
		n.hostAt = map[string]*vertex{}
	}
	var others []string
	for _, host := range hosts {
		switch other, twice := n.hostAt[strings.ToLower(host)]; {
		case twice && other == v:
			n.note(v.at, "node %s: it is under %s twice, and counts once", host, v.name)
		case twice:
			n.note(v.at, "node %s: it is under %s in line %d of %s already, and stays there: a node of a site is under one leaf", host, other.name, other.at.line, other.at.file)
		case !n.selected.Has(host):
			others = append(others, host)
		default:
			n.hostAt[strings.ToLower(host)] = v
			v.hosts = append(v.hosts, host)
		}
	}
	if len(others) > 0 {
		n.note(v.at, "%d nodes under %s are not named by --hosts: left out (%s)", len(others), v.name, short(others))
	}
	return nil
}

// short is a list of hosts, cut where it is long.
func short(hosts []string) string {
	const most = 60
	text := hostlist.Fold(hosts)
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// other tells by a host's name that it has no GPUs.
var other = regexp.MustCompile(`(?i)(^|[-_.])(login|cpu|head|mgmt|mgt|admin|master|ctl|control|controller|visu?|dtn|bastion|jump|scheduler|storage|nfs|oss|mds)(\d|[-_.]|$)`)

// leaveOthers leaves out hosts whose names say that they have no GPUs, where nobody
// said which hosts are meant and others are left.
func (n *network) leaveOthers(all []*vertex) {
	if !n.selected.All() || !slices.ContainsFunc(all, func(v *vertex) bool {
		return slices.ContainsFunc(v.hosts, func(h string) bool { return !other.MatchString(h) })
	}) {
		return
	}
	for _, v := range all {
		var kept, gone []string
		for _, h := range v.hosts {
			if other.MatchString(h) {
				gone = append(gone, h)
				delete(n.hostAt, strings.ToLower(h))
			} else {
				kept = append(kept, h)
			}
		}
		if len(gone) > 0 {
			n.note(v.at, "%d nodes under %s have names of hosts without GPUs: left out (%s); --hosts says which hosts are meant", len(gone), v.name, short(gone))
		}
		v.hosts = kept
	}
}

// units are the hosts of a vertex as scalable units.
func (n *network) units(v *vertex) (out []draft.Unit) {
	if len(v.hosts) > site.MaxSUNodes {
		n.note(v.at, "%d nodes under %s, and a scalable unit has at most %d: they are in several, whose borders mean nothing", len(v.hosts), v.name, site.MaxSUNodes)
	}
	for hosts := range slices.Chunk(v.hosts, site.MaxSUNodes) {
		out = append(out, draft.Unit{Name: v.name, Hosts: hosts})
	}
	return out
}

// setSizes takes the planning sizes of blocks: each a power of two times the base.
func (n *network) setSizes(at fileLine, words []string) {
	if n.sizes != nil {
		n.note(at, "BlockSizes: passed over, they are in line %d of %s already", n.sizesAt.line, n.sizesAt.file)
		return
	}
	for _, word := range words {
		size, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || size < 1 || size > site.MaxNodes {
			n.note(at, "BlockSizes: %.20q is passed over, expected numbers of nodes such as 18 or 4,16", word)
			continue
		}
		if n.sizes != nil {
			times, last := size/n.sizes[0], n.sizes[len(n.sizes)-1]
			if size%n.sizes[0] != 0 || times&(times-1) != 0 || size <= last {
				n.note(at, "BlockSizes: %d is passed over, expected more than %d and a power of two times the base size %d", size, last, n.sizes[0])
				continue
			}
		}
		n.sizes = append(n.sizes, size)
	}
	n.sizesAt = at
}

// link joins switches to those above them.
func (n *network) link() (roots []*vertex) {
	for _, s := range n.switches {
		if s.children == "" {
			continue
		}
		names, err := expand(s.at, "switches below "+s.name, s.children)
		if err != nil {
			n.note(s.at, "%s: nothing is below %s", reason(err), s.name)
			continue
		}
		for _, name := range names {
			child, ok := n.byName[name]
			switch {
			case !ok:
				n.note(s.at, "switch %s: %s is below it and is no switch of this file: left out", s.name, name)
			case child.parent != nil:
				n.note(s.at, "switch %s: %s is below it, and below %s in line %d of %s, where it stays: a site is a tree",
					s.name, name, child.parent.name, child.parent.at.line, child.parent.at.file)
			case child == s:
				n.note(s.at, "switch %s: it is below itself: passed over", s.name)
			default:
				child.parent = s
				s.below = append(s.below, child)
			}
		}
	}
	for _, s := range n.switches {
		if s.parent == nil {
			roots = append(roots, s)
		}
	}
	return roots
}

// maxHeight is how many switches may stand above each other: scalable unit, pod,
// hall, fabric.
const maxHeight = 4

// treeDraft makes fabric, hall, pod and scalable unit of the tree: a root is a
// fabric, since no job of Slurm spans two; a leaf switch is a scalable unit; the
// switch above a leaf is a pod, the one above that a hall.
func (n *network) treeDraft(from string, _ draft.Options) (*draft.Draft, error) {
	if len(n.switches) == 0 && len(n.notes) > 0 {
		return n.finish(&draft.Draft{From: from}, "switch")
	}
	if len(n.switches) == 0 {
		return nil, fmt.Errorf("%s: no SwitchName in it: nothing says where nodes are", from)
	}
	n.leaveOthers(n.switches)
	for _, s := range n.switches {
		n.real.Names(s.name) // it is there, whether its name would have made it another or not
	}
	t := &treeMaker{n: n, d: &draft.Draft{From: from}}
	for _, root := range n.tops(n.link()) {
		t.d.Fabrics = append(t.d.Fabrics, draft.Fabric{Name: root.name})
		t.walk(root, nil)
		if !t.used(len(t.d.Fabrics) - 1) {
			t.d.Fabrics = t.d.Fabrics[:len(t.d.Fabrics)-1] // no fabric, as long as it has no node
		}
	}
	for _, s := range n.switches {
		if !s.seen {
			n.note(s.at, "switch %s: left out, the switches above it go round in a circle", s.name)
		}
	}
	t.notes()
	return n.finish(t.d, "switch")
}

// unknown tells by its name a switch that gathers nodes of which nobody knows where they
// are, such as those that were powered down when the file was made.
var unknown = regexp.MustCompile(`(?i)(^|[^a-z])(unknown|no-?topology|unassigned|undefined|orphans?|powered-?down)([^a-z]|$)`)

// stand tells by its name a switch that is not there: Slurm wants one root.
var stand = regexp.MustCompile(`(?i)(^|[^a-z])(fake|dummy|virtual|pseudo|artificial|logical)([^a-z]|$)`)

// tops returns the switches that are each the top of a fabric: the roots but for those
// of unknown nodes, and what is below a root that only joins fabrics.
func (n *network) tops(roots []*vertex) (out []*vertex) {
	for _, root := range roots {
		joins := stand.MatchString(root.name) && !n.real.Names(root.name) || root.height() > maxHeight
		switch {
		case n.gathers(root):
			if nodes := root.forget(); nodes > 0 {
				n.note(root.at, "%d nodes under %s: it is a switch of unknown nodes and no fabric that can be sold: left out; if they are nodes, give a file that says under which leaf they are, before they are leased; if it is a leaf, name it in --switches", nodes, root.name)
			}
		case joins && len(root.below) > 0:
			root.seen = true
			n.note(root.at, "switch %s only joins what is below it: its %d switches are a fabric each", root.name, len(root.below))
			out = append(out, n.tops(root.below)...)
		default:
			root.below = slices.DeleteFunc(root.below, func(v *vertex) bool {
				if !n.gathers(v) {
					return false
				}
				n.note(v.at, "%d nodes under %s: it is a switch of unknown nodes: left out; if it is a leaf, name it in --switches", v.forget(), v.name)
				return true
			})
			out = append(out, root)
		}
	}
	return out
}

// gathers says whether a switch only gathers unknown nodes: by its name, unless that is
// given as one of a switch that is there.
func (n *network) gathers(v *vertex) bool {
	return unknown.MatchString(v.name) && !n.real.Names(v.name)
}

// height is how many switches stand above each other from v down.
func (v *vertex) height() int {
	most := 0
	for _, child := range v.below {
		most = max(most, child.height())
	}
	return most + 1
}

// forget marks v and what is below it as left out, and returns how many nodes that is.
func (v *vertex) forget() int {
	v.seen = true
	nodes := len(v.hosts)
	for _, child := range v.below {
		nodes += child.forget()
	}
	return nodes
}

// finish adds what is left out to a draft, and refuses one in which nothing is.
func (n *network) finish(d *draft.Draft, what string) (*draft.Draft, error) {
	names := map[fileLine][]string{}
	var order []fileLine
	for _, v := range n.waiting {
		if names[v.at] == nil {
			order = append(order, v.at)
		}
		names[v.at] = append(names[v.at], v.name)
	}
	for _, at := range order {
		n.note(at, "%s %s: left out, no nodes are below it in the file", what, strings.Join(names[at], ", "))
	}
	if len(n.hidden) > 0 {
		n.note(n.hidden[0], "%d lines of %ss are commented out, this is the first: left out", len(n.hidden), what)
	}
	d.Notes = append(d.Notes, n.notes...)
	for _, h := range d.Halls {
		if len(h.Pods) > 0 {
			return d, nil
		}
	}
	if len(n.notes) > 0 {
		first := n.notes[0]
		return nil, fileLine{first.File, first.Line}.fail("%s; no node is left, so no site follows from this file (%d such notes)", first.Reason, len(n.notes))
	}
	return nil, fmt.Errorf("%s: no nodes in it", d.From)
}

type treeMaker struct {
	n       *network
	d       *draft.Draft
	hall    *vertex // whose hall is the last of d.Halls
	pod     *vertex // whose pod is the last of that hall
	standIn bool    // whether a hall or a pod stands in for what the file does not have
	split   []string
}

// walk goes down from v; above is the switches over it, the root first.
func (t *treeMaker) walk(v *vertex, above []*vertex) {
	if v.seen {
		return
	}
	v.seen = true
	if len(v.hosts) > 0 {
		if len(above) >= maxHeight {
			t.n.note(v.at, "switch %s: %d switches are above it, and a site has scalable unit, pod, hall and fabric: the highest and the lowest of them count", v.name, len(above))
			above = append(slices.Clone(above[:2]), above[len(above)-1])
		}
		t.unit(v, above)
	}
	for _, child := range v.below {
		t.walk(child, append(above[:len(above):len(above)], v))
	}
}

// used reports whether a pod is of a fabric.
func (t *treeMaker) used(fabric int) bool {
	for _, h := range t.d.Halls {
		for _, p := range h.Pods {
			if p.Fabric == fabric {
				return true
			}
		}
	}
	return false
}

func (t *treeMaker) unit(leaf *vertex, above []*vertex) {
	chain := append(above[:len(above):len(above)], leaf)
	root, pod := chain[0], chain[max(0, len(chain)-2)]
	hall := root
	if len(chain) == maxHeight {
		hall = chain[1]
	} else {
		t.standIn = true
	}
	if t.hall != hall || len(t.d.Halls) == 0 {
		t.d.Halls = append(t.d.Halls, draft.Hall{Name: hall.name})
		t.hall, t.pod = hall, nil
	}
	h := &t.d.Halls[len(t.d.Halls)-1]
	if t.pod != pod {
		h.Pods = append(h.Pods, draft.Pod{Name: pod.name, Fabric: len(t.d.Fabrics) - 1})
		t.pod = pod
	}
	for _, u := range t.n.units(leaf) {
		p := &h.Pods[len(h.Pods)-1]
		if len(p.Units) == standIn {
			h.Pods = append(h.Pods, draft.Pod{Name: pod.name, Fabric: len(t.d.Fabrics) - 1})
			p = &h.Pods[len(h.Pods)-1]
			if len(t.split) == 0 || t.split[len(t.split)-1] != pod.name {
				t.split = append(t.split, pod.name)
			}
		}
		p.Units = append(p.Units, u)
	}
}

// standIn is how many scalable units a pod gets that stands in for a larger one.
const standIn = 64

func (t *treeMaker) notes() {
	t.d.Remarks = append(t.d.Remarks, "A leaf switch is a scalable unit; which of its nodes share a rack is not known: racks are filled in the order of its nodes.")
	if t.standIn {
		t.d.Remarks = append(t.d.Remarks, "The tree has no level of halls, or not everywhere: a hall stands for the whole fabric there, so power domains are not known.")
	}
	for _, name := range t.split {
		t.d.Remarks = append(t.d.Remarks, fmt.Sprintf("Switch %s has more than %d leaf switches below it: they are in several pods, whose borders mean nothing.", name, standIn))
	}
}

// blockDraft makes a scalable unit of one rack of every block, and pods of those
// that are planned together.
func (n *network) blockDraft(from string, _ draft.Options) (*draft.Draft, error) {
	n.leaveOthers(n.blocks)
	d := &draft.Draft{From: from, Fabrics: []draft.Fabric{{Name: "fabric"}}, Halls: []draft.Hall{{Name: "hall"}}}
	sizes := strings.Trim(fmt.Sprint(n.sizes), "[]")
	if len(n.sizes) == 0 {
		n.sizes = []int{n.smallest()} // as Slurm has it: the smallest block is the base
	}
	d.Remark("A block is a scalable unit of one rack: an NVLink domain. A block topology names no fabric and no hall: one of each stands for all.")
	per := standIn
	if len(n.sizes) > 1 {
		per = min(standIn, n.sizes[1]/n.sizes[0])
		d.Remark("Pods are the blocks that are planned together, %d nodes of blocks of %d.", n.sizes[1], n.sizes[0])
	} else if len(n.blocks) > per {
		d.Remark("There is one block size: pods of %d blocks stand in, their borders mean nothing.", per)
	}
	h := &d.Halls[0]
	number := 0
	for _, b := range n.blocks {
		if len(b.hosts) == 0 {
			if !slices.Contains(n.waiting, b) {
				n.waiting = append(n.waiting, b)
			}
			continue
		}
		if len(b.hosts) < n.sizes[0] {
			n.note(b.at, "block %s has %d nodes, fewer than the base size %d: taken as it is", b.name, len(b.hosts), n.sizes[0])
		}
		d.RackNodes = max(d.RackNodes, min(len(b.hosts), site.MaxSUNodes))
		if number%per == 0 || len(h.Pods[len(h.Pods)-1].Units) >= standIn {
			h.Pods = append(h.Pods, draft.Pod{Name: fmt.Sprintf("pod%d", len(h.Pods)+1)})
		}
		number++
		p := &h.Pods[len(h.Pods)-1]
		p.Units = append(p.Units, n.units(b)...)
	}
	if len(n.blocks) == 0 && len(n.hidden) > 0 {
		return nil, n.hidden[0].fail("every BlockName line is commented out, %d in all, this is the first: no block is left; a program comments out blocks with fewer nodes than BlockSizes (here: %s): take the # away or give the file that it was made from",
			len(n.hidden), cmp.Or(sizes, "none"))
	}
	return n.finish(d, "block")
}

// smallest returns how many nodes the smallest block has.
func (n *network) smallest() int {
	least := site.MaxNodes
	for _, b := range n.blocks {
		if len(b.hosts) > 0 {
			least = min(least, len(b.hosts))
		}
	}
	return least
}
