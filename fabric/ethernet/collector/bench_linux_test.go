package collector

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

const benchRoutes = 200_000

// bigFabric is what a reflector says of a site's compute fabric: of each leaf the
// multicast routes of four VNIs and a MAC route, with an address, of each NIC
// behind it, until there are benchRoutes. Each UPDATE holds what shares its
// attributes, as FRR packs them.
func bigFabric(tb testing.TB) (s *site.Site, stream []byte) {
	s = fabrictest.NewSite(400, 64, site.RoCE)
	const fabricIndex = 1
	left := benchRoutes
	for leaf := range site.Leaf(s.Leaves()) {
		if s.FabricOfLeaf(leaf) != fabricIndex || left == 0 {
			continue
		}
		vtep := ethernet.VTEP(fabricIndex, leaf)
		byVNI := [4][]bgp.NLRI{}
		for i, n := range s.SUs[leaf.SU()].Nodes {
			mac := s.PortID[site.PortOf(n, leaf.NIC())]
			hw := fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", byte(mac>>40), byte(mac>>32), byte(mac>>24), byte(mac>>16), byte(mac>>8), byte(mac))
			v := i % len(byVNI)
			byVNI[v] = append(byVNI[v], macRoute(vtep, uint32(5000+v), hw, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})))
		}
		for v, routes := range byVNI {
			vni := uint32(5000 + v)
			routes = routes[:min(len(routes), left)]
			if left -= len(routes); len(routes) > 0 {
				stream = append(stream, announce(vtep, routes, targetsOf(target(vni)))...)
			}
			if left > 0 {
				stream = append(stream, announce(vtep, []bgp.NLRI{floodRoute(vtep, vni)}, targetsOf(target(vni)), floods(vtep, vni))...)
				left--
			}
		}
	}
	if left > 0 {
		tb.Fatalf("the site is too small: %d routes are missing", left)
	}
	return s, append(stream, endOfRIB()...)
}

// alone is how long goBGP needs to receive all: from its start to End-of-RIB, with
// nobody listening to what it receives. quiet: under the collector's policy, which
// keeps its own table empty.
func alone(b *testing.B, r Reflector, quiet bool) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := server.NewBgpServer()
	go s.Serve()
	defer s.Stop()
	began := time.Now()
	if err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{Asn: asn, RouterId: "127.0.0.250", ListenPort: -1}}); err != nil {
		b.Fatal(err)
	}
	if quiet {
		if err := s.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{Name: "global",
			Direction: api.PolicyDirection_POLICY_DIRECTION_IMPORT, DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT}}); err != nil {
			b.Fatal(err)
		}
	}
	up, done := time.Time{}, make(chan time.Time, 1)
	err := s.WatchEvent(ctx, server.WatchEventMessageCallbacks{
		OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, _ time.Time) {
			if e.Peer.State.SessionState == bgp.BGP_FSM_ESTABLISHED {
				up = time.Now()
			}
		},
		OnPathEor: func(*apiutil.Path, time.Time) { done <- time.Now() },
	}, server.WatchPeer(), server.WatchEor(false))
	if err != nil {
		b.Fatal(err)
	}
	k := &Collector{config: Config{AS: asn, HoldTime: 90 * time.Second, Retry: time.Second, MaxRoutes: maxRoutes}}
	r.AS = asn
	if err := s.AddPeer(ctx, &api.AddPeerRequest{Peer: k.peer(r)}); err != nil {
		b.Fatal(err)
	}
	end := <-done
	if up.IsZero() {
		up = began
	}
	n, err := s.GetTable(ctx, &api.GetTableRequest{TableType: api.TableType_TABLE_TYPE_ADJ_IN, Name: r.Address.String(),
		Family: &api.Family{Afi: api.Family_AFI_L2VPN, Safi: api.Family_SAFI_EVPN}})
	if err != nil || n.NumPath != benchRoutes {
		b.Fatalf("goBGP has %v routes: %v", n, err)
	}
	return end.Sub(up)
}

// together is how long the collector needs to receive all and to judge each route
// as the capture of the leaf that it comes from is judged.
func together(b *testing.B, s *site.Site, r Reflector) time.Duration {
	k, err := Start(b.Context(), Config{AS: asn, HoldTime: 90 * time.Second, Retry: time.Second, Reflectors: []Reflector{r}})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	for k.Sessions()[0].State == Down {
		time.Sleep(time.Millisecond)
	}
	up := k.Sessions()[0].Since
	for !k.Complete() {
		<-k.Signal()
	}
	vteps, _, _ := k.Changed(0)
	routes := 0
	for _, a := range vteps {
		leaf, known := ethernet.LeafOf(s, 1, a)
		if !known {
			b.Fatalf("%s is no leaf", a)
		}
		c := ethernet.Capture{Switch: s.LeafID(leaf), Underlay: ethernet.Underlay{VTEP: a}, Classes: ethernet.Classes(), TableSize: 1}
		c.Routes, c.RoutesSeen = k.Routes(a)
		c.Ports = []ethernet.Port{{Number: 1, FilterIn: true, FilterOut: true, Locked: true}}
		routes += len(c.Routes)
		readings, err := ethernet.Readings(s, leaf, &c)
		if err != nil || len(readings) != 1 || readings[0].Faults != 0 {
			b.Fatalf("%s: %+v, %v", a, readings, err)
		}
	}
	took := time.Since(up)
	if routes != benchRoutes {
		b.Fatalf("%d routes were judged, of %d", routes, benchRoutes)
	}
	return took
}

// BenchmarkCollectAndJudge200kRoutes receives 200,000 EVPN routes and judges each
// (route target, originator, MAC in the inventory, next hop), beside goBGP alone,
// which receives the same bytes from the same sender; the budget is 1.5 times that.
// The sender has its bytes ready, so next to nothing of either time is its own.
func BenchmarkCollectAndJudge200kRoutes(b *testing.B) {
	s, stream := bigFabric(b)
	sender := &speaker{addr: loopback(b, 1), opening: stream}
	sender.start(b)
	var mine, plain, quiet cost
	for b.Loop() {
		for _, m := range []struct {
			sum *cost
			run func() time.Duration
		}{
			{&plain, func() time.Duration { return alone(b, sender.reflector(), false) }},
			{&mine, func() time.Duration { return together(b, s, sender.reflector()) }},
			{&quiet, func() time.Duration { return alone(b, sender.reflector(), true) }},
		} {
			runtime.GC()
			before := processor()
			m.sum.wall += m.run()
			m.sum.cpu += processor() - before
		}
	}
	b.ReportMetric(mine.wall.Seconds()/float64(b.N), "s/collected")
	b.ReportMetric(plain.wall.Seconds()/float64(b.N), "s/goBGP-alone")
	b.ReportMetric(mine.wall.Seconds()/plain.wall.Seconds(), "of-goBGP-alone(budget-1.5)")
	b.ReportMetric(mine.cpu.Seconds()/plain.cpu.Seconds(), "of-goBGP-alone-in-CPU-time")
	b.ReportMetric(mine.wall.Seconds()/quiet.wall.Seconds(), "of-goBGP-with-an-empty-table")
}

type cost struct{ wall, cpu time.Duration }

// processor is the CPU time of this process: less noisy than the clock on a
// machine that has more to do, but it counts the end of the sessions as well.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
