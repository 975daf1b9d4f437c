package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"bulkhead/claim"
	"bulkhead/prove"
)

const insideProbe = "BULKHEAD_PROBE_NAMESPACE"

// TestProbeEthernet runs the tenant's own probe on a host under a leaf that guards
// its edge, and under the same leaf when one guard after the other is gone: what is
// then reached is told, and a probe without its control is refused. It runs itself
// once more in namespaces of its own, which go with the process.
func TestProbeEthernet(t *testing.T) {
	if os.Getenv(insideProbe) != "" {
		underLeaf(t)
		return
	}
	switch {
	case testing.Short():
		t.Skip("needs network namespaces: not in short mode")
	case os.Geteuid() != 0:
		t.Skip("needs root for network namespaces")
	}
	for _, program := range [][2]string{{"nft", "nftables"}, {"ip", "iproute2"}} {
		if _, err := exec.LookPath(program[0]); err != nil {
			t.Skipf("needs %s: apt-get install %s", program[0], program[1])
		}
	}
	runtime.LockOSThread() // the child dies with this thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProbeEthernet$", "-test.v", "-test.timeout=180s")
	cmd.Env = append(os.Environ(), insideProbe+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestProbeEthernet") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func shell(t *testing.T, commands string) {
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

// This namespace is the leased host; leaf, peer, rival, gateway and BMC are others.
const (
	built = `sysctl -qw net.ipv6.conf.default.accept_dad=0
		ip link set lo up
		for n in leaf peer rival gw bmc; do ip netns add $n; ip -n $n link set lo up; ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=0; done
		ip link add rail0 address 02:00:00:00:00:01 type veth peer name swp1 netns leaf
		ip link add rail0 netns peer address 02:00:00:00:00:02 type veth peer name swp2 netns leaf
		ip link add rail0 netns rival address 02:00:00:00:00:03 type veth peer name swp3 netns leaf
		for b in bd5000 bd6000; do ip -n leaf link add $b type bridge; ip -n leaf link set $b up; done
		ip -n leaf addr add 10.64.0.1/32 dev lo
		ip -n leaf link add vni5000 type vxlan id 5000 dstport 4789 local 10.64.0.1 nolearning
		for p in swp1 swp2 vni5000; do ip -n leaf link set $p master bd5000; ip -n leaf link set $p up; done
		ip -n leaf link set swp3 master bd6000
		ip -n leaf link set swp3 up
		ip addr add 10.0.0.1/24 dev rail0
		ip link set rail0 up
		ip -n peer addr add 10.0.0.2/24 dev rail0
		ip -n peer link set rail0 up
		ip -n rival addr add 10.0.0.3/24 dev rail0
		ip -n rival link set rail0 up
		ip link add stor0 type veth peer name stor0 netns gw
		ip addr add 10.203.0.1/24 dev stor0
		ip link set stor0 up
		ip -n gw addr add 10.203.0.254/24 dev stor0
		ip -n gw link set stor0 up
		ip -n gw link add bmc1 type veth peer name eth0 netns bmc
		ip -n gw addr add 10.200.0.1/30 dev bmc1
		ip -n gw link set bmc1 up
		ip -n bmc addr add 10.200.0.2/30 dev eth0
		ip -n bmc link set eth0 up
		ip -n bmc route add default via 10.200.0.1
		ip netns exec gw sysctl -qw net.ipv4.ip_forward=1
		ip route add 10.200.0.0/16 via 10.203.0.254
		ip route add 10.64.0.0/16 dev rail0`
	// What a leaf's driver has in force at an edge port, in the least words.
	guarded = `ip netns exec leaf nft add table bridge edge
		ip netns exec leaf nft add chain bridge edge in '{ type filter hook prerouting priority -300; policy accept; }'
		ip netns exec leaf nft add rule bridge edge in iifname swp1 ether type vlan drop
		ip netns exec leaf nft add rule bridge edge in iifname swp1 ether saddr != 02:00:00:00:00:01 drop
		ip netns exec leaf nft add rule bridge edge in iifname swp1 arp saddr ether != 02:00:00:00:00:01 drop
		ip netns exec leaf nft add rule bridge edge in iifname swp1 icmpv6 type nd-neighbor-solicit ip6 saddr != '{ ::, fe80::ff:fe00:1 }' drop
		ip netns exec leaf nft add rule bridge edge in iifname swp1 udp dport 4789 drop
		ip netns exec leaf nft add table inet local
		ip netns exec leaf nft add chain inet local in '{ type filter hook input priority 0; policy accept; }'
		ip netns exec leaf nft add rule inet local in iifname bd5000 drop
		ip netns exec leaf nft add table arp local
		ip netns exec leaf nft add chain arp local in '{ type filter hook input priority 0; policy accept; }'
		ip netns exec leaf nft add rule arp local in iifname bd5000 drop
		ip netns exec gw nft add table inet f
		ip netns exec gw nft add chain inet f f '{ type filter hook forward priority 0; policy drop; }'`
	unguarded = `ip netns exec leaf nft flush ruleset
		ip netns exec gw nft flush ruleset`
)

func underLeaf(t *testing.T) {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", "/run/netns", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	shell(t, built)
	shell(t, guarded)
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, out := filepath.Join(dir, "key.pem"), filepath.Join(dir, "probe.json")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	probe := func() (code int, said string) {
		var o, e bytes.Buffer
		code = run([]string{"probe", "ethernet", "--site", "s", "--tenant", "vermilion", "--lease", "vermilion/w1", "--node", "a1-su01-n01", "--origin", "emulated",
			"--interface", "rail0", "--peer", "10.0.0.2", "--other", "10.0.0.3", "--own", "5000", "--vtep", "10.64.0.1", "--vid", "2,100",
			"--service", "10.203.0.254", "--bmc", "10.200.0.2", "--manager", "10.200.0.2", "--patience", "150ms", "--key", keyFile, "--out", out}, &o, &e)
		return code, o.String() + e.String()
	}
	clean := func() {
		t.Helper()
		code, said := probe()
		if code != 0 || !strings.Contains(said, " 0 leaks, 0 that show nothing") {
			t.Fatalf("under a leaf that guards its edge: exit %d:\n%s", code, said)
		}
		t.Log("\n" + said)
	}
	clean()
	signed, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public().(ed25519.PublicKey)
	statement, err := claim.Open(signed, claim.Trust{claim.KeyID(public): public})
	if err != nil {
		t.Fatalf("the tenant's own signature: %v", err)
	}
	found, err := prove.DecodeProbe(statement.Predicate)
	if err != nil || found.Origin != claim.Emulated || found.Node != "a1-su01-n01" || len(found.Tries) < 25 {
		t.Fatalf("%+v, %v", found, err)
	}
	for name, c := range map[string]struct {
		harm, mend string
		says       []string
	}{
		"no guard at the edge": {"ip netns exec leaf nft delete table bridge edge", "", []string{"an ICMP echo from another MAC", "ARP from another MAC",
			"ARP that says another MAC than it is from", "neighbour discovery from another MAC", "neighbour discovery that says another MAC than it is from"}},
		"edge ports in the underlay": {unguarded, "", []string{"ARP for a leaf's address in the underlay", "forged VXLAN of VNI 5000 with an ICMP echo to a peer inside",
			"a BMC, TCP port 22", "a BMC, UDP port 4791", "a BMC, ICMP echo"}},
		"the rival's port on our bridge": {"ip -n leaf link set swp3 master bd5000", "ip -n leaf link set swp3 master bd6000", []string{"ARP for another's address",
			"another's address, TCP port 22", "another's address, UDP port 4791", "another's address, ICMP echo"}},
		"no host of the lease answers": {"ip -n peer link set rail0 down", "ip -n peer link set rail0 up", nil},
		"no service answers":           {"ip -n gw link set stor0 down", "ip -n gw link set stor0 up", nil},
	} {
		shell(t, c.harm)
		code, said := probe()
		if c.says == nil && !strings.Contains(said, "no positive control") {
			t.Errorf("%s: %s", name, said)
		}
		for _, what := range c.says {
			if !strings.Contains(said, "reached, expected denied: "+what+"\n") {
				t.Errorf("%s: nothing says %q:\n%s", name, what, said)
			}
		}
		if code != int(rejected) {
			t.Errorf("%s: exit %d", name, code)
		}
		if c.mend != "" {
			shell(t, c.mend)
		}
		shell(t, unguarded)
		shell(t, guarded)
		shell(t, "ip route replace 10.200.0.0/16 via 10.203.0.254\nip neigh flush all\nip -n peer neigh flush all\nip -n gw neigh flush all")
	}
	clean()
	var o, e bytes.Buffer
	if code := run([]string{"probe", "ethernet", "--site", "s", "--tenant", "t", "--lease", "t/l", "--node", "n", "--interface", "rail0", "--peer", "10.0.0.2", "--bmc", "10.200.0.2", "--key", keyFile, "--out", out}, &o, &e); code != int(usage) || !strings.Contains(e.String(), "need --service") {
		t.Errorf("without a control: exit %d: %s", code, e.String())
	}
}
