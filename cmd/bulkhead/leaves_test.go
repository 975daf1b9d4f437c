package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/site"
)

// leafCommands are what scripts do with a RoCE fabric of Linux and FRR in network
// namespaces.
var leafCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"leaves": startLeaves, "misbridge": misbridge, "occupy": occupy, "lldpdump": dumpLLDP, "held": held,
}

// startLeaves brings a fabric up that ends with the script: leaves ARGS... Its name is
// in $leaves and its folder in $fabric.
func startLeaves(ts *testscript.TestScript, neg bool, args []string) {
	name := labName()
	ts.Check(ts.Exec("bulkhead", append([]string{"lab", "eth", "up", name}, args...)...))
	ts.Defer(func() { _ = ts.Exec("bulkhead", "lab", "eth", "down", name) }) // the script may have taken it down
	ts.Setenv("leaves", name)
	ts.Setenv("fabric", "/run/bulkhead-lab-eth/"+name)
}

// labName is a lab's name that nobody else on this machine has.
func labName() string { return "t" + strings.ToLower(rand.Text()[:10]) }

// at runs a program at a device of the fabric, past every agent.
func at(ts *testscript.TestScript, device string, words ...string) []byte {
	out, err := exec.Command("nsenter", append([]string{"--net=" + ts.Getenv("fabric") + "/" + device + "/net"}, words...)...).Output()
	if err != nil {
		ts.Fatalf("%s: %v: %v", device, words, err)
	}
	return out
}

// rails calls do for the eight leaves of a scalable unit.
func rails(leaf string, do func(leaf string)) {
	for rail := range site.Rails {
		do(fmt.Sprintf("%s%d", leaf, rail))
	}
}

// occupy makes a VNI at the leaves of a scalable unit and puts ports into it, as
// somebody did before there was a control plane: occupy VNI LEAF PORT...
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	vni := args[0]
	rails(args[1], func(leaf string) {
		var addresses []struct {
			Info []struct{ Local string } `json:"addr_info"`
		}
		ts.Check(json.Unmarshal(at(ts, leaf, "ip", "-j", "-4", "addr", "show", "lo"), &addresses))
		own := ""
		for _, a := range addresses[0].Info {
			if strings.HasPrefix(a.Local, "10.") {
				own = a.Local
			}
		}
		for _, line := range []string{
			"ip link add br" + vni + " type bridge", "ip link add vx" + vni + " type vxlan id " + vni + " local " + own + " dstport 4789 nolearning",
			"ip link set vx" + vni + " master br" + vni + " up", "ip link set br" + vni + " up",
		} {
			at(ts, leaf, strings.Fields(line)...)
		}
		for _, port := range args[2:] {
			at(ts, leaf, "ip", "link", "set", "swp"+port, "master", "br"+vni)
		}
	})
}

// dumpLLDP writes what lldpd of the leaves of a scalable unit has heard to LEAF.json:
// lldpdump LEAF.
func dumpLLDP(ts *testscript.TestScript, neg bool, args []string) {
	rails(args[0], func(leaf string) {
		out, err := exec.Command("lldpctl", "-u", ts.Getenv("fabric")+"/"+leaf+"/lldpd.sock", "-f", "json").Output()
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(leaf+".json"), out, 0o600))
	})
}

// held writes what the leaves of a scalable unit hold to a file: held LEAF FILE.
// Counters differ from one moment to the next, and are left out.
func held(ts *testscript.TestScript, neg bool, args []string) {
	var text []byte
	rails(args[0], func(leaf string) {
		for _, line := range []string{"ip -o link show", "bridge link show", "nft -s list ruleset"} {
			text = append(text, at(ts, leaf, strings.Fields(line)...)...)
		}
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}

// misbridge moves a port of a leaf into the bridge that another of its ports is in, by
// iproute2 and behind everybody's back: misbridge LEAF.
func misbridge(ts *testscript.TestScript, neg bool, args []string) {
	var links []struct{ Name, Master string }
	text := strings.ReplaceAll(string(at(ts, args[0], "ip", "-j", "link", "show", "type", "bridge_slave")), `"ifname"`, `"name"`)
	ts.Check(json.Unmarshal([]byte(text), &links))
	bridge := map[string]string{}
	for _, l := range links {
		if !strings.HasPrefix(l.Name, "swp") {
			continue
		}
		for port, other := range bridge {
			if other != l.Master {
				ts.Logf("%s of %s goes from %s to %s", port, args[0], other, l.Master)
				at(ts, args[0], "ip", "link", "set", port, "master", l.Master)
				return
			}
		}
		bridge[l.Name] = l.Master
	}
	ts.Fatalf("no two bridges with ports at %s: %s", args[0], text)
}
