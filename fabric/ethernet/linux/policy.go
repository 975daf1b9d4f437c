package linux

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/fabric/ethernet"
)

// This file decodes what bgpd of a route reflector says of its policy. Route maps and
// neighbours are shown as JSON; FRR 8.4 has none for community lists, so their text is
// read, and what is not understood there permits nothing and counts as open.

const (
	fromLeaf = "from-"
	toLeaves = "to-leaves"
	refused  = "refused"
	refusal  = "65000:666" // the community of what is refused

	oneTarget   = "one-target"
	refusedName = "Community standard " + refused // as bgpd shows it
)

// part is one part of a reflector's policy.
type part struct {
	kind  partKind
	leaf  netip.Addr
	extra []string // of the list of what is refused: the lines that are there
}

type partKind uint8

const (
	refusedList partKind = iota
	targetList
	leavesMap
	leafMap
	neighbour
)

// policyShows are the commands whose answers decodePolicy reads, in their order.
var policyShows = []string{"show route-map json", "show bgp neighbors json", "show bgp extcommunity-list", "show bgp community-list"}

// shownMap is a route map: its rules in order, each in one line.
type shownMap []string

// decodePolicy says what the policy that is shown passes on, and which of its parts
// are not as they are to be.
func decodePolicy(conf *ReflectorConfig, text []byte) (p ethernet.Passed, broken []part, err error) {
	// Lenient JSON: FRR's answers stand behind each other and grow with its releases.
	d := json.NewDecoder(bytes.NewReader(text))
	maps, err := decodeMaps(d)
	if err != nil {
		return p, nil, err
	}
	var neighbours map[string]struct {
		AddressFamilyInfo map[string]struct {
			In  string `json:"routeMapForIncomingAdvertisements"`
			Out string `json:"routeMapForOutgoingAdvertisements"`
		} `json:"addressFamilyInfo"`
	}
	if err := d.Decode(&neighbours); err != nil {
		return p, nil, fmt.Errorf("bgpd: neighbours: %w", err)
	}
	lists := decodeLists(text[d.InputOffset():])
	open := func(format string, args ...any) { p.Open = append(p.Open, fmt.Sprintf(format, args...)) }
	wrong := func(what part, format string, args ...any) {
		open(format, args...)
		broken = append(broken, what)
	}
	for _, l := range []struct {
		what part
		name string
		want []string
	}{
		{part{kind: refusedList, extra: lists[refusedName]}, refusedName, []string{"permit " + refusal}},
		{part{kind: targetList}, "extended community expanded " + oneTarget, []string{"deny RT:.*RT:", fmt.Sprintf("permit RT:%d:[0-9]+", ethernet.ASN)}},
	} {
		if !slices.Equal(lists[l.name], l.want) {
			wrong(l.what, "list %s is %q, expected %q", l.name, lists[l.name], l.want)
		}
	}
	if want := (shownMap{"deny if community " + refused + " then ", "permit if evpn route-type macip, extcommunity one-target then ",
		"permit if evpn route-type multicast, extcommunity one-target then "}); !slices.Equal(maps[toLeaves], want) {
		wrong(part{kind: leavesMap}, "route map %s is %q", toLeaves, maps[toLeaves])
	}
	p.Targets = map[netip.Addr][]ethernet.Target{}
	for _, leaf := range conf.Leaves {
		name := fromLeaf + leaf.String()
		if n, known := neighbours[leaf.String()]; known {
			f := n.AddressFamilyInfo["l2VpnEvpn"]
			if f.In != name || f.Out != toLeaves {
				wrong(part{kind: neighbour, leaf: leaf}, "leaf %s has the route maps %q in and %q out", leaf, f.In, f.Out)
			}
		}
		if want := (shownMap{"permit if extcommunity " + name + " then ", "permit if  then community " + refusal + " additive"}); !slices.Equal(maps[name], want) {
			wrong(part{kind: leafMap, leaf: leaf}, "route map %s is %q", name, maps[name])
		}
		for _, line := range lists["extended community standard "+name] {
			target := strings.TrimPrefix(line, "permit rt ")
			if t := targets([]string{target}); target != line && len(t) == 1 && t[0] != strangeTarget {
				p.Targets[leaf] = append(p.Targets[leaf], t[0])
			} else {
				open("list %s: %.80q", name, line)
			}
		}
		slices.Sort(p.Targets[leaf])
	}
	for name := range neighbours {
		a, ok := parseIPv4(name)
		if !ok || !slices.Contains(conf.Leaves, a) && !slices.Contains(conf.Collectors, a) {
			open("neighbour %.60s is neither a leaf nor a collector", name)
		}
	}
	slices.Sort(p.Open)
	return p, broken, nil
}

// decodeMaps reads bgpd's route maps.
func decodeMaps(d *json.Decoder) (map[string]shownMap, error) {
	var shown map[string]map[string]struct {
		Rules []struct {
			Type                     string
			MatchClauses, SetClauses []string
			Action                   string
			Call                     string `json:"callClause"`
		}
	}
	if err := d.Decode(&shown); err != nil {
		return nil, fmt.Errorf("bgpd: route maps: %w", err)
	}
	out := map[string]shownMap{}
	for name, m := range shown["BGP"] {
		for _, r := range m.Rules {
			slices.Sort(r.MatchClauses)
			line := fmt.Sprintf("%s if %s then %s", r.Type, trimmed(r.MatchClauses), trimmed(r.SetClauses))
			if r.Action != "Exit routemap" || r.Call != "" {
				line += "; " + r.Action + r.Call
			}
			out[name] = append(out[name], line)
		}
	}
	return out, nil
}

func trimmed(clauses []string) string {
	out := make([]string, len(clauses))
	for i, c := range clauses {
		out[i] = strings.TrimSpace(c)
	}
	return strings.Join(out, ", ")
}

// decodeLists reads community lists as text, by kind and name: their lines in order.
func decodeLists(text []byte) map[string][]string {
	lists := map[string][]string{}
	name := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n ")
		head, is := strings.CutPrefix(line, "Named ")
		switch {
		case is:
			name = strings.Replace(head, " list ", " ", 1)
			lists[name] = nil
		case strings.HasPrefix(line, " ") && name != "":
			lists[name] = append(lists[name], strings.TrimSpace(line))
		case line != "":
			name = ""
		}
	}
	return lists
}
