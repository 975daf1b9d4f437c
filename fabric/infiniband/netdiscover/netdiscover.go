// Package netdiscover reads what ibnetdiscover (infiniband-diags) prints of a subnet. That
// is its nodes, their ports and the cables between them, in the form that ibnetdiscover(8)
// describes as the topology file.
//
// Files of the wild are read as they are: with --full and --grouping, Windows line
// ends, spaces where ibnetdiscover has tabs, adapters of several ports, routers,
// switches whose port 0 is base or enhanced, descriptions with blanks, quotes and
// semicolons in them, and older files that leave out LMC or rate. What is not
// understood is an error that names the line; [Topology.Check] finds cables whose
// two ends disagree and nodes that are named and not there.
//
// The package is pure.
package netdiscover

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Kind is what a node is.
type Kind byte

// The kinds, by the letter that ids in the file begin with.
const (
	Switch Kind = 'S'
	CA     Kind = 'H'
	Router Kind = 'R'
)

func (k Kind) String() string {
	switch k {
	case Switch:
		return "switch"
	case CA:
		return "channel adapter"
	case Router:
		return "router"
	}
	return fmt.Sprintf("kind(%d)", byte(k))
}

// Node is one device.
type Node struct {
	Line        int // where it begins: its Switch, Ca or Rt line
	Kind        Kind
	GUID        uint64
	SystemGUID  uint64 // 0: not said
	PortGUID    uint64 // of a switch's port 0; 0: not said
	Vendor      uint32
	Device      uint32
	Ports       int // that it has
	Description string
	Enhanced    bool // of a switch: its port 0 is enhanced
	LID         int  // of a switch
	LMC         int
	Links       []Link // by port, ascending
}

// Link is one end of a cable, as its node's part of the file has it.
type Link struct {
	Line         int
	Port         int
	External     int    // number on the chassis, with --grouping; 0: not said
	PortGUID     uint64 // of an adapter's or router's own port; 0: not said
	Peer         uint64 // node GUID at the other end
	PeerKind     Kind
	PeerPort     int
	PeerPortGUID uint64 // where that is an adapter or a router; 0: not said
	LID          int    // of an adapter's or router's own port
	LMC          int
	PeerName     string // description at the other end
	PeerLID      int
	Width        int    // lanes; 0: not said
	Speed        string // of a lane: "SDR" to "XDR"; "": not said
}

// Topology is a whole file.
type Topology struct {
	File    string // for messages
	Nodes   []*Node
	Started uint64 // node GUID from which it was discovered; 0: not said

	byGUID map[uint64]*Node
	faults []*Error // lines that were passed over, by a lenient reading
	early  *early   // what a lenient reading found missing, or nil
}

// Node returns a node by its GUID, or nil.
func (t *Topology) Node(guid uint64) *Node { return t.byGUID[guid] }

// Link returns the cable in a port of a node, or nil.
func (n *Node) Link(port int) *Link {
	for i := range n.Links {
		if n.Links[i].Port == port {
			return &n.Links[i]
		}
	}
	return nil
}

// Error is something in a file that can't be.
type Error struct {
	File string
	Line int
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.What) }

// The bounds of a file: a subnet has fewer than 49,152 unicast LIDs (IBTA volume
// 1, 4.1.1), and a node at most 254 ports.
const (
	maxNodes = 1 << 17
	maxLine  = 1024
	maxPorts = 254
)

// parser reads line by line.
type parser struct {
	t    *Topology
	line int

	head header // of the node that comes
	node *Node

	lenient bool // a line that is not understood is passed over with what follows it of its node
	passing bool // until the next node
}

// header is the lines before a node's own.
type header struct {
	vendor, device uint32
	system         uint64
	guid, port     uint64
	kind           Kind
}

func (p *parser) fail(format string, args ...any) error {
	return &Error{p.t.File, p.line, fmt.Sprintf(format, args...)}
}

// parse reads a file; leniently it passes over what it does not understand and
// fails only where nothing is left.
func parse(file string, text []byte, lenient bool) (*Topology, error) {
	p := &parser{t: &Topology{File: file, byGUID: map[uint64]*Node{}}, lenient: lenient}
	if form := recognise(text); form != "" {
		p.line = 1
		return nil, p.fail("%s", form)
	}
	for raw := range bytes.Lines(text) {
		p.line++
		if len(raw) > maxLine {
			if p.pass(p.fail("a line of %d bytes, expected at most %d", len(raw), maxLine), raw[0] == '[') {
				continue
			}
			return nil, p.fail("a line of %d bytes, expected at most %d: is this the output of ibnetdiscover?", len(raw), maxLine)
		}
		line := strings.TrimSpace(string(raw))
		if err := p.read(line); err != nil && !p.pass(err, strings.HasPrefix(line, "[")) {
			return nil, err
		}
	}
	if p.head != (header{}) {
		if err := p.fail(cutOff); !p.pass(err, false) {
			return nil, err
		}
	}
	if len(p.t.Nodes) == 0 && len(p.t.faults) > 0 {
		return nil, p.t.faults[0]
	}
	if len(p.t.Nodes) == 0 {
		p.line = max(1, p.line)
		return nil, p.fail("no Switch, Ca or Rt line in it: expected what ibnetdiscover prints: run ibnetdiscover > FILE")
	}
	return p.t, nil
}

