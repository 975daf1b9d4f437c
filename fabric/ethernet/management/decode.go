package management

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Lenient JSON in this file: what nft and iproute2 print grows with their releases; what
// is not known of a rule is refused below.

// Raw is what a gateway's own programs said of it: nft -j list ruleset,
// ip -j -d link, ip -j neigh, tc -j qdisc show.
type Raw struct {
	Ruleset, Links, Neighbours, Queues []byte
}

// State is the gateway as it was read.
type State struct {
	chains []chain
	sets   map[named][]element
	odd    []string // what could carry packets past the chains
	links  map[string]link
	macs   map[string]map[uint64]bool // neighbours, by interface
}

// named is a chain, or a set, by its name in a table.
type named struct{ family, table, name string }

type chain struct {
	family, table, name string
	hook, policy        string // "" for one that is only jumped to
	kind                string // filter, nat, route
	rules               []rule
}

func (c *chain) label() string { return c.family + " " + c.table + " " + c.name }

// rule is what was understood of one: matches, each a set of values of some key,
// and what it does.
type rule struct {
	matches []match
	verdict string // "accept", "drop", "" where it goes on; "other" for what may do anything
	odd     string // what could carry packets elsewhere
}

type match struct {
	keys   []string // "iifname", "oifname", "saddr", "daddr", "ethersource", "state"
	known  bool     // understood, positive
	set    string   // of the chain's table; "" where values are here
	values []element
}

// element is one value of each key: a name, a MAC or an address; ranges are two.
type element []value

type value struct {
	text     string
	from, to netip.Addr // of addresses
}

type link struct {
	up     bool
	master string
	kind   string
}

const maxRaw = 64 << 20

// Decode reads what the programs said. What it does not know in a ruleset is kept
// as such, and Judge counts it as letting everything pass; what is no such output
// is an error.
func Decode(raw Raw) (*State, error) {
	s := &State{sets: map[named][]element{}, links: map[string]link{}, macs: map[string]map[uint64]bool{}}
	for _, part := range []struct {
		name string
		data []byte
		read func([]byte) error
	}{{"nft -j list ruleset", raw.Ruleset, s.readRuleset}, {"ip -j -d link", raw.Links, s.readLinks}, {"ip -j neigh", raw.Neighbours, s.readNeighbours}, {"tc -j qdisc", raw.Queues, s.readQueues}} {
		if len(part.data) > maxRaw {
			return nil, fmt.Errorf("%s: %d bytes, expected at most %d", part.name, len(part.data), maxRaw)
		}
		if err := part.read(part.data); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return s, nil
}

func (s *State) readLinks(data []byte) error {
	var links []struct {
		Name     string   `json:"ifname"`
		Flags    []string `json:"flags"`
		Master   string   `json:"master"`
		LinkInfo struct {
			Kind string `json:"info_kind"`
		} `json:"linkinfo"`
	}
	if err := json.Unmarshal(data, &links); err != nil {
		return err
	}
	for _, l := range links {
		if l.Name == "" {
			return fmt.Errorf("a link without a name")
		}
		up := false
		for _, f := range l.Flags {
			up = up || f == "UP"
		}
		s.links[l.Name] = link{up: up, master: l.Master, kind: l.LinkInfo.Kind}
	}
	return nil
}

func (s *State) readNeighbours(data []byte) error {
	var list []struct {
		Device string   `json:"dev"`
		MAC    string   `json:"lladdr"`
		State  []string `json:"state"`
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for _, n := range list {
		if n.MAC == "" {
			continue // asked for, and nobody answered
		}
		mac, err := parseMAC(n.MAC)
		if err != nil {
			return err
		}
		if s.macs[n.Device] == nil {
			s.macs[n.Device] = map[uint64]bool{}
		}
		s.macs[n.Device][mac] = true
	}
	return nil
}

func parseMAC(text string) (mac uint64, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 6 {
		return 0, fmt.Errorf("%.40q: expected a MAC", text)
	}
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 16, 8)
		if err != nil {
			return 0, fmt.Errorf("%.40q: expected a MAC", text)
		}
		mac = mac<<8 | n
	}
	return mac, nil
}

