package discovered

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/site"
	"bulkhead/site/draft"
)

var inService = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// plant is a fabric of two SUs as its leaves see it, written in each form.
type plant struct {
	hosts int
	port  func(n int) string                        // name of leaf port n, from 1
	wire  func(su, host, rail int) (leaf, port int) // nil: straight
	nic   func(rail int) string                     // of a host
	mac   func(su, host, rail int) string           // "" none
}

func straight() plant {
	return plant{hosts: 4, port: func(n int) string { return fmt.Sprint("swp", n) },
		nic: func(r int) string { return fmt.Sprintf("ens%df0np0", r+1) },
		mac: func(su, h, r int) string { return fmt.Sprintf("0c:42:a1:%02x:%02x:%02X", su, h, r) }}
}

type cable struct{ su, host, rail int }

func (p plant) leaves() map[string]map[int]cable {
	out := map[string]map[int]cable{}
	for su := range 2 {
		for r := range site.Rails {
			out[leafName(su, r)] = map[int]cable{}
		}
	}
	for su := range 2 {
		for h := range p.hosts {
			for r := range site.Rails {
				leaf, port := r, h+1
				if p.wire != nil {
					leaf, port = p.wire(su, h, r)
				}
				if leaf >= 0 {
					out[leafName(su, leaf)][port] = cable{su, h, r}
				}
			}
		}
	}
	return out
}

func leafName(su, r int) string { return fmt.Sprintf("leaf%02d", su*site.Rails+r+1) }

func hostName(su, h int) string { return fmt.Sprintf("gpu%d", su*100+h+1) }

func (p plant) json(ports map[int]cable) string {
	var list []string
	for n := range 200 {
		c, ok := ports[n]
		if !ok {
			continue
		}
		id := fmt.Sprintf(`{"type": "ifname", "value": %q}`, p.nic(c.rail))
		if m := p.mac(c.su, c.host, c.rail); m != "" {
			id = fmt.Sprintf(`{"type": "mac", "value": %q}`, m)
		}
		list = append(list, fmt.Sprintf(`   {
    %q: {"via": "LLDP", "rid": "1", "age": "0 day, 00:01:02",
     "chassis": {%q: {"id": {"type": "mac", "value": "0c:42:a1:ff:00:01"}, "descr": "Ubuntu", "capability": [{"type": "Router", "enabled": true}]}},
     "port": {"id": %s, "descr": %q, "ttl": "120"}}}`, p.port(n), hostName(c.su, c.host), id, p.nic(c.rail)))
	}
	list = append(list, `   {"swp60": {"via": "LLDP", "chassis": {"spine01": {"id": {"type": "mac", "value": "aa:bb:cc:00:00:01"}}}, "port": {"id": {"type": "ifname", "value": "swp7"}, "descr": "to leaf"}}}`,
		`   {"eth0": {"via": "LLDP", "chassis": {"id": {"type": "mac", "value": "aa:bb:cc:00:00:02"}}, "port": {"id": {"type": "local", "value": "7"}}}}`,
		`   {"swp61": {"via": "CDPv2", "chassis": {"old": {"id": {"type": "local", "value": "old"}}}, "port": {"id": {"type": "ifname", "value": "Gi0/1"}}}}`)
	return "{\n \"lldp\": {\n  \"interface\": [\n" + strings.Join(list, ",\n") + "\n  ]\n }\n}\n"
}

