package ethnet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/fabric/ethernet"
	"bulkhead/lab/await"
)

// PathSpace is FRR's path space of a device: vtysh -N.
func (n *Net) PathSpace(device string) string {
	i := slices.IndexFunc(n.Plan.Devices, func(d *Device) bool { return d.Name == device })
	return pathSpace(n.ID, i+1)
}

// zebraStartup, ospfStartup and bgpStartup are what a switch has in its startup
// configuration before anything manages it: its place in the underlay, by OSPF over
// numbered point-to-point links, and iBGP for EVPN from loopback to loopback, leaves
// with the spines as their route reflectors. Both are authenticated, and neither
// speaks at an edge port.
func zebraStartup(d *Device) []byte { return []byte("hostname " + d.Name + "\n") }

func (n *Net) ospfStartup(d *Device) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("hostname %s", d.Name)
	p("interface lo")
	p(" ip ospf area 0")
	p("exit")
	for _, c := range d.Uplinks {
		p("interface %s", c.Port)
		p(" ip ospf area 0")
		p(" ip ospf network point-to-point")
		p(" ip ospf hello-interval 1")
		p(" ip ospf dead-interval 120") // a link that goes is seen at once; a machine that is busy is no link that went
		p(" ip ospf retransmit-interval 1")
		p(" ip ospf authentication message-digest")
		p(" ip ospf message-digest-key 1 md5 %s", n.secret)
		p("exit")
	}
	p("router ospf")
	p(" ospf router-id %s", d.Loopback)
	p(" timers throttle spf 10 50 500")
	p(" timers throttle lsa all 0")
	p(" timers lsa min-arrival 0")
	p(" maximum-paths 16")
	p("exit")
	return b.Bytes()
}

func (n *Net) bgpStartup(d *Device) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("hostname %s", d.Name)
	// What leaves tell one another, whatever is leased to whom: MACs and flooding, under
	// just one target of the fabric's own form. A route under two targets is how a leaf
	// would give one tenant's addresses to another: reflectors pass it on to no leaf, and
	// no leaf takes it. Which target a VNI has is for each leaf: its own only.
	// Said before the sessions: bgpd looks at a policy that comes later after 5 s only.
	p("bgp extcommunity-list expanded one-target seq 5 deny RT:.*RT:")
	p("bgp extcommunity-list expanded one-target seq 10 permit RT:%d:[0-9]+", ethernet.ASN)
	for i, kind := range []string{"macip", "multicast"} {
		p("route-map one-target permit %d", 10*(i+1))
		p(" match evpn route-type %s", kind)
		p(" match extcommunity one-target")
		p("exit")
	}
	out := "one-target"
	if d.Spine && n.options.Reflector != nil {
		out = "to-leaves"
		n.leafPolicies(p, d)
	}
	p("router bgp %d", ethernet.ASN)
	p(" bgp router-id %s", d.Loopback)
	p(" no bgp default ipv4-unicast")
	p(" coalesce-time 100") // ms; FRR's own grows to 10 s with the number of neighbours
	p(" neighbor fabric peer-group")
	p(" neighbor fabric remote-as internal")
	p(" neighbor fabric update-source lo")
	p(" neighbor fabric password %s", n.secret)
	p(" neighbor fabric timers connect 1")
	for _, c := range d.Uplinks {
		p(" neighbor %s peer-group fabric", n.Plan.Device(c.Peer).Loopback)
	}
	if d.Spine {
		p(" neighbor %s remote-as internal", Collector)
		p(" neighbor %s timers connect 1", Collector)
	}
	p(" address-family l2vpn evpn")
	p("  neighbor fabric activate")
	if d.Spine {
		p("  neighbor fabric route-map %s out", out) // not in: the collector hears all
		if n.options.Reflector != nil {
			for _, c := range d.Uplinks {
				leaf := n.Plan.Device(c.Peer).Loopback
				p("  neighbor %s route-map from-%s in", leaf, leaf)
			}
		}
		p("  neighbor fabric route-reflector-client")
		p("  neighbor %s activate", Collector)
		p("  neighbor %s route-reflector-client", Collector)
	} else {
		p("  neighbor fabric route-map one-target in")
		p("  advertise-all-vni")
	}
	p(" exit-address-family")
	p("exit")
	return b.Bytes()
}

// leafPolicies is what a reflector does with each leaf's routes: those under a target
// of the leaf's own list, which its agent writes, go on to other leaves; all others are
// marked, and to-leaves keeps them from leaves. They stay in the reflector's table, so
// that the collector hears them.
func (n *Net) leafPolicies(p func(string, ...any), d *Device) {
	p("bgp route-map delay-timer 1") // s, until a changed list counts for routes that are there
	p("bgp community-list standard refused seq 5 permit 65000:666")
	p("route-map to-leaves deny 5")
	p(" match community refused")
	p("exit")
	for i, kind := range []string{"macip", "multicast"} {
		p("route-map to-leaves permit %d", 10*(i+1))
		p(" match evpn route-type %s", kind)
		p(" match extcommunity one-target")
		p("exit")
	}
	for _, c := range d.Uplinks {
		name := "from-" + n.Plan.Device(c.Peer).Loopback.String()
		p("route-map %s permit 10", name)
		p(" match extcommunity %s", name)
		p("exit")
		p("route-map %s permit 20", name)
		p(" set community 65000:666 additive")
		p("exit")
	}
}

