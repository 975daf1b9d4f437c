package netdiscover

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/site"
	"bulkhead/site/draft"
)

func odd(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/odd.txt")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The oddities of files in the wild, in one file that was made up of them.
func TestOddities(t *testing.T) {
	for name, text := range map[string]string{"as it is": string(odd(t)), "Windows line ends": strings.ReplaceAll(string(odd(t)), "\n", "\r\n")} {
		top, err := Parse("odd.txt", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := top.Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(top.Nodes) != 4 || top.Started != 0x0008f10403960558 {
			t.Fatalf("%s: %d nodes, started at 0x%x", name, len(top.Nodes), top.Started)
		}
		old, leaf, ca, rt := top.Node(0x5442ba00003080), top.Node(0x2c90000000041), top.Node(0x8f10403960984), top.Node(0xb8e924030000b928)
		if old.Description != `ISR9024 "old" Voltaire; rack 3` || old.Enhanced || old.LID != 6 || old.SystemGUID != 0x5442ba00003000 || old.Line != 13 {
			t.Errorf("%s: %+v", name, *old)
		}
		if !leaf.Enhanced || leaf.LMC != 2 || leaf.Ports != 41 || leaf.Links[0].Width != 0 || leaf.Links[0].PeerLID != 6 {
			t.Errorf("%s: %+v", name, *leaf)
		}
		if l := old.Links[0]; l.External != 4 || l.PeerPortGUID != 0x8f10403960985 || l.Width != 4 || l.Speed != "SDR" || l.PeerLID != 16 {
			t.Errorf("%s: %+v", name, l)
		}
		if l := old.Links[1]; l.Width != 12 || l.Speed != "QDR" || old.Links[2].Width != 2 || old.Links[2].Speed != "HDR" {
			t.Errorf("%s: %+v", name, l)
		}
		if l := ca.Links[1]; len(ca.Links) != 2 || l.PortGUID != 0x8f10403960986 || l.LID != 18 || l.LMC != 1 || l.PeerLID != 6 {
			t.Errorf("%s: %+v", name, ca.Links)
		}
		if rt.Kind != Router || rt.Links[0].Speed != "XDR" {
			t.Errorf("%s: %+v", name, *rt)
		}
	}
}

// What is wrong is named with its line, and what was expected.
func TestErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct {
		old, new string
		line     int
		says     string
	}{
		{"devid=0x5a06", "devid=5a0g", 10, "devid=5a0g: expected 0x and hexadecimal digits"},
		{"devid=0x5a06", "devno=0x5a06", 10, "expected vendid, devid"},
		{"switchguid=0x5442ba00003080(", "switchguid=0x5442ba00003081(", 13, "the line above it says switch 0x005442ba00003081"},
		{"Switch  24", "Switch  0", 13, "expected how many ports it has, 1 to 255"},
		{"Switch  24", "Hub  24", 13, `"Hub": expected Switch, Ca or Rt`},
		{`Switch  24 "S-005442ba00003080"`, `Switch  24 "H-005442ba00003080"`, 13, "the id is that of a channel adapter"},
		{`[4]     "H-`, `[44]     "H-`, 15, "port 44: the node in line 13 has ports 1 to 24"},
		{`[4]     "H-`, `[1]     "H-`, 15, "port 1 after port 1: expected ascending ports"},
		{`"H-0008f10403960984"[2](8f`, `"H-0008f10403960984"(8f`, 15, "expected a port as [number]"},
		{"lid 18 12xQDR s", "lid x 12xQDR s", 15, `lid "x": expected 0 to 65535`},
		{"lmc 2", "lmc 9", 25, `lmc "9": expected 0 to 7`},
		{"\"MF0;fabric-leaf:MQM8700/U1\" enhanced", "\"MF0;fabric-leaf enhanced", 25, "a description without an end"},
		{"[22]    \"R-", "\n[22]    \"R-", 18, "a port without a node"},
		{"Switch\t41 \"S-0002c90000000041\"", "Switch\t41 \"S-005442ba00003080\"", 25, "the line above it says switch 0x0002c90000000041"},
		{"caguid=0x8f10403960984\n", "caguid=0x8f10403960984\ncaguid=0x8f10403960984\n", 32, "caguid after another GUID"},
	} {
		text := strings.Replace(string(odd(t)), c.old, c.new, 1)
		_, err := Parse("odd.txt", []byte(text))
		var at *Error
		if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(at.What, c.says) {
			t.Errorf("%q -> %q: %v, expected line %d: %s", c.old, c.new, err, c.line, c.says)
		}
	}
	for text, says := range map[string]string{"": "no Switch, Ca or Rt line", "vendid=0x1\n": "it is cut off", strings.Repeat("x", 2000): "a line of 2000 bytes"} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %v, expected %s", text, err, says)
		}
	}
}

