package management_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/management"
	"bulkhead/fabric/fabrictest"
	"bulkhead/prove"
	"bulkhead/site"
)

// plan is the one whose gateway testdata was read from: nft 1.0.6, iproute2 6.1.
func plan() *management.Plan {
	p := &management.Plan{Manage: "mgr", Tenants: []string{"tenant"}, Managers: []netip.Addr{netip.MustParseAddr("10.202.255.1")}}
	for i, name := range []string{"bmc0", "bmc1", "bmc2"} {
		p.Legs = append(p.Legs, management.Leg{Interface: name, Node: inventory().NodeID[i], MAC: 0x02bb00000001 + uint64(i), Address: netip.AddrFrom4([4]byte{10, 200, 0, byte(4*i + 2)})})
	}
	return p
}

func raw(t testing.TB) (r management.Raw) {
	t.Helper()
	for name, into := range map[string]*[]byte{"ruleset": &r.Ruleset, "links": &r.Links, "neighbours": &r.Neighbours, "queues": &r.Queues} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		*into = data
	}
	return r
}

// inventory is the site whose BMCs are behind that gateway.
func inventory() *site.Site {
	s := fabrictest.NewSite(1, 3, site.RoCE)
	for n := range s.NodeID {
		s.BMC = append(s.BMC, 0x02bb00000001+uint64(n))
	}
	return s
}

// proven proves what was read of a gateway.
func proven(zones []fabric.Zone) *prove.Prover {
	return prove.Zones(inventory(), &fabric.Zones{At: time.Unix(1, 0), Nodes: zones})
}

// TestJudge changes what was read of a real gateway, a text at a time.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		verdict        prove.Verdict // of some BMC
		says           string
	}{
		{"as it is", `"mgr"`, `"mgr"`, prove.Proven, ""},
		{"flow table", `{"nftables": [`, `{"nftables": [{"flowtable": {"family": "inet", "name": "f", "table": "bulkhead_management", "handle": 9, "hook": "ingress", "prio": 0, "dev": ["bmc0", "bmc1"]}}, `, prove.Red, "a flowtable in table inet bulkhead_management"},
		{"accepting by default", `"prio": 0, "policy": "drop"`, `"prio": 0, "policy": "accept"`, prove.Red, "everything passes"},
		{"another table's chain", `"table": "bulkhead_management", "name": "forward"`, `"table": "other", "name": "forward"`, prove.Red, "a rule of chain"},
		{"a prefix of managers", `"elem": ["10.202.255.1"]`, `"elem": [{"prefix": {"addr": "10.202.0.0", "len": 16}}]`, prove.Red, "whoever it is"},
		{"a range of managers", `"elem": ["10.202.255.1"]`, `"elem": [{"range": ["10.202.255.1", "10.202.255.9"]}]`, prove.Red, "whoever it is"},
		{"no managers", `"elem": ["10.202.255.1"]`, `"elem": []`, prove.Cut, ""},
		{"a wildcard leg", `{"concat": ["bmc0", "02:bb:00:00:00:01", "10.200.0.2"]}`, `{"concat": ["bmc*", "02:bb:00:00:00:01", "10.200.0.2"]}`, prove.Red, "is for many interfaces"},
		{"an element that times out", `{"concat": ["bmc0", "10.200.0.2"]}`, `{"elem": {"val": {"concat": ["bmc0", "10.200.0.2"]}, "timeout": 60}}`, prove.Proven, ""},
		{"one more demand", `{"counter": {"packets": 3, "bytes": 252}}, {"accept": null}`, `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 443}}, {"accept": null}`, prove.Cut, ""},
		{"answers without the state", `{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, {"counter": {"packets": 3`, `{"counter": {"packets": 3`, prove.Red, "may begin a conversation"},
		{"new conversations too", `"right": ["established", "related"]}}, {"counter": {"packets": 3`, `"right": ["established", "new"]}}, {"counter": {"packets": 3`, prove.Red, "may begin a conversation"},
		{"an expression that is new", `{"drop": null}`, `{"teleport": {"to": "bmc1"}}`, prove.Red, "teleport, which could send packets elsewhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := raw(t)
			text := strings.Replace(string(r.Ruleset), c.old, c.new, 1)
			if text == string(r.Ruleset) && c.old != c.new {
				t.Fatalf("%q is not there", c.old)
			}
			r.Ruleset = []byte(text)
			state, err := management.Decode(r)
			if err != nil {
				if c.verdict != prove.Red || !strings.Contains(err.Error(), c.says) {
					t.Fatal(err)
				}
				return
			}
			v, err := management.Judge(plan(), state)
			if err != nil {
				t.Fatal(err)
			}
			p := proven(v.Zones)
			found := false
			for n := range site.Index(3) {
				got, _ := p.Verdict(site.PortOf(n, site.Frontend))
				found = found || got == c.verdict
				if c.verdict == prove.Proven && got != prove.Proven {
					t.Errorf("node %d: %s", n, got)
				}
			}
			if said := strings.Join(v.Findings, "\n"); !found || !strings.Contains(said, c.says) || c.verdict == prove.Proven && said != "" {
				t.Errorf("no node is %s, or no finding says %q: %s", c.verdict, c.says, said)
			}
		})
	}
}

