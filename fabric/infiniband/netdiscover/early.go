package netdiscover

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"bulkhead/site/draft"
)

// early is what is missing of a file that ends before all is said. A cable has two ends,
// and what stands at the one tells of the other.
type early struct {
	last   int     // line of the file
	inside bool    // that line is half a line
	torn   bool    // lines before it were passed over: they may be what is missing
	cables []loose // that lead to what is missing
	taken  int     // of them, by the end that is there
	peers  []*Node // the devices that they lead to, each once
}

// loose is one such cable.
type loose struct {
	from  *Node
	peer  *Node
	link  Link
	taken bool
}

// cutOff is the fault of a file that ends between a node's head and its own line.
const cutOff = "the file ends after the head of a node: it is cut off"

// perCable is how many cables to nowhere are noted one by one: so few may have been moved,
// or lead to what was switched off, while the subnet was discovered.
const perCable = 3

// complete finds what a file says nothing of though its cables lead there, and fills in from
// the ends that are there what can't be wrong:
//
//   - a switch, or the rest of the last one, by the adapters that lead to it, where no
//     adapter can be missing;
//   - an adapter, or a port of the last one, by the switches that lead to it, where no
//     switch can be missing.
//
// Otherwise all hosts could have too few rails alike, and nobody would see it: other cables
// to nowhere are taken out.
func (t *Topology) complete(text []byte) {
	e := &early{last: bytes.Count(text, []byte{'\n'})}
	half := text[len(text)-1] != '\n'
	if half {
		e.last++
	}
	if n := len(t.faults); n > 0 && t.faults[n-1].Line == e.last && (half || t.faults[n-1].What == cutOff) {
		e.inside, t.faults = true, t.faults[:n-1]
	}
	e.torn = len(t.faults) > 0
	e.find(t)
	if len(e.cables) == 0 && !e.inside {
		return
	}
	t.early = e
	out := map[*Node][]int{} // ports whose cables are taken out
	in := map[*Node][]Link{}
	// What may be missing without a word of it: switches where one is or the last node is
	// one, and adapters where the switches have not even begun.
	last := t.Nodes[len(t.Nodes)-1].Kind
	lacks := func(kind Kind) bool {
		return slices.ContainsFunc(e.cables, func(c loose) bool { return c.peer.Kind == kind })
	}
	switches := last == Switch || lacks(Switch)
	adapters := last != Switch && lacks(CA) || !slices.ContainsFunc(t.Nodes, func(n *Node) bool { return n.Kind == Switch })
	for i := range e.cables {
		c := &e.cables[i]
		l := &c.link
		sound := c.from.Kind == CA && l.PeerKind == Switch && !adapters || c.from.Kind == Switch && l.PeerKind == CA && !switches
		if !sound || c.peer.Kind != l.PeerKind || l.PeerPort < 1 || l.PeerPort > c.peer.Ports || slices.ContainsFunc(in[c.peer], func(o Link) bool { return o.Port == l.PeerPort }) {
			out[c.from] = append(out[c.from], l.Port)
			continue
		}
		c.taken = true
		e.taken++
		in[c.peer] = append(in[c.peer], Link{Line: l.Line, Port: l.PeerPort, PortGUID: l.PeerPortGUID,
			Peer: c.from.GUID, PeerKind: c.from.Kind, PeerPort: l.Port, PeerPortGUID: l.PortGUID, PeerName: c.from.Description})
	}
	for n, ports := range out {
		n.Links = slices.DeleteFunc(n.Links, func(l Link) bool { return slices.Contains(ports, l.Port) })
	}
	for _, n := range e.peers {
		if len(in[n]) == 0 {
			continue
		}
		if n.Description == "" {
			n.Description = t.byGUID[in[n][0].Peer].Link(in[n][0].PeerPort).PeerName
		}
		n.Links = append(n.Links, in[n]...)
		slices.SortFunc(n.Links, func(a, b Link) int { return a.Port - b.Port })
		if t.byGUID[n.GUID] == nil {
			t.byGUID[n.GUID] = n
			t.Nodes = append(t.Nodes, n)
		}
	}
}