// A cable has two ends, which agree.
func TestCheck(t *testing.T) {
	for _, c := range [][3]string{
		{`[9]     "S-0002c90000000041"[41]`, `[9]     "S-0002c90000000041"[40]`, "(0x005442ba00003080) leads to port 40 of \"MF0;fabric-leaf:MQM8700/U1\" (0x0002c90000000041) (line 25), where no cable is"},
		{`[41]	"S-005442ba00003080"[9]`, `[41]	"S-005442ba00003080"[1]`, "whose cable leads elsewhere (line 14)"},
		{`[9]     "S-0002c90000000041"[41]`, `[9]     "S-0002c90000000099"[41]`, "leads to 0x0002c90000000099, which is not in the file"},
		{`[1](8f10403960985) 	"S`, `[1](8f10403960986) 	"S`, "port GUID 0x0008f10403960986 is in line 33 already"},
		{`[9]     "S-0002c90000000041"`, `[9]     "R-0002c90000000041"`, "leads to a router, and line 25 says that it is a switch"},
	} {
		text := strings.Replace(string(odd(t)), c[0], c[1], 1)
		top, err := Parse("odd.txt", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := top.Check(); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%q -> %q: %v, expected %s", c[0], c[1], err, c[2])
		}
	}
}

// subnet writes what ibnetdiscover would say of hosts under eight leaves.
func subnet(hosts int, change func(host, rail, port int) (leaf, leafPort int)) string {
	type cable struct{ host, rail, port int }
	var b strings.Builder
	leaves := map[int]map[int]cable{}
	for h := range hosts {
		for r := range site.Rails {
			leaf, port := r, h+1
			if change != nil {
				leaf, port = change(h, r, port)
			}
			if leaf < 0 {
				continue
			}
			if leaves[leaf] == nil {
				leaves[leaf] = map[int]cable{}
			}
			leaves[leaf][port] = cable{h, r, 1}
		}
	}
	id := func(h, r int) int { return 0x1000 + h*0x100 + r*0x10 }
	for l := range 64 {
		if leaves[l] == nil {
			continue
		}
		fmt.Fprintf(&b, "switchguid=0x%x(%x)\nSwitch\t64 \"S-%016x\"\t\t# \"leaf %d\" enhanced port 0 lid %d lmc 0\n", l+1, l+1, l+1, l, l+1)
		for p := range 65 {
			if c, ok := leaves[l][p]; ok {
				fmt.Fprintf(&b, "[%d]\t\"H-%016x\"[1](%x) \t\t# \"node%d mlx5_%d\" lid 1 4xNDR\n", p, id(c.host, c.rail), id(c.host, c.rail)+1, c.host+1, c.rail)
			}
		}
		b.WriteString("\n")
	}
	for l := range 64 {
		for p := range 65 {
			c, cabled := leaves[l][p]
			if !cabled {
				continue
			}
			fmt.Fprintf(&b, "caguid=0x%x\nCa\t1 \"H-%016x\"\t\t# \"node%d mlx5_%d\"\n[1](%x) \t\"S-%016x\"[%d]\t\t# lid 1 lmc 0 \"leaf %d\" lid 1 4xNDR\n\n",
				id(c.host, c.rail), id(c.host, c.rail), c.host+1, c.rail, id(c.host, c.rail)+1, l+1, p, l)
		}
	}
	return b.String()
}

