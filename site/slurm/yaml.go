package slurm

import (
	"fmt"
	"path"
	"strings"

	"bulkhead/claim"
	"bulkhead/site/draft"
)

// YAML reads a topology.yaml. Of several topologies it takes the one that
// o.Part names, else the first that is the cluster's default, else the only one.
// Errors name file and line.
//
// What Slurm reads is read alike (TestSlurmReadsYAMLAlike asks it): one topology,
// switch or block without a list around it; kinds that are empty or false beside
// the one that is meant, as Slurm itself writes them; switches and blocks that
// wait for nodes. Where Slurm passes over what it does not understand, such as a
// key that is misspelt, and where it warns or lets the last of two win, this
// refuses: a site would be something else than was written.
func YAML(file string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	if form := draft.OtherForm(data, "slurm-yaml"); form != "" {
		return nil, fileLine{file, 1}.fail("%s", form)
	}
	top, err := claim.ReadYAML(file, data, maxYAML, "a list of topologies")
	if err != nil {
		return nil, err
	}
	chosen, err := choose(top, o.Part)
	if err != nil {
		return nil, err
	}
	from := fmt.Sprintf("%s, topology %s (Slurm)", path.Base(file), chosen.name)
	return chosen.draft(from, o)
}

const maxYAML = 4 << 20

func lineOf(v claim.YAML) fileLine { return fileLine{v.File(), v.Line} }

func refuse(v claim.YAML, format string, args ...any) error {
	v.Fail(format, args...)
	return v.Err()
}

// oneOrList is list, or where there is no list the one thing by itself.
func oneOrList(v claim.YAML, what string) []claim.YAML {
	if !v.IsList() {
		return []claim.YAML{v}
	}
	items := v.Items()
	if len(items) == 0 {
		v.Fail("expected a list of %s, found an empty one", what)
	}
	return items
}

// unused reports whether a kind of topology stands there and means nothing.
func unused(v claim.YAML) bool {
	text, plain := v.Plain()
	return text == "false" || !plain && !v.IsList() && len(v.Fields().Names) == 0
}

func word(v claim.YAML) string {
	text, _ := v.Plain()
	if text == "" && !v.Missing() {
		v.Fail("expected text, found %s", v.Found())
	}
	return text
}

// hostList is one text; none, and an empty one, mean that nothing is below.
func hostList(f *claim.YAMLFields, name string) (list string, at fileLine) {
	if f.Empty(name) {
		return "", lineOf(f.YAML)
	}
	v, ok := f.Optional(name)
	list, plain := v.Plain()
	switch {
	case v.IsList():
		v.Fail("a list, expected one text such as n[01-16],n18: Slurm does not read a list here")
	case ok && !plain:
		v.Fail("expected text, found %s", v.Found())
	case strings.TrimSpace(list) == "":
		list = ""
	}
	return list, lineOf(v)
}

func yes(v claim.YAML) bool {
	text, _ := v.Plain()
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	v.Fail("expected true or false, found %s", v.Found())
	return false
}

// topology is one of a file, of one of the kinds that Slurm has.
type topology struct {
	name      string
	isDefault bool // of the cluster
	kind      string
	body      claim.YAML
}

// choose reads what topologies there are and takes one. All of them are looked at,
// so that a mistake in one that is not asked for is told as well.
func choose(top claim.YAML, wanted string) (*topology, error) {
	if _, ok := top.Plain(); ok {
		return nil, refuse(top, "expected a list of topologies")
	}
	var all []*topology
	var names []string
	lines := map[string]int{}
	for _, v := range oneOrList(top, "topologies") {
		t := readTopology(v)
		if line, twice := lines[t.name]; twice && t.name != "" {
			v.Fail("topology %s: there is one of this name in line %d already", t.name, line)
		}
		lines[t.name] = v.Line
		all, names = append(all, t), append(names, t.name)
	}
	if err := top.Err(); err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.name == wanted {
			return t, nil
		}
	}
	if wanted != "" {
		return nil, refuse(top, "no topology %s in it, expected one of %s", wanted, strings.Join(names, ", "))
	}
	for _, t := range all {
		if t.isDefault {
			return t, nil
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return nil, refuse(top, "%d topologies and none with cluster_default: true: say which one to read: %s", len(all), strings.Join(names, ", "))
}

func readTopology(v claim.YAML) *topology {
	f, before := v.Fields(), v.Failed()
	t := &topology{name: word(f.Required("topology"))}
	if d, ok := f.Optional("cluster_default"); ok {
		t.isDefault = yes(d)
	}
	for _, kind := range kinds {
		body, ok := f.Optional(kind)
		if !ok || unused(body) {
			continue
		}
		if t.kind != "" {
			body.Fail("topology %s: both %s and %s, expected one", t.name, t.kind, kind)
		}
		t.kind, t.body = kind, body
	}
	if f.Done(); t.kind == "" && v.Failed() == before && !v.Missing() {
		v.Fail("topology %s: expected one of %s", t.name, strings.Join(kinds, ", "))
	}
	return t
}

// kinds are those of Slurm 26.05. Rings and tori came with it.
var kinds = []string{"tree", "block", "flat", "ring", "torus3d"}

func (t *topology) draft(from string, o draft.Options) (*draft.Draft, error) {
	n := network{selected: o.Hosts, real: o.Switches}
	switch t.kind {
	case "ring", "torus3d":
		return nil, refuse(t.body, "topology %s is a %s: a site is a tree of switches or a row of blocks; choose a tree or a block topology", t.name, t.kind)
	case "flat":
		return nil, refuse(t.body, "topology %s is flat: it does not say where nodes are, so no site follows from it; choose a tree or a block topology", t.name)
	case "tree":
		if err := n.readTree(t.body); err != nil {
			return nil, err
		}
		return n.treeDraft(from, o)
	}
	if err := n.readBlocks(t.body); err != nil {
		return nil, err
	}
	return n.blockDraft(from, o)
}

func (n *network) readTree(body claim.YAML) error {
	f := body.Fields()
	var switches []*vertex
	for _, v := range oneOrList(f.Required("switches"), "switches") {
		switches = append(switches, readVertex(v, "switch", true))
	}
	f.Done()
	if err := body.Err(); err != nil {
		return err
	}
	for _, v := range switches {
		if err := n.addSwitch(v, "nodes", "children"); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) readBlocks(body claim.YAML) error {
	f := body.Fields()
	sizes, sized := f.Optional("block_sizes")
	var words []string
	if sized {
		for _, v := range oneOrList(sizes, "block sizes") {
			words = append(words, word(v))
		}
	}
	var blocks []*vertex
	for _, v := range oneOrList(f.Required("blocks"), "blocks") {
		blocks = append(blocks, readVertex(v, "block", false))
	}
	f.Done()
	if err := body.Err(); err != nil {
		return err
	}
	if sized {
		n.setSizes(lineOf(sizes), words)
	}
	for _, v := range blocks {
		if err := n.addBlock(v); err != nil {
			return err
		}
	}
	return nil
}

// readVertex reads a switch or a block; only switches have switches below them.
func readVertex(v claim.YAML, name string, inner bool) *vertex {
	f := v.Fields()
	x := &vertex{at: lineOf(v), name: word(f.Required(name))}
	x.nodes, x.nodesAt = hostList(f, "nodes")
	if inner {
		x.children, _ = hostList(f, "children")
	}
	f.Done()
	return x
}
