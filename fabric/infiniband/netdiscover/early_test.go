package netdiscover

import (
	"fmt"
	"strings"
	"testing"
)

// adaptersFirst is a subnet whose switches stand at the end.
func adaptersFirst(text string) string {
	at := strings.Index(text, "caguid=")
	return text[at:] + text[:at]
}

// A file that ends early is told so once, and what can be taken of it is.
func TestFilesThatEndEarly(t *testing.T) {
	text := subnet(4, nil)
	cut := func(text, at string, more int) string { return text[:strings.Index(text, at)+more] }
	for name, c := range map[string]struct{ text, want, says string }{
		"without the last adapters": {cut(text, "caguid=0x1050\n", 0), "8 node1 node2 node3 node4 []",
			`f:136: the file ends early: of 12 devices that 12 cables lead to it says nothing, or not all ("node1 mlx5_5" (0x0000000000001050), "node2 mlx5_5" (0x0000000000001150), ` +
				`"node3 mlx5_5" (0x0000000000001250), "node4 mlx5_5" (0x0000000000001350) and 8 more); the cables are taken by what their other ends say: run ibnetdiscover > FILE again`},
		"in the middle of an adapter": {cut(text, "caguid=0x1050\n", 45), "8 node1 node2 node3 node4 []",
			"f:138: the file ends early, in the middle of this line: of 12 devices that 12 cables lead to"},
		"in the head of one": {cut(text, "caguid=0x1050\n", 14), "8 node1 node2 node3 node4 []", "f:137: the file ends early, in the middle of this line: of 12 devices"},
		"without a name":     {cut(text, "caguid=0x1050\n", 39), "8 node1 node2 node3 node4 []", "f:138: the file ends early: of 12 devices"},
		"without the last leaves": {cut(adaptersFirst(text), "switchguid=0x6(", 0), "8 node1 node2 node3 node4 []",
			`f:163: the file ends early: of 3 devices that 12 cables lead to it says nothing, or not all ("leaf 5" (0x0000000000000006), "leaf 6" (0x0000000000000007), "leaf 7" (0x0000000000000008)); the cables are taken`},
		"in the middle of a leaf": {cut(adaptersFirst(text), "[3]\t\"H-0000000000001250", 20), "8 node1 node2 node3 node4 []",
			"in the middle of this line: of 3 devices that 10 cables lead to"},
		"one cable short": {cut(text, "caguid=0x1370\n", 0), "8 node1 node2 node3 node4 []",
			`f:55: port 4 of "leaf 7" (0x0000000000000008) leads to port 1 of "node4 mlx5_7" (0x0000000000001370), of which the file says nothing: it ends early, or that went away meanwhile: discover the subnet again, from a host that reaches all of it: it is taken by what this end says`},
	} {
		d, err := drafted(c.text)
		if err != nil || outline(d) != c.want || len(d.Notes) != 1 || !strings.Contains(d.Notes[0].String(), c.says) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	// Nothing of the last three leaves: no host is known to have only five rails.
	if _, err := drafted(cut(text, "switchguid=0x6(", 0)); err == nil || !strings.HasPrefix(err.Error(), "f:35: the file ends early: of 20 devices that 20 cables lead to it says nothing") {
		t.Errorf("%v", err)
	}
	// Nothing of a leaf and of some adapters: hosts have lost four rails of eight, and four
	// are not what they have.
	torn := strings.Replace(cut(text, "caguid=0x1050\n", 0), "Switch\t64 \"S-0000000000000001\"", "Switch", 1)
	if d, err := drafted(torn); err == nil || !strings.Contains(err.Error(), "f:136: the file ends early, or what was passed over is missing: of 13 devices that 16 cables lead to") ||
		!strings.Contains(err.Error(), "; the cables are left out: ") || !strings.Contains(err.Error(), "As it is, no host of it has 8 rails in 8 leaves") {
		t.Errorf("%v, %v", d, err)
	}
}

// The report of ports is cut off like the topology.
func TestPortsThatEndEarly(t *testing.T) {
	var b strings.Builder
	for _, kind := range []Kind{Switch, CA} {
		for h := range 2 {
			for r := range 4 {
				own, leaf := 0x1000+h*0x100+r*0x10, r+1
				if kind == Switch {
					fmt.Fprintf(&b, "SW  %4d %2d 0x%016x 4x NDR - CA  %4d  1 0x%016x ( 'leaf %d' - 'node%d mlx5_%d' )\n", leaf, h+1, leaf, own, own, r, h+1, r)
				} else {
					fmt.Fprintf(&b, "CA  %4d  1 0x%016x 4x NDR - SW  %4d %2d 0x%016x ( 'node%d mlx5_%d' - 'leaf %d' )\n", own, own, leaf, h+1, leaf, h+1, r, r)
				}
			}
		}
	}
	text := b.String()
	text = text[:strings.Index(text, "\nCA  4112")+30] // in the second adapter
	d, err := drafted(text)
	if err != nil || outline(d) != "4 node1 node2 []" || d.Halls[0].Pods[0].Units[0].Ports[1][3] != 0x1130 || len(d.Notes) != 1 ||
		!strings.HasPrefix(d.Notes[0].String(), "f:10: the file ends early, in the middle of this line: of 7 devices that 7 cables lead to") {
		t.Errorf("%v, %v", d, err)
	}
}

// Wherever a file is cut, no host loses a rail by it unseen, and few notes say what is missing.
func TestFilesThatAreCutAnywhere(t *testing.T) {
	text := subnet(2, nil)
	for _, text := range []string{text, adaptersFirst(text)} {
		for at := 0; at < len(text); at += 3 {
			d, err := drafted(text[:at])
			if err == nil && (d.Fabrics[0].Rails != 8 || len(d.Notes) > perCable+2 || len(d.Notes) == 0 && at < len(strings.TrimSpace(text))-40) {
				t.Fatalf("cut at %d, after %q: %s, %v", at, text[max(0, at-60):at], outline(d), d.Notes)
			}
		}
	}
}
