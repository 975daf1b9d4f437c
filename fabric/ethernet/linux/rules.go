package linux

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric/ethernet"
)

// This file decodes what nft says of the rules in force, and says what they do. It
// knows the forms that a leaf's filters should have, from what nft prints, and shares
// nothing with the code that writes them. Any other form counts as open.
//
// Lenient JSON in this file: what nft and tc print grows with their releases; what is
// not known of a rule is refused below.

// shownRules is a rule set: chains with their rules in order, each rule as JSON in one
// form (keys sorted, no spaces).
type shownRules struct {
	chains []shownChain
}

type shownChain struct {
	Family, Table, Name, Type, Hook, Policy string
	Prio                                    int
	Device                                  string
	rules                                   []string
}

// chainName names a chain.
type chainName struct{ family, table, name string }

func (c *shownChain) key() chainName { return chainName{c.Family, c.Table, c.Name} }

// decodeRules reads "nft -j list ruleset", and the devices of chains from "nft list
// chains": nft 1.0.6 leaves them out of its JSON.
func decodeRules(data, devices []byte) (*shownRules, error) {
	var doc struct {
		Objects []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("nft: %w", err)
	}
	if len(doc.Objects) == 0 {
		return nil, fmt.Errorf("nft: no metainfo: expected the JSON of nft list ruleset")
	}
	on, err := decodeDevices(devices)
	if err != nil {
		return nil, err
	}
	r := &shownRules{}
	at := map[chainName]int{}
	for _, o := range doc.Objects {
		if raw, is := o["chain"]; is {
			var c shownChain
			var dev json.RawMessage
			err := json.Unmarshal(raw, &struct {
				*shownChain
				Dev *json.RawMessage `json:"dev"`
			}{&c, &dev})
			if err != nil {
				return nil, fmt.Errorf("nft: chain: %w", err)
			}
			c.Device = on[c.key()]
			at[c.key()] = len(r.chains)
			r.chains = append(r.chains, c)
		}
		if raw, is := o["rule"]; is {
			var rule struct {
				Family, Table, Chain string
				Expr                 []any
			}
			if err := json.Unmarshal(raw, &rule); err != nil {
				return nil, fmt.Errorf("nft: rule: %w", err)
			}
			i, known := at[chainName{rule.Family, rule.Table, rule.Chain}]
			if !known {
				return nil, fmt.Errorf("nft: rule of a chain %.80q that was not listed", rule.Chain)
			}
			text, err := json.Marshal(rule.Expr) // sorts keys
			if err != nil {
				return nil, fmt.Errorf("nft: rule: %w", err)
			}
			r.chains[i].rules = append(r.chains[i].rules, strings.NewReplacer(`\u0026`, `&`, `\u003c`, `<`, `\u003e`, `>`).Replace(string(text)))
		}
	}
	return r, nil
}

var (
	tableLine  = regexp.MustCompile(`^table (\w+) (\S+) \{$`)
	chainLine  = regexp.MustCompile(`^\tchain (\S+) \{$`)
	deviceLine = regexp.MustCompile(`^\t\ttype \w+ hook (?:ingress|egress) device "([^"]+)" priority `)
	hookLine   = regexp.MustCompile(`^\t\ttype \w+ hook (?:ingress|egress) `)
)

// decodeDevices returns by chain the device at which it hooks; "*" for what is not
// understood, such as several devices.
func decodeDevices(text []byte) (map[chainName]string, error) {
	on := map[chainName]string{}
	family, table, chain := "", "", ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if m := tableLine.FindStringSubmatch(line); m != nil {
			family, table, chain = m[1], m[2], ""
		} else if m := chainLine.FindStringSubmatch(line); m != nil {
			chain = m[1]
		} else if hookLine.MatchString(line) {
			if table == "" || chain == "" {
				return nil, fmt.Errorf("nft list chains: a hook outside a chain: %.80q", line)
			}
			on[chainName{family, table, chain}] = "*"
			if m := deviceLine.FindStringSubmatch(line); m != nil {
				on[chainName{family, table, chain}] = m[1]
			}
		}
	}
	return on, nil
}

// portRule is what the filter at a port does.
type portRule struct {
	ok     bool // it is there, of a form that is known, and alone
	mac    uint64
	class  uint8
	dscp   uint8
	copies bool // something hands packets on to elsewhere
}

