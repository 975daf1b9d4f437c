package bundletest

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/prove"
	"bulkhead/site"
)

const seed = "bundletest"

const siteText = `
site: testsite
origin: simulated
seed: bundletest
shape: {su-nodes: %d, rack-nodes: 4, pod-sus: 64, spines: 8, cores: 4, frontend-spines: 2, leaf-ports: 128, link-gbps: 400, pod-taper: 1}
kinds:
  - id: H100
    chassis: 8-GPU H100 liquid-cooled 4U
    gpu: {model: H100 SXM5 80GB, firmware: 96.00.CF.00.01, count: %d}
    rail-nic: {model: BlueField-3 SuperNIC 400G, firmware: 32.43.1014}
    frontend-nic: {model: BlueField-3 DPU 400G, firmware: 32.43.1014}
    drive: {model: NVMe 7.68T U.2, firmware: GDC7302Q, count: 8}
    dram: {model: DDR5-4800 2 TB, firmware: none}
    tpm: {model: TPM 2.0, firmware: 7.2.3.1}
    uefi: {model: UEFI H100, firmware: 2.1.4}
    bmc: {model: AST2600, firmware: 1.03.18}
    switch: {model: 64-port 800G as 128x400G, firmware: 5.11.1}
fabrics:
  - {id: roce, family: roce}
  - {id: frontend, family: roce, frontend: true}
phases:
  - {id: p1, in-service: 2026-04-01}
halls:
  - id: hall-a
    phase: p1
    pods:
      - {id: a1, fabric: roce, kind: H100, nodes: %d, sus: %d}
policy:
  spares-per-su: 1
`

// world is the devices of a fictional site: what they are, and what read-back
// shows of their ports.
type world struct {
	site   *site.Site
	kind   site.Kind
	tables *fabric.Tables
	prover *prove.Prover
	nodes  []*Node
}

func newWorld(count, gpus int) *world {
	size := 8
	if count > 64 {
		size = 64
	}
	units := (count + size - 1) / size
	text := fmt.Appendf(nil, siteText, size, gpus, units*size, units)
	t, err := site.ParseTemplate("site.yaml", text)
	must(err)
	header := t.Header()
	w := &world{site: site.New(header), kind: header.Kinds[0]}
	_, err = t.Compile(func(inv *site.SUInventory) error {
		first, err := w.site.AddSU(inv, inv.Digest())
		for i := range inv.Nodes {
			w.nodes = append(w.nodes, &Node{Inventory: &inv.Nodes[i], Index: first + site.Index(i), SU: inv.SU, State: node.Ready, Seq: 4, Turnover: 1})
		}
		return err
	})
	must(err)
	w.tables = fabric.NewTables(w.site.Ports())
	w.prover = prove.NewProver(w.site, w.tables)
	return w
}

// read reads every leaf back: nodes that are a tenant's, or about to be, carry
// its labels, the others are in quarantine.
func (w *world) read(at time.Time, labels []fabric.Label) {
	for leaf := range w.site.Leaves() {
		l := site.Leaf(leaf)
		if !w.site.HasLeaf(l) {
			continue
		}
		var readings []fabric.Reading
		for _, n := range w.site.SUs[l.SU()].Nodes {
			port := site.PortOf(n, l.NIC())
			family := w.site.Fabrics[w.site.FabricOf(port)].Family
			label := fabric.QuarantineLabel("", family).Value
			holder := prove.Quarantined
			if st := w.nodes[n].State; st == node.Reserved || st == node.Delivered {
				label, holder = labels[w.site.FabricOf(port)].Value, prove.FirstProject
			}
			row := fabric.Compile(family, label)
			w.prover.Hold(port, holder)
			readings = append(readings, fabric.Reading{
				LeafPort: w.site.LeafPort(port), NIC: row.NIC, Leaf: row.Leaf, EnforceIn: true, EnforceOut: true, Class: row.Class, Neighbour: w.site.PortID[port],
			})
		}
		w.prover.Read(l, at, readings)
	}
}

// zones is what a gateway says that lets managers reach each BMC, and nobody else.
func (w *world) zones(at time.Time) *prove.Prover {
	read := &fabric.Zones{At: at, Source: "nftables+neighbours"}
	for n, mac := range w.site.BMC {
		id := w.site.NodeID[n]
		read.Nodes = append(read.Nodes, fabric.Zone{Node: id, Filtered: true, Joined: []string{id}, Neighbour: mac})
	}
	return prove.Zones(w.site, read)
}