func drafted(text string) (*draft.Draft, error) {
	return Draft("f", func(string) ([]byte, error) { return []byte(text), nil }, draft.Options{})
}

// A drafted site has the identities of the file, each at its place.
func TestDraft(t *testing.T) {
	d, err := drafted(subnet(12, nil))
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.SiteFile(draft.Options{Name: "s", InService: inService})
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := site.ParseTemplate("s.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tpl.Build()
	if err != nil {
		t.Fatal(err)
	}
	for h := range 12 {
		n, ok := s.Lookup(fmt.Sprintf("node%d", h+1))
		if !ok {
			t.Fatalf("there is no node%d", h+1)
		}
		for r := range site.Rails {
			p := site.PortOf(n, r)
			if want := uint64(0x1000 + h*0x100 + r*0x10 + 1); s.PortID[p] != want || s.LeafPort(p) != h+1 {
				t.Errorf("node%d rail %d is 0x%x in port %d, expected 0x%x in %d", h+1, r, s.PortID[p], s.LeafPort(p), want, h+1)
			}
		}
	}
	_, err = tpl.Compile(func(u *site.SUInventory) error {
		for l := range site.Rails {
			if u.Leaves[l].GUID != site.HardwareID(l+1) {
				t.Errorf("leaf %d is %s", l, u.Leaves[l].GUID)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A host that a site can't have is left out, by line, and the others stay.
func TestDraftLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h, r, p int) (int, int)
		says   string
	}{
		"another port on one rail": {func(h, r, p int) (int, int) {
			if h == 3 && r == 2 {
				return r, 40
			}
			return r, p
		}, "rail 2 of host node4 is in port 40 of its leaf, and rail 0 in port 4"},
		"two rails in one leaf": {func(h, r, p int) (int, int) {
			if h == 1 && r == 7 {
				return 0, 30
			}
			return r, p
		}, "rails 0 and 7 of host node2 are in one leaf"},
		"crossed rails": {func(h, r, p int) (int, int) {
			if h == 1 && r < 2 {
				return 1 - r, p
			}
			return r, p
		}, "host node2 is under other leaves than node1"},
	} {
		d, err := drafted(subnet(4, c.change))
		if err != nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0].String(), c.says) || !strings.HasPrefix(d.Notes[0].String(), "f:") || len(d.Halls[0].Pods[0].Units[0].Hosts) != 3 {
			t.Errorf("%s: %v, %v, expected %s", name, err, d, c.says)
		}
	}
	d, err := drafted(subnet(4, func(h, r, p int) (int, int) {
		if h == 3 && r > 1 {
			return -1, 0
		}
		return r, p
	}))
	if err != nil || !strings.Contains(fmt.Sprint(d.Notes), "host node4 has 2 cabled ports, a node of the site 8: it is left out") {
		t.Errorf("a storage host: %v, %v", d, err)
	}
}

// Whatever is read is said again by Check and Draft without a panic, and errors
// name a line of the file.
func FuzzParse(f *testing.F) {
	f.Add(odd(f))
	f.Add([]byte(subnet(2, nil)))
	f.Add([]byte(subnet(2, nil)[:1500]))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := drafted(string(text)); err == nil {
			_, _ = d.SiteFile(draft.Options{Name: "s", InService: inService})
		}
		top, err := Parse("f", text)
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.Line < 0 || at.Line > strings.Count(string(text), "\n")+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		_ = top.Check()
		for _, n := range top.Nodes {
			if n.GUID == 0 || top.Node(n.GUID) != n || n.Ports < 1 {
				t.Fatalf("%+v", n)
			}
		}
	})
}

var inService = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// shrink keeps so many rails of each host.
func shrink(rails int) func(h, r, p int) (int, int) {
	return func(_, r, p int) (int, int) {
		if r >= rails {
			return -1, 0
		}
		return r, p
	}
}

// outline is the hosts of a draft and how many rails they have.
func outline(d *draft.Draft) string {
	return fmt.Sprint(d.Fabrics[0].Rails, " ", strings.Join(d.Halls[0].Pods[0].Units[0].Hosts, " "), " ", d.Halls[0].Pods[0].Units[0].At)
}

