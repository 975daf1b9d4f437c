package slurm

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

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
	top, err := parseYAML(file, data)
	if err != nil {
		return nil, err
	}
	chosen, name, err := choose(top, o.Part)
	if err != nil {
		return nil, err
	}
	from := fmt.Sprintf("%s, topology %s (Slurm)", path.Base(file), name)
	return chosen.draft(from, o)
}

const (
	maxYAML  = 4 << 20
	maxDepth = 16  // open brackets, and steps of indentation that nest
	maxLine  = 500 // bytes a line that is not one host list; bounds what nests in it
)

// parseYAML parses one document. The parser recurses: hostile text must not
// exhaust the stack.
func parseYAML(file string, data []byte) (item, error) {
	top := item{at: fileLine{file, 1}}
	if len(data) > maxYAML {
		return top, top.at.fail("%d bytes, expected at most %d", len(data), maxYAML)
	}
	depth := 0
	for i, line := range strings.Split(string(data), "\n") {
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > maxDepth {
				return top, fileLine{file, i + 1}.fail("more than %d open brackets: no topology needs them", maxDepth)
			}
		}
		indent := len(line) - len(strings.TrimLeft(line, " -?:\t"))
		if indent > 8*maxDepth || strings.Count(line, ": ")+strings.Count(line, "- ") > maxLine {
			return top, fileLine{file, i + 1}.fail("a line that nests deeper than a topology does")
		}
	}
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		text := strings.SplitN(err.Error(), "\n", 2)[0]
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			text = syntax.Message
			if syntax.Token != nil && syntax.Token.Position != nil {
				top.at.line = syntax.Token.Position.Line
			}
		}
		return top, top.at.fail("not YAML: %s", text)
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if top.node != nil {
			return top, fileLine{file, lineOf(doc.Body, 1)}.fail("a second document: Slurm reads one")
		}
		top.node = doc.Body
	}
	if top.node == nil {
		return top, top.at.fail("empty: expected a list of topologies")
	}
	return top, nil
}

func lineOf(n ast.Node, otherwise int) int {
	if t := n.GetToken(); t != nil && t.Position != nil && t.Position.Line > 0 {
		return t.Position.Line
	}
	return otherwise
}

// item is a node of the document with its place.
type item struct {
	node ast.Node
	at   fileLine
}

// fields returns the fields of a mapping; every key must be known.
func (i item) fields(known ...string) (map[string]item, error) {
	var pairs []*ast.MappingValueNode
	switch n := i.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return nil, i.at.fail("expected fields: %s", strings.Join(known, ", "))
	}
	out := map[string]item{}
	for _, pair := range pairs {
		at := fileLine{i.at.file, lineOf(pair.Key, i.at.line)}
		key, ok := plain(pair.Key)
		if !ok || !contains(known, key) { // Slurm too tells large letters from small ones here
			return nil, at.fail("%.40q: expected one of %s", pair.Key.String(), strings.Join(known, ", "))
		}
		if _, twice := out[key]; twice {
			return nil, at.fail("%s: here twice, expected once", key)
		}
		if pair.Value == nil || pair.Value.Type() == ast.NullType {
			if key == "nodes" || key == "children" {
				continue // nothing is below it
			}
			return nil, at.fail("%s: no value: give one, or remove the field", key)
		}
		out[key] = item{pair.Value, fileLine{i.at.file, lineOf(pair.Value, at.line)}}
	}
	return out, nil
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// oneOrList is list, or where there is no list the one thing by itself.
func (i item) oneOrList(what string) ([]item, error) {
	switch i.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.StringNode, *ast.IntegerNode:
		return []item{i}, nil
	}
	return i.list(what)
}

// unused reports whether a kind of topology stands there and means nothing.
func (i item) unused() bool {
	if m, ok := i.node.(*ast.MappingNode); ok {
		return len(m.Values) == 0
	}
	text, _ := plain(i.node)
	return text == "false"
}

func (i item) list(what string) ([]item, error) {
	n, ok := i.node.(*ast.SequenceNode)
	if !ok || len(n.Values) == 0 {
		return nil, i.at.fail("expected a list of %s", what)
	}
	var out []item
	for _, v := range n.Values {
		if v == nil || v.Type() == ast.NullType {
			return nil, i.at.fail("an empty entry in a list of %s", what)
		}
		out = append(out, item{v, fileLine{i.at.file, lineOf(v, i.at.line)}})
	}
	return out, nil
}

// plain is the text of a scalar as it is written.
func plain(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Token.Value, true
	case *ast.FloatNode:
		return n.Token.Value, true
	case *ast.BoolNode:
		return n.Token.Value, true
	}
	return "", false
}

func (i item) text(field string) (string, error) {
	text, ok := plain(i.node)
	if field == "nodes" || field == "children" {
		if ok && strings.TrimSpace(text) == "" {
			return "", nil
		}
	}
	if !ok || text == "" {
		return "", i.at.fail("%s: expected text", field)
	}
	return text, nil
}

// hostText is a host list, which is one text.
func (i item) hostText(field string) (string, error) {
	if _, isList := i.node.(*ast.SequenceNode); isList {
		return "", i.at.fail("%s: a list, expected one text such as n[01-16],n18: Slurm does not read a list here", field)
	}
	return i.text(field)
}

func (i item) yes(field string) (bool, error) {
	text, _ := plain(i.node)
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		return true, nil
	case "false", "no", "off":
		return false, nil
	}
	return false, i.at.fail("%s: expected true or false", field)
}

// topology is one of a file, of one of the kinds that Slurm has.
type topology struct {
	name      string
	at        fileLine
	isDefault bool // of the cluster
	kind      string
	body      item
}