// Certify signs an isolation certificate of nodes of the lease.
func (s *Story) Certify(epoch uint64, nodes ...*Node) claim.Digest {
	c := s.Certificate(epoch, nodes...)
	return s.Sign(s.Owner.Statement, string(s.Lease), claim.DigestOf([]byte(c.Nodes)), prove.PredicateType, &c)
}

// Certificate is an isolation certificate of nodes of the lease, from a fresh
// read-back.
func (s *Story) Certificate(epoch uint64, nodes ...*Node) prove.Certificate {
	s.world.read(s.Now, s.labels)
	set := site.NewSet(0)
	for _, n := range nodes {
		set.Add(n.Index)
	}
	path := prove.Path{Fencing: fabric.FencedByDeadline, Source: "kernel+lldp"}
	c, _ := s.world.prover.Certify(prove.Request{
		Lease: string(s.Lease), Tenant: s.Tenant, Epoch: epoch, Nodes: set, Issued: s.Now, Window: 15 * time.Minute,
		Paths:      map[string]prove.Path{"roce": path, "frontend": path, s.world.site.Management: path},
		Management: s.world.site.Management, Zones: s.world.zones(s.Now),
	})
	return c
}

// ports is how many ports a certificate of nodes is about.
func (s *Story) ports(nodes []*Node) int {
	each := len(s.world.site.NICsOf(0))
	if s.world.site.Management != "" {
		each++
	}
	return len(nodes) * each
}

// Turnover is a complete and true turnover of a node, its wipes ended before
// now.
func (s *Story) Turnover(n *Node) *node.Turnover {
	root := claim.DigestOf(fmt.Appendf(nil, "root before turnover %d", n.Turnover))
	devices := n.Inventory.WipeDevices()
	t := &node.Turnover{
		Node: n.ID(), Serial: n.Inventory.Serial, Kind: "H100", Turnover: n.Turnover, Origin: claim.Simulated, Root: root, WipeRoot: root,
		Devices: site.DeviceDigest(devices), Key: n.Inventory.AttestationKey, Golden: attest.Golden(s.world.kind),
		BurnIn: &node.BurnIn{GPUs: len(n.Inventory.GPUs), Minutes: 30, GBps: 430.5},
	}
	start := s.Now.Add(-2 * time.Hour).Unix()
	status, progress := wipe.Done()
	nonce := node.Nonce(root, t.Node, t.Turnover)
	for i, d := range devices {
		method, level, sampled, _ := wipe.Standard(d.Class)
		size := wipe.Capacity(d.Class)
		t.Receipts = append(t.Receipts, wipe.SanitizeReceipt{
			Class: d.Class, Model: d.Model, Serial: d.Serial, Firmware: d.Firmware, Method: method, Level: level,
			Start: start + int64(i), End: start + 600 + int64(i), Status: status, Progress: progress,
			Nonce: claim.Digest(nonce), Size: size, Offset: wipe.Place(nonce, d.Serial, size, sampled), Sampled: sampled, Sample: wipe.Clean(d.Class, d.Model),
		})
	}
	s.Quote(t, nonce)
	return t
}

// Quote has the node's TPM sign what its PCRs hold after the receipts.
func (s *Story) Quote(t *node.Turnover, nonce [32]byte) {
	wiped, err := attest.Extend(t.Receipts)
	must(err)
	q := &attest.Quote{
		Nonce: fmt.Sprintf("%x", nonce[:]), PCR: [4]claim.Digest{t.Golden[0], t.Golden[1], t.Golden[2], wiped}, ResetCount: t.Turnover,
		At: s.Now.Add(-time.Minute).Unix(),
	}
	for _, n := range s.world.nodes {
		if n.ID() == t.Node {
			q.Log = attest.BootLog(n.Inventory.WipeDevices())
		}
	}
	key, err := site.AttestationPrivateKey(seed, t.Node)
	must(err)
	hash := sha256.Sum256(q.Signed())
	q.Signature, err = key.Sign(nil, hash[:], crypto.SHA256) // RFC 6979: the same log has the same bytes
	must(err)
	t.Quote = q
}

// SignTurnover signs a turnover, whatever it says.
func (s *Story) SignTurnover(t *node.Turnover) claim.Digest {
	return s.Sign(s.Owner.Statement, t.Node, t.Devices, node.TurnoverPredicate, t)
}