// pass passes over a line that is not understood, where that is asked for. What
// comes after it and before the next node is the same fault.
func (p *parser) pass(err error, port bool) bool {
	fault, is := err.(*Error) //nolint:errorlint // p.fail makes nothing else
	if !p.lenient || !is {
		return false
	}
	if len(p.t.faults) < maxProblems {
		p.t.faults = append(p.t.faults, fault)
	}
	if !port {
		p.node, p.passing = nil, true
	}
	p.head = header{}
	return true
}

func (p *parser) read(line string) error {
	if port, is := strings.CutPrefix(line, "["); p.passing && is && port != "" {
		return nil
	}
	switch {
	case line == "":
		p.node = nil
		return nil
	case line[0] == '#':
		return p.comment(line)
	case line[0] == '[':
		return p.link(line)
	case strings.HasPrefix(line, "Chassis ") || strings.HasPrefix(line, "Non-Chassis Nodes"):
		return nil // --grouping
	}
	if name, value, ok := strings.Cut(line, "="); ok && !strings.ContainsAny(name, " \t\"") {
		return p.header(name, value)
	}
	return p.begin(line)
}

// comment reads the only comment that says something.
func (p *parser) comment(line string) error {
	if _, rest, ok := strings.Cut(line, "Initiated from node "); ok {
		word, _, _ := strings.Cut(rest, " ")
		guid, err := strconv.ParseUint(word, 16, 64)
		if err != nil {
			return p.fail("initiated from node %.40q: expected a GUID", word)
		}
		p.t.Started = guid
	}
	return nil
}

func (p *parser) header(name, value string) error {
	value, _, _ = strings.Cut(value, "#") // --grouping says which chip of a chassis it is
	value = strings.TrimSpace(value)
	p.node = nil
	number := func(text string, bits int) (uint64, error) {
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, bits)
		if err != nil {
			return 0, p.fail("%s=%.60s: expected 0x and hexadecimal digits", name, value)
		}
		return n, nil
	}
	kind := map[string]Kind{"switchguid": Switch, "caguid": CA, "rtguid": Router}[name]
	var err error
	var n uint64
	switch {
	case name == "vendid":
		n, err = number(value, 32)
		p.head.vendor = uint32(n)
	case name == "devid":
		n, err = number(value, 32)
		p.head.device = uint32(n)
	case name == "sysimgguid":
		p.head.system, err = number(value, 64)
	case kind != 0:
		own, port, has := strings.Cut(value, "(")
		if p.head.guid != 0 {
			return p.fail("%s after another GUID: expected a Switch, Ca or Rt line between two nodes", name)
		}
		p.head.kind = kind
		if p.head.guid, err = number(own, 64); err == nil && has {
			p.head.port, err = number(strings.TrimSuffix(port, ")"), 64)
		}
		if err == nil && p.head.guid == 0 {
			err = p.fail("%s is 0: no node has that GUID", name)
		}
	default:
		err = p.fail("%.40s=: expected vendid, devid, sysimgguid, switchguid, caguid or rtguid", name)
	}
	return err
}

// begin reads a node's own line: Switch 24 "S-0002c90200211b48" # "name" base port 0 lid 6 lmc 0
func (p *parser) begin(line string) error {
	word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	kind := map[string]Kind{"Switch": Switch, "Ca": CA, "Rt": Router}[word]
	if kind == 0 {
		return p.fail("%.40q: expected Switch, Ca or Rt, a [port], or a comment", word)
	}
	count, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	ports, err := strconv.Atoi(count)
	if err != nil || ports < 1 || ports > 255 {
		return p.fail("%s %.20q: expected how many ports it has, 1 to 255", word, count)
	}
	id, rest, ok := cutQuoted(rest)
	if !ok {
		return p.fail("%s %d: expected an id in quotes, as \"%c-0002c90200211b48\"", word, ports, byte(kind))
	}
	of, guid, err := p.id(id)
	if err != nil {
		return err
	}
	if of != kind {
		return p.fail("%s %q: the id is that of a %s", word, id, of)
	}
	if p.head.guid != 0 && (p.head.guid != guid || p.head.kind != kind) {
		return p.fail("%s %q: the line above it says %s 0x%016x", word, id, p.head.kind, p.head.guid)
	}
	if first := p.t.byGUID[guid]; first != nil {
		return p.fail("%s %q: it is in line %d already", word, id, first.Line)
	}
	if len(p.t.Nodes) == maxNodes {
		return p.fail("more than %d nodes: no subnet has so many", maxNodes)
	}
	n := &Node{Line: p.line, Kind: kind, GUID: guid, SystemGUID: p.head.system, PortGUID: p.head.port, Vendor: p.head.vendor, Device: p.head.device, Ports: ports}
	note, err := p.note(rest)
	if err != nil {
		return err
	}
	n.Description, n.Enhanced, n.LID, n.LMC = note.name, note.enhanced, note.lids[1], note.lmc
	p.t.Nodes = append(p.t.Nodes, n)
	p.t.byGUID[guid] = n
	p.node, p.head, p.passing = n, header{}, false
	return nil
}