// ofPort says what the filter at an interface does.
func (r *shownRules) ofPort(name string) (p portRule) {
	hooks := 0
	for i := range r.chains {
		c := &r.chains[i]
		if (c.Hook != "ingress" && c.Hook != "egress") || c.Device != name && c.Device != "*" && c.Device != "" {
			continue
		}
		hooks++
		for _, rule := range c.rules {
			p.copies = p.copies || strings.Contains(rule, `"fwd"`) || strings.Contains(rule, `"dup"`)
		}
		if c.Device != name || c.Family != "netdev" || c.Table != "bulkhead" || c.Hook != "ingress" || c.Type != "filter" || c.Policy != "drop" || c.Prio != -500 {
			continue
		}
		p.mac, p.class, p.dscp, p.ok = portForm(c.rules)
	}
	p.ok = p.ok && hooks == 1
	return p
}

// counts matches the statement that counts what is dropped.
const counts = `{"counter":"[^"]*"}`

var (
	firstRule = regexp.MustCompile(`^\[{"match":{"left":{"payload":{"base":"ll","len":48,"offset":48}},"op":"!=","right":(\d+)}},` + counts + `,{"drop":null}\]$`)
	priority  = regexp.MustCompile(`^\[{"mangle":{"key":{"meta":{"key":"priority"}},"value":(?:"none"|"0:([1-7])")}}\]$`)
)

// portForm takes the rules of a port's filter apart. No rules drop everything; ok then
// with no MAC.
func portForm(rules []string) (mac uint64, class, dscp uint8, ok bool) {
	if len(rules) == 0 {
		return 0, 0, 0, true
	}
	m := firstRule.FindStringSubmatch(rules[0])
	if m == nil {
		return 0, 0, 0, false
	}
	mac, err := strconv.ParseUint(m[1], 10, 48)
	if err != nil {
		return 0, 0, 0, false
	}
	same := make([]string, len(rules)) // whatever counters are called
	for i, r := range rules {
		same[i] = counterName.ReplaceAllString(r, `"counter":"*"`)
		if m := priority.FindStringSubmatch(r); m != nil && m[1] != "" {
			class = m[1][0] - '0'
		}
		if m := dscpBits.FindStringSubmatch(r); m != nil {
			if bits, err := strconv.ParseUint(m[1], 10, 8); err == nil {
				dscp = uint8(bits >> 2)
			}
		}
	}
	if !slices.Equal(same, portExpected(mac, class, dscp)) {
		return mac, class, 0, false
	}
	return mac, class, dscp, true
}

// dscpBits is the octet of IPv4 that the DSCP is in, where it is not nought.
var dscpBits = regexp.MustCompile(`"right":2048}},{"mangle":{.*"value":{"\|":\[.*,(\d+)\]}}}\]$`)

// sameRule compares a rule with an expected one, whatever its counter is called.
func sameRule(got, want string) bool {
	return counterName.ReplaceAllString(got, `"counter":"*"`) == want
}

var counterName = regexp.MustCompile(`"counter":"[^"]*"`)