func (p plant) keys(ports map[int]cable) string {
	var b strings.Builder
	for n := range 200 {
		c, ok := ports[n]
		if !ok {
			continue
		}
		i := "lldp." + p.port(n)
		fmt.Fprintf(&b, "%s.via=LLDP\n%s.rid=1\n%s.chassis.mac=0c:42:a1:ff:00:01\n%s.chassis.name=%s\n%s.chassis.descr=Cumulus Linux\nversion 5, more of the description\n", i, i, i, i, hostName(c.su, c.host), i)
		if m := p.mac(c.su, c.host, c.rail); m != "" {
			fmt.Fprintf(&b, "%s.port.mac=%s\n", i, m)
		}
		fmt.Fprintf(&b, "%s.port.descr=%s\n%s.port.ttl=120\n", i, p.nic(c.rail), i)
	}
	b.WriteString("lldp.swp60.via=LLDP\r\nlldp.swp60.chassis.name=spine01\r\nlldp.swp60.port.ifname=swp7\r\nlldp.swp60.port.descr=to leaf\r\n")
	return b.String()
}

func (p plant) sonic(leaf string, ports map[int]cable, vnis string) string {
	var list, neighbours []string
	for n := 1; n <= 32; n++ {
		lanes := fmt.Sprintf("%d,%d,%d,%d", n*4, n*4+1, n*4+2, n*4+3)
		list = append(list, fmt.Sprintf(`  "Ethernet%d": {"alias": "etp%d", "lanes": %q, "speed": "400000", "admin_status": %q}`, (n-1)*4, n, lanes, []string{"up", "UP", "down"}[n%3]))
		if c, ok := ports[n]; ok {
			neighbours = append(neighbours, fmt.Sprintf(`  "Ethernet%d": {"name": %q, "port": %q}`, (n-1)*4, hostName(c.su, c.host), p.nic(c.rail)))
		}
	}
	neighbours = append(neighbours, `  "Ethernet124": {"name": "spine01", "port": "Ethernet8"}`)
	return fmt.Sprintf(`{
 "DEVICE_METADATA": {"localhost": {"hostname": %q, "bgp_asn": "65000", "type": "LeafRouter", "mac": "94:8E:D3:00:00:01"}},
 "PORT": {
%s
 },
 "DEVICE_NEIGHBOR": {
%s
 },
 "LOOPBACK_INTERFACE": {"Loopback0": {}, "Loopback0|10.0.0.1/32": {}},
 "BGP_NEIGHBOR": {"10.0.0.2": {"asn": "65000", "name": "spine01"}, "default|10.0.0.3": {"asn": "65000"}},
 "FEATURE": {"bgp": {"state": "enabled"}}%s
}
`, leaf, strings.Join(list, ",\n"), strings.Join(neighbours, ",\n"), vnis)
}

const vnis = `,
 "VLAN": {"Vlan100": {"vlanid": "100"}, "Vlan200": {"vlanid": "200", "members": ["Ethernet4"]}},
 "VLAN_MEMBER": {"Vlan100|Ethernet0": {"tagging_mode": "untagged"}, "vlan200|Ethernet4": {"tagging_mode": "Untagged"}, "Vlan200|PortChannel01": {"tagging_mode": "tagged"}},
 "VXLAN_TUNNEL": {"vtep": {"src_ip": "10.0.0.1"}},
 "VXLAN_EVPN_NVO": {"nvo": {"source_vtep": "vtep"}},
 "VXLAN_TUNNEL_MAP": {"vtep|map_50100_Vlan100": {"vlan": "Vlan100", "vni": "50100"}, "vtep|map_200_Vlan200": {"vlan": "Vlan200", "vni": "200"}}`