// id reads "S-0002c90200211b48".
func (p *parser) id(id string) (Kind, uint64, error) {
	if len(id) > 2 && id[1] == '-' && strings.IndexByte("SHR", id[0]) >= 0 {
		if guid, err := strconv.ParseUint(id[2:], 16, 64); err == nil && guid != 0 {
			return Kind(id[0]), guid, nil
		}
	}
	return 0, 0, p.fail("id %.60q: expected S-, H- or R- and the node's GUID in hexadecimal digits", id)
}

// link reads [1](2c9020021ad79) "S-0002c90200211b48"[13] # lid 1 lmc 0 "name" lid 6 4xSDR
func (p *parser) link(line string) error {
	n := p.node
	if n == nil {
		return p.fail("a port without a node: expected a Switch, Ca or Rt line before it")
	}
	l := Link{Line: p.line}
	rest, err := p.bracket(line, &l.Port)
	if err != nil {
		return err
	}
	if l.Port < 1 || l.Port > n.Ports || l.Port > maxPorts {
		return p.fail("port %d: the node in line %d has ports 1 to %d", l.Port, n.Line, n.Ports)
	}
	if len(n.Links) > 0 && n.Links[len(n.Links)-1].Port >= l.Port {
		return p.fail("port %d after port %d: expected ascending ports, each once", l.Port, n.Links[len(n.Links)-1].Port)
	}
	if external, ok := strings.CutPrefix(rest, "[ext "); ok {
		if rest, err = p.bracket("["+external, &l.External); err != nil {
			return err
		}
	}
	if l.PortGUID, rest, err = p.parenthesis(rest); err != nil {
		return err
	}
	id, rest, ok := cutQuoted(rest)
	if !ok {
		return p.fail("port %d: expected the id of the node at the other end, in quotes", l.Port)
	}
	if l.PeerKind, l.Peer, err = p.id(id); err != nil {
		return err
	}
	if rest, err = p.bracket(rest, &l.PeerPort); err != nil {
		return err
	}
	if l.PeerPort > maxPorts {
		return p.fail("port %d: its cable ends in port %d of %s: expected at most %d", l.Port, l.PeerPort, id, maxPorts)
	}
	if external, ok := strings.CutPrefix(rest, "[ext "); ok {
		var ignored int
		if rest, err = p.bracket("["+external, &ignored); err != nil {
			return err
		}
	}
	if l.PeerPortGUID, rest, err = p.parenthesis(rest); err != nil {
		return err
	}
	note, err := p.note(rest)
	if err != nil {
		return err
	}
	l.LID, l.LMC, l.PeerName, l.PeerLID, l.Width, l.Speed = note.lids[0], note.lmc, note.name, note.lids[1], note.width, note.speed
	n.Links = append(n.Links, l)
	return nil
}

// bracket takes [number] from the front of a text.
func (p *parser) bracket(text string, n *int) (string, error) {
	text = strings.TrimSpace(text)
	inside, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]")
	number, err := strconv.Atoi(inside)
	if !ok || text == "" || text[0] != '[' || err != nil || number < 0 || number > 255 {
		return "", p.fail("%.40q: expected a port as [number], 0 to 255", text)
	}
	*n = number
	return strings.TrimSpace(rest), nil
}

// parenthesis takes (guid) from the front of a text, if it is there.
func (p *parser) parenthesis(text string) (uint64, string, error) {
	inside, has := strings.CutPrefix(text, "(")
	if !has {
		return 0, text, nil
	}
	word, rest, ok := strings.Cut(inside, ")")
	guid, err := strconv.ParseUint(word, 16, 64)
	if !ok || err != nil || guid == 0 {
		return 0, "", p.fail("%.40q: expected a port GUID as (hexadecimal digits)", text)
	}
	return guid, strings.TrimSpace(rest), nil
}

// cutQuoted takes "text" from the front of a text. Ids have no quotes in them.
func cutQuoted(text string) (inside, rest string, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] != '"' {
		return "", "", false
	}
	inside, rest, ok = strings.Cut(text[1:], `"`)
	return inside, strings.TrimSpace(rest), ok
}
