package management

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/fabric"
)

// Verdict is what a gateway's state comes to.
type Verdict struct {
	Zones    []fabric.Zone // one a leg, in the order of the plan
	Findings []string      // in words, ascending; nothing where it is as planned
}

// maxForeign bounds the zones of others that a leg lists.
const maxForeign = 4

// Judge works out what a gateway may let pass, from its own state and what the
// plan says is behind its interfaces.
//
// A leg is in the zone of its node if managers reach the BMC there; it is in
// another's if anything may pass between the two, and no filter holds if it takes
// packets that are not its BMC's, lets it begin a conversation, or tenants reach
// it. What could carry packets past the filter is a fault of every leg. The
// neighbour is who answered there. Cost: O(elements + rules * legs).
func Judge(p *Plan, s *State) (*Verdict, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	j := &judge{p: p, s: s, legs: map[string]*legState{}, tenants: map[string]bool{}}
	for i := range p.Legs {
		j.legs[p.Legs[i].Interface] = &legState{leg: &p.Legs[i], foreign: map[string]bool{}}
	}
	for _, t := range p.Tenants {
		j.tenants[t] = true
	}
	j.bypasses()
	j.chain("forward")
	j.chain("input")
	return j.verdict(), nil
}

type judge struct {
	p        *Plan
	s        *State
	legs     map[string]*legState
	tenants  map[string]bool
	all      fabric.Faults
	findings []string
}

type legState struct {
	leg     *Leg
	reached bool // managers reach the BMC here
	answers bool // what it answers reaches them
	open    bool // it is taken in or let out what is not its own
	faults  fabric.Faults
	foreign map[string]bool
}

func (j *judge) find(format string, args ...any) {
	if len(j.findings) < 200 {
		j.findings = append(j.findings, fmt.Sprintf(format, args...))
	}
}

// bypasses finds what carries packets past the hook at which the table filters.
func (j *judge) bypasses() {
	for _, text := range j.s.odd {
		j.find("%s", text)
		j.all |= fabric.FaultPath
	}
	for _, c := range j.s.chains {
		for _, r := range c.rules {
			if r.odd == "" {
				continue
			}
			j.find("chain %s: %.40s, which could send packets elsewhere", c.label(), r.odd)
			if r.odd == "dup" {
				j.all |= fabric.FaultMirror
			} else {
				j.all |= fabric.FaultPath
			}
		}
	}
	for name, l := range j.s.links {
		known := name == j.p.Manage || j.tenants[name]
		if leg := j.legs[name]; leg != nil {
			known = true
			if l.master != "" {
				j.find("%s is a port of %s: what is bridged is not filtered", name, l.master)
				leg.faults |= fabric.FaultPath
			}
		}
		if !known && name != "lo" && l.up && l.kind != "" && l.kind != "bridge" {
			j.find("%s (%s) is up, and not in the plan", name, l.kind)
			j.all |= fabric.FaultPath
		}
	}
}

// chain works out what the base chains of a hook may let pass. A packet passes if
// each of them accepts it, so one that drops by default bounds them all; where
// there are several such, the first that is the table's own counts.
func (j *judge) chain(hook string) {
	var found *chain
	for i := range j.s.chains {
		c := &j.s.chains[i]
		if c.family == "inet" && c.table == Table && c.hook == hook && c.kind == "filter" && c.policy == "drop" {
			found = c
			break
		}
	}
	if found == nil {
		j.find("no chain of table inet %s drops by default at hook %s: everything passes", Table, hook)
		for _, l := range j.legs {
			l.open = true
		}
		return
	}
	dropped := false
	for i := range found.rules {
		r := &found.rules[i]
		switch r.verdict {
		case "accept", "other":
			j.accepts(hook, i, found, r, dropped)
		case "drop":
			dropped = true
		}
	}
	// A chain of another table could take away what managers need.
	for i := range j.s.chains {
		c := &j.s.chains[i]
		if c != found && c.hook == hook && (c.policy == "drop" || slices.ContainsFunc(c.rules, func(r rule) bool { return r.verdict == "drop" || r.verdict == "other" })) {
			j.find("chain %s drops as well: whether managers reach BMCs is not known", c.label())
			for _, l := range j.legs {
				l.reached = false
			}
		}
	}
}

// constraint is which values of one key a rule may match; nil: any.
type constraint struct {
	in, out  []string
	from, to []value // addresses
	new      bool    // it may match what begins a conversation
	exact    bool    // everything in the rule was understood
}

