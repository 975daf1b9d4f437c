package story

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/node"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

type fakeWorld struct {
	mu      sync.Mutex
	s       *site.Site
	inv     []site.NodeInventory
	now     time.Time
	rows    []fabric.Row
	changed []uint64 // by leaf
	cursor  uint64
	reports []node.Report
	wiped   map[site.Index][]wipe.Receipt
}

func newFake(t *site.Template) (*fakeWorld, error) {
	w := &fakeWorld{wiped: map[site.Index][]wipe.Receipt{}, cursor: 1}
	h := t.Header()
	w.s = site.New(h)
	_, err := t.Compile(func(inv *site.SUInventory) error {
		data := inv.Encode()
		_, err := w.s.AddSU(inv, claim.DigestOf(data))
		for i := range inv.Nodes {
			w.inv = append(w.inv, inv.Nodes[i])
		}
		return err
	})
	w.rows = make([]fabric.Row, w.s.Ports())
	for i := range w.rows {
		w.rows[i] = fabric.Closed()
	}
	w.changed = make([]uint64, w.s.Leaves())
	return w, err
}

func (w *fakeWorld) Advance(_ context.Context, to time.Time) error { w.now = to; return nil }
func (w *fakeWorld) Inject(context.Context, Trouble) error        { return nil }

type fakeFabric struct {
	w     *fakeWorld
	index int
}

func (f fakeFabric) id() string { return f.w.s.Fabrics[f.index].ID }
func (f fakeFabric) Capabilities(context.Context) (fabric.Capabilities, error) {
	return fabric.Capabilities{Fabric: f.id(), Family: f.w.s.Fabrics[f.index].Family, Fencing: fabric.FencedByDevice, Origin: claim.Simulated}, nil
}
func (f fakeFabric) Plan(d []fabric.PortRow, o *fabric.Tables) (fabric.Change, error) {
	return fabric.Plan(f.id(), d, o)
}
func (f fakeFabric) Apply(_ context.Context, c fabric.Change, _ fabric.Fence) (fabric.Receipt, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	f.w.cursor++
	for _, p := range c.Ports {
		f.w.rows[p.Port] = p.Row
		f.w.changed[f.w.s.LeafOf(p.Port)] = f.w.cursor
	}
	return fabric.Receipt{Change: c.ID, Applied: len(c.Ports)}, nil
}
func (f fakeFabric) Lockdown(_ context.Context, ports []site.Port, _ fabric.Fence) error {
	for _, p := range ports {
		f.w.rows[p] = fabric.Closed()
	}
	return nil
}
func (f fakeFabric) Observe(_ context.Context, s fabric.Scope) (fabric.Observation, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	o := fabric.Observation{Cursor: f.w.cursor, At: f.w.now, Fresh: true}
	for leaf := range site.Leaf(f.w.s.Leaves()) {
		if f.w.s.FabricOfLeaf(leaf) != f.index || s.Since > 0 && f.w.changed[leaf] <= s.Since {
			continue
		}
		var readings []fabric.Reading
		for i, n := range f.w.s.SUs[leaf.SU()].Nodes {
			p := site.PortOf(n, leaf.NIC())
			r := f.w.rows[p]
			readings = append(readings, fabric.Reading{LeafPort: i + 1, NIC: r.NIC, Leaf: r.Leaf, EnforceIn: r.EnforceIn, EnforceOut: r.EnforceOut, Neighbour: f.w.s.PortID[p]})
		}
		var raw []byte
		var err error
		if f.w.s.Fabrics[f.index].Family == site.InfiniBand {
			raw, err = infiniband.Encode(infiniband.Header{GUID: uint64(leaf) + 1, LeafCap: 64, NICCap: 128}, readings)
		} else {
			raw, err = ethernet.Encode(ethernet.Header{Switch: f.w.s.LeafID(leaf), TableSize: 4096}, readings)
		}
		if err != nil {
			return o, err
		}
		o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: leaf, Reachable: true, Source: "fake", At: f.w.now, Raw: raw})
	}
	return o, nil
}

type fakeNodes struct{ w *fakeWorld }

func (f fakeNodes) Capabilities(context.Context) (node.Capabilities, error) {
	return node.Capabilities{Fencing: "device", Origin: claim.Simulated}, nil
}
func (f fakeNodes) Apply(_ context.Context, steps []node.Step, _ node.Fence) ([]node.Receipt, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	var out []node.Receipt
	for _, s := range steps {
		e, err := f.w.evidence(s)
		if err != nil {
			return nil, err
		}
		raw, _ := json.Marshal(e)
		f.w.cursor++
		f.w.reports = append(f.w.reports, node.Report{Node: s.Node, At: f.w.now, Step: s.ID, OK: true, Raw: raw})
		out = append(out, node.Receipt{Step: s.ID, Taken: true})
	}
	return out, nil
}
func (f fakeNodes) Observe(_ context.Context, since uint64) (node.Observation, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	o := node.Observation{Cursor: f.w.cursor, At: f.w.now, Reports: f.w.reports}
	f.w.reports = nil
	return o, nil
}

func (w *fakeWorld) evidence(s node.Step) (node.Evidence, error) {
	var e node.Evidence
	inv := &w.inv[s.Node]
	if s.Kind == node.StepCommission || s.Kind == node.StepSanitize {
		for _, d := range inv.WipeDevices() {
			method, level, sampled, _ := wipe.Standard(d.Class)
			status, progress := wipe.Done()
			size := wipe.Capacity(d.Class)
			e.Receipts = append(e.Receipts, wipe.Receipt{Class: d.Class, Model: d.Model, Serial: d.Serial, Firmware: d.Firmware, Method: method, Level: level,
				Start: w.now.Unix() - 7200, End: w.now.Unix() - 7000, Status: status, Progress: progress, Nonce: s.Nonce, Size: size, Offset: wipe.Place(s.Nonce, d.Serial, size, sampled), Sampled: sampled, Sample: wipe.Clean(d.Class, d.Model)})
		}
		w.wiped[s.Node] = e.Receipts
	}
	if s.Kind == node.StepCommission || s.Kind == node.StepAttest {
		q := &attest.Quote{Nonce: fmt.Sprintf("%x", s.Nonce[:]), ResetCount: 1, At: w.now.Unix(), Log: attest.BootLog(inv.WipeDevices())}
		golden := attest.Replay(q.Log)
		copy(q.PCR[:3], golden[:])
		q.PCR[3], _ = attest.Extend(w.wiped[s.Node])
		key, err := site.AttestationPrivateKey(w.s.Seed, inv.ID)
		if err != nil {
			return e, err
		}
		hash := sha256.Sum256(q.Signed())
		if q.Signature, err = key.Sign(rand.Reader, hash[:], nil); err != nil {
			return e, err
		}
		e.Quote, e.BurnIn = q, &node.BurnIn{GPUs: 8, Minutes: 30, GBps: 380}
		if s.Kind == node.StepAttest {
			e.Receipts = nil
		}
	}
	return e, nil
}
