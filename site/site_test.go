package site_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/site"
)

// TestIndexes walks every node and port of a site and asks each question in
// both directions.
func TestIndexes(t *testing.T) {
	template, s := load(t, "small")
	macs := map[uint64]bool{}
	for n := range site.Index(s.Nodes()) {
		su := s.SUs[s.SUOf(n)]
		if su.Nodes[s.NodePos[n]] != n {
			t.Fatalf("node %d is not where its SU says", n)
		}
		if at, ok := s.Lookup(s.NodeID[n]); !ok || at != n {
			t.Fatalf("node %d is not found by its id", n)
		}
		if !strings.HasPrefix(s.NodeID[n], su.ID+"-n") || !strings.HasPrefix(s.RackID(s.RackOf(n)), su.ID+"-r") {
			t.Fatalf("node %s in rack %s of SU %s", s.NodeID[n], s.RackID(s.RackOf(n)), su.ID)
		}
		if s.IsSpare(n) != (int(s.NodePos[n]) == 7) || s.Spares().Has(n) != s.IsSpare(n) {
			t.Fatalf("node %s: spare %v", s.NodeID[n], s.IsSpare(n))
		}
		for nic := range site.NICs {
			p := site.PortOf(n, nic)
			if p.Node() != n || p.NIC() != nic {
				t.Fatalf("port %d does not lead back", p)
			}
			leaf := s.LeafOf(p)
			if at, ok := s.PortAt(leaf, s.LeafPort(p)); !ok || at != p {
				t.Fatalf("%s is not at its leaf port", s.PortName(p))
			}
			if at, ok := s.LeafByID(s.LeafID(leaf)); !ok || at != leaf || leaf.NIC() != nic || leaf.SU() != s.SUOf(n) {
				t.Fatalf("leaf %s is not found", s.LeafID(leaf))
			}
			if s.FabricOfLeaf(leaf) != s.FabricOf(p) {
				t.Fatalf("%s and its leaf are on two fabrics", s.PortName(p))
			}
			if at, ok := s.PortByID(s.PortID[p]); !ok || at != p {
				t.Fatalf("%s is not found by its hardware id", s.PortName(p))
			}
			id, family := s.PortID[p], s.Fabrics[s.FabricOf(p)].Family
			if family == site.RoCE && (id>>48 != 0 || id>>40&3 != 2) {
				t.Fatalf("%s: %x is no locally administered unicast MAC", s.PortName(p), id)
			}
			if family == site.InfiniBand && id>>24&0xffff != 0x0300 {
				t.Fatalf("%s: %x is no GUID", s.PortName(p), id)
			}
			if macs[id] {
				t.Fatalf("%s: %x twice", s.PortName(p), id)
			}
			macs[id] = true
		}
	}
	if _, ok := s.PortAt(0, 9); ok {
		t.Error("a node at an uplink")
	}
	for _, id := range []string{"", "-", "a1-su01-leaf9", "a1-su01-leaf", "x-leaf0", "a1-su01-leaf01"} {
		if _, ok := s.LeafByID(id); ok {
			t.Errorf("leaf %q was found", id)
		}
	}
	sum := 0
	for _, fabric := range []string{"roce", "ib", "frontend", "none"} {
		for _, kind := range []string{"H100", "H200", "none"} {
			set := s.NodesOf(fabric, kind)
			sum += set.Len()
			for n := range set.All() {
				if s.KindOf(n) != kind || s.Fabrics[s.ComputeFabric(n)].ID != fabric {
					t.Fatalf("%s is not %s on %s", s.NodeID[n], kind, fabric)
				}
			}
		}
	}
	if sum != template.Nodes() {
		t.Errorf("classes hold %d nodes of %d", sum, template.Nodes())
	}
}

func TestInService(t *testing.T) {
	_, s := load(t, "small")
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for date, want := range map[string]int{"2026-03-31": 0, "2026-04-01": 64, "2026-05-25": 96, "2026-06-24": 128} {
		if got := s.InServiceAt(day(date)).Len(); got != want {
			t.Errorf("%s: %d nodes in service, want %d", date, got, want)
		}
	}
	if err := s.SetHallInService("hall-i", day("2026-07-15")); err != nil {
		t.Fatal(err)
	}
	if got := s.InServiceAt(day("2026-06-24")).Len(); got != 112 {
		t.Errorf("after the slip: %d nodes in service, want 112", got)
	}
	if s.SetHallInService("hall-z", day("2026-07-15")) == nil || s.SetHallInService("hall-i", time.Time{}) == nil {
		t.Error("an unknown hall or a zero date was accepted")
	}
}