func (s *State) readQueues(data []byte) error {
	var list []struct {
		Device string `json:"dev"`
		Kind   string `json:"kind"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for _, q := range list {
		if q.Kind == "ingress" || q.Kind == "clsact" {
			s.odd = append(s.odd, fmt.Sprintf("%s has a %s queue, whose filters could send packets elsewhere", q.Device, q.Kind))
		}
	}
	return nil
}

func (s *State) readRuleset(data []byte) error {
	var top struct {
		List []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(data, &top); err != nil {
		return err
	}
	if top.List == nil {
		return fmt.Errorf("no \"nftables\" list")
	}
	at := map[named]int{}
	for _, item := range top.List {
		for kind, text := range item {
			var o struct {
				Family, Table, Name, Chain string
				Hook, Policy, Type         string
				Elem                       []json.RawMessage
				Expr                       []map[string]json.RawMessage
			}
			switch kind {
			case "metainfo", "table", "counter", "quota", "limit":
				continue
			case "set", "map":
				// type is a text or a list: it is not needed.
				var e struct {
					Family, Table, Name string
					Elem                []json.RawMessage
				}
				if err := json.Unmarshal(text, &e); err != nil {
					return fmt.Errorf("%s: %w", kind, err)
				}
				o.Family, o.Table, o.Name, o.Elem = e.Family, e.Table, e.Name, e.Elem
			default:
				if err := json.Unmarshal(text, &o); err != nil {
					return fmt.Errorf("%s: %w", kind, err)
				}
			}
			scope := func(name string) named { return named{o.Family, o.Table, name} }
			switch kind {
			case "chain":
				at[scope(o.Name)] = len(s.chains)
				c := chain{family: o.Family, table: o.Table, name: o.Name, hook: o.Hook, policy: o.Policy, kind: o.Type}
				s.chains = append(s.chains, c)
			case "set", "map":
				elements := []element{}
				for _, e := range o.Elem {
					elements = append(elements, decodeElement(e))
				}
				s.sets[scope(o.Name)] = elements
			case "rule":
				i, known := at[scope(o.Chain)]
				if !known {
					return fmt.Errorf("a rule of chain %s %s %s, which is not there", o.Family, o.Table, o.Chain)
				}
				s.chains[i].rules = append(s.chains[i].rules, decodeRule(o.Expr))
			case "element":
			default: // flowtable, ct helper, synproxy, secmark, ...
				s.odd = append(s.odd, fmt.Sprintf("a %.40s in table %s %s, which could carry packets past the filter", kind, o.Family, o.Table))
			}
		}
	}
	return nil
}

// decodeElement reads one element of a set; what it does not know stands for any
// value.
func decodeElement(raw json.RawMessage) element {
	var e struct {
		Elem   *struct{ Val json.RawMessage }
		Concat []json.RawMessage
	}
	if json.Unmarshal(raw, &e) == nil {
		switch {
		case e.Elem != nil:
			return decodeElement(e.Elem.Val)
		case e.Concat != nil:
			out := element{}
			for _, c := range e.Concat {
				out = append(out, decodeValue(c))
			}
			return out
		}
	}
	return element{decodeValue(raw)}
}

func decodeValue(raw json.RawMessage) value {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if a, err := netip.ParseAddr(text); err == nil {
			return value{text, a, a}
		}
		return value{text: text}
	}
	var o struct {
		Prefix *struct {
			Addr string
			Len  int
		}
		Range []string
	}
	if json.Unmarshal(raw, &o) == nil {
		if o.Prefix != nil {
			if a, err := netip.ParseAddr(o.Prefix.Addr); err == nil {
				if p, err := a.Prefix(o.Prefix.Len); err == nil {
					return value{p.String(), p.Addr(), last(p)}
				}
			}
		}
		if len(o.Range) == 2 {
			from, err1 := netip.ParseAddr(o.Range[0])
			to, err2 := netip.ParseAddr(o.Range[1])
			if err1 == nil && err2 == nil {
				return value{o.Range[0] + "-" + o.Range[1], from, to}
			}
		}
	}
	return value{text: "*"}
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		for bit := range 8 {
			if i*8+bit >= p.Bits() {
				b[i] |= 0x80 >> bit
			}
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// decodeRule reads the expressions of a rule.
func decodeRule(exprs []map[string]json.RawMessage) (r rule) {
	for _, e := range exprs {
		for name, text := range e {
			switch name {
			case "match":
				r.matches = append(r.matches, decodeMatch(text))
			case "counter", "comment", "log", "limit", "quota", "meter":
				// They take nothing away from what a rule may match; a limit only
				// ever makes it match less.
				if name != "counter" && name != "comment" && name != "log" {
					r.matches = append(r.matches, match{})
				}
			case "accept":
				r.verdict = "accept"
			case "drop", "reject":
				r.verdict = "drop"
			case "return", "continue":
				r.verdict = "other"
			case "jump", "goto", "queue", "vmap", "map":
				r.verdict = "other"
			case "fwd", "dup", "flow", "tproxy", "redirect", "dnat", "snat", "masquerade", "notrack", "xt", "synproxy", "mangle":
				r.odd = name
			default:
				r.odd = name
			}
		}
	}
	return r
}

func decodeMatch(raw json.RawMessage) (m match) {
	var o struct {
		Op    string
		Left  json.RawMessage
		Right json.RawMessage
	}
	if json.Unmarshal(raw, &o) != nil || o.Op != "==" && o.Op != "in" {
		return m
	}
	var concat struct{ Concat []json.RawMessage }
	left := []json.RawMessage{o.Left}
	if json.Unmarshal(o.Left, &concat) == nil && concat.Concat != nil {
		left = concat.Concat
	}
	for _, l := range left {
		k := decodeKey(l)
		if k == "" {
			return match{}
		}
		m.keys = append(m.keys, k)
	}
	m.known = true
	var text string
	if json.Unmarshal(o.Right, &text) == nil && strings.HasPrefix(text, "@") {
		m.set = text[1:]
		return m
	}
	var set struct{ Set []json.RawMessage }
	var many []json.RawMessage
	switch {
	case json.Unmarshal(o.Right, &set) == nil && set.Set != nil:
		many = set.Set
	case json.Unmarshal(o.Right, &many) == nil:
	default:
		many = []json.RawMessage{o.Right}
	}
	for _, v := range many {
		m.values = append(m.values, decodeElement(v))
	}
	return m
}

func decodeKey(raw json.RawMessage) string {
	var o struct {
		Meta    *struct{ Key string }
		Ct      *struct{ Key, Dir string }
		Payload *struct{ Protocol, Field string }
	}
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	switch {
	case o.Meta != nil && (o.Meta.Key == "iifname" || o.Meta.Key == "oifname" || o.Meta.Key == "nfproto" || o.Meta.Key == "iiftype"):
		return o.Meta.Key
	case o.Ct != nil && o.Ct.Key == "state" && o.Ct.Dir == "":
		return "state"
	case o.Payload != nil && o.Payload.Protocol == "ip" && (o.Payload.Field == "saddr" || o.Payload.Field == "daddr"):
		return o.Payload.Field
	case o.Payload != nil && o.Payload.Protocol == "ether" && o.Payload.Field == "saddr":
		return "ethersource"
	}
	return ""
}