// find lists the cables that lead to what is missing. Where something is, the last node
// of the file may be half a node: ports of it behind its last one are missing too.
func (e *early) find(t *Topology) {
	final := t.Nodes[len(t.Nodes)-1]
	from := 1
	if n := len(final.Links); n > 0 {
		from = final.Links[n-1].Port + 1
	}
	missing := map[uint64]*Node{}
	var behind []loose
	for _, n := range t.Nodes {
		for _, l := range n.Links {
			switch peer := t.byGUID[l.Peer]; {
			case peer == nil:
				if missing[l.Peer] == nil {
					missing[l.Peer] = &Node{Line: l.Line, Kind: l.PeerKind, GUID: l.Peer, Ports: maxPorts, Description: l.PeerName}
					e.peers = append(e.peers, missing[l.Peer])
				}
				e.cables = append(e.cables, loose{from: n, peer: missing[l.Peer], link: l})
			case peer == final && n != final && l.PeerPort >= from:
				behind = append(behind, loose{from: n, peer: final, link: l})
			}
		}
	}
	if len(behind) > 0 && (len(e.cables) > 0 || e.inside || from == 1) {
		e.cables, e.peers = append(e.cables, behind...), append(e.peers, final)
	}
}

// ends says whether it is the file that ends, and not some cables that lead nowhere.
func (e *early) ends() bool { return e != nil && (e.inside || len(e.cables) > perCable) }

// lost is how many cables of each host are taken out, by its name in lower case: so many
// rails it has besides those that are left.
func (e *early) lost() map[string]int {
	lost := map[string]int{}
	if e == nil {
		return lost
	}
	for _, c := range e.cables {
		for _, n := range [...]*Node{c.from, c.peer} {
			if host, _, named := strings.Cut(n.Description, " "); n.Kind == CA && named && !c.taken {
				lost[strings.ToLower(host)]++
			}
		}
	}
	return lost
}

// note says it once, or names the cables where they are few.
func (e *early) note(t *Topology, d *draft.Draft) {
	if e.ends() {
		d.Note(t.File, e.last, "%s", e)
		return
	}
	for _, c := range e.cables {
		what := "the cable is left out"
		if c.taken {
			what = "it is taken by what this end says"
		}
		d.Note(t.File, c.link.Line, "port %d of %s leads to port %d of %s, of which the file says nothing: it ends early, or that went away meanwhile: discover the subnet again, from a host that reaches all of it: %s",
			c.link.Port, c.from.label(), c.link.PeerPort, c.peer.label(), what)
	}
}

func (e *early) String() string {
	const most = 4
	var b strings.Builder
	b.WriteString("the file ends early")
	if e.inside {
		b.WriteString(", in the middle of this line")
	}
	if e.torn {
		b.WriteString(", or what was passed over is missing")
	}
	if len(e.cables) > 0 {
		var names []string
		for _, n := range e.peers[:min(most, len(e.peers))] {
			names = append(names, n.label())
		}
		devices := fmt.Sprintf("of %d devices that %d cables lead to", len(e.peers), len(e.cables))
		if len(e.cables) == 1 {
			devices = "of the device that a cable leads to"
		}
		fmt.Fprintf(&b, ": %s it says nothing, or not all (%s", devices, strings.Join(names, ", "))
		if more := len(e.peers) - len(names); more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
		b.WriteString(")")
		switch left := len(e.cables) - e.taken; {
		case left == 0:
			b.WriteString("; the cables are taken by what their other ends say")
		case e.taken == 0:
			b.WriteString("; the cables are left out")
		default:
			fmt.Fprintf(&b, "; %d of the cables are taken by what their other ends say, %d are left out", e.taken, left)
		}
	}
	b.WriteString(": run ibnetdiscover > FILE again, wait until it has ended, and import that file")
	return b.String()
}