// choose reads what topologies there are and takes one. All of them are looked at,
// so that a mistake in one that is not asked for is told as well.
func choose(top item, wanted string) (chosen topology, name string, err error) {
	if _, ok := plain(top.node); ok {
		if form := confForm(top); form != "" {
			return topology{}, "", top.at.fail("%s", form)
		}
		return topology{}, "", top.at.fail("expected a list of topologies")
	}
	items, err := top.oneOrList("topologies")
	if err != nil {
		return topology{}, "", err
	}
	var all []topology
	for _, i := range items {
		t, err := readTopology(i)
		if err != nil {
			return topology{}, "", err
		}
		for _, other := range all {
			if other.name == t.name {
				return topology{}, "", t.at.fail("topology %s: there is one of this name in line %d already", t.name, other.at.line)
			}
		}
		all = append(all, t)
	}
	var names []string
	for _, t := range all {
		names = append(names, t.name)
		if t.name == wanted {
			return t, t.name, nil
		}
	}
	if wanted != "" {
		return topology{}, "", top.at.fail("no topology %s in it, expected one of %s", wanted, strings.Join(names, ", "))
	}
	for _, t := range all {
		if t.isDefault {
			return t, t.name, nil
		}
	}
	if len(all) == 1 {
		return all[0], all[0].name, nil
	}
	return topology{}, "", top.at.fail("%d topologies and none with cluster_default: true: say which one to read: %s", len(all), strings.Join(names, ", "))
}

// confForm tells a topology.conf, which YAML takes for one long text.
func confForm(top item) string {
	text, _ := plain(top.node)
	lower := strings.ToLower(text)
	if strings.HasPrefix(lower, "switchname=") || strings.HasPrefix(lower, "blockname=") || strings.HasPrefix(lower, "blocksizes=") {
		return "it seems to be a topology.conf: import it with --format slurm-conf"
	}
	return ""
}

func readTopology(i item) (topology, error) {
	f, err := i.fields(append([]string{"topology", "cluster_default"}, kinds...)...)
	if err != nil {
		return topology{}, err
	}
	t := topology{at: i.at}
	name, ok := f["topology"]
	if !ok {
		return t, i.at.fail("a topology without a name: expected topology: NAME")
	}
	if t.name, err = name.text("topology"); err != nil {
		return t, err
	}
	if d, ok := f["cluster_default"]; ok {
		if t.isDefault, err = d.yes("cluster_default"); err != nil {
			return t, err
		}
	}
	for _, kind := range kinds {
		body, ok := f[kind]
		if !ok || body.unused() {
			continue
		}
		if t.kind != "" {
			return t, body.at.fail("topology %s: both %s and %s, expected one", t.name, t.kind, kind)
		}
		t.kind, t.body = kind, body
	}
	if t.kind == "" {
		return t, i.at.fail("topology %s: expected one of %s", t.name, strings.Join(kinds, ", "))
	}
	return t, nil
}

// kinds are those of Slurm 26.05. Rings and tori came with it.
var kinds = []string{"tree", "block", "flat", "ring", "torus3d"}

func (t topology) draft(from string, o draft.Options) (*draft.Draft, error) {
	n := network{selected: o.Hosts, real: o.Switches}
	switch t.kind {
	case "ring", "torus3d":
		return nil, t.body.at.fail("topology %s is a %s: a site is a tree of switches or a row of blocks; choose a tree or a block topology", t.name, t.kind)
	case "flat":
		return nil, t.body.at.fail("topology %s is flat: it does not say where nodes are, so no site follows from it; choose a tree or a block topology", t.name)
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

func (n *network) readTree(body item) error {
	f, err := body.fields("switches")
	if err != nil {
		return err
	}
	list, ok := f["switches"]
	if !ok {
		return body.at.fail("tree: expected switches")
	}
	items, err := list.oneOrList("switches")
	if err != nil {
		return err
	}
	for _, i := range items {
		v, err := readVertex(i, "switch", "switch", "children", "nodes")
		if err != nil {
			return err
		}
		if err := n.addSwitch(v, "nodes", "children"); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) readBlocks(body item) error {
	f, err := body.fields("block_sizes", "blocks")
	if err != nil {
		return err
	}
	if sizes, ok := f["block_sizes"]; ok {
		words, err := sizes.oneOrList("block sizes")
		if err != nil {
			return err
		}
		var texts []string
		for _, w := range words {
			text, err := w.text("block_sizes")
			if err != nil {
				return err
			}
			texts = append(texts, text)
		}
		n.setSizes(sizes.at, texts)
	}
	list, ok := f["blocks"]
	if !ok {
		return body.at.fail("block: expected blocks")
	}
	items, err := list.oneOrList("blocks")
	if err != nil {
		return err
	}
	for _, i := range items {
		v, err := readVertex(i, "block", "block", "nodes")
		if err != nil {
			return err
		}
		if err := n.addBlock(v); err != nil {
			return err
		}
	}
	return nil
}

func readVertex(i item, name string, known ...string) (*vertex, error) {
	f, err := i.fields(known...)
	if err != nil {
		return nil, err
	}
	v := &vertex{at: i.at, nodesAt: f["nodes"].at}
	for _, field := range []struct {
		name string
		into *string
	}{{name, &v.name}, {"nodes", &v.nodes}, {"children", &v.children}} {
		text, ok := f[field.name]
		if !ok {
			continue
		}
		if *field.into, err = text.hostText(field.name); err != nil {
			return nil, err
		}
	}
	if v.name == "" {
		return nil, i.at.fail("a %s without a name: expected %s: NAME", name, name)
	}
	return v, nil
}
