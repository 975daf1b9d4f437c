package opensm_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/fabric/infiniband"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

// The suite's site of 2 SUs of 3 nodes on a simulated fabric: 16 leaves of 3
// hosts, and one leaf more for OpenSM and for who reads.
const (
	suiteSUs, suiteNodes = 2, 3
	rails                = site.NICs - 1
	suiteHosts           = suiteSUs * suiteNodes * rails
)

// rig is a driver with a real OpenSM on ibsim. What ibsim does not have, is made
// in between: it keeps no enforcement bits (they read as on, until a test tampers,
// and again after OpenSM has swept, which by its source restores them), and it
// can neither silence a leaf nor a port (the reading is held back instead).
type rig struct {
	opensm.Reader
	t      testing.TB
	driver *opensm.Driver
	client *smp.Client
	swept  *smp.Fabric
	lab    *lab

	mu     sync.Mutex
	down   map[uint64]bool                   // leaves
	held   map[uint64]map[int]fabric.Reading // readings that do not change, by leaf and port
	open   map[uint64]map[int]enforcement
	openAt int // sweeps when it was set
}

type enforcement struct{ in, out bool }

func newRig(t *testing.T) (*rig, *fabrictest.Fixture) {
	t.Helper()
	s := fabrictest.NewSite(suiteSUs, suiteNodes, site.InfiniBand)
	leaves := map[site.Leaf]uint64{}
	for n := range site.Index(suiteSUs * suiteNodes) {
		for nic := range rails {
			p := site.PortOf(n, nic)
			l := s.LeafOf(p)
			at := l.SU()*rails + nic
			leaves[l] = ibnet.LeafGUID(at)
			s.PortID[p] = ibnet.HostPortGUID(at*suiteNodes + s.LeafPort(p) - 1)
		}
	}
	sim := ibnet.Start(t, ibnet.Tree{Hosts: suiteHosts + suiteNodes, PerLeaf: suiteNodes, Spines: 1})
	host := ibnet.HostName(suiteHosts)
	l := &lab{t: t, sim: sim, conf: filepath.Join(sim.Dir, "partitions-"+host+".conf"), log: filepath.Join(sim.Dir, "opensm-"+host+".log")}
	flush := filepath.Join(sim.Dir, "opensm.conf")
	if err := os.WriteFile(flush, []byte("force_log_flush TRUE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.sm = sim.StartOpenSM(t, host, defaultOnly, "-F", flush)
	pidFile := filepath.Join(sim.Dir, "opensm.pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(l.sm.Pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(suiteHosts + 1)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := smp.New(port, smp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	swept, err := client.Sweep(t.Context(), smp.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	file := &opensm.File{Path: l.conf}
	r := &rig{Reader: &opensm.SMPReader{Client: client, Resweep: time.Minute}, t: t, client: client, swept: swept, lab: l,
		down: map[uint64]bool{}, held: map[uint64]map[int]fabric.Reading{}, open: map[uint64]map[int]enforcement{}}
	r.driver = &opensm.Driver{Site: s, Fabric: 1, Leaves: leaves, Origin: claim.Simulated, Reader: r, SMs: []uint64{ibnet.HostPortGUID(suiteHosts)},
		Manager: &opensm.Manager{File: file, Reload: opensm.Signal{PIDFile: pidFile}, Bound: 20 * time.Second, Again: 500 * time.Millisecond}}
	// The owner's file is taken over once, knowingly.
	found, err := r.driver.Look(false)
	if err != nil || !errors.Is(found.Edited, opensm.ErrEdited) || found.Effect.Open {
		t.Fatalf("the owner's own file: %+v, %v", found, err)
	}
	if left, err := r.driver.TakeOver(t.Context(), nil, fabric.Fence{}, found.Digest); err != nil || len(left) > 0 {
		t.Fatalf("take over: %v, %v", left, err)
	}
	return r, &fabrictest.Fixture{Driver: r.driver, Site: s, Fabric: 1, Always: []fabric.Member{fabric.Limited(0x7fff)},
		SetReachable: func(leaf site.Leaf, reachable bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.down[leaves[leaf]] = !reachable
		},
		SetFailing: func(p site.Port, failing bool) { r.hold(p, failing) },
		Tamper:     r.tamper,
	}
}

// firstFile has no partitions.
const firstFile = "# Partitions of a Bulkhead fabric. Written as a whole; an edit by hand is refused.\n" + defaultOnly +
	"# end: 0 partitions, 0 members\n"

func (r *rig) Read(ctx context.Context, leaves []uint64) ([]opensm.Capture, error) {
	captures, err := r.Reader.Read(ctx, leaves)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) > 0 && r.lab.ups() != r.openAt {
		clear(r.open)
	}
	for i := range captures {
		c := &captures[i]
		if r.down[c.Leaf] {
			c.Raw, c.Reason = nil, "cut off by the test"
			continue
		}
		readings, err := infiniband.Decode(c.Raw)
		if err != nil {
			return nil, err
		}
		for j := range readings {
			reading := &readings[j]
			reading.EnforceIn, reading.EnforceOut = true, true
			if e, set := r.open[c.Leaf][reading.LeafPort]; set {
				reading.EnforceIn, reading.EnforceOut = e.in, e.out
			}
			if old, is := r.held[c.Leaf][reading.LeafPort]; is {
				*reading = old
			}
		}
		if c.Raw, err = infiniband.Encode(infiniband.Header{GUID: c.Leaf, LeafCap: c.LeafTable, NICCap: c.NICTable}, readings); err != nil {
			return nil, err
		}
	}
	return captures, nil
}

func (r *rig) at(p site.Port) (leaf uint64, number int) {
	return r.driver.Leaves[r.driver.Site.LeafOf(p)], r.driver.Site.LeafPort(p)
}

func (r *rig) hold(p site.Port, hold bool) {
	leaf, number := r.at(p)
	captures, err := r.Read(context.Background(), []uint64{leaf})
	if err != nil {
		r.t.Fatal(err)
	}
	readings, err := infiniband.Decode(captures[0].Raw)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, leaf)
	if hold {
		i := slices.IndexFunc(readings, func(x fabric.Reading) bool { return x.LeafPort == number })
		r.held[leaf] = map[int]fabric.Reading{number: readings[i]}
	}
}

// tamper writes tables with SMPs of its own, as a host with an open M_Key can.
func (r *rig) tamper(p site.Port, row fabric.Row) {
	leaf, number := r.at(p)
	for _, e := range r.swept.Edges() {
		if e.Switch.Node != leaf || int(e.Switch.Port) != number {
			continue
		}
		r.set(smp.Address{Route: e.HostRoute}, 0, row.NIC)
		r.set(smp.Address{Route: e.Route}, e.Switch.Port, row.Leaf)
	}
	// A sweep that the change before began may still be under way; what OpenSM says of
	// it must not be taken for one that undid this.
	quiet, ups := time.Now(), r.lab.ups()
	for end := quiet.Add(5 * time.Second); time.Since(quiet) < 300*time.Millisecond && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if now := r.lab.ups(); now != ups {
			quiet, ups = time.Now(), now
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = map[uint64]map[int]enforcement{leaf: {number: {row.EnforceIn, row.EnforceOut}}}
	r.openAt = ups
}

func (r *rig) set(to smp.Address, port uint8, table []fabric.Member) {
	var block mad.PKeyBlock
	for i, m := range table {
		block[i] = mad.PKey(m.Value())
		if m.IsFull() {
			block[i] |= mad.FullMember
		}
	}
	_, err := r.client.One(context.Background(), smp.Request{To: to, Method: mad.Set, Attribute: mad.AttrPKeyTable,
		Modifier: mad.PKeyModifier(port, 0), Data: block.Encode()})
	if err != nil {
		r.t.Fatalf("tamper at %s: %v", to, err)
	}
}

func TestConformance(t *testing.T) {
	fabrictest.Run(t, func(t *testing.T) *fabrictest.Fixture {
		_, f := newRig(t)
		return f
	})
}

// TestRowsThatOpenSMCannotSay are named as failed, and nothing else is held up.
func TestRowsThatOpenSMCannotSay(t *testing.T) {
	r, f := newRig(t)
	ports := fabrictest.Ports(f.Site, 1)
	uneven := fabric.Compile(site.InfiniBand, 5)
	uneven.Leaf = uneven.Leaf[:1]
	shared := fabric.Closed()
	shared.NIC, shared.Leaf = []fabric.Member{fabric.Full(0x7fff)}, []fabric.Member{fabric.Full(0x7fff)}
	c := fabric.NewChange("compute", []fabric.PortRow{{Port: ports[0], Row: uneven}, {Port: ports[1], Row: shared},
		{Port: ports[2], Row: fabric.Compile(site.InfiniBand, 5)}})
	receipt, err := r.driver.Apply(t.Context(), c, fabric.Fence{Term: 1})
	if err != nil || receipt.Applied != 1 || len(receipt.Failed) != 2 {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
}

// TestForeignKeyInAnotherBlock: what OpenSM can't remove is named, not hidden.
func TestForeignKeyInAnotherBlock(t *testing.T) {
	r, f := newRig(t)
	p := fabrictest.Ports(f.Site, 1)[0]
	row := fabric.Compile(site.InfiniBand, 5)
	change := fabric.NewChange("compute", []fabric.PortRow{{Port: p, Row: row}})
	if receipt, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1}); err != nil || receipt.Applied != 1 {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	leaf, number := r.at(p)
	for _, e := range r.swept.Edges() {
		if e.Switch.Node == leaf && int(e.Switch.Port) == number {
			block := mad.PKeyBlock{0x8006}
			if _, err := r.client.One(t.Context(), smp.Request{To: smp.Address{Route: e.HostRoute}, Method: mad.Set,
				Attribute: mad.AttrPKeyTable, Modifier: mad.PKeyModifier(0, 1), Data: block.Encode()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	receipt, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1})
	if err != nil || len(receipt.Failed) != 1 {
		t.Fatalf("receipt %+v, error %v; expected the port with a key that OpenSM does not see", receipt, err)
	}
	if want := fabric.Full(6).String(); !strings.Contains(receipt.Failed[0].Error, want) {
		t.Errorf("%q does not name %s", receipt.Failed[0].Error, want)
	}
}

// TestHandEditedFileStopsWriting until an operator takes it over; what it does to
// the fabric is said.
func TestHandEditedFileStopsWriting(t *testing.T) {
	r, f := newRig(t)
	p := fabrictest.Ports(f.Site, 1)[0]
	change := fabric.NewChange("compute", []fabric.PortRow{{Port: p, Row: fabric.Compile(site.InfiniBand, 5)}})
	if err := os.WriteFile(r.lab.conf, []byte(defaultOnly+"T1=0x1 : host1=full ;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1}); !errors.Is(err, opensm.ErrEdited) {
		t.Errorf("apply over a file edited by hand: %v", err)
	}
	found, err := r.driver.Look(false)
	if err != nil || !found.Effect.Open || found.Effect.Line != 2 {
		t.Errorf("found %+v, %v; expected that OpenSM gives up at line 2", found, err)
	}
	left, err := r.driver.TakeOver(t.Context(), change.Ports, fabric.Fence{Term: 1}, found.Digest)
	if err != nil || len(left) > 0 {
		t.Fatalf("take over: %v, %v", left, err)
	}
	if receipt, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1}); err != nil || receipt.Applied != 1 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

// TestLockdownWinsOverAnEdit: the file opens the fabric, a port is locked down:
// it is closed, and every other port has what was put last.
func TestLockdownWinsOverAnEdit(t *testing.T) {
	r, f := newRig(t)
	ports := fabrictest.Ports(f.Site, 1)[:2]
	row := fabric.Compile(site.InfiniBand, 5)
	change := fabric.NewChange("compute", []fabric.PortRow{{Port: ports[0], Row: row}, {Port: ports[1], Row: row}})
	if receipt, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1}); err != nil || receipt.Applied != 2 {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	if err := os.WriteFile(r.lab.conf, []byte(defaultOnly+"T1=0x1 : host1=full ;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.driver.Manager.Reload.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.driver.Lockdown(t.Context(), ports[:1], fabric.Fence{Term: 1}); err != nil {
		t.Fatal(err)
	}
	found, err := r.driver.Look(false)
	if err != nil || found.Edited != nil || found.Effect.Open {
		t.Fatalf("found %+v, %v", found, err)
	}
	guid := r.driver.Site.PortID
	members := map[uint64]bool{}
	for _, part := range found.Ours.Partitions {
		for _, g := range part.Full {
			members[g] = true
		}
	}
	if members[guid[ports[0]]] || !members[guid[ports[1]]] {
		t.Errorf("full members %v: expected %d and not %d", members, guid[ports[1]], guid[ports[0]])
	}
}