// TestUnread: what was not read of a gateway makes its nodes unknown, or is an error.
func TestUnread(t *testing.T) {
	if tally, _ := prove.ZonesTally(proven(nil)); tally.Unknown != 3 {
		t.Errorf("nothing was read: %+v", tally)
	}
	for name, spoil := range map[string]func(*management.Raw){
		"no ruleset": func(r *management.Raw) { r.Ruleset = nil }, "another ruleset": func(r *management.Raw) { r.Ruleset = []byte("{}") },
		"no links": func(r *management.Raw) { r.Links = nil }, "queues cut off": func(r *management.Raw) { r.Queues = r.Queues[:20] },
		"a MAC": func(r *management.Raw) { r.Neighbours = []byte(`[{"dev":"bmc0","lladdr":"zz"}]`) },
	} {
		r := raw(t)
		spoil(&r)
		if _, err := management.Decode(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := raw(t)
	r.Neighbours = []byte("[]")
	state, err := management.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	v, err := management.Judge(plan(), state)
	if err != nil {
		t.Fatal(err)
	}
	if tally, _ := prove.ZonesTally(proven(v.Zones)); tally.Unknown != 3 {
		t.Errorf("nobody answered: %+v", tally)
	}
}

func TestPlanIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(*management.Plan){
		"manage":           func(p *management.Plan) { p.Manage = "a b" },
		"tenants[0]":       func(p *management.Plan) { p.Tenants[0] = "mgr" },
		"0 managers":       func(p *management.Plan) { p.Managers = nil },
		"managers[0]":      func(p *management.Plan) { p.Managers[0] = netip.IPv6Loopback() },
		"legs[1]: bmc0":    func(p *management.Plan) { p.Legs[0].Interface = "bmc00" },
		"legs[0]":          func(p *management.Plan) { p.Legs[0].Interface = "lo" },
		"legs[1]: address": func(p *management.Plan) { p.Legs[1].Address = p.Legs[0].Address },
		"legs[2]: MAC":     func(p *management.Plan) { p.Legs[2].MAC = p.Legs[0].MAC },
		"two legs":         func(p *management.Plan) { p.Legs[2].Node = p.Legs[0].Node },
	} {
		p := plan()
		spoil(p)
		if name == "legs[1]: bmc0" {
			p.Legs[0], p.Legs[1] = p.Legs[1], p.Legs[0]
			name = "expected ascending names"
		}
		if _, err := management.Compile(p); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecode: whatever a ruleset says, decoding and judging end, and nothing that
// was not in the plan's form is proven.
func FuzzDecode(f *testing.F) {
	f.Add(raw(f).Ruleset)
	f.Add([]byte(`{"nftables":[{"chain":{"family":"inet","table":"bulkhead_management","name":"f","hook":"forward","type":"filter","policy":"drop"}},{"rule":{"family":"inet","table":"bulkhead_management","chain":"f","expr":[{"match":{"op":"==","left":{"concat":[{"meta":{"key":"iifname"}}]},"right":["a",{"set":[]}]}},{"accept":null}]}}]}`))
	f.Fuzz(func(t *testing.T, ruleset []byte) {
		r := raw(t)
		r.Ruleset = ruleset
		state, err := management.Decode(r)
		if err != nil {
			return
		}
		if _, err := management.Judge(plan(), state); err != nil {
			t.Fatal(err)
		}
	})
}
