package slurm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/site"
	"bulkhead/site/draft"
)

// vertex is a switch or a block.
type vertex struct {
	at       fileLine
	nodesAt  fileLine // of the list of nodes
	name     string
	nodes    string // host list, "" = none
	children string // list of switches, "" = none

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
}

// addSwitch takes a switch with either nodes or children. The names of the two
// fields are for errors.
func (n *network) addSwitch(s *vertex, nodes, children string) error {
	if n.byName == nil {
		n.byName = map[string]*vertex{}
	}
	if other, twice := n.byName[s.name]; twice {
		return s.at.fail("switch %s: there is one of this name in line %d of %s already", s.name, other.at.line, other.at.file)
	}
	if s.name == "" || strings.ContainsAny(s.name, "[],") {
		return s.at.fail("switch %.60q: expected the name of one switch", s.name)
	}
	switch {
	case s.nodes != "" && s.children != "":
		return s.at.fail("switch %s: both %s and %s: expected one of them, a switch has either nodes or switches below it", s.name, nodes, children)
	case s.nodes == "" && s.children == "" && !slices.Contains(n.waiting, s):
		return s.at.fail("switch %s: neither %s nor %s: nothing is below it; remove the line", s.name, nodes, children)
	}
	if len(n.switches) == maxSwitches {
		return s.at.fail("more than %d switches", maxSwitches)
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
			return b.at.fail("block %s: there is one of this name in line %d of %s already", b.name, other.at.line, other.at.file)
		}
	}
	if b.nodes == "" {
		return b.at.fail("block %s: no Nodes; remove the line", b.name)
	}
	if len(n.blocks) == maxSwitches {
		return b.at.fail("more than %d blocks", maxSwitches)
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
		return err
	}
	if len(hosts) > site.MaxSUNodes {
		return v.at.fail("%s: %d nodes under %s: a scalable unit has at most %d", key, len(hosts), v.name, site.MaxSUNodes)
	}
	if n.hostAt == nil {
		n.hostAt = map[string]*vertex{}
	}
	for _, host := range hosts {
		if other, twice := n.hostAt[strings.ToLower(host)]; twice {
			return v.at.fail("node %s: it is under %s in line %d of %s already: a node of a site is under one leaf", host, other.name, other.at.line, other.at.file)
		}
		n.hostAt[strings.ToLower(host)] = v
	}
	v.hosts = hosts
	return nil
}

// setSizes takes the planning sizes of blocks: each a power of two times the base.
func (n *network) setSizes(at fileLine, words []string) error {
	if n.sizes != nil {
		return at.fail("BlockSizes: given in line %d of %s already", n.sizesAt.line, n.sizesAt.file)
	}
	for i, word := range words {
		size, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || size < 1 || size > site.MaxNodes {
			return at.fail("BlockSizes: %.20q: expected numbers of nodes such as 18 or 4,16", word)
		}
		if i > 0 {
			times := size / n.sizes[0]
			if size%n.sizes[0] != 0 || times&(times-1) != 0 || size <= n.sizes[i-1] {
				return at.fail("BlockSizes: %d: expected more than %d and a power of two times the base size %d", size, n.sizes[i-1], n.sizes[0])
			}
		}
		n.sizes = append(n.sizes, size)
	}
	n.sizesAt = at
	return nil
}

// link joins switches to those above them.
func (n *network) link() (roots []*vertex, err error) {
	for _, s := range n.switches {
		if s.children == "" {
			continue
		}
		names, err := expand(s.at, "switches below "+s.name, s.children)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			child, ok := n.byName[name]
			switch {
			case !ok:
				return nil, s.at.fail("switch %s: %s is below it and is no switch of this file", s.name, name)
			case child.parent != nil:
				return nil, s.at.fail("switch %s: %s is below it, and below %s in line %d of %s: a site is a tree, one of them has to go",
					s.name, name, child.parent.name, child.parent.at.line, child.parent.at.file)
			}
			child.parent = s
			s.below = append(s.below, child)
		}
	}
	for _, s := range n.switches {
		if s.parent == nil {
			roots = append(roots, s)
		}
	}
	return roots, nil
}

// maxHeight is how many switches may stand above each other: scalable unit, pod,
// hall, fabric.
const maxHeight = 4

// treeDraft makes fabric, hall, pod and scalable unit of the tree: a root is a
// fabric, since no job of Slurm spans two; a leaf switch is a scalable unit; the
// switch above a leaf is a pod, the one above that a hall.
func (n *network) treeDraft(from string, _ draft.Options) (*draft.Draft, error) {
	if len(n.switches) == 0 {
		return nil, fmt.Errorf("%s: no SwitchName in it: nothing says where nodes are", from)
	}
	roots, err := n.link()
	if err != nil {
		return nil, err
	}
	t := &treeMaker{d: &draft.Draft{From: from}}
	for _, root := range roots {
		if slices.Contains(n.waiting, root) {
			root.seen = true
			continue // no fabric, as long as it has no node
		}
		t.d.Fabrics = append(t.d.Fabrics, draft.Fabric{Name: root.name})
		if err := t.walk(root, nil); err != nil {
			return nil, err
		}
	}
	for _, s := range n.switches {
		if !s.seen {
			return nil, s.at.fail("switch %s: the switches above it go round in a circle", s.name)
		}
	}
	t.notes()
	if err := n.noteWaiting(t.d, "switch"); err != nil {
		return nil, err
	}
	return t.d, nil
}

