package linux

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// said is what the programs of a real leaf printed (Linux 6.18, iproute2 6.1, nft
// 1.0.6, FRR 8.4.4, lldpd 1.0.16), with ports 1 and 2 in VNIs 5001 and 5002, port 3 in
// quarantine, port 4 closed, and the same at the other leaf.
func said(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"links", "entries", "queues", "rules", "chains", "bgp", "running", "lldp", "queues.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

func readSaid(t testing.TB, said map[string]string) (ethernet.Capture, error) {
	t.Helper()
	conf, err := ReadConfig("testdata/agent.json")
	if err != nil {
		t.Fatal(err)
	}
	s := &shown{queues: []byte(said["queues.json"]), running: decodeRunning([]byte(said["running"]))}
	for _, decode := range []func() error{
		func() (err error) { s.links, err = decodeLinks([]byte(said["links"])); return err },
		func() (err error) { s.entries, err = decodeEntries([]byte(said["entries"])); return err },
		func() (err error) { s.steer, err = decodeQueues([]byte(said["queues"])); return err },
		func() (err error) {
			s.rules, err = decodeRules([]byte(said["rules"]), []byte(said["chains"]))
			return err
		},
		func() (err error) { s.bgp, err = decodeBGP([]byte(said["bgp"])); return err },
		func() (err error) { s.lldp, err = decodeLLDP([]byte(said["lldp"])); return err },
	} {
		if err := decode(); err != nil {
			return ethernet.Capture{}, err
		}
	}
	return assemble(conf, s)
}

// judge is what a capture of the leaf shows of its ports, by number.
func judge(t testing.TB, c ethernet.Capture) map[int]fabric.Reading {
	t.Helper()
	data, err := examples.Files.ReadFile("rivals-eth/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("site.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := template.Build()
	if err != nil {
		t.Fatal(err)
	}
	c.RoutesSeen = true
	for _, v := range c.VNIs { // as a collector beside it hears
		c.Routes = append(c.Routes, ethernet.Route{Kind: 3, VNI: v.VNI, Targets: []ethernet.Target{ethernet.TargetOf(v.VNI)}, Originator: c.Underlay.VTEP})
	}
	if _, err := ethernet.Encode(&c); err != nil {
		t.Fatalf("the capture contradicts itself: %v", err)
	}
	leaf, _ := s.LeafByID("a1-su01-front")
	readings, err := ethernet.Readings(s, leaf, &c)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]fabric.Reading{}
	for _, r := range readings {
		out[r.LeafPort] = r
	}
	return out
}

func TestReadsALeaf(t *testing.T) {
	c, err := readSaid(t, said(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Differs) > 0 {
		t.Errorf("it differs: %q", c.Differs)
	}
	got := judge(t, c)
	want := map[int]uint32{1: 5001, 2: 5002, 3: 0xfffffe, 4: 0}
	if len(got) != len(want) {
		t.Fatalf("%d ports, expected %d", len(got), len(want))
	}
	for port, value := range want {
		r := got[port]
		if row := fabric.Compile(site.RoCE, value); !r.Row().Equal(row) || r.Faults != 0 || r.Full || r.Neighbour != 0x6aff0313b008+uint64(port-1)<<4 {
			t.Errorf("port %d reads %s, faults %v, neighbour %#x, expected %s", port, r.Row(), r.Faults, r.Neighbour, row)
		}
	}
}

// A port with a second static address takes packets from it, and reads so whichever of
// them the kernel lists first: its order is a hash's, and another at the next start.
func TestOrderOfEntriesIsNothing(t *testing.T) {
	const own = `{"mac":"6a:ff:03:13:b0:08","ifname":"swp1"`
	for name, other := range map[string]string{"a lower one": "02:00:00:00:00:77", "a higher one": "be:55:b2:0e:50:00"} {
		entry := `{"mac":"` + other + `","ifname":"swp1","flags":[],"master":"bd5001","state":"static"}`
		var captures []ethernet.Capture
		for _, order := range []func(string) string{
			func(entries string) string { return strings.Replace(entries, own, entry+","+own, 1) },
			func(entries string) string {
				return strings.TrimSuffix(strings.TrimSpace(entries), "]") + "," + entry + "]"
			},
		} {
			all := said(t)
			if all["entries"] = order(all["entries"]); !strings.Contains(all["entries"], entry) {
				t.Fatalf("%s is not among the entries", entry)
			}
			c, err := readSaid(t, all)
			if err != nil {
				t.Fatal(err)
			}
			captures = append(captures, c)
			if r := judge(t, c)[1]; r.EnforceIn || r.Neighbour != fabric.NeighbourConflict {
				t.Errorf("%s, entry %d in order: enforced %t, neighbour %#x; expected neither", name, len(captures), r.EnforceIn, r.Neighbour)
			}
		}
		if !reflect.DeepEqual(captures[0], captures[1]) {
			t.Errorf("%s: in another order the leaf reads as\n%+v\nand not as\n%+v", name, captures[1].Ports[0], captures[0].Ports[0])
		}
	}
}

// What is done to a leaf by hand, as its programs would show it, and what must come of
// it. Each line must turn something: a leaf that reads as before proves nothing.
func TestEveryChangeShows(t *testing.T) {
	const (
		mac1      = "6a:ff:03:13:b0:08"
		swp1Chain = `{"chain": {"family": "netdev", "table": "bulkhead", "name": "swp1"`
		first     = `{"rule": {"family": "netdev", "table": "bulkhead", "chain": "swp1"`
	)
	base, err := readSaid(t, said(t))
	if err != nil {
		t.Fatal(err)
	}
	clean := judge(t, base)
	open := func(r fabric.Reading) bool { return !r.EnforceIn }
	fault := func(f fabric.Faults) func(fabric.Reading) bool {
		return func(r fabric.Reading) bool { return r.Faults&f != 0 }
	}
	conflict := func(r fabric.Reading) bool { return r.Neighbour == fabric.NeighbourConflict }
	carries := func(v fabric.Member) func(fabric.Reading) bool {
		return func(r fabric.Reading) bool { return slices.Contains(r.Leaf, v) }
	}
	for _, c := range []struct {
		name, file, old, new string
		turned               func(fabric.Reading) bool // of port 1
	}{
		{"moved to the rival's bridge", "links", `"master":"bd5001","operstate":"UP"`, `"master":"bd5002","operstate":"UP"`, carries(fabric.Full(5002))},
		{"bridge gets the rival's VXLAN device", "links", `"ifname":"vni5002","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9000,"qdisc":"noqueue","master":"bd5002"`,
			`"ifname":"vni5002","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9000,"qdisc":"noqueue","master":"bd5001"`, carries(fabric.Full(5002))},
		{"small packets at the port", "links", `"ifname":"swp1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9000`, `"ifname":"swp1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500`, fault(fabric.FaultClass)},
		{"small packets in the VXLAN device", "links", `"ifname":"vni5001","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9000`, `"ifname":"vni5001","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450`, fault(fabric.FaultClass)},
		{"an uplink without room for VXLAN", "links", `"ifname":"swp6","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9216`, `"ifname":"swp6","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9049`, fault(fabric.FaultClass)},
		{"VXLAN device of another VNI under the old name", "links", `"id":5001,"local"`, `"id":5007,"local"`, carries(fabric.Full(5007))},
		{"isolation of VXLAN devices off", "links", `"isolated":true`, `"isolated":false`, nil},
		{"lock off", "links", `"locked":true`, `"locked":false`, open},
		{"learning on", "links", `"locked":true`, `"locked":true,"learning":true`, open},
		{"VLAN filtering", "links", `"vlan_filtering":0`, `"vlan_filtering":1`, open},
		{"addresses on ports", "links", `"addr_info":[]`, `"addr_info":[{"family":"inet","local":"10.0.8.254","prefixlen":24}]`, fault(fabric.FaultUnderlay)},
		{"addresses on ports, as they read themselves", "links", `"addr_info":[]`, `"addr_info":[{"family":"inet","local":"10.0.8.254","prefixlen":24}]`, open},
		{"device on top of the port", "links", `[{`, `[{"ifindex":99,"link":"swp1","ifname":"swp1.7","linkinfo":{"info_kind":"vlan"}},{`, open},
		{"XDP program", "links", `"ifname":"swp1","flags"`, `"xdp":{"mode":2},"ifname":"swp1","flags"`, fault(fabric.FaultMirror)},
		{"VXLAN on another UDP port", "links", `"port":4789`, `"port":4790`, fault(fabric.FaultUnderlay)},
		{"VXLAN that takes any VNI", "links", `"id":5001,"local"`, `"external":true,"id":5001,"local"`, fault(fabric.FaultUnderlay)},
		{"VXLAN that learns", "links", `"learning":false,"`, `"learning":true,"`, fault(fabric.FaultUnderlay)},
		{"default remote", "links", `"id":5001,"local"`, `"remote":"192.0.2.9","id":5001,"local"`, fault(fabric.FaultPath)},
		{"another leaf's VTEP", "links", `"local":"10.65.0.1"`, `"local":"10.65.0.2"`, fault(fabric.FaultRoutes)},
		{"flooded out of the fabric", "entries", `[{`, `[{"mac":"00:00:00:00:00:00","ifname":"vni5001","dst":"192.0.2.9","flags":["self"],"state":"permanent"},{`, fault(fabric.FaultPath)},
		{"forwarded out of the fabric", "entries", `[{`, `[{"mac":"02:00:00:00:00:09","ifname":"vni5001","dst":"192.0.2.9","flags":["self"],"state":"static"},{`, fault(fabric.FaultPath)},
		{"entry to an address that is none", "entries", `[{`, `[{"mac":"02:00:00:00:00:09","ifname":"vni5001","dst":"fe80::1","flags":["self"],"state":"static"},{`, fault(fabric.FaultPath)},
		{"another static MAC", "entries", `[{`, `[{"mac":"02:00:00:00:00:09","ifname":"swp1","flags":[],"master":"bd5001","state":"static"},{`, conflict},
		{"a MAC that was learned", "entries", `[{`, `[{"mac":"02:00:00:00:00:09","ifname":"swp1","flags":[],"master":"bd5001","state":""},{`, conflict},
		{"the lock is to another", "entries", mac1, "02:00:00:00:00:09", open},
		{"no lock entry", "entries", `"mac":"` + mac1 + `","ifname":"swp1"`, `"mac":"` + mac1 + `","ifname":"swp9"`, open},
		{"clsact", "queues", `"kind":"noqueue","handle":"0:","dev":"swp1"`, `"kind":"clsact","handle":"ffff:","dev":"swp1"`, fault(fabric.FaultMirror)},
		{"clsact at an uplink", "queues", `"kind":"noqueue","handle":"0:","dev":"swp5"`, `"kind":"clsact","handle":"ffff:","dev":"swp5"`, fault(fabric.FaultMirror)},
		{"htb at the bridge", "queues", `"kind":"noqueue","handle":"0:","dev":"bd5001"`, `"kind":"htb","handle":"1:","dev":"bd5001"`, fault(fabric.FaultMirror)},
		{"port filter accepts by policy", "rules", swp1Chain + `, "handle": 2, "type": "filter", "hook": "ingress", "prio": -500, "policy": "drop"`, swp1Chain + `, "handle": 2, "type": "filter", "hook": "ingress", "prio": -500, "policy": "accept"`, open},
		{"accepts all first", "rules", first, first + `, "handle": 999, "expr": [{"accept": null}]}}, ` + first, open},
		{"one rule less", "rules", `"chain": "swp1", "handle": 10,`, `"chain": "swp2", "handle": 10,`, open},
		{"the chain hooks elsewhere", "chains", `device "swp1"`, `device "swp9"`, open},
		{"the chain hooks nowhere that is understood", "chains", `device "swp1"`, `devices = { "swp1", "swp2" }`, open},
		{"priority of another class", "rules", `"0:4"`, `"0:6"`, func(r fabric.Reading) bool { return r.Class == 6 }},
		{"DSCP of another class", "rules", `128]}`, `192]}`, open},
		{"VXLAN filter gone", "rules", `"chain": "uplink", "handle": 28,`, `"chain": "other", "handle": 28,`, nil},
		{"VXLAN from everywhere", "rules", `{"range": ["10.65.0.1", "10.65.0.2"]}`, `{"range": ["0.0.0.0", "255.255.255.255"]}`, fault(fabric.FaultUnderlay)},
		{"input accepts by policy", "rules", `"hook": "input", "prio": 1000, "policy": "drop"`, `"hook": "input", "prio": 1000, "policy": "accept"`, fault(fabric.FaultUnderlay)},
		{"forward accepts by policy", "rules", `"hook": "forward", "prio": 1000, "policy": "drop"`, `"hook": "forward", "prio": 1000, "policy": "accept"`, fault(fabric.FaultUnderlay)},
		{"bridge accepted by input", "rules", `"right": "eth0"`, `"right": "bd5001"`, fault(fabric.FaultUnderlay)},
		{"jump from an edge port", "rules", `"right": "swp5"`, `"right": "swp1"`, fault(fabric.FaultUnderlay)},
		{"uplink chain begins with accept", "rules", `{"rule": {"family": "inet", "table": "bulkhead", "chain": "uplink"`, `{"rule": {"family": "inet", "table": "bulkhead", "chain": "uplink", "handle": 1000, "expr": [{"accept": null}]}}, {"rule": {"family": "inet", "table": "bulkhead", "chain": "uplink"`, fault(fabric.FaultUnderlay)},
		{"somebody else rewrites", "rules", `{"table": {"family": "netdev"`, `{"table": {"family": "inet", "name": "x", "handle": 9}}, {"chain": {"family": "inet", "table": "x", "name": "y", "handle": 1, "type": "filter", "hook": "prerouting", "prio": 0, "policy": "accept"}}, {"rule": {"family": "inet", "table": "x", "chain": "y", "handle": 2, "expr": [{"mangle": {"key": {"payload": {"protocol": "ip", "field": "saddr"}}, "value": "10.65.0.2"}}]}}, {"table": {"family": "netdev"`, fault(fabric.FaultUnderlay)},
		{"route target of the rival imported", "bgp", `"importRTs":[
      "65000:5001"`, `"importRTs":[
      "65000:5001","65000:5002"`, fault(fabric.FaultRoutes)},
		{"route target exported of another form", "bgp", `"exportRTs":[
      "65000:5001"`, `"exportRTs":[
      "192.0.2.1:5001"`, fault(fabric.FaultRoutes)},
		{"rogue peer", "bgp", `"10.65.255.1":{
      "hostname"`, `"192.0.2.5":{},"10.65.255.1":{
      "hostname"`, fault(fabric.FaultRoutes)},
		{"whoever comes is a peer", "bgp", `"type":"internal"`, `"type":"internal","dynamicRanges":{"IPv4":{"count":1,"ranges":["10.65.0.0/16"]}}`, fault(fabric.FaultRoutes)},
		{"routed VNI", "bgp", `"type":"L2"`, `"type":"L3"`, fault(fabric.FaultUnderlay)},
		{"somebody else by LLDP", "lldp", mac1, "02:00:00:00:00:09", conflict},
		{"PFC off", "queues.json", `"pfc": true`, `"pfc": false`, fault(fabric.FaultClass)},
		{"no file of queues", "queues.json", `[`, ``, fault(fabric.FaultClass)},
	} {
		t.Run(c.name, func(t *testing.T) {
			texts := said(t)
			changed := strings.ReplaceAll(texts[c.file], c.old, c.new)
			if c.name == "device on top of the port" || strings.HasPrefix(c.new, "[{") || c.new == "" {
				changed = strings.Replace(texts[c.file], c.old, c.new, 1)
			}
			if changed == texts[c.file] {
				t.Fatalf("%q is not in %s", c.old, c.file)
			}
			if c.name == "accepts all first" || c.name == "uplink chain begins with accept" {
				changed = strings.Replace(texts[c.file], c.old, c.new, 1)
			}
			texts[c.file] = changed
			capture, err := readSaid(t, texts)
			if c.turned == nil {
				if err == nil && reflect.DeepEqual(capture, base) {
					t.Fatal("it reads as before")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := judge(t, capture)[1]
			if !c.turned(got) {
				t.Errorf("port 1 reads %s, faults %v, neighbour %#x", got.Row(), got.Faults, got.Neighbour)
			}
			if c.turned(clean[1]) {
				t.Error("the untouched leaf reads so too: this case shows nothing")
			}
		})
	}
}

// A stranger on a free port, a foreign interface in a bridge, and an uplink in one, are
// ports of their own, and nobody's.
func TestStrangersAreCounted(t *testing.T) {
	for name, add := range map[string]string{
		"a port that nobody listed":         `{"ifindex":99,"ifname":"swp9","linkinfo":{"info_kind":"veth"},"addr_info":[]}`,
		"an interface in a tenant's bridge": `{"ifindex":99,"ifname":"tap0","master":"bd5001","linkinfo":{"info_kind":"tun","info_data":{"type":"tap"},"info_slave_kind":"bridge","info_slave_data":{"state":"forwarding"}},"addr_info":[]}`,
	} {
		texts := said(t)
		texts["links"] = strings.Replace(texts["links"], "[{", "["+add+",{", 1)
		c, err := readSaid(t, texts)
		if err != nil {
			t.Fatal(err)
		}
		got := judge(t, c)
		if len(got) != 5 {
			t.Errorf("%s: %d ports, expected 5", name, len(got))
		}
		for number, r := range got {
			if number > 4 && r.EnforceIn {
				t.Errorf("%s: port %d reads as one that is filtered", name, number)
			}
		}
	}
}