func TestAddSURefuses(t *testing.T) {
	template, _ := load(t, "tiny")
	for _, c := range []struct {
		what string
		edit func(first, second *site.SUInventory)
		want string
	}{
		{"twice", func(a, b *site.SUInventory) { *b = *a }, "such an SU already"},
		{"unknown pod", func(_, b *site.SUInventory) { b.Pod = "z9" }, "no such pod"},
		{"other hall", func(_, b *site.SUInventory) { b.Hall = "hall-b" }, `header says "hall-a"`},
		{"other phase", func(_, b *site.SUInventory) { b.Phase = "p2" }, `header says "p1"`},
		{"other frontend", func(_, b *site.SUInventory) { b.Leaves[8].Fabric = "roce" }, "frontend"},
		{"unknown kind", func(_, b *site.SUInventory) { b.Kind = "B300" }, "no such kind"},
		{"serial of another SU", func(a, b *site.SUInventory) { b.Nodes[3].Serial = a.Nodes[0].Serial }, "serial of node a1-su01-n01 already"},
		{"NIC of another SU", func(a, b *site.SUInventory) { b.Nodes[3].NICs[2].ID = a.Nodes[0].NICs[5].ID }, "identity of port a1-su01-n01/rail5 already"},
		{"serial twice", func(_, b *site.SUInventory) { b.Nodes[3].Serial = b.Nodes[0].Serial }, "the same"},
		{"drive twice", func(_, b *site.SUInventory) { b.Nodes[3].Drives[0] = b.Nodes[2].Drives[7] }, "the same"},
		{"NIC twice", func(_, b *site.SUInventory) { b.Nodes[3].NICs[0].ID = b.Nodes[3].NICs[1].ID }, "the same"},
		{"GPU missing", func(_, b *site.SUInventory) { b.Nodes[3].GPUs = b.Nodes[3].GPUs[:7] }, "gpus: 7"},
		{"NIC missing", func(_, b *site.SUInventory) { b.Nodes[3].NICs = b.Nodes[3].NICs[:8] }, "nics: 8"},
		{"leaf missing", func(_, b *site.SUInventory) { b.Leaves = b.Leaves[:8] }, "leaves: 8"},
		{"device without serial", func(_, b *site.SUInventory) { b.Nodes[3].TPM.Serial = "" }, "tpm"},
		{"no nodes", func(_, b *site.SUInventory) { b.Nodes = nil }, "nodes: 0"},
		{"node of another name", func(_, b *site.SUInventory) { b.Nodes[3].ID = "x" }, "expected \"a1-su02-n04\""},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := site.New(template.Header())
			list := inventories(t, template)
			a, b := list[0], list[1]
			if _, err := s.AddSU(a, a.Digest()); err != nil {
				t.Fatal(err)
			}
			before := s.Counts()
			c.edit(a, b)
			if _, err := s.AddSU(b, claim.Digest{1}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if s.Counts() != before || len(s.Serial) != len(s.NodeID) || len(s.PortID) != s.Ports() {
				t.Error("a refused SU left something behind")
			}
		})
	}
}

func TestAttestationKeys(t *testing.T) {
	_, s := load(t, "tiny")
	message := sha256.Sum256([]byte("quote"))
	for n := range site.Index(s.Nodes()) {
		key, err := site.AttestationPrivateKey(s.Seed, s.NodeID[n])
		if err != nil {
			t.Fatal(err)
		}
		signature, err := key.Sign(nil, message[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		public, err := s.AttestationKey[n].Verifier()
		if err != nil {
			t.Fatal(err)
		}
		if !ecdsa.VerifyASN1(public, message[:], signature) {
			t.Fatalf("%s: the inventory's key does not verify what the simulator's signed", s.NodeID[n])
		}
		other := s.AttestationKey[(int(n)+1)%s.Nodes()]
		if public, err := other.Verifier(); err != nil || ecdsa.VerifyASN1(public, message[:], signature) {
			t.Fatalf("%s: its neighbour's key verifies too", s.NodeID[n])
		}
	}
	if _, err := (site.PublicKey{}).Verifier(); err == nil {
		t.Error("no key is a key")
	}
	if _, err := (site.PublicKey{0: 4, 64: 1}).Verifier(); err == nil {
		t.Error("a point that is not on the curve is a key")
	}
}

func TestDeviceDigest(t *testing.T) {
	template, s := load(t, "tiny")
	node := inventories(t, template)[0].Nodes[0]
	devices := node.WipeDevices()
	if len(devices) != 29 {
		t.Errorf("%d devices, want 29", len(devices))
	}
	want := site.DeviceDigest(devices)
	if s.Devices[0] != want {
		t.Error("the site has another digest")
	}
	if site.DeviceDigest([]site.Device{{Model: "ab", Serial: "c"}}) == site.DeviceDigest([]site.Device{{Model: "a", Serial: "bc"}}) {
		t.Error("two devices whose texts run together have one digest")
	}
	rapid.Check(t, func(t *rapid.T) {
		shuffled := rapid.Permutation(devices).Draw(t, "devices")
		i := rapid.IntRange(0, len(devices)-1).Draw(t, "i")
		shuffled[i].Firmware += "x"
		if site.DeviceDigest(shuffled) != want {
			t.Fatal("the order or the firmware matters")
		}
		less := slices.Delete(slices.Clone(shuffled), i, i+1)
		twice := append(slices.Clone(shuffled), shuffled[i])
		other := slices.Clone(shuffled)
		other[i].Serial += "x"
		class := slices.Clone(shuffled)
		class[i].Class += "x"
		for _, set := range [][]site.Device{less, twice, other, class} {
			if site.DeviceDigest(set) == want {
				t.Fatal("another set has the same digest")
			}
		}
	})
}

// TestCompileIsStable compiles twice, and once from a file whose halls stand in
// another order: every node is the same.
func TestCompileIsStable(t *testing.T) {
	text := tinyYAML(t)
	a, b := strings.Index(text, "  - id: hall-a"), strings.Index(text, "  - id: hall-b")
	end := strings.Index(text, "  - id: hall-c")
	swapped, err := site.ParseTemplate("x", []byte(text[:a]+text[b:end]+text[a:b]+text[end:]))
	if err != nil {
		t.Fatal(err)
	}
	template, _ := load(t, "tiny")
	bodies := func(t *testing.T, template *site.Template) map[string]claim.Digest {
		list := map[string]claim.Digest{}
		for _, inv := range inventories(t, template) {
			list[inv.SU] = inv.Digest()
		}
		return list
	}
	want := bodies(t, template)
	for _, got := range []map[string]claim.Digest{bodies(t, template), bodies(t, swapped)} {
		if len(got) != len(want) {
			t.Fatalf("%d SUs, want %d", len(got), len(want))
		}
		for su, digest := range want {
			if got[su] != digest {
				t.Errorf("SU %s differs", su)
			}
		}
	}
}