// noteWaiting says what is left out because nodes join it only when they start,
// and refuses a file in which nothing else is.
func (n *network) noteWaiting(d *draft.Draft, what string) error {
	if len(n.waiting) == 0 {
		return nil
	}
	if len(n.hostAt) == 0 {
		return n.waiting[0].at.fail("%s %s: no nodes, like all others: they join when they start, so no site follows from this file", what, n.waiting[0].name)
	}
	var names []string
	for _, v := range n.waiting {
		names = append(names, v.name)
	}
	d.Notes = append(d.Notes, fmt.Sprintf("Left out, because nothing is below them in the file: %s.", strings.Join(names, ", ")))
	return nil
}

type treeMaker struct {
	d       *draft.Draft
	hall    *vertex // whose hall is the last of d.Halls
	pod     *vertex // whose pod is the last of that hall
	unknown bool    // whether a hall or a pod stands in for what the file does not have
	split   []string
}

// walk goes down from v; above is the switches over it, the root first.
func (t *treeMaker) walk(v *vertex, above []*vertex) error {
	v.seen = true
	if len(above) == maxHeight {
		return v.at.fail("switch %s: %d switches are above it: a site has scalable unit, pod, hall and fabric, so at most %d", v.name, len(above), maxHeight-1)
	}
	if v.hosts != nil {
		t.unit(v, above)
	}
	for _, child := range v.below {
		if err := t.walk(child, append(above[:len(above):len(above)], v)); err != nil {
			return err
		}
	}
	return nil
}

func (t *treeMaker) unit(leaf *vertex, above []*vertex) {
	chain := append(above[:len(above):len(above)], leaf)
	root, pod := chain[0], chain[max(0, len(chain)-2)]
	hall := root
	if len(chain) == maxHeight {
		hall = chain[1]
	} else {
		t.unknown = true
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
	p := &h.Pods[len(h.Pods)-1]
	if len(p.Units) == standIn {
		h.Pods = append(h.Pods, draft.Pod{Name: pod.name, Fabric: len(t.d.Fabrics) - 1})
		p = &h.Pods[len(h.Pods)-1]
		if len(t.split) == 0 || t.split[len(t.split)-1] != pod.name {
			t.split = append(t.split, pod.name)
		}
	}
	p.Units = append(p.Units, draft.Unit{Name: leaf.name, Hosts: leaf.hosts})
}

// standIn is how many scalable units a pod gets that stands in for a larger one.
const standIn = 64

func (t *treeMaker) notes() {
	t.d.Notes = append(t.d.Notes, "A leaf switch is a scalable unit; which of its nodes share a rack is not known: racks are filled in the order of its nodes.")
	if t.unknown {
		t.d.Notes = append(t.d.Notes, "The tree has no level of halls, or not everywhere: a hall stands for the whole fabric there, so power domains are not known.")
	}
	for _, name := range t.split {
		t.d.Notes = append(t.d.Notes, fmt.Sprintf("Switch %s has more than %d leaf switches below it: they are in several pods, whose borders mean nothing.", name, standIn))
	}
}

// blockDraft makes a scalable unit of one rack of every block, and pods of those
// that are planned together.
func (n *network) blockDraft(from string, _ draft.Options) (*draft.Draft, error) {
	if len(n.blocks) == 0 && len(n.waiting) > 0 {
		return nil, n.noteWaiting(nil, "block")
	}
	if n.sizes == nil {
		b := n.blocks[0]
		return nil, b.at.fail("blocks without BlockSizes: expected a line such as BlockSizes=18")
	}
	d := &draft.Draft{From: from, Fabrics: []draft.Fabric{{Name: "fabric"}}, Halls: []draft.Hall{{Name: "hall"}}}
	d.Notes = append(d.Notes, "A block is a scalable unit: an NVLink domain. Fabric and hall stand in: a block topology does not name them.")
	per := standIn
	if len(n.sizes) > 1 {
		per = min(standIn, n.sizes[1]/n.sizes[0])
		d.Notes = append(d.Notes, fmt.Sprintf("Pods are the blocks that are planned together, %d nodes of blocks of %d.", n.sizes[1], n.sizes[0]))
	} else if len(n.blocks) > per {
		d.Notes = append(d.Notes, fmt.Sprintf("There is one block size: pods of %d blocks stand in, their borders mean nothing.", per))
	}
	h := &d.Halls[0]
	for i, b := range n.blocks {
		if len(b.hosts) < n.sizes[0] {
			d.Notes = append(d.Notes, fmt.Sprintf("Block %s has %d nodes, fewer than the base size %d.", b.name, len(b.hosts), n.sizes[0]))
		}
		if i%per == 0 {
			h.Pods = append(h.Pods, draft.Pod{Name: fmt.Sprintf("pod%d", i/per+1)})
		}
		p := &h.Pods[len(h.Pods)-1]
		p.Units = append(p.Units, draft.Unit{Name: b.name, Hosts: b.hosts})
	}
	if err := n.noteWaiting(d, "block"); err != nil {
		return nil, err
	}
	return d, nil
}
