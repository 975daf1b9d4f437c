package collector

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"bulkhead/fabric/ethernet"
)

const inside = "BULKHEAD_COLLECTOR_NAMESPACE"

// TestFRR: FRR 8.4 announces what this kernel's bridge holds and reflects what
// goBGP announces to it; the collector, to which FRR connects, has both. FRR that
// hangs, or is killed, makes everything unseen until it is back and done.
//
// It runs itself once more in a network namespace of its own, which goes with the
// process, whatever ends it.
func TestFRR(t *testing.T) {
	if os.Getenv(inside) != "" {
		underFRR(t)
		return
	}
	switch {
	case testing.Short():
		t.Skip("needs daemons: not in -short")
	case os.Geteuid() != 0:
		t.Skip("needs root for a network namespace")
	}
	for _, program := range []string{"/usr/lib/frr/bgpd", "/usr/lib/frr/zebra"} {
		if _, err := os.Stat(program); err != nil {
			t.Skip("needs FRR: apt-get install frr")
		}
	}
	t.Parallel()
	runtime.LockOSThread() // the child dies with this thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFRR$", "-test.v", "-test.timeout=180s")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestFRR") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// frr is a leaf that is its own route reflector: zebra and bgpd over a bridge and
// a VXLAN device of this namespace's kernel.
type frr struct {
	dir  string
	bgpd *exec.Cmd
}

func sh(t *testing.T, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

func (f *frr) daemon(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(f.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/lib/frr/"+name, append([]string{"-u", "frr", "-g", "frr", "-i", filepath.Join(f.dir, name+".pid"),
		"-z", filepath.Join(f.dir, "zserv"), "--vty_socket", f.dir}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func (f *frr) startBGP(t *testing.T) {
	f.bgpd = f.daemon(t, "bgpd", "-l", "10.64.0.1", "-f", filepath.Join(f.dir, "bgpd.conf"))
}

func startFRR(t *testing.T) *frr {
	t.Helper()
	runtime.LockOSThread()
	dir, err := os.MkdirTemp("", "bulkhead-frr-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &frr{dir: dir}
	sh(t, `ip link set lo up
		ip link add up0 type veth peer name up1
		ip addr add 10.64.0.1/16 dev up0
		ip addr add 10.64.0.8/32 dev lo
		ip addr add 10.64.0.9/32 dev lo
		ip link set up0 up
		ip link set up1 up
		ip link add bd4097 type bridge
		ip link add vni4097 type vxlan id 4097 dstport 4789 local 10.64.0.1 nolearning
		ip link set vni4097 master bd4097
		ip link set bd4097 up
		ip link set vni4097 up
		ip link add swp1 type veth peer name host1
		ip link set swp1 master bd4097
		ip link set swp1 up
		ip link set host1 up
		bridge fdb add 02:00:00:00:00:0a dev swp1 master static
		chown frr:frr `+dir)
	conf := `router bgp 65000
 bgp router-id 10.64.0.1
 no bgp default ipv4-unicast
 timers bgp 1 3
 neighbor 10.64.0.9 remote-as 65000
 neighbor 10.64.0.9 update-source 10.64.0.1
 neighbor 10.64.0.9 timers connect 1
 neighbor 10.64.0.8 remote-as 65000
 neighbor 10.64.0.8 update-source 10.64.0.1
 neighbor 10.64.0.8 passive
 address-family l2vpn evpn
  neighbor 10.64.0.9 activate
  neighbor 10.64.0.9 route-reflector-client
  neighbor 10.64.0.8 activate
  neighbor 10.64.0.8 route-reflector-client
  advertise-all-vni
 exit-address-family
`
	if err := os.WriteFile(filepath.Join(dir, "bgpd.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.daemon(t, "zebra")
	f.startBGP(t)
	return f
}

// client is a goBGP speaker that FRR reflects for: another leaf.
func client(t *testing.T, addr, id string) *server.BgpServer {
	t.Helper()
	s := server.NewBgpServer()
	go s.Serve()
	t.Cleanup(s.Stop)
	ctx := context.Background()
	if err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{Asn: asn, RouterId: id, ListenPort: -1}}); err != nil {
		t.Fatal(err)
	}
	evpn := &api.Family{Afi: api.Family_AFI_L2VPN, Safi: api.Family_SAFI_EVPN}
	err := s.AddPeer(ctx, &api.AddPeerRequest{Peer: &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: "10.64.0.1", PeerAsn: asn},
		Timers:    &api.Timers{Config: &api.TimersConfig{ConnectRetry: 1, HoldTime: 3, KeepaliveInterval: 1, IdleHoldTimeAfterReset: 1}},
		Transport: &api.Transport{LocalAddress: addr},
		AfiSafis:  []*api.AfiSafi{{Config: &api.AfiSafiConfig{Family: evpn, Enabled: true}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *server.BgpServer, n bgp.NLRI, next netip.Addr, more ...bgp.PathAttributeInterface) {
	t.Helper()
	reply, err := s.AddPath(apiutil.AddPathRequest{Paths: []*apiutil.Path{{Family: bgp.RF_EVPN, Nlri: n, Attrs: attributes(next, []bgp.NLRI{n}, nil, more...)}}})
	if err != nil || reply[0].Error != nil {
		t.Fatal(err, reply)
	}
}

func has(k *Collector, vtep netip.Addr, r ethernet.Route) bool {
	all, _ := k.Routes(vtep)
	return slices.ContainsFunc(all, func(o ethernet.Route) bool { return ethernet.CompareRoutes(o, r) == 0 })
}

func underFRR(t *testing.T) {
	f := startFRR(t)
	k, err := Start(t.Context(), Config{AS: asn, HoldTime: 3 * time.Second, Retry: time.Second, Quiet: time.Hour,
		Listen: []netip.Addr{netip.MustParseAddr("10.64.0.9")}, Reflectors: []Reflector{{Address: netip.MustParseAddr("10.64.0.1")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	awaitState(t, k, 0, Synced) // by End-of-RIB: an hour of quiet has not passed
	mac := ethernet.Route{Kind: 2, VNI: 4097, MAC: 0x02000000000a, Targets: []ethernet.Target{rt(4097)}, Originator: leafA}
	flood := ethernet.Route{Kind: 3, VNI: 4097, Targets: []ethernet.Target{rt(4097)}, Originator: leafA}
	until(t, k, "FRR announces the port's MAC and the flooding", func() bool { return has(k, leafA, mac) && has(k, leafA, flood) })

	leaf := client(t, "10.64.0.8", "10.64.0.2")
	add(t, leaf, macRoute(leafB, 5000, hwB, noIP), leafB, targetsOf(target(5000), target(4097)))
	cross := ethernet.Route{Kind: 2, VNI: 5000, MAC: 0x02000000000b, Targets: []ethernet.Target{rt(4097), rt(5000)}, Originator: leafB}
	until(t, k, "FRR reflects the other leaf's route", func() bool { return has(k, leafB, cross) })
	// In a third leaf's name: next hop and distinguisher are its own. Who sent it
	// shows all the same.
	leafC := netip.MustParseAddr("10.64.0.3")
	add(t, leaf, macRoute(leafC, 5001, hwB, noIP), leafC, targetsOf(target(5001)))
	forged := ethernet.Route{Kind: 2, VNI: 5001, MAC: 0x02000000000b, Targets: []ethernet.Target{rt(5001)}, Originator: leafB}
	until(t, k, "the reflector says who announced in another's name", func() bool { return has(k, leafC, forged) })

	_, cursor, _ := k.Changed(0)
	sh(t, "bridge fdb del 02:00:00:00:00:0a dev swp1 master")
	until(t, k, "the MAC is withdrawn", func() bool { return !has(k, leafA, mac) })
	if vteps, _, _ := k.Changed(cursor); !slices.Equal(vteps, []netip.Addr{leafA}) {
		t.Errorf("changed %v", vteps)
	}

	for name, harm := range map[string]func(){
		"hangs":     func() { f.bgpd.Process.Signal(syscall.SIGSTOP) },
		"is killed": func() { f.bgpd.Process.Kill(); f.bgpd.Wait() },
	} {
		falls := k.Sessions()[0].Falls
		harm()
		until(t, k, "bgpd "+name, func() bool { return k.Sessions()[0].Falls > falls })
		if routes, seen := k.Routes(leafA); seen || len(routes) > 0 {
			t.Errorf("bgpd %s, and the leaf is seen: %v", name, routes)
		}
		if name == "hangs" {
			f.bgpd.Process.Signal(syscall.SIGCONT)
		} else {
			f.startBGP(t)
		}
		awaitState(t, k, 0, Synced)
		until(t, k, "bgpd is back: "+name, func() bool { _, seen := k.Routes(leafA); return seen && has(k, leafA, flood) })
	}
}
