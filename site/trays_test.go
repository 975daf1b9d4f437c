package site_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"bulkhead/site"
)

// TestTraysOfFourGPUs: the example of NVL72 racks has 4 rail leaves an SU and 4 rail
// NICs a node, numbered as everywhere; the other numbers are nobody's.
func TestTraysOfFourGPUs(t *testing.T) {
	template, s := load(t, "nvl72")
	const want = "576 GPUs in 144 nodes (0 spares), 8 racks, 2 SUs, 1 pods, 1 halls; 10 leaves, 306 spines, 144 cores, 720 edge ports"
	if got := s.Counts().String(); got != want {
		t.Errorf("counts:\n got %s\nwant %s", got, want)
	}
	if s.Ports() != 144*site.NICs || s.Leaves() != 2*site.NICs || template.GPUs() != 576 {
		t.Errorf("%d port numbers, %d leaf numbers, %d GPUs in the template", s.Ports(), s.Leaves(), template.GPUs())
	}
	there := 0
	for p := range site.Port(s.Ports()) {
		exists := p.NIC() < 4 || p.NIC() == site.Frontend
		fabric := s.FabricOf(p)
		if s.HasPort(p) != exists || s.HasLeaf(s.LeafOf(p)) != exists || (fabric >= 0) != exists || s.FabricOfLeaf(s.LeafOf(p)) != fabric || (s.PortID[p] != 0) != exists {
			t.Fatalf("port %s: there %v, its leaf %v, fabric %d, identity %x: expected all or none", s.PortName(p), s.HasPort(p), s.HasLeaf(s.LeafOf(p)), fabric, s.PortID[p])
		}
		at, found := s.PortAt(s.LeafOf(p), s.LeafPort(p))
		if found != exists || exists && at != p {
			t.Fatalf("port %s is at its leaf: %v, %d", s.PortName(p), found, at)
		}
		if exists {
			there++
			if own, ok := s.PortByID(s.PortID[p]); !ok || own != p {
				t.Fatalf("identity of port %s is found at %d", s.PortName(p), own)
			}
		}
	}
	if there != s.EdgePorts() {
		t.Errorf("%d edge ports, counted %d", there, s.EdgePorts())
	}
	for id, known := range map[string]bool{"a1-su01-leaf3": true, "a1-su01-leaf4": false, "a1-su02-front": true} {
		leaf, ok := s.LeafByID(id)
		if ok != known || ok && s.LeafID(leaf) != id {
			t.Errorf("leaf %s: known %v, number %d", id, ok, leaf)
		}
	}
	if _, err := template.Compile(func(inv *site.SUInventory) error {
		again, err := site.DecodeSU(inv.Encode())
		if err != nil {
			return err
		}
		for i := range again.Nodes {
			n := &again.Nodes[i]
			if len(n.GPUs) != 4 || len(n.WipeDevices()) != 4+4+5+4 || n.NIC(3).Leaf != inv.SU+"-leaf3" || n.NIC(site.Frontend).Leaf != inv.SU+"-front" || n.NIC(4) != nil {
				return fmt.Errorf("node %s: %d GPUs, %d devices", n.ID, len(n.GPUs), len(n.WipeDevices()))
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestAnyNumberOfGPUs: whatever a kind has from 1 to 8, the sums agree.
func TestAnyNumberOfGPUs(t *testing.T) {
	data, err := os.ReadFile("../examples/nvl72/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for gpus := 1; gpus <= site.GPUs; gpus++ {
		text := strings.NewReplacer("count: 4}\n    rail-nic", fmt.Sprintf("count: %d}\n    rail-nic", gpus), "totals: {gpus: 576", fmt.Sprintf("totals: {gpus: %d", 144*gpus)).Replace(string(data))
		template, err := site.ParseTemplate("site.yaml", []byte(text))
		if err != nil {
			t.Fatal(gpus, err)
		}
		header := template.Header()
		if kind := header.Kinds[0]; kind.NodeGPUs() != gpus || (kind.GPUs == 0) != (gpus == site.GPUs) {
			t.Errorf("%d GPUs: the header says %d", gpus, kind.GPUs)
		}
		body, err := header.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := site.DecodeHeader(body); err != nil {
			t.Error(err)
		}
		s, err := template.Build()
		if err != nil {
			t.Fatal(gpus, err)
		}
		if s.GPUs() != 144*gpus || s.EdgePorts() != 144*(gpus+1) || s.Switches() != 2*(gpus+1) || len(s.Planes()) != gpus+1 || s.FabricRails(0) != gpus {
			t.Errorf("%d GPUs a node: %s, %d planes", gpus, s.Counts(), len(s.Planes()))
		}
		// Of a kind that says one thing, nodes with another are refused.
		_, err = template.Compile(func(inv *site.SUInventory) error {
			other := header
			other.Kinds = []site.Kind{header.Kinds[0]}
			other.Kinds[0].GPUs = gpus%(site.GPUs-1) + 1
			if _, err := site.New(other).AddSU(inv, inv.Digest()); other.Kinds[0].GPUs != gpus && (err == nil || !strings.Contains(err.Error(), "GPUs a node: the site's header says")) {
				return fmt.Errorf("nodes of %d GPUs in a kind of %d: %v", gpus, other.Kinds[0].GPUs, err)
			}
			inv.Nodes[1].GPUs = inv.Nodes[1].GPUs[:gpus-1]
			if err := inv.Check(); err == nil {
				return fmt.Errorf("a node that lacks a GPU passed")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"0", "9", "-1"} {
		if _, err := site.ParseTemplate("site.yaml", []byte(strings.Replace(string(data), "count: 4}\n    rail-nic", "count: "+bad+"}\n    rail-nic", 1))); err == nil || !strings.Contains(err.Error(), "gpu.count") {
			t.Errorf("count %s: %v", bad, err)
		}
	}
	// One spelling of the usual number: else a header would have two encodings.
	template, _ := load(t, "tiny")
	header := template.Header()
	header.Kinds[0].GPUs = site.GPUs
	if _, err := header.Encode(); err == nil {
		t.Error("a header that spells out 8 GPUs passed")
	}
}

// TestAFabricHasOneNumberOfRails: a kind with another number of GPUs is refused in
// it, by the template and by the site.
func TestAFabricHasOneNumberOfRails(t *testing.T) {
	data, err := os.ReadFile("../examples/tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "gpu: {model: H200 SXM5 141GB, firmware: 96.00.D9.00.02}", "gpu: {model: H200 SXM5 141GB, firmware: 96.00.D9.00.02, count: 4}", 1)
	text = strings.Replace(text, "gpus: 512", "gpus: 384", 1)
	_, err = site.ParseTemplate("site.yaml", []byte(text))
	const want = `fabric "roce" has 8 rail planes, one a GPU of its H100 nodes, and H200 nodes have 4 GPUs: give H200 a fabric of its own`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, expected %s", err, want)
	}
	// In a fabric of their own they are taken.
	text = strings.Replace(text, "fabrics:\n", "fabrics:\n  - {id: trays, family: roce}\n", 1)
	text = strings.ReplaceAll(text, "fabric: roce, kind: H200", "fabric: trays, kind: H200")
	template, err := site.ParseTemplate("site.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s, err := template.Build()
	if err != nil {
		t.Fatal(err)
	}
	if s.GPUs() != 384 || s.NodeGPUs("H200") != 4 || s.NodeGPUs("H100") != 8 || s.NodeGPUs("none") != 8 {
		t.Errorf("%s", s.Counts())
	}
	// What a template never says an inventory may: the site refuses it as well.
	header := template.Header()
	for i := range header.Pods {
		if header.Fabrics[header.Pods[i].Fabric].ID == "trays" {
			header.Pods[i].Fabric = 1
		}
	}
	mixed := site.New(header)
	_, err = template.Compile(func(inv *site.SUInventory) error {
		inv.Fabric = header.Fabrics[1].ID
		for i := range inv.Leaves[:len(inv.Leaves)-1] {
			inv.Leaves[i].Fabric = inv.Fabric
		}
		if inv.Hall == "hall-b" {
			return nil
		}
		_, err := mixed.AddSU(inv, inv.Digest())
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "give H200 a fabric of its own") {
		t.Errorf("the site took both: %v", err)
	}
}

// TestUsualSitesStayAsTheyWere: headers and inventories of the sites that have nodes
// of 8 GPUs, byte by byte. Ledgers name them by digest.
func TestUsualSitesStayAsTheyWere(t *testing.T) {
	for name, want := range map[string]string{
		"tiny":       "86dc2e2952457d3908744f87fe1d29f5be197bf75f95cbc6b5efdcb78dcb1193",
		"small":      "990acfc05eb746751160ea1725b4e8a13e1b967d56e1c87b8c3cbf5cd56ba5a8",
		"rivals-eth": "c89f48c14f5278ed905087c5d8f953445b3fc65f46ff29a2728d4b6b88a66da9",
		"rivals-ib":  "173b11935f138efd288eb39953a771415cb1c2f187168e49db95945599c44d1b",
	} {
		template, _ := load(t, name)
		h := sha256.New()
		header := template.Header()
		header.Management = "" // two of them name one since
		body, err := header.Encode()
		if err != nil {
			t.Fatal(err)
		}
		h.Write(body)
		if _, err := template.Compile(func(inv *site.SUInventory) error { h.Write(inv.Encode()); return nil }); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%s is %s, and was %s", name, got, want)
		}
	}
}
