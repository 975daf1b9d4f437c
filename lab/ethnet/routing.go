package ethnet

import (
	"bytes"
	"context"
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
)

// PathSpace is FRR's path space of a device: vtysh -N.
func (n *Net) PathSpace(device string) string {
	i := slices.IndexFunc(n.Plan.Devices, func(d *Device) bool { return d.Name == device })
	return pathSpace(n.ID, i+1)
}

// startup is what a switch has in its startup configuration before anything manages
// it: its place in the underlay, and iBGP to the spines, or to the leaves.
func (n *Net) startup(d *Device) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("frr defaults datacenter")
	p("hostname %s", d.Name)
	p("router bgp %d", ASN)
	p(" bgp router-id %s", d.Loopback)
	p(" no bgp default ipv4-unicast")
	p(" coalesce-time 100") // ms; FRR's own grows to 10 s with the number of neighbours
	p(" neighbor fabric peer-group")
	p(" neighbor fabric remote-as internal")
	p(" neighbor fabric timers connect 1")
	for _, c := range d.Uplinks {
		p(" neighbor %s peer-group fabric", c.PeerAddr)
	}
	if d.Spine {
		p(" neighbor %s remote-as internal", Collector)
		p(" neighbor %s timers connect 1", Collector)
	}
	p(" address-family ipv4 unicast")
	p("  network %s/32", d.Loopback)
	p("  neighbor fabric activate")
	if d.Spine {
		p("  neighbor fabric route-reflector-client")
		p("  neighbor fabric next-hop-self force")
	}
	p("  maximum-paths ibgp 16")
	p(" exit-address-family")
	p(" address-family l2vpn evpn")
	p("  neighbor fabric activate")
	if d.Spine {
		p("  neighbor fabric route-reflector-client")
		p("  neighbor %s activate", Collector)
		p("  neighbor %s route-reflector-client", Collector)
	} else {
		p("  advertise-all-vni")
	}
	p(" exit-address-family")
	p("exit")
	return b.Bytes()
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

// startRouting starts zebra and bgpd at every device.
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
		for name, text := range map[string][]byte{"bgpd.conf": n.startup(d), "zebra.conf": []byte("hostname " + d.Name + "\n"), "vtysh.conf": nil} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				return err
			}
		}
		if err := n.StartDaemon(ctx, d.Name, "zebra"); err != nil {
			return err
		}
	}
	for _, d := range n.Plan.Devices {
		if err := n.StartDaemon(ctx, d.Name, "bgpd"); err != nil {
			return err
		}
	}
	n.options.Say(fmt.Sprintf("FRR starts: %d daemons", 2*len(n.Plan.Devices)))
	return nil
}

// StartDaemon starts zebra or bgpd of a device, with its startup configuration. A
// bgpd that finds no zebra tries again ten seconds later, so it is started when
// zebra's socket is there.
func (n *Net) StartDaemon(ctx context.Context, device, daemon string) error {
	dir, run := filepath.Join(n.Dir, device), filepath.Join(frrRun, n.PathSpace(device))
	if daemon == "bgpd" {
		err := wait(ctx, n.options.Wait, "zebra of "+device, func() (string, bool) {
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

// awaitUnderlay waits until every leaf has a route to every other of its fabric.
func (n *Net) awaitUnderlay(ctx context.Context) error {
	err := wait(ctx, n.options.Wait, "the underlay", func() (string, bool) {
		for _, d := range n.Plan.Leaves("") {
			if lack := n.lacksRoute(d); lack != "" {
				return lack, false
			}
		}
		return "", true
	})
	if err == nil {
		n.options.Say("every leaf reaches every other of its fabric")
	}
	return err
}

func (n *Net) lacksRoute(d *Device) string {
	routes, err := n.spaces[d.Name].handle.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: unix.RTPROT_BGP}, netlink.RT_FILTER_PROTOCOL)
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

// Vtysh runs commands in FRR's own shell at a device.
func (n *Net) Vtysh(ctx context.Context, device string, commands ...string) (string, error) {
	args := []string{"-N", n.PathSpace(device), "--config_dir", filepath.Join(n.Dir, device)}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return n.Space(device).Output(ctx, "vtysh", args...)
}