// accepts takes the consequences of a rule that lets pass.
func (j *judge) accepts(hook string, number int, c *chain, r *rule, dropped bool) {
	k := constraint{new: true, exact: r.verdict == "accept"}
	where := fmt.Sprintf("chain %s, rule %d", c.label(), number+1)
	tied := true // legs in k.in take in their own packets only
	reaches, answers := map[string]bool{}, map[string]bool{}
	for _, m := range r.matches {
		if !m.known {
			k.exact = false
			continue
		}
		values := m.values
		if m.set != "" {
			values = j.s.sets[named{c.family, c.table, m.set}]
		}
		column := func(key string) (out []value, has bool) {
			i := slices.Index(m.keys, key)
			if i < 0 {
				return nil, false
			}
			for _, e := range values {
				if i < len(e) {
					out = append(out, e[i])
				} else {
					out = append(out, value{text: "*"})
				}
			}
			return out, true
		}
		if v, has := column("iifname"); has {
			k.in = narrow(k.in, v)
		}
		if v, has := column("oifname"); has {
			k.out = narrow(k.out, v)
		}
		if v, has := column("saddr"); has && k.from == nil {
			k.from = nonNil(v)
		}
		if v, has := column("daddr"); has && k.to == nil {
			k.to = nonNil(v)
		}
		if v, has := column("state"); has {
			k.new = slices.ContainsFunc(v, func(s value) bool { return s.text != "established" && s.text != "related" })
			for _, s := range v {
				k.new = k.new || s.text == "*"
			}
		}
		// What ties an interface to its own BMC, and what does not.
		if slices.Equal(m.keys, []string{"iifname", "ethersource", "saddr"}) {
			for _, e := range values {
				if name := j.checkIn(where, e); name != "" {
					answers[name] = true
				}
			}
		} else if slices.Contains(m.keys, "iifname") {
			tied = false
		}
		if slices.Equal(m.keys, []string{"oifname", "daddr"}) {
			for _, e := range values {
				if name := j.checkOut(where, e); name != "" {
					reaches[name] = true
				}
			}
		}
	}
	if k.in == nil {
		tied = false
	}
	if hook == "input" {
		j.acceptsInput(where, &k)
		return
	}
	fromManagers := within(k.from, j.p.Managers)
	in, out := j.names(k.in), j.names(k.out)
	for _, name := range in {
		leg := j.legs[name]
		if leg == nil && !j.tenants[name] && name != j.p.Manage {
			j.find("%s: lets in what comes from %s, which is not in the plan", where, name)
		}
		switch {
		case leg != nil && !tied:
			leg.open = true
			j.find("%s: takes from %s whatever address it comes with", where, name)
		case j.tenants[name] && slices.Contains(out, j.p.Manage):
			j.find("%s: tenants behind %s reach managers", where, name)
			j.all |= fabric.FaultUnderlay
		case name == j.p.Manage && (!fromManagers || k.from == nil):
			j.find("%s: takes from %s whoever it is", where, name)
			j.all |= fabric.FaultUnderlay
		}
		if leg != nil && k.new && slices.Contains(out, j.p.Manage) {
			leg.open = true
			j.find("%s: the BMC behind %s may begin a conversation with managers", where, name)
		}
		j.between(where, name, in, out)
	}
	if dropped || !k.exact {
		return
	}
	if covers(k.to, j.p.Managers) && slices.Contains(out, j.p.Manage) {
		for name := range answers {
			j.legs[name].answers = true
		}
	}
	if k.new && slices.Contains(in, j.p.Manage) && covers(k.from, j.p.Managers) {
		for name := range reaches {
			j.legs[name].reached = true
		}
	}
}

// between marks the zones that an interface may exchange packets with.
func (j *judge) between(where, name string, in, out []string) {
	leg := j.legs[name]
	others := 0
	for _, o := range out {
		other := j.legs[o]
		switch {
		case o == name || leg == nil && other == nil:
		case leg != nil && other != nil:
			if others++; others <= maxForeign {
				leg.foreign[other.leg.Node] = true
				j.find("%s: the BMC behind %s reaches the one behind %s", where, name, o)
			}
			if len(other.foreign) < maxForeign {
				other.foreign[leg.leg.Node] = true
			}
		case leg != nil && j.tenants[o]:
			leg.open = true
			j.find("%s: the BMC behind %s reaches tenants behind %s", where, name, o)
		case other != nil && j.tenants[name]:
			other.open = true
			j.find("%s: tenants behind %s reach the BMC behind %s", where, name, o)
		}
	}
}