// portExpected is the filter of a port that is open to one MAC, as nft prints it.
func portExpected(mac uint64, class, dscp uint8) (rules []string) {
	const refused = `{"counter":"*"},{"drop":null}`
	payload := func(base string, offset, length int) string {
		return fmt.Sprintf(`{"payload":{"base":"%s","len":%d,"offset":%d}}`, base, length, offset)
	}
	match := func(left, op string, right any) string {
		return fmt.Sprintf(`{"match":{"left":%s,"op":"%s","right":%v}}`, left, op, right)
	}
	field := func(protocol, name string) string {
		return fmt.Sprintf(`{"payload":{"field":"%s","protocol":"%s"}}`, name, protocol)
	}
	add := func(parts ...string) { rules = append(rules, "["+strings.Join(parts, ",")+"]") }
	ether := func(t int) string { return match(payload("ll", 96, 16), "==", t) }
	const arp, ip4, ip6, accepted = 0x0806, 0x0800, 0x86dd, `{"accept":null}`

	add(match(payload("ll", 48, 48), "!=", mac), refused)
	add(ether(arp), match(payload("nh", 64, 48), "!=", mac), refused)
	add(ether(arp), accepted)
	add(match(field("udp", "sport"), "==", 67), refused)
	add(match(field("udp", "sport"), "==", 547), refused)
	add(match(field("udp", "dport"), "==", ethernet.VXLANPort), refused)
	add(match(field("tcp", "sport"), "==", 179), refused)
	add(match(field("tcp", "dport"), "==", 179), refused)
	icmp6 := func(t string) string { return match(field("icmpv6", "type"), "==", `"`+t+`"`) }
	add(icmp6("nd-router-advert"), refused)
	add(icmp6("nd-redirect"), refused)
	add(icmp6("nd-neighbor-solicit"), match(payload("th", 192, 8), "==", 1), match(payload("th", 208, 48), "!=", mac), refused)
	add(icmp6("nd-neighbor-advert"), match(payload("th", 192, 8), "==", 2), match(payload("th", 208, 48), "!=", mac), refused)
	value := `"none"`
	if class > 0 {
		value = fmt.Sprintf(`"0:%d"`, class)
	}
	add(`{"mangle":{"key":{"meta":{"key":"priority"}},"value":` + value + `}}`)
	// nft prints a masked write of zeroes with the mask turned over, and one of ones
	// with the mask widened by them.
	set := func(mask, bits int) string {
		word := payload("nh", 0, 16)
		v := fmt.Sprintf(`{"&":[%s,%d]}`, word, mask^0xffff)
		if bits != 0 {
			v = fmt.Sprintf(`{"|":[{"&":[%s,%d]},%d]}`, word, mask|bits, bits)
		}
		return `{"mangle":{"key":` + word + `,"value":` + v + `}}`
	}
	add(ether(ip4), set(0xff03, int(dscp)<<2))
	add(ether(ip4), accepted)
	add(ether(ip6), set(0xf03f, int(dscp)<<6))
	for _, next := range []int{6, 17, 58} {
		add(ether(ip6), match(payload("nh", 48, 8), "==", next), accepted)
	}
	return rules
}

// leafRule is what the leaf's own filter does.
type leafRule struct {
	accept     []ethernet.Range
	acceptElse bool // VXLAN is taken from elsewhere too, or nobody knows
	forwards   bool // something is forwarded, or nobody knows
}

var (
	vxlanIn  = `{"match":{"left":{"payload":{"field":"dport","protocol":"udp"}},"op":"==","right":4789}}`
	bgpIn    = `{"match":{"left":{"payload":{"field":"dport","protocol":"tcp"}},"op":"==","right":179}}`
	bgpBack  = `{"match":{"left":{"payload":{"field":"sport","protocol":"tcp"}},"op":"==","right":179}}`
	dropIt   = `,{"counter":"*"},{"drop":null}]`
	ranged   = regexp.MustCompile(`^\[{"match":{"left":{"payload":{"field":"saddr","protocol":"ip"}},"op":"==","right":(?:{"range":\["([0-9.]+)","([0-9.]+)"\]}|"([0-9.]+)")}},` + regexp.QuoteMeta(vxlanIn) + `,{"accept":null}\]$`)
	fromPeer = regexp.MustCompile(`^\[{"match":{"left":{"payload":{"field":"saddr","protocol":"ip"}},"op":"==","right":"([0-9.]+)"}},(.*),{"accept":null}\]$`)
	jumpFrom = regexp.MustCompile(`^\[{"match":{"left":{"meta":{"key":"iifname"}},"op":"==","right":"([^"*]+)"}},{"jump":{"target":"uplink"}}\]$`)
	allFrom  = regexp.MustCompile(`^\[{"match":{"left":{"meta":{"key":"iifname"}},"op":"==","right":"([^"*]+)"}},{"accept":null}\]$`)
	others   = map[string]string{
		`[{"match":{"left":{"meta":{"key":"l4proto"}},"op":"==","right":"icmp"}},{"accept":null}]`:                                                                        "ICMP",
		`[{"match":{"left":{"meta":{"key":"nfproto"}},"op":"==","right":"ipv4"}},{"match":{"left":{"meta":{"key":"l4proto"}},"op":"==","right":"ospf"}},{"accept":null}]`: "OSPF",
	}
	harmless = regexp.MustCompile(`^{"(match|counter|drop|accept|log|limit|return|jump|goto|reject|comment)":`)
)

