package linux

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric/ethernet"
)

// This file compares what a leaf's agent owns of bgpd's configuration with what it is to
// be, in full: also where bgpd does the same without it today. An automatic route target
// that equals the explicit one is another once somebody changes how it is derived, and
// takes the routes of every autonomous system; an inbound policy that is gone is missed
// when a reflector's fails.

// difference is a part that is not as it is to be.
type difference struct {
	text string // for people
	// back are the lines that put it back, from the top of bgpd's configuration.
	back []string
	// together are said after them, at once.
	together []string
}

var (
	routerLine = fmt.Sprintf("router bgp %d", ethernet.ASN)
	inEVPN     = section(routerLine, evpnLine)
	// What leaves take: MACs and flooding, under just one target of the fabric's form.
	oneTargetList = []string{
		"bgp extcommunity-list expanded " + oneTarget + " seq 10 permit RT:" + strconv.Itoa(ethernet.ASN) + ":[0-9]+",
		"bgp extcommunity-list expanded " + oneTarget + " seq 5 deny RT:.*RT:",
	}
	oneTargetMap = []mapRule{
		{"route-map " + oneTarget + " permit 10", []string{"match evpn route-type macip", "match extcommunity " + oneTarget}},
		{"route-map " + oneTarget + " permit 20", []string{"match evpn route-type multicast", "match extcommunity " + oneTarget}},
	}
)

const evpnLine = "address-family l2vpn evpn"

// evpn makes lines of EVPN's address family ones from the top.
func evpn(lines ...string) []string {
	return append([]string{routerLine, evpnLine}, lines...)
}

// differences compares a running configuration with what it is to be where ports are in
// VNIs. The same configuration gives the same, in one order.
func (c *Config) differences(r running, vnis map[uint32]bool) (d []difference) {
	d = differentVNIs(r, vnis)
	if !c.Policy {
		return d
	}
	for _, line := range r[inEVPN] {
		if line != "advertise-all-vni" && !strings.HasPrefix(line, "neighbor ") && !strings.HasPrefix(line, "vni ") {
			d = append(d, difference{text: "EVPN: nobody ordered " + line, back: evpn("no " + line)})
		}
	}
	list := r.below("", "bgp extcommunity-list expanded "+oneTarget+" ")
	if back := lineByLine(list, oneTargetList); len(back) > 0 {
		d = append(d, difference{text: fmt.Sprintf("list %s is not as it is to be: %d lines", oneTarget, len(list)), back: back})
	}
	rules := len(r.below("", "route-map "+oneTarget+" "))
	d = append(d, r.ruleByRule(fmt.Sprintf("route map %s is not as it is to be: %d rules", oneTarget, rules), oneTarget, oneTargetMap)...)
	for _, a := range c.Reflectors {
		if who, is := r.inbound(a); who != "" && is != oneTarget {
			d = append(d, difference{text: fmt.Sprintf("routes of %s are taken by policy %q: expected %s", a, is, oneTarget),
				back: evpn("neighbor " + who + " route-map " + oneTarget + " in")})
		}
	}
	return d
}

// lineByLine are the lines that make those of a section what they are to be: what is too
// much goes first.
func lineByLine(is, want []string) (back []string) {
	for _, line := range is {
		if !slices.Contains(want, line) {
			back = append(back, "no "+line)
		}
	}
	for _, line := range want {
		if !slices.Contains(is, line) {
			back = append(back, line)
		}
	}
	return back
}

// inbound is the route map by which routes of a neighbour are taken, "" for none, and
// where that is said: at the neighbour, or at its group; nowhere where it is no neighbour.
func (r running) inbound(a netip.Addr) (who, name string) {
	group := ""
	for _, line := range r[section(routerLine)] {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "neighbor" && f[1] == a.String() {
			if who = a.String(); f[2] == "peer-group" && len(f) == 4 {
				group = f[3]
			}
		}
	}
	if who == "" {
		return "", ""
	}
	of := func(who string) (string, bool) {
		for _, line := range r[inEVPN] {
			if f := strings.Fields(line); len(f) == 5 && f[0] == "neighbor" && f[1] == who && f[2] == "route-map" && f[4] == "in" {
				return f[3], true
			}
		}
		return "", false
	}
	if name, own := of(who); own || group == "" {
		return who, name
	}
	name, _ = of(group)
	return group, name
}

// differentVNIs compares the VNIs that are configured with those that ports are in.
func differentVNIs(r running, vnis map[uint32]bool) (d []difference) {
	configured := map[uint32]bool{}
	for _, line := range r.below(inEVPN, "vni ") {
		if vni, err := strconv.ParseUint(strings.TrimPrefix(line, "vni "), 10, 24); err == nil {
			configured[uint32(vni)] = true
		}
	}
	all := maps.Clone(configured)
	maps.Copy(all, vnis)
	for _, vni := range slices.Sorted(maps.Keys(all)) {
		line := fmt.Sprintf("vni %d", vni)
		if !vnis[vni] {
			d = append(d, difference{text: fmt.Sprintf("VNI %d is configured, and no port is in it", vni), back: evpn("no " + line)})
			continue
		}
		said := map[string]bool{}
		for _, line := range r[section(inEVPN, line)] {
			// Which targets they are is read elsewhere: others have an effect.
			if f := strings.Fields(line); len(f) == 3 && f[0] == "route-target" {
				said[f[1]] = true
				continue
			}
			d = append(d, difference{text: fmt.Sprintf("VNI %d: nobody ordered %s", vni, line), back: evpn(fmt.Sprintf("vni %d", vni), "no "+line)})
		}
		if to := ownTargets(vni, !said["import"], !said["export"]); len(to) > 0 {
			d = append(d, difference{text: fmt.Sprintf("VNI %d: its own route target is derived: expected it to be said", vni), back: evpn(line), together: to})
		}
	}
	return d
}

// ownTargets are the lines that say a VNI's own target. bgpd takes none that equals the
// one that it derives, and forgets the derived one when another is said: so another is
// said first and taken back. That is the target without an autonomous system, by which
// the derived one is looked up: at no time are routes taken that were not before.
func ownTargets(vni uint32, imports, exports bool) (lines []string) {
	for _, d := range []struct {
		say  bool
		name string
	}{{imports, "import"}, {exports, "export"}} {
		if d.say {
			line := "route-target " + d.name
			lines = append(lines, fmt.Sprintf("%s 0:%d", line, vni), fmt.Sprintf("%s %s", line, ethernet.TargetOf(vni)), fmt.Sprintf("no %s 0:%d", line, vni))
		}
	}
	return lines
}