// files writes the fabric in a form and returns the list and a reader of it.
func (p plant) files(form string) (list string, read draft.Reader) {
	all := map[string]string{}
	var names []string
	leaves := p.leaves()
	for n := range 16 {
		leaf := leafName(n/8, n%8)
		file := leaf + ".dump"
		switch form {
		case "json":
			all[file] = p.json(leaves[leaf])
		case "keys":
			all[file] = p.keys(leaves[leaf])
		default:
			all[file] = p.sonic(leaf, leaves[leaf], vnis)
		}
		names = append(names, file)
	}
	return strings.Join(names, ","), func(name string) ([]byte, error) {
		text, ok := all[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

func (p plant) draft(form string) (*draft.Draft, error) {
	list, read := p.files(form)
	if form == "sonic" {
		return DraftSONiC(list, read, draft.Options{})
	}
	return DraftLLDP(list, read, draft.Options{})
}

// A drafted site has the hosts of the dumps at their places, and their MACs.
func TestDraft(t *testing.T) {
	for _, form := range []string{"json", "keys", "sonic"} {
		d, err := straight().draft(form)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		text, err := d.SiteFile(draft.Options{Name: "s", InService: inService})
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		tpl, err := site.ParseTemplate("s.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := tpl.Build()
		if err != nil {
			t.Fatal(err)
		}
		if s.Nodes() != 8 || len(s.SUs) != 2 || s.Fabrics[1].Family != site.RoCE {
			t.Fatalf("%s: %d nodes in %d SUs", form, s.Nodes(), len(s.SUs))
		}
		for su := range 2 {
			for h := range 4 {
				n, ok := s.Lookup(hostName(su, h))
				if !ok {
					t.Fatalf("%s: no %s", form, hostName(su, h))
				}
				for r := range site.Rails {
					p := site.PortOf(n, r)
					want, err := parseMAC(straight().mac(su, h, r))
					if err != nil {
						t.Fatal(err)
					}
					if s.LeafPort(p) != h+1 || s.PortID[p] == want == (form == "sonic") {
						t.Errorf("%s: %s rail %d is 0x%x in port %d, in the dump 0x%x in %d", form, hostName(su, h), r, s.PortID[p], s.LeafPort(p), want, h+1)
					}
				}
			}
		}
		notes := fmt.Sprint(d.Notes, d.Remarks)
		for _, says := range map[string][]string{
			"json":  {"the neighbour at eth0 does not say its name", "swp61 is known by CDPv2"},
			"keys":  {},
			"sonic": {"VNI 50100 is configured on 16 leaves, at 16 ports of 2 nodes", "VNI 200 is configured on 16 leaves, at 16 ports of 2 nodes", "its number could be a VLAN's", "no port says its MAC", "2 BGP neighbours", "PortChannel01"},
		}[form] {
			if !strings.Contains(notes, says) {
				t.Errorf("%s: no note says %q:\n%s", form, says, notes)
			}
		}
		if strings.Contains(notes, "spine01 has") {
			t.Errorf("%s: the spine is taken for a host:\n%s", form, notes)
		}
	}
}

// Port names of SONiC count lanes; names of break-outs have their order only.
func TestPortNames(t *testing.T) {
	for name, port := range map[string]func(int) string{
		"lanes":      func(n int) string { return fmt.Sprint("Ethernet", (n-1)*8) },
		"break-outs": func(n int) string { return fmt.Sprintf("swp%ds%d", (n+1)/2, (n+1)%2) },
	} {
		p := straight()
		p.port = port
		d, err := p.draft("json")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(d.Halls[0].Pods[0].Units[0].Hosts, " "); got != "gpu1 gpu2 gpu3 gpu4" {
			t.Errorf("%s: %s", name, got)
		}
		if said := strings.Contains(fmt.Sprint(d.Notes, d.Remarks), "more than one number"); said != (name == "break-outs") {
			t.Errorf("%s: %v", name, d.Notes)
		}
	}
}

// A port that is no rail is noted once for all hosts of a leaf, with the selector that
// leaves it out and what becomes of it.
func TestPortsThatAreNoRails(t *testing.T) {
	p := straight()
	list, read := p.files("json")
	var names []string
	for r := range 7 {
		names = append(names, p.nic(r))
	}
	rails, err := draft.Select(strings.Join(names, ","))
	if err != nil {
		t.Fatal(err)
	}
	d, err := DraftLLDP(list, read, draft.Options{RailPorts: rails})
	if err != nil || d.Fabrics[0].Rails != 7 {
		t.Fatalf("%v, %v", d, err)
	}
	d.Notes = slices.DeleteFunc(d.Notes, func(n draft.Note) bool { return !strings.Contains(n.Reason, "is left out (") })
	if len(d.Notes) != 2 {
		t.Fatalf("%v: expected a note for each of two leaves", d.Notes)
	}
	want := p.nic(7) + ", at leaf leaf08, is left out (gpu1, gpu2, gpu3, gpu4): --rails " + rails.String() + " does not name it; a site has no rail for storage"
	if at := d.Notes[0]; !strings.HasPrefix(at.Reason, want) || at.File != "leaf08.dump" || at.Line == 0 || !strings.Contains(at.Reason, "nothing is leased, written or proven there") {
		t.Errorf("%v\nwant %s", at, want)
	}
}

// A file that is named and not there costs its leaf; a list may have spaces in it.
func TestFilesThatAreNotThere(t *testing.T) {
	list, files := straight().files("json")
	read := func(name string) ([]byte, error) {
		switch name {
		case "leaves.txt":
			return []byte("# leaves\n" + strings.ReplaceAll(list, ",", "\n") + "\n\n leaf99 = gone.dump\n"), nil
		case "gone.dump":
			return nil, errors.New("open gone.dump: no such file or directory")
		}
		return files(name)
	}
	for given, want := range map[string]string{
		"@leaves.txt":           "leaves.txt:19: gone.dump: no such file or directory: the leaf is left out",
		list + ",l=gone.dump":   "gone.dump: no such file or directory: the leaf is left out",
		"l=gone.dump , " + list: "gone.dump: no such file or directory: the leaf is left out",
	} {
		d, err := DraftLLDP(given, read, draft.Options{})
		if err != nil || len(d.Halls[0].Pods[0].Units) != 2 || !slices.ContainsFunc(d.Notes, func(n draft.Note) bool { return n.String() == want }) {
			t.Errorf("%.40s: %v, %v\nwant %s", given, d, err, want)
		}
	}
	if _, err := DraftLLDP("l=gone.dump", read, draft.Options{}); err == nil || !strings.Contains(err.Error(), "gone.dump: no such file or directory") {
		t.Errorf("%v", err)
	}
}

// A host that a site can't have is left out by file and line, and the others stay; a port
// that says no MAC costs all their identities.
func TestDraftLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		wire func(su, h, r int) (int, int)
		says string
	}{
		"another port on one rail": {func(su, h, r int) (int, int) {
			if su == 1 && h == 3 && r == 2 {
				return r, 40
			}
			return r, h + 1
		}, "rail 2 of host gpu104 is in port swp40 of its leaf, and rail 0 in port swp4"},
		"crossed rails": {func(su, h, r int) (int, int) {
			if h == 1 && r < 2 {
				return 1 - r, h + 1
			}
			return r, h + 1
		}, "host gpu2 is under other leaves than gpu1"},
		"two rails in one leaf": {func(su, h, r int) (int, int) {
			if su == 0 && h == 1 && r == 7 {
				return 0, 30
			}
			return r, h + 1
		}, "rails 0 and 7 of host gpu2 are in one leaf"},
	} {
		p := straight()
		p.wire = c.wire
		d, err := p.draft("json")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		at := slices.IndexFunc(d.Notes, func(n draft.Note) bool { return strings.Contains(n.Reason, c.says) })
		if at < 0 || d.Notes[at].Line == 0 || !strings.HasPrefix(d.Notes[at].File, "leaf") {
			t.Errorf("%s: %v, expected %s", name, d.Notes, c.says)
		}
		hosts := 0
		for _, u := range d.Halls[0].Pods[0].Units {
			hosts += len(u.Hosts)
		}
		left := 7
		if name == "crossed rails" { // of both units
			left = 6
		}
		if hosts != left {
			t.Errorf("%s: %d hosts are left, expected all but one", name, hosts)
		}
	}
	p := straight()
	p.wire = func(su, h, r int) (int, int) {
		if h == 3 && r > 1 {
			return -1, 0
		}
		return r, h + 1
	}
	d, err := p.draft("keys")
	if err != nil || !strings.Contains(fmt.Sprint(d.Notes, d.Remarks), "host gpu4 has 2 ports at these leaves, a node of the site 8: it is left out") {
		t.Errorf("a storage host: %v, %v", d, err)
	}
	p = straight()
	p.mac = func(su, h, r int) string {
		if su == 1 && h == 2 && r == 5 {
			return ""
		}
		return straight().mac(su, h, r)
	}
	if d, err := p.draft("json"); err != nil || d.Halls[0].Pods[0].Units[0].Ports != nil || !strings.Contains(fmt.Sprint(d.Notes, d.Remarks), "1 of 64 ports do not say their MAC") {
		t.Errorf("a port without MAC: %v, %v", d, err)
	}
	p.mac = func(su, h, r int) string { return straight().mac(0, h, r) }
	if d, err := p.draft("json"); err != nil || d.Halls[0].Pods[0].Units[0].Ports != nil || !strings.Contains(fmt.Sprint(d.Notes, d.Remarks), "32 MACs are at two ports (leaf01.dump:") {
		t.Errorf("MACs twice: %v, %v", d, err)
	}
}

// What is wrong in a file is named with its line, and with table and key.
func TestErrorsSayWhere(t *testing.T) {
	p := straight()
	leaf := p.leaves()["leaf01"]
	sonicText, jsonText, keyText := p.sonic("leaf01", leaf, vnis), p.json(leaf), p.keys(leaf)
	for _, c := range []struct{ form, text, old, new, says string }{
		{"sonic", sonicText, `"lanes": "4,5,6,7"`, `"lanes": "4,5,6,x"`, `f:4: PORT|Ethernet0: lanes "4,5,6,x": expected numbers`},
		{"sonic", sonicText, `"lanes": "8,9,`, `"lanes": "7,9,`, `f:5: PORT|Ethernet4: lane 7 is Ethernet0's already (line 4)`},
		{"sonic", sonicText, `"lanes": "4,5,6,7", `, ``, `PORT|Ethernet0: no lanes`},
		{"sonic", sonicText, `"Ethernet0": {"name"`, `"Ethernet1": {"name"`, `f:38: DEVICE_NEIGHBOR|Ethernet1: left out, no such port in PORT`},
		{"sonic", sonicText, `"name": "gpu1", `, ``, `DEVICE_NEIGHBOR|Ethernet0: left out, it does not name`},
		{"sonic", sonicText, `"Vlan100": {"vlanid"`, `"Vlan5000": {"vlanid"`, `VLAN|Vlan5000: left out, expected a name such as Vlan100`},
		{"sonic", sonicText, `"vlanid": "100"`, `"vlanid": "101"`, `VLAN|Vlan100: left out: vlanid "101", expected 100`},
		{"sonic", sonicText, `"Vlan100|Ethernet0"`, `"Vlan100Ethernet0"`, `VLAN_MEMBER|Vlan100Ethernet0: left out, expected VLAN|PORT`},
		{"sonic", sonicText, `"Vlan100|Ethernet0"`, `"Vlan101|Ethernet0"`, `VLAN_MEMBER|Vlan101|Ethernet0: left out, no such VLAN`},
		{"sonic", sonicText, `"Vlan100|Ethernet0"`, `"Vlan100|Ethernet1"`, `VLAN_MEMBER|Vlan100|Ethernet1: left out, no port Ethernet1`},
		{"sonic", sonicText, `"vtep|map_50100`, `"vtap|map_50100`, `VXLAN_TUNNEL_MAP|vtap|map_50100_Vlan100: left out, no such tunnel`},
		{"sonic", sonicText, `"vni": "50100"`, `"vni": "16777216"`, `vni "16777216": expected 1 to 16777215`},
		{"sonic", sonicText, `"vni": "50100"`, `"vni": "200"`, `VNI 200 is mapped in line`},
		{"sonic", sonicText, `"vlan": "Vlan200"`, `"vlan": "Vlan100"`, `Vlan100 is mapped in line`},
		{"sonic", sonicText, `"hostname": "leaf01", `, ``, `DEVICE_METADATA|localhost: no hostname`},
		{"sonic", sonicText, ` "FEATURE"`, ` "PORT"`, `PORT: the table is in line 3 already`},
		{"sonic", sonicText, `"Ethernet4": {"alias"`, `"Ethernet0": {"alias"`, `PORT|Ethernet0: the key is in line 4 already`},
		{"sonic", sonicText, `"PORT": {`, `"PORTS": {`, `f:1: PORT: no ports`},
		{"sonic", sonicText, `"FEATURE": {"bgp": {"state": "enabled"}}`, `"FEATURE": {"bgp"`, `not JSON`},
		{"lldp", jsonText, `"lldp": {`, `"lldp": [`, `not JSON`},
		{"lldp", jsonText, `"lldp"`, `"llpd"`, `no "lldp" object`},
		{"lldp", jsonText, `0c:42:a1:00:00:00`, `0c:42:a1:00:00`, `interface swp1: port id "0c:42:a1:00:00": expected a MAC of 12`},
		{"lldp", jsonText, `0c:42:a1:00:00:00`, `01:42:a1:00:00:00`, `zero or a group's`},
		{"lldp", jsonText, `"chassis": {"gpu1"`, `"chassi": {"gpu1"`, `f:5: interface swp1: no chassis`},
		{"lldp", keyText, `lldp.swp1.port.mac=0c:42:a1:00:00:00`, `lldp.swp1.port.mac=zz`, `interface swp1: port id "zz": expected a MAC`},
		{"lldp", keyText, `lldp.swp1.via=LLDP`, `lldp.swp1.via`, `f:1: "lldp.swp1.via": left out, expected lldp.INTERFACE.WHAT=VALUE`},
		{"lldp", "x", "x", "", "it is empty"},
		{"lldp", "x", "x", "<lldp>", `it seems to be XML (lldpctl -f xml): expected the output of lldpctl -f json`},
	} {
		if !strings.Contains(c.text, c.old) {
			t.Fatalf("%q is not there", c.old)
		}
		text := []byte(strings.Replace(c.text, c.old, c.new, 1))
		read, leaf := LLDP, "leaf01"
		if c.form == "sonic" {
			read, leaf = SONiC, ""
		}
		var said strings.Builder
		var at *Error
		if l, err := read(leaf, "f", text); err == nil {
			for _, n := range l.Notes {
				fmt.Fprintln(&said, n)
			}
		} else if errors.As(err, &at) {
			said.WriteString(err.Error())
		}
		if !strings.Contains(said.String(), c.says) {
			t.Errorf("%q -> %q: %s, expected %s", c.old, c.new, &said, c.says)
		}
	}
	list, read := p.files("sonic")
	if d, err := DraftSONiC(list+","+list[:strings.Index(list, ",")], read, draft.Options{}); err != nil || !strings.Contains(fmt.Sprint(d.Notes), "leaf leaf01 is in leaf01.dump already: this file is left out") {
		t.Errorf("a leaf twice: %v", err)
	}
	for files, says := range map[string]string{"": "no files", "@none": "file does not exist", "a=": "expected LEAF=FILE"} {
		if _, err := DraftSONiC(files, read, draft.Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", files, err)
		}
	}
	wrapped := func(name string) ([]byte, error) {
		if name == "all/list" {
			return []byte("# all leaves\n" + strings.ReplaceAll(list, ",", "\n") + "\n"), nil
		}
		return read(strings.TrimPrefix(name, "all/"))
	}
	if d, err := DraftSONiC("@all/list", wrapped, draft.Options{}); err != nil || len(d.Halls[0].Pods[0].Units) != 2 {
		t.Errorf("a list: %v", err)
	}
}

func fuzz(f *testing.F, read func(name, file string, data []byte) (*Leaf, error)) {
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := read("leaf01", "f", data)
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.Line < 0 || at.Line > strings.Count(string(data), "\n")+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		files := &fabricFiles{first: "f", leaves: []*Leaf{l}}
		if d, err := files.draft(); err == nil {
			_, _ = d.SiteFile(draft.Options{Name: "s", InService: inService})
		}
	})
}

