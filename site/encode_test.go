package site_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/site"
)

// inventories returns the compiled SUs of an example.
func inventories(t testing.TB, template *site.Template) []*site.SUInventory {
	t.Helper()
	var list []*site.SUInventory
	if _, err := template.Compile(func(inv *site.SUInventory) error { list = append(list, inv); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestBodiesReadBack(t *testing.T) {
	template, s := load(t, "small")
	header := template.Header()
	data, err := header.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := site.DecodeHeader(data)
	if err != nil || !reflect.DeepEqual(back, header) {
		t.Fatalf("header does not read back: %v\n%+v\n%+v", err, back, header)
	}
	if !reflect.DeepEqual(s.Header(), header) {
		t.Error("the site's header is not the template's")
	}
	for _, inv := range inventories(t, template) {
		body := inv.Encode()
		if want, _ := json.Marshal(inv); !bytes.Equal(body, want) {
			t.Fatalf("%s: the body is not what encoding/json writes", inv.SU)
		}
		back, err := site.DecodeSU(body)
		if err != nil || !reflect.DeepEqual(back, inv) {
			t.Fatalf("%s does not read back: %v", inv.SU, err)
		}
		node, err := site.DecodeNode(inv.Nodes[0].Encode())
		if err != nil || !reflect.DeepEqual(*node, inv.Nodes[0]) {
			t.Fatalf("%s: its first node does not read back: %v", inv.SU, err)
		}
	}
}

// TestNodeTextReadsBack is about texts that need escapes.
func TestNodeTextReadsBack(t *testing.T) {
	template, _ := load(t, "tiny")
	node := inventories(t, template)[0].Nodes[0]
	rapid.Check(t, func(t *rapid.T) {
		n := node
		n.GPUs = slices.Clone(node.GPUs)
		n.Serial = rapid.String().Draw(t, "serial")
		n.GPUs[3].Model = rapid.StringMatching(`[ -~<>&"\\]{0,20}`).Draw(t, "model")
		body := n.Encode()
		if want, _ := json.Marshal(n); !bytes.Equal(body, want) {
			t.Fatalf("not what encoding/json writes:\n%s\n%s", body, want)
		}
		back, err := site.DecodeNode(body)
		if err != nil || !reflect.DeepEqual(*back, n) {
			t.Fatalf("does not read back: %v", err)
		}
	})
}

// TestBodyFlips changes every byte of a body: nothing but the same bytes reads
// as the same inventory, and what reads at all encodes to what was read.
func TestBodyFlips(t *testing.T) {
	template, _ := load(t, "tiny")
	inv := inventories(t, template)[0]
	inv.Nodes, inv.Links, inv.Spares = inv.Nodes[:2], inv.Links[:4], 1
	inv.Links[0].From, inv.Links[1].From = "a1-su01-leaf0:31", "a1-su01-leaf0:32"
	body := inv.Encode()
	if _, err := site.DecodeSU(body); err != nil {
		t.Fatal(err)
	}
	for i := range body {
		flipped := bytes.Clone(body)
		flipped[i] ^= 1 << (i % 8)
		if inv, err := site.DecodeSU(flipped); err == nil && !bytes.Equal(inv.Encode(), flipped) {
			t.Fatalf("byte %d flipped: read as something else than it is", i)
		}
		if i%97 == 0 {
			if _, err := site.DecodeSU(body[:i]); err == nil {
				t.Fatalf("cut at byte %d: accepted", i)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	template, _ := load(t, "tiny")
	header := template.Header()
	head, err := header.Encode()
	if err != nil {
		t.Fatal(err)
	}
	su := string(inventories(t, template)[0].Encode())
	for _, c := range []struct{ what, body, want string }{
		{"unknown field", strings.Replace(string(head), `{"version"`, `{"extra":1,"version"`, 1), "unknown field"},
		{"space", " " + string(head), "canonical"},
		{"newer version", strings.Replace(string(head), `"version":1`, `"version":2`, 1), "newer release"},
		{"trailing", string(head) + "{}", "trailing"},
		{"twice", strings.Replace(string(head), `"name":"tiny"`, `"name":"tiny","name":"tiny"`, 1), "stands twice"},
		{"origin", strings.Replace(string(head), `"simulated"`, `"real"`, 1), "origin"},
		{"policy", strings.Replace(string(head), `"sweep":"168h0m0s"`, `"sweep":"900h0m0s"`, 1), "policy sweep"},
		{"policy field gone", strings.Replace(string(head), `"sweep":"168h0m0s",`, ``, 1), "policy sweep: missing"},
		{"hall of no phase", strings.Replace(string(head), `"phase":0`, `"phase":9`, 1), "phase 9"},
		{"absurd shape", strings.Replace(string(head), `"su_nodes":8`, `"su_nodes":1000000000`, 1), "su-nodes"},
	} {
		if c.body == string(head) {
			t.Fatalf("%s: the case changes nothing", c.what)
		}
		if _, err := site.DecodeHeader([]byte(c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	for _, c := range []struct{ what, old, new, want string }{
		{"unknown field", `{"su":`, `{"extra":1,"su":`, `expected {"su":`},
		{"space", `"spares":1`, `"spares": 1`, "whole number"},
		{"leading zero", `"spares":1`, `"spares":01`, "whole number"},
		{"no spares left", `"spares":1`, `"spares":8`, "spares"},
		{"escape", `"a1-su01"`, `"\u0061\u0031-su01"`, "canonical"},
		{"upper-case id", `"id":"0000`, `"id":"00AB`, "hexadecimal"},
		{"wrong leaf", `"leaf":"a1-su01-leaf0","port":1`, `"leaf":"a1-su01-leaf1","port":1`, "leaf"},
		{"wrong port", `"leaf":"a1-su01-leaf0","port":1`, `"leaf":"a1-su01-leaf0","port":2`, "port"},
		{"link to a node's port", `"a1-su01-leaf0:9"`, `"a1-su01-leaf0:8"`, "nodes'"},
		{"link end", `"a1-su01-leaf0:9"`, `"a1-su01-leaf0"`, "switch:port"},
		{"two cables", `"a1-su01-leaf0:9"`, `"a1-su01-leaf0:10"`, "two cables in a port"},
		{"foreign link", `"from":"a1-su01-leaf0:9"`, `"from":"a1-su02-leaf0:9"`, "leaf of this SU"},
		{"class", `{"class":"gpu"`, `{"class":"tpm"`, "class"},
	} {
		body := strings.Replace(su, c.old, c.new, 1)
		if body == su {
			t.Fatalf("%s: the case changes nothing", c.what)
		}
		if _, err := site.DecodeSU([]byte(body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

func FuzzDecodeSU(f *testing.F) {
	template, _ := load(f, "tiny")
	for _, inv := range inventories(f, template)[:2] {
		inv.Nodes, inv.Links, inv.Spares = inv.Nodes[:1], inv.Links[:2], 0
		f.Add(inv.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := site.DecodeSU(data)
		if err == nil && !bytes.Equal(inv.Encode(), data) {
			t.Fatal("accepted other bytes than it writes")
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	template, _ := load(f, "tiny")
	header := template.Header()
	data, err := header.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := site.DecodeHeader(data)
		if err != nil {
			return
		}
		if again, err := h.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("accepted other bytes than it writes: %v", err)
		}
		site.New(h) // must not panic
	})
}

// A node with a host name of its own reads back, is found by it, and takes no
// other node's id.
func TestHostNames(t *testing.T) {
	template, _ := load(t, "tiny")
	list := inventories(t, template)
	list[0].Nodes[3].Host = "gpu0004"
	body := list[0].Encode()
	if want, _ := json.Marshal(list[0]); !bytes.Equal(body, want) {
		t.Fatal("the body is not what encoding/json writes")
	}
	back, err := site.DecodeSU(body)
	if err != nil || !reflect.DeepEqual(back, list[0]) {
		t.Fatalf("does not read back: %v", err)
	}
	s := site.New(template.Header())
	if _, err := s.AddSU(back, back.Digest()); err != nil {
		t.Fatal(err)
	}
	n, ok := s.Lookup("gpu0004")
	if !ok || s.HostOf(n) != "gpu0004" || s.NodeID[n] == "gpu0004" || s.HostOf(0) != s.NodeID[0] {
		t.Errorf("node %d, %v", n, ok)
	}
	for host, want := range map[string]string{
		"gpu0004": "is the id or the host name of node", "no host": "expected a host name", list[1].Nodes[0].ID: "expected a host name that is not the id",
		list[1].Nodes[1].ID: "has the same",
	} {
		list[1].Nodes[0].Host = host
		if _, err := s.AddSU(list[1], list[1].Digest()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %s", host, err, want)
		}
	}
	// The empty host is left out, not written.
	with := bytes.Replace(list[2].Encode(), []byte(`,"serial":`), []byte(`,"host":"","serial":`), 1)
	if _, err := site.DecodeSU(with); err == nil {
		t.Error("an empty host was read")
	}
}
