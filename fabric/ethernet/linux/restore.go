package linux

import (
	"fmt"

	"bulkhead/fabric/ethernet"
)

// This file writes the parts of a reflector's policy that somebody changed, as its
// startup configuration has them. In between a part passes less than before or after,
// never more.

// restore is what puts parts back, where r is what bgpd has of them.
func restore(broken []part, r running) (d []difference) {
	say := func(lines ...string) { d = append(d, difference{back: lines}) }
	for _, b := range broken {
		switch b.kind {
		case refusedList:
			// Never without its line: what is marked would pass.
			say(fmt.Sprintf("bgp community-list standard %s seq 5 permit %s", refused, refusal))
			for _, is := range b.extra {
				if is != "permit "+refusal {
					say(fmt.Sprintf("no bgp community-list standard %s %s", refused, is))
				}
			}
		case targetList:
			list := "bgp extcommunity-list expanded " + oneTarget
			say(list+" seq 5 deny RT:.*RT:", "no "+list)
			say(list+" seq 5 deny RT:.*RT:", fmt.Sprintf("%s seq 10 permit RT:%d:[0-9]+", list, ethernet.ASN))
		case leavesMap:
			d = append(d, r.ruleByRule("", toLeaves, []mapRule{
				{"route-map " + toLeaves + " deny 5", []string{"match community " + refused}},
				{"route-map " + toLeaves + " permit 10", []string{"match evpn route-type macip", "match extcommunity " + oneTarget}},
				{"route-map " + toLeaves + " permit 20", []string{"match evpn route-type multicast", "match extcommunity " + oneTarget}},
			})...)
		case leafMap:
			name := fromLeaf + b.leaf.String()
			d = append(d, r.ruleByRule("", name, []mapRule{
				{"route-map " + name + " permit 10", []string{"match extcommunity " + name}},
				{"route-map " + name + " permit 20", []string{"set community " + refusal + " additive"}},
			})...)
		case neighbour:
			say(evpn(fmt.Sprintf("neighbor %s route-map %s%s in", b.leaf, fromLeaf, b.leaf), fmt.Sprintf("neighbor %s route-map %s out", b.leaf, toLeaves))...)
		}
	}
	return d
}
