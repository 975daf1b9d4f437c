package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/management"
	"bulkhead/fabric/fabrictest"
	"bulkhead/prove"
	"bulkhead/site"
)

const inside = "BULKHEAD_GATEWAY_NAMESPACE"

// TestGateway runs itself once more in namespaces of its own, for network and for
// mounts, so that everything goes with the process, whatever ends it.
func TestGateway(t *testing.T) {
	if os.Getenv(inside) != "" {
		atGateway(t)
		return
	}
	switch {
	case testing.Short():
		t.Skip("needs network namespaces: not in -short")
	case os.Geteuid() != 0:
		t.Skip("needs root for network namespaces")
	}
	for _, program := range [][2]string{{"nft", "nftables"}, {"ip", "iproute2"}, {"tc", "iproute2"}, {"ping", "iputils-ping"}} {
		if _, err := exec.LookPath(program[0]); err != nil {
			t.Skipf("needs %s: apt-get install %s", program[0], program[1])
		}
	}
	runtime.LockOSThread() // the child dies with this thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGateway$", "-test.v", "-test.timeout=180s")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestGateway") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func sh(t *testing.T, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

// pings reports whether packets pass from a namespace to an address and back: what
// must pass has time, what must not is not waited for long.
func pings(space, to string, patience time.Duration) bool {
	return exec.Command("ip", "netns", "exec", space, "ping", "-q", "-c", "1", "-W", fmt.Sprintf("%.1f", patience.Seconds()), to).Run() == nil
}

const long, short = 2 * time.Minute, 400 * time.Millisecond

// each tries paths side by side, and returns those on which packets passed.
func each(paths []path, patience time.Duration) (passed []path) {
	got := make([]bool, len(paths))
	var all sync.WaitGroup
	for i, p := range paths {
		all.Go(func() { got[i] = pings(p.from, p.to, patience) })
	}
	all.Wait()
	for i, p := range paths {
		if got[i] {
			passed = append(passed, p)
		}
	}
	return passed
}

const nodes = 3

// net is a gateway with three BMCs, a manager and a tenant's host: each a network
// namespace.
type network struct {
	plan management.Plan
	site *site.Site
	g    Gateway
}

func address(n int) string { return fmt.Sprintf("10.200.0.%d", 4*n+2) }

func hw(n int) uint64 { return 0x02_bb_00_00_00_01 + uint64(n) }

func macText(m uint64) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", byte(m>>40), byte(m>>32), byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
}

func build(t *testing.T) *network {
	t.Helper()
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", "/run/netns", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	n := &network{g: Gateway{Namespace: "gw"}, plan: management.Plan{Manage: "mgr", Tenants: []string{"tenant"}, Managers: []netip.Addr{netip.MustParseAddr("10.202.255.1")}}}
	sh(t, `ip netns add gw
		ip -n gw link set lo up
		ip netns exec gw sysctl -qw net.ipv4.ip_forward=1`)
	leg := func(space, name, inner, outer, mac, route string) {
		sh(t, fmt.Sprintf(`ip netns add %[1]s
			ip link add %[2]s netns gw type veth peer name eth0 netns %[1]s
			ip -n %[1]s link set eth0 address %[5]s
			ip -n %[1]s link set lo up
			ip -n %[1]s link set eth0 up
			ip -n gw link set %[2]s up
			ip -n %[1]s addr add %[3]s dev eth0
			ip -n gw addr add %[4]s dev %[2]s
			ip -n %[1]s route add default via %[6]s`, space, name, inner, outer, mac, route))
	}
	leg("manager", "mgr", "10.202.255.1/16", "10.202.254.1/16", "02:aa:00:00:00:01", "10.202.254.1")
	leg("host", "tenant", "10.203.0.9/16", "10.203.254.1/16", "02:aa:00:00:00:02", "10.203.254.1")
	s := fabrictest.NewSite(1, nodes, site.RoCE)
	for i := range s.NodeID {
		s.BMC = append(s.BMC, hw(i))
	}
	n.site = s
	for i := range nodes {
		name := fmt.Sprint("bmc", i)
		gateway := fmt.Sprintf("10.200.0.%d", 4*i+1)
		leg(name, name, address(i)+"/30", gateway+"/30", macText(hw(i)), gateway)
		n.plan.Legs = append(n.plan.Legs, management.Leg{Interface: name, Node: s.NodeID[i], MAC: hw(i), Address: netip.MustParseAddr(address(i))})
	}
	return n
}

// judged reads the gateway and proves it.
func (n *network) judged(t *testing.T) (tally prove.Tally, red []site.Index, findings []string) {
	t.Helper()
	raw, err := n.g.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	state, err := management.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	v, err := management.Judge(&n.plan, state)
	if err != nil {
		t.Fatal(err)
	}
	tally, red = prove.ZonesTally(prove.Zones(n.site, &fabric.Zones{At: time.Now(), Nodes: v.Zones}))
	return tally, red, v.Findings
}

