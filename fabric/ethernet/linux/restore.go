package linux

import (
	"fmt"

	"bulkhead/fabric/ethernet"
)

// This file writes the parts of a reflector's policy that somebody changed, as its
// startup configuration has them. In between a part passes less than before or after,
// never more: without their map or their list routes are refused.

// restore makes the lines that put parts back.
func restore(broken []part) (lines []string) {
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	// A map that is not there can't be removed: it is mentioned first, refusing.
	again := func(name string) {
		line("route-map %s deny 1", name)
		line("exit")
		line("no route-map %s", name)
	}
	for _, b := range broken {
		switch b.kind {
		case refusedList:
			// Never without its line: what is marked would pass.
			line("bgp community-list standard %s seq 5 permit %s", refused, refusal)
			for _, is := range b.extra {
				if is != "permit "+refusal {
					line("no bgp community-list standard %s %s", refused, is)
				}
			}
		case targetList:
			line("bgp extcommunity-list expanded %s seq 5 deny RT:.*RT:", oneTarget)
			line("no bgp extcommunity-list expanded %s", oneTarget)
			line("bgp extcommunity-list expanded %s seq 5 deny RT:.*RT:", oneTarget)
			line("bgp extcommunity-list expanded %s seq 10 permit RT:%d:[0-9]+", oneTarget, ethernet.ASN)
		case leavesMap:
			again(toLeaves)
			line("route-map %s deny 5", toLeaves)
			line("match community %s", refused)
			line("exit")
			for i, kind := range []string{"macip", "multicast"} {
				line("route-map %s permit %d", toLeaves, 10*(i+1))
				line("match evpn route-type %s", kind)
				line("match extcommunity %s", oneTarget)
				line("exit")
			}
		case leafMap:
			name := fromLeaf + b.leaf.String()
			again(name)
			line("route-map %s permit 10", name)
			line("match extcommunity %s", name)
			line("exit")
			line("route-map %s permit 20", name)
			line("set community %s additive", refusal)
			line("exit")
		case neighbour:
			line("router bgp %d", ethernet.ASN)
			line("address-family l2vpn evpn")
			line("neighbor %s route-map %s%s in", b.leaf, fromLeaf, b.leaf)
			line("neighbor %s route-map %s out", b.leaf, toLeaves)
			line("exit-address-family")
			line("exit")
		}
	}
	return lines
}