// frrUser is the account that FRR's packages make.
func frrUser() (uid, gid int, err error) {
	u, err := user.Lookup("frr")
	if err != nil {
		return 0, 0, fmt.Errorf("ethnet: FRR's account is missing: apt-get install frr: %w", err)
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}

// startRouting starts zebra, ospfd and bgpd at every device.
func (n *Net) startRouting(ctx context.Context) error {
	uid, gid, err := frrUser()
	if err != nil {
		return err
	}
	for _, d := range n.Plan.Devices {
		run := filepath.Join(frrRun, n.PathSpace(d.Name))
		dir := filepath.Join(n.Dir, d.Name)
		if err := os.MkdirAll(run, 0o755); err != nil {
			return err
		}
		for _, folder := range []string{run, dir} {
			if err := os.Chown(folder, uid, gid); err != nil {
				return err
			}
		}
		for name, text := range map[string][]byte{"bgpd.conf": n.bgpStartup(d), "ospfd.conf": n.ospfStartup(d), "zebra.conf": zebraStartup(d)} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				return err
			}
		}
		if err := n.StartDaemon(ctx, d.Name, "zebra"); err != nil {
			return err
		}
	}
	for _, daemon := range []string{"ospfd", "bgpd"} {
		for _, d := range n.Plan.Devices {
			if err := n.StartDaemon(ctx, d.Name, daemon); err != nil {
				return err
			}
		}
	}
	n.options.Say(fmt.Sprintf("FRR starts: %d daemons", 3*len(n.Plan.Devices)))
	return nil
}

// StartDaemon starts zebra, ospfd or bgpd of a device, with its startup configuration. A
// daemon that finds no zebra tries again ten seconds later, so it is started when
// zebra's socket is there.
func (n *Net) StartDaemon(ctx context.Context, device, daemon string) error {
	dir, run := filepath.Join(n.Dir, device), filepath.Join(frrRun, n.PathSpace(device))
	if daemon != "zebra" {
		err := await.Until(ctx, "zebra of "+device, func() (string, bool) {
			_, err := os.Stat(filepath.Join(run, "zserv.api"))
			return "it has no socket", err == nil
		})
		if err != nil {
			return err
		}
	}
	args := []string{"-N", n.PathSpace(device), "-f", filepath.Join(dir, daemon+".conf"), "-i", filepath.Join(run, daemon+".pid"), "-P", "0",
		"-F", "datacenter", "--log", "file:" + filepath.Join(dir, daemon+".log"), "--log-level", "informational"}
	return n.startDaemon(device, daemon, exec.Command("/usr/lib/frr/"+daemon, args...))
}

// startDaemon starts a daemon of a device, host or other namespace, with what it says
// in a file.
func (n *Net) startDaemon(at, daemon string, cmd *exec.Cmd) error {
	said, err := os.OpenFile(filepath.Join(n.Dir, at, daemon+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := n.keeper.start(n.Space(at), cmd); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.daemons[at+"/"+daemon] = cmd
	return nil
}

// KillDaemon ends a daemon by SIGKILL, and waits until it has ended.
func (n *Net) KillDaemon(at, daemon string) error {
	n.mu.Lock()
	cmd := n.daemons[at+"/"+daemon]
	delete(n.daemons, at+"/"+daemon)
	n.mu.Unlock()
	if cmd == nil {
		return fmt.Errorf("ethnet: no %s runs at %s", daemon, at)
	}
	n.keeper.kill(cmd, syscall.SIGKILL)
	return nil
}

// awaitRouting waits until every leaf has a route to every other of its fabric, and a
// session with every reflector.
func (n *Net) awaitRouting(ctx context.Context) error {
	err := await.Until(ctx, "the underlay", func() (string, bool) {
		for _, d := range n.Plan.Leaves("") {
			if lack := n.lacksRoute(d); lack != "" {
				return lack, false
			}
		}
		return "", true
	})
	if err != nil {
		return err
	}
	for _, d := range n.Plan.Spines("") {
		if err := n.AwaitSessions(ctx, d.Name); err != nil {
			return err
		}
	}
	n.options.Say("every leaf reaches every other of its fabric, and has its BGP sessions")
	return nil
}

func (n *Net) lacksRoute(d *Device) string {
	routes, err := n.spaces[d.Name].handle.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: unix.RTPROT_OSPF}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Sprintf("%s: routes: %v", d.Name, err)
	}
	for _, other := range n.Plan.Leaves(n.Plan.Fabrics[d.Fabric]) {
		if other == d {
			continue
		}
		i := slices.IndexFunc(routes, func(r netlink.Route) bool { return r.Dst != nil && r.Dst.IP.String() == other.Loopback.String() })
		if i < 0 || len(routes[i].MultiPath) != len(d.Uplinks) && len(d.Uplinks) > 1 {
			return fmt.Sprintf("%s has no route to %s over every uplink", d.Name, other.Name)
		}
	}
	return ""
}

// AwaitSessions waits until a leaf or spine has its BGP sessions within the fabric.
func (n *Net) AwaitSessions(ctx context.Context, device string) error {
	d := n.Plan.Device(device)
	return await.Until(ctx, "the BGP sessions of "+device, func() (string, bool) {
		out, err := n.Vtysh(ctx, device, "show bgp l2vpn evpn summary json")
		var s struct {
			Peers map[string]struct{ State string }
		}
		if err == nil {
			// Lenient JSON: FRR's answers grow with its releases.
			err = json.Unmarshal([]byte(out), &s)
		}
		if err != nil {
			return err.Error(), false
		}
		for _, c := range d.Uplinks {
			if peer := n.Plan.Device(c.Peer); s.Peers[peer.Loopback.String()].State != "Established" {
				return "none with " + peer.Name, false
			}
		}
		return "", true
	})
}

// Vtysh runs commands in FRR's own shell at a device.
func (n *Net) Vtysh(ctx context.Context, device string, commands ...string) (string, error) {
	args := []string{"-N", n.PathSpace(device)}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return n.Space(device).Output(ctx, "vtysh", args...)
}