func (n *network) apply(t *testing.T) {
	t.Helper()
	r, err := management.Compile(&n.plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.g.Apply(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

// controls fails unless managers reach every BMC, which also makes the BMCs seen.
func (n *network) controls(t *testing.T) {
	t.Helper()
	if got := each(wanted(), long); len(got) != nodes {
		t.Errorf("control: the manager reaches %v only", got)
	}
}

// path is one that must not be.
type path struct{ from, to string }

var forbidden = []path{{"bmc0", address(1)}, {"bmc1", address(2)}, {"bmc0", "10.202.255.1"}, {"host", "10.202.255.1"}, {"host", address(0)},
	{"bmc0", "10.203.0.9"}, {"bmc0", "10.200.0.5"}, {"host", "10.202.254.1"}}

func open() []path { return each(forbidden, short) }

// wanted are those that must be.
func wanted() (out []path) {
	for i := range nodes {
		out = append(out, path{"manager", address(i)})
	}
	return out
}

// attack is what somebody does at the gateway, or at a BMC.
type attack struct {
	name  string
	do    string // shell, a line a command; "nft" is at the gateway
	leaks *path  // what packets then show; nil: nothing
	cut   bool   // managers lose BMCs, and nothing else happens
	says  string // in a finding
	undo  string
}

var attacks = []attack{
	{name: "accept-all in front", do: "nft insert rule inet bulkhead_management forward accept", leaks: &path{"bmc0", address(1)}, says: "the BMC behind bmc0 reaches the one behind bmc1"},
	{name: "accept-all behind a jump", do: "nft add chain inet bulkhead_management x '{ accept; }'\nnft insert rule inet bulkhead_management forward jump x", leaks: &path{"bmc0", address(1)}, says: "reaches the one behind"},
	{name: "rule to BMCs removed", do: "nft delete rule inet bulkhead_management forward handle $(nft -a list chain inet bulkhead_management forward | sed -n 's/.*bmc_out.* handle //p')", cut: true},
	{name: "rule of answers removed", do: "nft delete rule inet bulkhead_management forward handle $(nft -a list chain inet bulkhead_management forward | sed -n 's/.*bmc_in.* handle //p')", cut: true},
	{name: "drop moved to the front", do: "nft insert rule inet bulkhead_management forward drop", cut: true},
	{name: "another table drops", do: "nft add table inet y\nnft add chain inet y f '{ type filter hook forward priority -10; policy accept; }'\nnft add rule inet y f drop", cut: true, undo: "nft delete table inet y"},
	{name: "chain emptied, accepting by default", do: "nft flush chain inet bulkhead_management forward\nnft chain inet bulkhead_management forward '{ policy accept; }'", leaks: &path{"bmc0", address(1)}, says: "no chain of table inet bulkhead_management drops by default at hook forward"},
	{name: "table deleted", do: "nft delete table inet bulkhead_management", leaks: &path{"host", "10.202.255.1"}, says: "everything passes"},
	{name: "ruleset flushed by another manager", do: "nft flush ruleset", leaks: &path{"bmc0", address(1)}, says: "everything passes"},
	{name: "tenants let in", do: `nft insert rule inet bulkhead_management forward iifname tenant accept
		nft insert rule inet bulkhead_management forward oifname tenant accept`, leaks: &path{"host", address(0)}, says: "tenants behind tenant reach managers"},
	{name: "tenants let to managers only", do: `nft insert rule inet bulkhead_management forward iifname tenant oifname mgr accept
		nft insert rule inet bulkhead_management forward iifname mgr oifname tenant accept`, leaks: &path{"host", "10.202.255.1"}, says: "tenants behind tenant reach managers"},
	{name: "a BMC may begin", do: `nft insert rule inet bulkhead_management forward iifname bmc0 oifname mgr accept
		nft insert rule inet bulkhead_management forward iifname mgr oifname bmc0 ct state established accept`, leaks: &path{"bmc0", "10.202.255.1"}, says: "the BMC behind bmc0 may begin a conversation"},
	{name: "two BMCs let to one another", do: `nft insert rule inet bulkhead_management forward iifname '{ "bmc0", "bmc1" }' oifname '{ "bmc0", "bmc1" }' accept`, leaks: &path{"bmc0", address(1)}, says: "the BMC behind bmc0 reaches the one behind bmc1"},
	{name: "a negated match", do: `nft insert rule inet bulkhead_management forward iifname != "mgr" accept`, leaks: &path{"bmc0", address(1)}, says: "reaches the one behind"},
	{name: "a match that nobody knows", do: `nft insert rule inet bulkhead_management forward meta length 1-65000 accept`, leaks: &path{"bmc0", address(1)}, says: "reaches the one behind"},
	{name: "BMC in another's zone", do: "ip -n bmc0 link set eth0 address " + macText(hw(1)) + "\nip -n gw neigh flush all", says: "answers, expected the BMC", undo: "ip -n bmc0 link set eth0 address " + macText(hw(0))},
	{name: "another's address let in", do: fmt.Sprintf(`nft add element inet bulkhead_management bmc_in '{ "bmc0" . %s . %s }'`, macText(hw(0)), address(1)), says: "expected its own BMC's"},
	{name: "another's packets given out", do: fmt.Sprintf(`nft add element inet bulkhead_management bmc_out '{ "bmc0" . %s }'`, address(1)), says: "is given what is for"},
	{name: "a tenant among the managers", do: "nft add element inet bulkhead_management managers '{ 10.203.0.9 }'", says: "whoever it is"},
	{name: "gateway opened", do: "nft insert rule inet bulkhead_management input accept", leaks: &path{"bmc0", "10.200.0.5"}, says: "reaches the gateway itself"},
	{name: "two legs bridged", do: `ip -n gw link add br9 type bridge
		ip -n gw link set bmc0 master br9
		ip -n gw link set bmc1 master br9
		ip -n gw link set br9 up`, says: "what is bridged is not filtered", undo: "ip -n gw link del br9"},
	{name: "addresses rewritten before the filter", do: "nft add table ip z\nnft add chain ip z p '{ type nat hook prerouting priority -100; }'\nnft add rule ip z p ip daddr 10.203.254.1 dnat to 10.200.0.2", says: "dnat, which could send packets elsewhere", undo: "nft delete table ip z"},
	{name: "copies from the ingress", do: "nft add table netdev z\nnft add chain netdev z i '{ type filter hook ingress device \"bmc0\" priority 0; }'\nnft add rule netdev z i dup to tenant", says: "dup, which could send packets elsewhere", undo: "nft delete table netdev z"},
	{name: "forwarded at the ingress", do: "nft add table netdev z\nnft add chain netdev z i '{ type filter hook ingress device \"bmc0\" priority 0; }'\nnft add rule netdev z i fwd to bmc1", says: "fwd, which could send packets elsewhere", undo: "nft delete table netdev z"},
	{name: "a leg that nobody planned", do: `ip -n gw link add extra type veth peer name extra1
		ip -n gw link set extra up`, says: "extra (veth) is up, and not in the plan", undo: "ip -n gw link del extra"},
}

func atGateway(t *testing.T) {
	n := build(t)
	n.controls(t) // the network works before it is filtered,
	if got := each(forbidden, long); len(got) != len(forbidden) {
		t.Fatalf("control: before anything is filtered only %v of %v are open", got, forbidden)
	}
	if _, red, _ := n.judged(t); len(red) != nodes { // and that is seen.
		t.Fatalf("nothing is filtered, and red are %v", red)
	}
	n.apply(t)
	n.apply(t) // again: it replaces itself
	n.controls(t)
	if got := open(); len(got) > 0 {
		t.Fatalf("open although it is filtered: %v", got)
	}
	clean := func() {
		t.Helper()
		if tally, _, findings := n.judged(t); tally.Proven != nodes || len(findings) > 0 {
			t.Fatalf("as planned, and %+v: %v", tally, findings)
		}
	}
	clean()
	// What a BMC that was taken over tries: another's address, another's MAC.
	sh(t, "ip -n bmc0 addr add "+address(1)+"/32 dev lo")
	if exec.Command("ip", "netns", "exec", "bmc0", "ping", "-q", "-c", "1", "-W", "1", "-I", address(1), "10.202.255.1").Run() == nil {
		t.Error("BMC 0 speaks from BMC 1's address")
	}
	sh(t, "ip -n bmc0 addr del "+address(1)+"/32 dev lo")

	at := strings.NewReplacer("nft ", "ip netns exec gw nft ")
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			n.apply(t)
			n.controls(t)
			sh(t, at.Replace(a.do))
			each(wanted(), short) // somebody speaks to the BMCs, with or without success
			tally, red, findings := n.judged(t)
			said := strings.Join(findings, "\n")
			switch {
			case a.cut && (len(red) > 0 || tally.Cut != nodes || len(open()) > 0):
				t.Errorf("expected all cut and nothing open, got %+v, open %v: %s", tally, open(), said)
			case !a.cut && len(red) == 0:
				t.Errorf("expected red, got %+v: %s", tally, said)
			}
			if !strings.Contains(said, a.says) {
				t.Errorf("no finding says %q:\n%s", a.says, said)
			}
			if a.leaks != nil && !pings(a.leaks.from, a.leaks.to, long) {
				t.Errorf("control: this attack leaks from %s to %s, and no packet passes", a.leaks.from, a.leaks.to)
			}
			if a.undo != "" {
				sh(t, at.Replace(a.undo))
			}
			n.apply(t)
			sh(t, "ip -n gw neigh flush all")
			n.controls(t)
			if got := open(); len(got) > 0 {
				t.Errorf("open after it was put right: %v", got)
			}
			clean()
		})
	}
}
