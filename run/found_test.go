package run_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// carried is the rows that ports carry, as the devices themselves read back: what a
// writer changes shows here.
func (w *world) carried(t *testing.T) map[site.Port]string {
	t.Helper()
	out := map[site.Port]string{}
	s := w.sim.Site()
	for id, driver := range w.sim.Fabrics() {
		index, _ := s.FabricByID(id)
		o, err := driver.Observe(context.Background(), fabric.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range o.Devices {
			var readings []fabric.Reading
			if s.Fabrics[index].Family == site.InfiniBand {
				readings, err = infiniband.Decode(d.Raw)
			} else {
				readings, err = ethernet.Read(s, d.Leaf, d.Raw)
			}
			if err != nil {
				t.Fatal(err)
			}
			located, _ := fabric.Locate(s, d.Leaf, readings)
			for _, r := range located {
				out[r.Port] = r.Row().String()
			}
		}
	}
	return out
}

// TestASiteThatRunsAlready comes to a site on which somebody else has labelled
// nodes: what is there is recorded and proven, nothing is written; managed, only
// the others are written to and sold; taken over, they are wiped like the others.
func TestASiteThatRunsAlready(t *testing.T) {
	ctx := context.Background()
	w, template := newWorld(t)
	occupied := []site.Index{0, 1, 8, 16, 17} // roce, roce, roce of the next unit, ib, ib
	labels := map[site.Index]uint32{0: 5000, 1: 5000, 8: 5001, 16: 0x100, 17: 0x100}
	rows := map[string][]fabric.PortRow{}
	s := w.sim.Site()
	for _, n := range occupied {
		for nic := range site.NICs {
			port := site.PortOf(n, nic)
			f := s.Fabrics[s.FabricOf(port)]
			label := labels[n]
			if f.Frontend && label == 0x100 {
				label = 6000
			}
			rows[f.ID] = append(rows[f.ID], fabric.PortRow{Port: port, Row: fabric.Compile(f.Family, label)})
		}
	}
	for id, list := range rows {
		if _, err := w.sim.Fabrics()[id].Apply(ctx, fabric.NewChange(id, list), fabric.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	before := w.carried(t)

	observer := func() *run.Plane {
		t.Helper()
		p, err := run.Open(ctx, run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "observer", Observe: true, Audit: book.CheckInvariants,
			Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := observer()
	if err := p.Import(ctx, template, nil); err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.Adopt{By: "test", Found: "served to observe"})
	w.live(t, p, 3)
	want := "frontend/vni/5000 2 2/0/0, frontend/vni/5001 1 1/0/0, frontend/vni/6000 2 2/0/0, ib/pkey/0x0100 2 16/0/0, roce/vni/5000 2 16/0/0, roce/vni/5001 1 8/0/0"
	if got := listed(p); got != want {
		t.Errorf("found:\n%s\nexpected\n%s", got, want)
	}
	entries := func(p *run.Plane) (n uint64) { p.View(func(s *book.State) { n = s.Seq }); return n }
	quiet := entries(p)
	w.live(t, p, 3)
	if entries(p) != quiet {
		t.Errorf("%d entries were written though nothing has changed", entries(p)-quiet)
	}
	if held := p.Plan(ctx).Deferred; len(held) != 4 {
		t.Errorf("the plan of an adopted site: %q", held)
	}

	// A port of one that carries the other's label as well is red; it is their
	// manager's fault, and nothing is done about it.
	if err := w.sim.Inject(ctx, w.clock.Now(), sim.Fault{Kind: sim.Misconfigured, Node: 8, NIC: 2, Label: 5000}); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 1)
	red := 0
	for _, f := range p.Found() {
		red += f.Red
	}
	if red == 0 {
		t.Errorf("a port that carries the label of two is not red: %s", listed(p))
	}
	fix := fabric.NewChange("roce", []fabric.PortRow{{Port: site.PortOf(8, 2), Row: fabric.Compile(site.RoCE, 5001)}})
	if _, err := w.sim.Fabrics()["roce"].Apply(ctx, fix, fabric.Fence{}); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 1)

	// A restart finds the same, and none of it has written anything.
	p = observer()
	w.live(t, p, 1)
	if got := listed(p); got != want {
		t.Errorf("after a restart it is:\n%s\nexpected\n%s", got, want)
	}
	if after := w.carried(t); !maps.Equal(before, after) {
		t.Error("an observer has changed what the devices carry")
	}

	// Managed: the occupied nodes stay as they are, all others are commissioned.
	p = w.open(t)
	w.submit(t, p, book.Manage{By: book.Actor{Subject: "second", Role: "approver"}, Reason: "as found"})
	w.live(t, p, 48)
	written := 0
	for port, row := range w.carried(t) {
		switch occupied := slices.Contains(occupied, port.Node()); {
		case occupied && row != before[port]:
			t.Errorf("port %s of an occupied node carried %s and carries %s", s.PortName(port), before[port], row)
		case !occupied && row != before[port]:
			written++
		}
	}
	if written != s.Ports()-len(occupied)*site.NICs {
		t.Errorf("%d ports were written, expected all that are not of occupied nodes", written)
	}
	p.View(func(s *book.State) {
		if got := s.Nodes.By[node.Discovered]; got.Len() < len(occupied) || s.Nodes.By[node.Ready].Len() < 16 {
			t.Errorf("%d nodes are ready, %s discovered", s.Nodes.By[node.Ready].Len(), got)
		}
		for _, n := range occupied {
			if s.Nodes.State[n] != node.Discovered || s.Free(w.clock.Now(), w.clock.Now().AddDate(0, 1, 0)).Has(n) {
				t.Errorf("occupied node %d is %s", n, s.Nodes.State[n])
			}
		}
		if len(s.Drifted) > 0 {
			t.Errorf("%d ports count as drifted", len(s.Drifted))
		}
	})

	// What nobody is on is sold meanwhile, all of it.
	w.sell(t, p)
	w.until(t, p, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	p.View(func(s *book.State) {
		for _, l := range s.Leases {
			if l.Delivered != len(l.Slots) || l.Nodes().Intersects(s.Kept) {
				t.Errorf("%s: %d of %d slots were delivered, %v", l.ID, l.Delivered, len(l.Slots), l.Slots)
			}
		}
	})

	// Taken over, they are wiped, and the label is free again after its cool-down.
	w.submit(t, p, book.TakeOver{Fabric: "roce", Label: 5000, By: book.Actor{Subject: "second", Role: "approver"}, Reason: "its tenant has left"})
	w.live(t, p, 72)
	p.View(func(s *book.State) {
		for _, n := range []site.Index{0, 1} {
			if s.Nodes.State[n] != node.Ready || s.Nodes.Statement[n].IsZero() {
				t.Errorf("node %d was taken over and is %s", n, s.Nodes.State[n])
			}
		}
		if owner, taken := s.Labels["roce"].OwnerOf(5000); taken {
			t.Errorf("label 5000 is still of %s", owner)
		}
		if s.Nodes.State[8] != node.Discovered {
			t.Errorf("node 8, of another label, is %s", s.Nodes.State[8])
		}
	})
}

func listed(p *run.Plane) (out string) {
	for i, f := range p.Found() {
		if i > 0 {
			out += ", "
		}
		out += fmt.Sprintf("%s %d %d/%d/%d", f.Name, len(f.Nodes), f.Proven, f.Red, f.Unknown)
	}
	return out
}

// TestOnePopulationUnderManyKeys comes to a fabric on which every port is a full member of
// four keys and of the default partition: that is said, with every check that fails and
// with what guards the fabric's management, and nothing is written or put back.
func TestOnePopulationUnderManyKeys(t *testing.T) {
	ctx := t.Context()
	w, template := newWorld(t)
	s, fabrics := w.sim.Site(), w.sim.Fabrics()
	keys := []fabric.Member{fabric.Full(1), fabric.Full(2), fabric.Full(3), fabric.Full(4), fabric.Full(fabric.DefaultPartition)}
	var rows []fabric.PortRow
	for _, n := range []site.Index{16, 17} {
		for nic := range site.Rails {
			own := keys
			if n == 17 && nic == 7 {
				own = keys[1:] // one port less under the first key
			}
			rows = append(rows, fabric.PortRow{Port: site.PortOf(n, nic), Row: fabric.Row{NIC: own, Leaf: own, EnforceIn: true, EnforceOut: true}})
		}
	}
	if failed, err := fabrics["ib"].Apply(ctx, fabric.NewChange("ib", rows), fabric.Fence{}); err != nil || len(failed.Failed) > 0 {
		t.Fatalf("%v %v", failed.Failed, err)
	}
	g := &guarded{Driver: fabrics["ib"], gone: true}
	fabrics["ib"] = g
	p, err := run.Open(ctx, run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "observer", Observe: true, Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(ctx, template, nil); err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.Adopt{By: "test", Found: "served to observe"})
	before := w.carried(t)
	w.live(t, p, 2)

	same := map[string][]string{}
	for _, f := range p.Found() {
		same[f.Name] = f.Same
		if len(f.Findings) == 0 || !strings.Contains(f.Findings[0], "shared-full") || !strings.Contains(f.Findings[0], ", ") {
			t.Errorf("%s: %q: expected every check that fails, full membership of the shared label among them", f.Name, f.Findings)
		}
	}
	if want := map[string][]string{
		"ib/pkey/0x0001": nil,
		"ib/pkey/0x0002": {"ib/pkey/0x0003", "ib/pkey/0x0004"},
		"ib/pkey/0x0003": {"ib/pkey/0x0002", "ib/pkey/0x0004"},
		"ib/pkey/0x0004": {"ib/pkey/0x0002", "ib/pkey/0x0003"},
	}; !maps.EqualFunc(same, want, slices.Equal) {
		t.Errorf("carried by the same ports: %v, expected %v", same, want)
	}
	open := p.OpenPartitions()
	if len(open) != 1 || open[0].Name != "ib/pkey/0x7fff" || open[0].Ports != len(rows) || open[0].At[0] != s.PortName(site.PortOf(16, 0)) {
		t.Errorf("open default partitions: %+v, expected that of ib with %d ports", open, len(rows))
	}
	p.View(func(s *book.State) {
		if is, looked := s.Postures["ib"]; !looked || is.Holds {
			t.Errorf("posture of ib under --observe: looked at %t, holds %t", looked, is.Holds)
		}
	})
	if after := w.carried(t); g.mended > 0 || !maps.Equal(before, after) {
		t.Errorf("an observer has put back the guard %d times, and changed ports: %t", g.mended, !maps.Equal(before, after))
	}
}