// Subnets as they are: as many rails as hosts have, and notes for what is not like the rest.
func TestSubnetsAsTheyAre(t *testing.T) {
	eight := subnet(3, nil)
	for name, c := range map[string]struct{ text, want, says string }{
		"four rails": {subnet(3, shrink(4)), "4 node1 node2 node3 []", ""},
		"one rail":   {subnet(3, shrink(1)), "1 node1 node2 node3 []", ""},
		"a host with fewer in the middle": {subnet(3, func(h, r, p int) (int, int) {
			if h == 1 && r == 3 {
				return -1, 0
			}
			return r, p
		}), "8 node1 node3 [1 3]", "host node2 has 7 cabled ports, a node of the site 8: it is left out, and its leaf ports count as unknown; it has mlx5_0,"},
		"a nameless adapter": {strings.ReplaceAll(eight, `"node3 mlx5_2"`, `""`), "8 node1 node2 []", "has no description"},
		"a factory's name":   {strings.ReplaceAll(eight, `"node3 mlx5_2"`, `"MT4129 ConnectX7 Mellanox Technologies"`), "8 node1 node2 []", "has the factory's description"},
		"a line that is cut": {strings.Replace(eight, "[1](1211) \t\"S-0000000000000002\"[3]", "[1](1211) \t\"S-00", 1), "8 node1 node2 []", "passed over"},
	} {
		d, err := drafted(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := outline(d); got != c.want || !strings.Contains(fmt.Sprint(d.Notes), c.says) || (c.says == "") != (len(d.Notes) == 0) {
			t.Errorf("%s: %s, %v", name, got, d.Notes)
		}
		if _, err := d.SiteFile(draft.Options{Name: "s", InService: inService}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		says := "free leaf ports between those of nodes: 1, in 1 of the scalable units, the first port 2 in the unit of node1: a node that was only off can't be added"
		if strings.Contains(fmt.Sprint(d.Remarks), says) != strings.HasSuffix(c.want, "[1 3]") {
			t.Errorf("%s: %v", name, d.Remarks)
		}
	}
}

// The ports report says the same as the topology, but for the ports' own numbers.
func TestPortsReport(t *testing.T) {
	var b strings.Builder
	for h := range 2 {
		for r := range 4 {
			own, leaf := 0x1000+h*0x100+r*0x10, r+1
			fmt.Fprintf(&b, "CA  %4d  1 0x%016x 4x NDR - SW  %4d %2d 0x%016x ( 'node%d mlx5_%d' - 'leaf %d' )\n", own, own, leaf, h+1, leaf, h+1, r, r)
			fmt.Fprintf(&b, "SW  %4d %2d 0x%016x 4x NDR - CA  %4d  1 0x%016x ( 'leaf %d' - 'node%d mlx5_%d' )\n", leaf, h+1, leaf, own, own, r, h+1, r)
		}
	}
	b.WriteString("SW     1 40 0x0000000000000001                                       'leaf 0'\n")
	d, err := drafted(b.String())
	if err != nil || len(d.Notes) > 0 || outline(d) != "4 node1 node2 []" || d.Halls[0].Pods[0].Units[0].Ports[1][3] != 0x1130 {
		t.Errorf("%v, %v", d, err)
	}
}

// Names in a second file, by node GUID; a selector of hosts and rails.
func TestNamesAndSelectors(t *testing.T) {
	text := strings.ReplaceAll(subnet(2, nil), `"node2 mlx5_`, `"MT4129 ConnectX7 `)
	var list strings.Builder
	list.WriteString("# names\n")
	for r := range site.Rails {
		fmt.Fprintf(&list, "0x%016x \"node2 mlx5_%d\"\n", 0x1000+0x100+r*0x10, r)
	}
	read := func(name string) ([]byte, error) {
		if name == "names" {
			return []byte(list.String()), nil
		}
		return []byte(text), nil
	}
	d, err := Draft("f", read, draft.Options{Names: "names"})
	if err != nil || len(d.Notes) > 0 || outline(d) != "8 node1 node2 []" {
		t.Errorf("%v, %v", d, err)
	}
	o := draft.Options{Names: "names"}
	if o.Hosts, err = draft.Select("node[2-9]"); err != nil {
		t.Fatal(err)
	}
	if o.RailPorts, err = draft.Select("mlx5_0-3"); err != nil {
		t.Fatal(err)
	}
	if d, err = Draft("f", read, o); err != nil || outline(d) != "4 node2 [2]" || !strings.Contains(fmt.Sprint(d.Notes), "mlx5_7 is none of the rails that --rails names: left out (node2)") || !strings.Contains(fmt.Sprint(d.Notes), "hosts that --hosts does not name are left out, 1 of them (node1)") {
		t.Errorf("%v, %v", d, err)
	}
	if hosts, rails := o.Hosts.Unmet(), o.RailPorts.Unmet(); hosts != "node[3-9]" || rails != "" {
		t.Errorf("unmet are hosts %q and rails %q", hosts, rails)
	}
	// What leaves no host is an error, which says why: notes are not printed then.
	if o.RailPorts, err = draft.Select("ib0"); err != nil {
		t.Fatal(err)
	}
	if _, err = Draft("f", read, o); err == nil || !strings.Contains(err.Error(), "mlx5_7 is none of the rails that --rails names: left out (node2)") {
		t.Errorf("%v", err)
	}
}

// Another form is named, with the command that makes the right one.
func TestOtherForms(t *testing.T) {
	for text, says := range map[string]string{
		"Ca\t: 0x1 ports 1 devid 0x1021 vendid 0x2c9 \"a mlx5_0\"\n": "a list of nodes (ibnetdiscover -l",
		"CA: a mlx5_0:\n":                  "iblinkinfo",
		"SwitchName=a Nodes=b\n":           "--format slurm-conf",
		"# keys\nDefault=0x7fff : ALL ;\n": "partitions.conf",
		"{\"a\": 1}":                       "JSON",
		"caguid=0x1\nCa\t1 \"H-1\"\t# \"a mlx5_0\"\n[1](2)\t\"H-3\"[1](4)\n\ncaguid=0x3\nCa\t1 \"H-3\"\t# \"b mlx5_0\"\n[1](4)\t\"H-1\"[1](2)\n": "no switch in it: hosts are cabled to each other",
	} {
		if _, err := drafted(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, expected %s", text, err, says)
		}
	}
}

// Of several subnets one whose file is not there, or is another program's, is left out.
func TestASubnetIsLeftOut(t *testing.T) {
	read := func(name string) ([]byte, error) {
		switch name {
		case "east":
			return []byte(subnet(2, nil)), nil
		case "json":
			return []byte("{}"), nil
		}
		return nil, errors.New("open gone: no such file or directory")
	}
	for files, want := range map[string]string{
		"a=east,b=gone": "gone: no such file or directory: fabric b is left out",
		"b=json,a=east": "json:1: it seems to be JSON: expected what ibnetdiscover prints without options: run ibnetdiscover > FILE: fabric b is left out",
	} {
		d, err := Draft(files, read, draft.Options{})
		if err != nil || len(d.Fabrics) != 1 || d.Fabrics[0].Name != "a" || d.From != "east (ibnetdiscover)" || len(d.Notes) != 1 || d.Notes[0].String() != want {
			t.Errorf("%s: %v, %v", files, d, err)
		}
	}
	if _, err := Draft("b=gone", read, draft.Options{}); err == nil || !strings.HasPrefix(err.Error(), "open gone: ") {
		t.Errorf("%v", err)
	}
}

// A file of names is read whatever is in it.
func FuzzNames(f *testing.F) {
	f.Add([]byte("0x0002c90300a1b2c0 \"gpu001 mlx5_0\"\n0x1,gpu2\nx\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d := &draft.Draft{}
		for guid, name := range readNames(d, "f", text) {
			if guid == 0 || name == "" {
				t.Fatalf("0x%x %q", guid, name)
			}
		}
	})
}