// ofLeaf says what the leaf's own filter does. Uplinks and management are interfaces
// as the agent was told of them.
func (r *shownRules) ofLeaf(uplinks, management []string) (l leafRule) {
	var input, uplink, forward *shownChain
	for i := range r.chains {
		c := &r.chains[i]
		switch c.key() {
		case chainName{"inet", "bulkhead", "input"}:
			input = c
		case chainName{"inet", "bulkhead", "uplink"}:
			uplink = c
		case chainName{"inet", "bulkhead", "forward"}:
			forward = c
		default:
			if c.Hook == "ingress" && c.Family == "netdev" && c.Table == "bulkhead" && !slices.Contains(uplinks, c.Device) {
				continue // a port's, see ofPort
			}
			// A chain of somebody else can drop more; one that rewrites could make
			// something out of what is not allowed.
			if c.Type == "nat" || c.Type == "route" || slices.ContainsFunc(c.rules, func(rule string) bool { return !plainRule(rule) }) {
				l.acceptElse, l.forwards = true, true
			}
		}
	}
	if forward == nil || forward.Hook != "forward" || forward.Type != "filter" || forward.Policy != "drop" || len(forward.rules) > 0 {
		l.forwards = true
	}
	if input == nil || uplink == nil || uplink.Hook != "" || input.Hook != "input" || input.Type != "filter" || input.Policy != "drop" {
		l.acceptElse, l.forwards = true, true
		return l
	}
	if !inputForm(input.rules, uplinks, management) {
		l.acceptElse, l.forwards = true, true
	}
	var ok bool
	if l.accept, ok = uplinkForm(uplink.rules); !ok {
		l.acceptElse = true
	}
	return l
}

// plainRule reports whether a rule only tells packets apart, counts, and drops or takes them.
func plainRule(rule string) bool {
	var parts []json.RawMessage
	if json.Unmarshal([]byte(rule), &parts) != nil {
		return false
	}
	return !slices.ContainsFunc(parts, func(p json.RawMessage) bool { return !harmless.Match(p) })
}

// inputForm: from uplinks to the uplink chain; no VXLAN or BGP from elsewhere;
// loopback and management.
func inputForm(rules, uplinks, management []string) bool {
	i := 0
	for ; i < len(rules); i++ {
		m := jumpFrom.FindStringSubmatch(rules[i])
		if m == nil {
			break
		}
		if !slices.Contains(uplinks, m[1]) {
			return false
		}
	}
	if i+2 > len(rules) || !sameRule(rules[i], "["+vxlanIn+dropIt) || !sameRule(rules[i+1], "["+bgpIn+dropIt) {
		return false
	}
	for _, rule := range rules[i+2:] {
		m := allFrom.FindStringSubmatch(rule)
		if m == nil || m[1] != "lo" && !slices.Contains(management, m[1]) {
			return false
		}
	}
	return true
}

// uplinkForm: VXLAN from ranges, and from nobody else; BGP from peers, and from nobody
// else; what the underlay needs.
func uplinkForm(rules []string) (accept []ethernet.Range, ok bool) {
	i := 0
	for ; i < len(rules); i++ {
		m := ranged.FindStringSubmatch(rules[i])
		if m == nil {
			break
		}
		if m[3] != "" {
			m[1], m[2] = m[3], m[3]
		}
		from, ok1 := parseIPv4(m[1])
		to, ok2 := parseIPv4(m[2])
		if !ok1 || !ok2 || from.Compare(to) > 0 {
			return accept, false
		}
		accept = append(accept, ethernet.Range{From: from, To: to})
	}
	accept, apart := ordered(accept)
	if i >= len(rules) || !apart || !sameRule(rules[i], "["+vxlanIn+dropIt) {
		return accept, false
	}
	for i++; i < len(rules); i++ {
		if m := fromPeer.FindStringSubmatch(rules[i]); m == nil || m[2] != bgpIn && m[2] != bgpBack {
			break
		}
	}
	if i >= len(rules) || !sameRule(rules[i], "["+bgpIn+dropIt) {
		return accept, false
	}
	for _, rule := range rules[i+1:] {
		if others[rule] == "" {
			return accept, false
		}
	}
	return accept, true
}

// ordered sorts ranges; apart is false where two overlap, of which one is left out.
func ordered(list []ethernet.Range) (out []ethernet.Range, apart bool) {
	slices.SortFunc(list, func(a, b ethernet.Range) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	apart = true
	var end netip.Addr
	for _, r := range list {
		if end.IsValid() && end.Compare(r.From) >= 0 {
			apart = false
			continue
		}
		out, end = append(out, r), r.To
	}
	return out, apart
}
