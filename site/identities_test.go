package site

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// withIdentities is the site of two rivals with identities for its SUs.
func withIdentities(t *testing.T, change func(string) string) string {
	t.Helper()
	text, err := os.ReadFile("../examples/rivals-ib/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	next := 0x10
	list := func() string {
		var all []string
		for range Rails {
			next++
			all = append(all, fmt.Sprintf("0x%x", next))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	b.WriteString("identities:\n")
	for su := 1; su <= 2; su++ {
		fmt.Fprintf(&b, "  - su: a1-su0%d\n    leaves: %s\n    ports:\n", su, list())
		for range 8 {
			fmt.Fprintf(&b, "      - %s\n", list())
		}
	}
	return string(text) + change(b.String())
}

func TestIdentities(t *testing.T) {
	tpl, err := ParseTemplate("s.yaml", []byte(withIdentities(t, func(s string) string { return s })))
	if err != nil {
		t.Fatal(err)
	}
	next := HardwareID(0x10)
	_, err = tpl.Compile(func(u *SUInventory) error {
		for l := range Rails {
			if next++; u.Leaves[l].GUID != next {
				t.Errorf("%s is %s, expected %s", u.Leaves[l].ID, u.Leaves[l].GUID, next)
			}
		}
		for _, n := range u.Nodes {
			for r := range Rails {
				if next++; n.NICs[r].ID != next {
					t.Errorf("%s rail %d is %s, expected %s", n.ID, r, n.NICs[r].ID, next)
				}
			}
			if n.NICs[Frontend].ID < 1000 {
				t.Errorf("%s: its frontend NIC is %s", n.ID, n.NICs[Frontend].ID)
			}
		}
		return u.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIdentitiesAreRefused(t *testing.T) {
	for _, c := range []struct{ old, new, says string }{
		{"su: a1-su02", "su: a1-su09", `"a1-su09": no such SU`},
		{"su: a1-su02", "su: a1-su01", `"a1-su01" is here twice`},
		{"0x12,", "0x11,", "0x11 is in line 54 already"},
		{"0x12,", "18,", `"18": expected a GUID as 0x`},
		{"0x12, ", "", "7 GUIDs, expected 8, one for each rail"},
		{"      - [0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20]\n", "", "7 nodes, expected 8, one for each position"},
	} {
		_, err := ParseTemplate("s.yaml", []byte(withIdentities(t, func(s string) string {
			if !strings.Contains(s, c.old) {
				t.Fatalf("%q is not there", c.old)
			}
			return strings.Replace(s, c.old, c.new, 1)
		})))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q -> %q: %v, expected %s", c.old, c.new, err, c.says)
		}
	}
	_, err := ParseTemplate("s.yaml", []byte(withIdentities(t, func(s string) string { return s[:strings.Index(s, "  - su: a1-su02")] })))
	if err == nil || !strings.Contains(err.Error(), "SU a1-su02 of fabric ib has none and others of the fabric have") {
		t.Errorf("half a fabric: %v", err)
	}
}

// On Ethernet the ports' MACs are discovered; a leaf has no GUID.
func TestIdentitiesOnEthernet(t *testing.T) {
	text := strings.Replace(withIdentities(t, func(s string) string {
		for line := range strings.Lines(s) {
			if strings.Contains(line, "leaves:") {
				s = strings.Replace(s, line, "", 1)
			}
		}
		return s
	}), "family: infiniband", "family: roce", 1)
	tpl, err := ParseTemplate("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpl.Compile(func(u *SUInventory) error {
		if u.SU == "a1-su01" && (u.Nodes[0].NICs[0].ID != 0x19 || u.Nodes[7].NICs[7].ID != 0x58) {
			t.Errorf("node 1 rail 0 is %s, node 8 rail 7 %s", u.Nodes[0].NICs[0].ID, u.Nodes[7].NICs[7].ID)
		}
		if u.Leaves[0].GUID < 1000 {
			t.Errorf("leaf 0 is %s", u.Leaves[0].GUID)
		}
		return u.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
	for old, says := range map[string]string{"0x19,": "expected the MAC of one port", "    ports:\n": "leaves"} {
		with := map[string]string{"0x19,": "0x1000000000000,", "    ports:\n": "    leaves: [0x1]\n    ports:\n"}[old]
		if _, err := ParseTemplate("s.yaml", []byte(strings.Replace(text, old, with, 1))); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q -> %q: %v, expected %s", old, with, err, says)
		}
	}
}