func FuzzLLDP(f *testing.F) {
	p := straight()
	f.Add([]byte(p.json(p.leaves()["leaf01"])))
	f.Add([]byte(p.keys(p.leaves()["leaf01"])))
	f.Add([]byte(`{"lldp":{"interface":{"eth0":{"chassis":{"a":{"id":{}}},"port":{"id":{"type":"mac","value":"0c42.a100.0001"}}}}}}`))
	fuzz(f, LLDP)
}

func FuzzSONiC(f *testing.F) {
	p := straight()
	f.Add([]byte(p.sonic("leaf01", p.leaves()["leaf01"], vnis)))
	f.Add([]byte(`{"PORT":{"Ethernet0":{"lanes":"0"}},"VLAN":null}`))
	fuzz(f, SONiC)
}

// Files as they are: what can be taken is taken, and a note says what is not.
func TestFilesAsTheyAre(t *testing.T) {
	ports := `"PORT": {"Ethernet0": {"lanes": "0"}, "Ethernet4": {"lanes": "4"}}`
	neighbours := `"DEVICE_NEIGHBOR": {"Ethernet0": {"name": "gpu1", "port": "eth0"}, "Ethernet4": {"name": "gpu2", "port": "eth0"}}`
	for name, c := range map[string]struct{ form, text, hosts, says string }{
		"flat keys": {"sonic", `{"DEVICE_METADATA|localhost": {"type": "hash", "ttl": -1, "value": {"hostname": "leaf1"}}, "PORT|Ethernet0": {"type": "hash", "ttl": -1, "value": {"lanes": "0"}}, "DEVICE_NEIGHBOR|Ethernet0": {"name": "gpu1", "port": "eth0"}}`,
			"gpu1", "seems to be a dump of Redis, with 3 flat keys TABLE|key: they are taken as tables; sonic-cfggen -d --print-data"},
		"no lanes": {"sonic", `{"PORT": {"Ethernet8": {"alias": "x"}, "Ethernet16": {}}, "DEVICE_NEIGHBOR": {"Ethernet16": {"name": "gpu2", "port": "eth0"}, "Ethernet8": {"name": "gpu1", "port": "eth0"}}}`,
			"gpu1 gpu2", "PORT|Ethernet8: no lanes"},
		"an L3VNI with a map": {"sonic", `{` + ports + `, ` + neighbours + `, "VLAN": {"Vlan40": {}}, "VRF": {"Vrf1": {"vni": "5000"}}, "VXLAN_TUNNEL": {"v": {}}, "VXLAN_TUNNEL_MAP": {"v|map_5000_Vlan40": {"vlan": "Vlan40", "vni": "5000"}}}`,
			"gpu1 gpu2", "VXLAN_TUNNEL_MAP|v|map_5000_Vlan40: left out, VNI 5000 is routed (an L3VNI, of VRF Vrf1)"},
		"nobody is named": {"sonic", `{"PORT": {"Ethernet0": {"lanes": "0"}, "Ethernet4": {"lanes": "4"}, "Ethernet8": {"lanes": "8"}}, "INTERFACE": {"Ethernet8": {}, "Ethernet8|10.0.0.0/31": {}}}`,
			"port-Ethernet0 port-Ethernet4", "it names no neighbour (DEVICE_NEIGHBOR): its 2 ports"},
		"a card speaks first": {"lldp", `{"lldp": {"interface": [{"swp1": {"chassis": {"bf3-1": {"id": {}, "descr": "BlueField"}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:02"}, "descr": "p0"}}},
 {"swp1": {"chassis": {"gpu1": {"id": {}}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:01"}, "descr": "eth0"}}}]}}`,
			"gpu1", "f:1: port swp1 has a second neighbour, bf3-1: left out, gpu1 with MAC 02:00:00:00:00:01 (line 2) is taken: bf3-1 is a card in a host"},
		"one of two says its MAC": {"lldp", `{"lldp": {"interface": [{"swp1": {"chassis": {"a": {"id": {}}}, "port": {"id": {"type": "ifname", "value": "eth0"}}}}, {"swp1": {"chassis": {"b": {"id": {}}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:01"}}}}]}}`,
			"b", "a: left out, b with MAC 02:00:00:00:00:01 (line 1) is taken: a does not say the MAC of its port"},
		"a gap": {"lldp", `{"lldp": {"interface": [{"swp1": {"chassis": {"a": {"id": {}}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:01"}}}}, {"swp9": {"chassis": {"b": {"id": {}}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:02"}}}}]}}`, "a b", ""},
	} {
		read := func(string) ([]byte, error) { return []byte(c.text), nil }
		d, err := DraftLLDP("leaf1=f", read, draft.Options{})
		if c.form == "sonic" {
			d, err = DraftSONiC("leaf1=f", read, draft.Options{})
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(d.Halls[0].Pods[0].Units[0].Hosts, " "); got != c.hosts || !strings.Contains(fmt.Sprint(d.Notes), c.says) || (c.says == "") != (len(d.Notes) == 0) {
			t.Errorf("%s: %s, %v", name, got, d.Notes)
		}
		text, err := d.SiteFile(draft.Options{Name: "s", InService: inService})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tpl, err := site.ParseTemplate("s.yaml", text); err != nil {
			t.Error(err)
		} else if s, err := tpl.Build(); err != nil {
			t.Error(err)
		} else if p, known := s.PortAt(s.LeafOf(site.PortOf(0, 0)), 9); name == "a gap" && (!known || s.LeafPort(p) != 9 || s.PortID[p] != 0x020000000002) {
			t.Errorf("%s: leaf port 9 is %v, %t", name, p, known)
		}
	}
}

// A selector is heeded at a port with two neighbours, and what it leaves out is noted.
func TestHostsThatAreSelected(t *testing.T) {
	text := `{"lldp": {"interface": [{"swp1": {"chassis": {"gpu1": {"id": {}}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:01"}}}},
 {"swp1": {"chassis": {"bf3-1": {"id": {}, "descr": "BlueField"}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:02"}}}},
 {"swp2": {"chassis": {"gpu2": {"id": {}}}, "port": {"id": {"type": "mac", "value": "02:00:00:00:00:03"}}}}]}}`
	read := func(string) ([]byte, error) { return []byte(text), nil }
	var o draft.Options
	var err error
	if o.Hosts, err = draft.Select("bf3-1,gpu9"); err != nil {
		t.Fatal(err)
	}
	d, err := DraftLLDP("leaf1=f", read, o)
	if err != nil {
		t.Fatal(err)
	}
	notes := fmt.Sprint(d.Notes)
	for _, says := range []string{"gpu1: left out, bf3-1 with MAC 02:00:00:00:00:02 (line 2) is taken: --hosts names bf3-1", "f:3: hosts that --hosts does not name are left out, 1 of them, the first gpu2"} {
		if !strings.Contains(notes, says) {
			t.Errorf("%s, expected %s", notes, says)
		}
	}
	if unmet := o.Hosts.Unmet(); unmet != "gpu9" {
		t.Errorf("unmet %q, expected gpu9", unmet)
	}
}