func (j *judge) acceptsInput(where string, k *constraint) {
	if !k.new {
		return
	}
	for _, name := range j.names(k.in) {
		switch leg := j.legs[name]; {
		case name == "lo":
		case leg != nil:
			leg.open = true
			j.find("%s: the BMC behind %s reaches the gateway itself", where, name)
		case j.tenants[name]:
			j.all |= fabric.FaultUnderlay
			j.find("%s: tenants behind %s reach the gateway itself", where, name)
		case name == j.p.Manage && (k.from == nil || !within(k.from, j.p.Managers)):
			j.all |= fabric.FaultUnderlay
			j.find("%s: whoever is behind %s reaches the gateway itself", where, name)
		}
	}
}

// checkIn looks at one element of what ties packets to a leg, and returns the leg
// whose own BMC it lets in.
func (j *judge) checkIn(where string, e element) string {
	if len(e) != 3 {
		return ""
	}
	leg := j.legs[e[0].text]
	if leg == nil {
		for name, l := range j.legs {
			if matches(e[0].text, name) {
				l.open = true
				j.find("%s: element %s is for many interfaces", where, e[0].text)
			}
		}
		return ""
	}
	mac, err := parseMAC(e[1].text)
	if err != nil || mac != leg.leg.MAC || e[2].from != leg.leg.Address || e[2].to != leg.leg.Address {
		leg.open = true
		j.find("%s: %s takes in %s with %s, expected its own BMC's %s", where, e[0].text, e[1].text, e[2].text, leg.leg.Address)
		return ""
	}
	return e[0].text
}

// checkOut looks at one element of where packets to BMCs go, and returns the leg
// that it reaches as planned.
func (j *judge) checkOut(where string, e element) string {
	if len(e) != 2 {
		return ""
	}
	leg := j.legs[e[0].text]
	if leg == nil {
		return ""
	}
	if e[1].from != leg.leg.Address || e[1].to != leg.leg.Address {
		leg.faults |= fabric.FaultPath
		j.find("%s: %s is given what is for %s, expected its own BMC's %s only", where, e[0].text, e[1].text, leg.leg.Address)
		return ""
	}
	return e[0].text
}

// names expands what a rule says of interfaces to those that there are; nil is all.
func (j *judge) names(list []string) (out []string) {
	for name := range j.s.links {
		if list == nil || slices.ContainsFunc(list, func(pattern string) bool { return matches(pattern, name) }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func matches(pattern, name string) bool {
	if prefix, wild := strings.CutSuffix(pattern, "*"); wild {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// narrow intersects what was known with a list of names; nil is any.
func narrow(was []string, v []value) []string {
	out := []string{}
	for _, x := range v {
		if was == nil || strings.Contains(x.text, "*") || slices.ContainsFunc(was, func(w string) bool { return matches(w, x.text) }) {
			out = append(out, x.text)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func nonNil(v []value) []value {
	if v == nil {
		return []value{}
	}
	return v
}

// within reports whether every value is an address of the list.
func within(v []value, list []netip.Addr) bool {
	if v == nil {
		return false
	}
	for _, x := range v {
		if !x.from.IsValid() || x.from != x.to || !slices.Contains(list, x.from) {
			return false
		}
	}
	return true
}

// covers reports whether every address of the list is among the values.
func covers(v []value, list []netip.Addr) bool {
	for _, a := range list {
		if !slices.ContainsFunc(v, func(x value) bool { return x.from == a && x.to == a }) {
			return false
		}
	}
	return true
}

func (j *judge) verdict() *Verdict {
	v := &Verdict{Zones: make([]fabric.Zone, len(j.p.Legs))}
	for i := range j.p.Legs {
		l := j.legs[j.p.Legs[i].Interface]
		z := fabric.Zone{Node: l.leg.Node, Filtered: !l.open, Faults: j.all | l.faults, Joined: slices.Sorted(maps.Keys(l.foreign))}
		// Behind an interface that is down nobody is reached, and nobody else concerned.
		if link := j.s.links[l.leg.Interface]; link.up && l.reached && l.answers {
			z.Joined = append(z.Joined, l.leg.Node)
		}
		switch seen := j.s.macs[l.leg.Interface]; {
		case len(seen) == 1:
			for mac := range seen {
				z.Neighbour = mac
			}
			if z.Neighbour != l.leg.MAC {
				j.find("%s: 0x%012x answers, expected the BMC 0x%012x", l.leg.Interface, z.Neighbour, l.leg.MAC)
			}
		case len(seen) > 1:
			z.Neighbour = fabric.NeighbourConflict
			j.find("%s: %d addresses answer, expected one BMC", l.leg.Interface, len(seen))
		}
		v.Zones[i] = z
	}
	slices.Sort(j.findings)
	v.Findings = slices.Compact(j.findings)
	return v
}
