package umad_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

func TestSweepOfIbsim(t *testing.T) {
	tree := ibnet.Tree{Hosts: 16, PerLeaf: 4, Spines: 2, Spare: 2}
	sim := ibnet.Start(t, tree)
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(3)})
	if err != nil {
		t.Fatal(err)
	}
	if port.Host != ibnet.HostName(3) {
		t.Errorf("attached to %q", port.Host)
	}
	client, err := smp.New(port, smp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	f, err := client.Sweep(ctx, smp.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Nodes) != tree.Hosts+tree.Switches() || len(f.Missing) > 0 || len(f.Conflicts) > 0 || f.Local != ibnet.HostGUID(3) {
		t.Fatalf("%d nodes, local %x, missing %v, conflicts %v", len(f.Nodes), f.Local, f.Missing, f.Conflicts)
	}
	for i := range tree.Hosts {
		leaf := f.Node(ibnet.LeafGUID(i / tree.PerLeaf))
		if leaf == nil {
			t.Fatalf("leaf %x not found", ibnet.LeafGUID(i/tree.PerLeaf))
		}
		want := smp.End{Node: ibnet.HostGUID(i), Port: 1}
		if got := leaf.Port(uint8(i%tree.PerLeaf + 1)).Neighbour; got != want {
			t.Errorf("host %d: behind port %d is %x", i, i%tree.PerLeaf+1, got)
		}
		if d := string(f.Node(ibnet.HostGUID(i)).Description); d != ibnet.HostName(i) {
			t.Errorf("host %d calls itself %q", i, d)
		}
	}
	tables, err := client.ReadTables(ctx, f, smp.TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hosts := 0
	for i := range tables.Ports {
		p := &tables.Ports[i]
		if !p.Complete() {
			t.Errorf("%x: %v", p.Switch, p.Missing)
		}
		if p.Host != nil {
			hosts++
			if keys := smp.PKeys(p.Host.Keys, p.HostCap); len(keys) != 1 || keys[0] != mad.DefaultPKey {
				t.Errorf("host port %x: P_Keys %v", p.HostGUID, keys)
			}
		}
	}
	if hosts != tree.Hosts || len(tables.Ports) < tree.Hosts+tree.Leaves()*tree.Spare {
		t.Errorf("%d edge ports, %d hosts", len(tables.Ports), hosts)
	}
	if s := client.Stats(); s.Unmatched != 0 || s.Unanswered != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := umad.OpenSim(umad.SimOptions{Socket: "nobody-listens-here"}); err == nil {
		t.Error("attached to nothing")
	}
	sim := ibnet.Start(t, ibnet.Tree{Hosts: 2, PerLeaf: 2, Spines: 1})
	if _, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: "stranger"}); err == nil {
		t.Error("attached to a host that is not there")
	}
	for range 12 { // more than the clients that it takes, so Close must have given them back
		port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name})
		if err != nil {
			t.Fatal(err)
		}
		if err := port.Close(); err != nil {
			t.Fatal(err)
		}
		var p mad.Packet
		if _, err := port.Recv(&p); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
	}
}
