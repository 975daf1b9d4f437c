package main

import (
	"crypto/rand"
	"encoding/json"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// leafCommands are what scripts do with a RoCE fabric of Linux and FRR in network
// namespaces.
var leafCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"leaves": startLeaves, "misbridge": misbridge,
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

// misbridge moves a port of a leaf into the bridge that another of its ports is in, by
// iproute2 and behind everybody's back: misbridge LEAF.
func misbridge(ts *testscript.TestScript, neg bool, args []string) {
	at := func(words ...string) []byte {
		out, err := exec.Command("nsenter", append([]string{"--net=" + ts.Getenv("fabric") + "/" + args[0] + "/net"}, words...)...).Output()
		ts.Check(err)
		return out
	}
	var links []struct{ Name, Master string }
	text := strings.ReplaceAll(string(at("ip", "-j", "link", "show", "type", "bridge_slave")), `"ifname"`, `"name"`)
	ts.Check(json.Unmarshal([]byte(text), &links))
	bridge := map[string]string{}
	for _, l := range links {
		if !strings.HasPrefix(l.Name, "swp") {
			continue
		}
		for port, other := range bridge {
			if other != l.Master {
				ts.Logf("%s of %s goes from %s to %s", port, args[0], other, l.Master)
				at("ip", "link", "set", port, "master", l.Master)
				return
			}
		}
		bridge[l.Name] = l.Master
	}
	ts.Fatalf("no two bridges with ports at %s: %s", args[0], text)
}
