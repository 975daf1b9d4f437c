package linux

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What is done to a leaf's configuration and changes nothing today, as bgpd or nft would
// print it: the leaf says what differs, no port reads otherwise, and what bgpd has is put
// back by lines that name it.
func TestDifferencesAreSaid(t *testing.T) {
	base, err := readSaid(t, said(t))
	if err != nil {
		t.Fatal(err)
	}
	clean := judge(t, base)
	for _, c := range []struct {
		name, file, old, new string
		says, back           string
	}{
		{"targets that are derived", "running", "   route-target import 65000:5001\n   route-target export 65000:5001\n", "", "VNI 5001: its own route target is derived",
			"vni 5001; route-target import 0:5001; route-target import 65000:5001; no route-target import 0:5001; route-target export 0:5001; route-target export 65000:5001; no route-target export 0:5001"},
		{"one target that is derived", "running", "   route-target export 65000:5002\n", "", "VNI 5002: its own route target is derived",
			"vni 5002; route-target export 0:5002; route-target export 65000:5002; no route-target export 0:5002"},
		{"a VNI of which nothing is said", "running", "  vni 5001\n   route-target import 65000:5001\n   route-target export 65000:5001\n  exit-vni\n", "", "VNI 5001: its own route target is derived", "vni 5001; route-target import 0:5001"},
		{"another derivation", "running", "  advertise-all-vni\n", "  advertise-all-vni\n  autort rfc8365-compatible\n", "EVPN: nobody ordered autort rfc8365-compatible", "no autort rfc8365-compatible"},
		{"a VNI for nobody", "running", "  vni 5001\n", "  vni 77\n  exit-vni\n  vni 5001\n", "VNI 77 is configured, and no port is in it", "no vni 77"},
		{"a distinguisher", "running", "  vni 5001\n", "  vni 5001\n   rd 10.65.0.1:7\n", "VNI 5001: nobody ordered rd 10.65.0.1:7", "vni 5001; no rd 10.65.0.1:7"},
		{"no inbound policy", "running", "  neighbor fabric route-map one-target in\n", "", `routes of 10.65.255.1 are taken by policy ??: expected one-target`, "neighbor fabric route-map one-target in"},
		{"another inbound policy at one reflector", "running", "  advertise-all-vni\n", "  neighbor 10.65.255.2 route-map blind in\n  advertise-all-vni\n", "routes of 10.65.255.2 are taken by policy ?blind?", "neighbor 10.65.255.2 route-map one-target in"},
		{"a rule more", "running", "route-map one-target permit 20\n", "route-map one-target permit 15\nexit\n!\nroute-map one-target permit 20\n", "route map one-target is not as it is to be: 3 rules", "no route-map one-target permit 15"},
		{"a rule that does something else", "running", " match evpn route-type multicast\n", " match evpn route-type multicast\n on-match next\n", "route map one-target is not as it is to be", "route-map one-target permit 20; no on-match next; exit"},
		{"a line of the list less", "running", "bgp extcommunity-list expanded one-target seq 5 deny RT:.*RT:\n", "", "list one-target is not as it is to be: 1 lines", "bgp extcommunity-list expanded one-target seq 5 deny RT:.*RT:"},
		{"a reflector that the filter refuses", "rules", `"right": "10.65.255.2"`, `"right": "10.65.255.9"`, "the leaf's filter: BGP from 10.65.255.2 is refused", ""},
		{"a stranger's BGP through the filter", "rules", `"right": "10.65.255.2"`, `"right": "10.65.255.9"`, "the leaf's filter: BGP from 10.65.255.9 is taken", ""},
		{"management that the filter refuses", "rules", `"right": "eth0"`, `"right": "lo"`, "the leaf's filter: everything from eth0 is refused", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := said(t)
			if all[c.file] = strings.ReplaceAll(all[c.file], c.old, c.new); all[c.file] == said(t)[c.file] {
				t.Fatalf("%q is not in %s", c.old, c.file)
			}
			capture, err := readSaid(t, all)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(capture.Differs, func(d string) bool { return strings.HasPrefix(d, c.says) }) {
				t.Errorf("it differs by %q, expected %q", capture.Differs, c.says)
			}
			for port, r := range judge(t, capture) {
				if was := clean[port]; !r.Row().Equal(was.Row()) || r.Faults != was.Faults || r.Neighbour != was.Neighbour {
					t.Errorf("port %d reads %s, faults %v; before %s, %v", port, r.Row(), r.Faults, was.Row(), was.Faults)
				}
			}
			if c.file != "running" {
				return // the filter is written anew with every write
			}
			var lines []string
			for _, d := range different(t, all["running"], true) {
				lines = append(lines, d.back...)
				lines = append(lines, d.together...)
			}
			if back := strings.Join(lines, "; "); !strings.Contains(back, c.back) {
				t.Errorf("put back by %q, expected %q", back, c.back)
			}
		})
	}
}

// different is what differs of a configuration at a leaf with ports in three VNIs.
func different(t *testing.T, text string, policy bool) []difference {
	t.Helper()
	conf, err := ReadConfig("testdata/agent.json")
	if err != nil {
		t.Fatal(err)
	}
	conf.Policy = policy
	return conf.differences(decodeRunning([]byte(text)), map[uint32]bool{5001: true, 5002: true, 0xfffffe: true})
}

// Where the policy is not the agent's, nothing is said of it, and nothing done to it. No
// secret of the configuration is in what is compared, and what is said at once is read at
// once, whatever the VNI.
func TestOnlyWhatIsOwnedIsCompared(t *testing.T) {
	text := said(t)["running"]
	if !strings.Contains(text, "secretsecret") || strings.Contains(fmt.Sprint(decodeRunning([]byte(text))), "secret") {
		t.Error("the password is among what is compared, or not in the configuration")
	}
	edited := strings.NewReplacer("  neighbor fabric route-map one-target in\n", "  flooding disable\n", "seq 5 deny", "seq 6 deny", "permit 20", "permit 30", " timers connect 1", " timers connect 9").Replace(text)
	if d := different(t, edited, false); len(d) > 0 {
		t.Errorf("the policy is its owner's, and %d differ, such as %+v", len(d), d[0])
	}
	if d := different(t, edited, true); len(d) != 6 {
		t.Errorf("%d differ, expected the line, the list, two rules of the map and two neighbours: %+v", len(d), d)
	}
	if n := len(strings.Join(ownTargets(1<<24-1, true, true), " ")) + 1; n > maxAtOnce {
		t.Errorf("%d bytes at once, of %d that a daemon reads", n, maxAtOnce)
	}
}
