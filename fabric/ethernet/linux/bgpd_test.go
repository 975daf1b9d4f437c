package linux

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkhead/lab/await"
)

// bgpd starts FRR's own, without zebra and without a port, with a startup configuration.
func bgpd(t *testing.T, startup string) frr {
	t.Helper()
	const program = "/usr/lib/frr/bgpd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("needs FRR: on Debian, apt-get install frr")
	}
	dir, err := os.MkdirTemp("", "bgpd") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte(startup), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-S", "-Z", "-n", "-p", "0", "-P", "0", "-F", "datacenter", "-f", conf, "-i", filepath.Join(dir, "pid"), "--vty_socket", dir)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	space, err := filepath.Rel(frrRun, dir)
	if err != nil {
		t.Fatal(err)
	}
	err = await.Until(await.Context(t), "bgpd to answer", func() (string, bool) {
		_, err := frr(space).ask(t.Context(), "bgpd", "show bgp l2vpn evpn vni json")
		if err != nil {
			return err.Error(), false
		}
		return "", true
	})
	if err != nil {
		t.Fatal(err)
	}
	return frr(space)
}

// What bgpd prints of the configuration that it was started with is as it is to be. What
// somebody changes of it differs; what is said then puts it back, and no more is to be said.
func TestBgpdIsPutBack(t *testing.T) {
	f := bgpd(t, said(t)["running"])
	ctx := await.Context(t)
	now := func() []difference {
		t.Helper()
		text, err := f.ask(ctx, "bgpd", runningShow)
		if err != nil {
			t.Fatal(err)
		}
		return different(t, string(text), true)
	}
	// A target that equals the derived one is not taken from the configuration either.
	if d := now(); len(d) != 3 || slices.ContainsFunc(d, func(d difference) bool { return len(d.together) != 6 }) {
		t.Fatalf("started with targets that equal the derived ones there differs %+v: expected those of three VNIs to be derived", d)
	}
	if err := putBack(ctx, f, now()); err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{
		{},
		evpn("vni 5001", "no route-target import 65000:5001", "no route-target export 65000:5001"),
		evpn("vni 5001", "no route-target export 65000:5001"),
		evpn("no vni 5002"),
		evpn("vni 5007"),
		evpn("autort rfc8365-compatible"),
		evpn("autort rfc8365-compatible", "no vni 5001"),
		evpn("dup-addr-detection max-moves 7 time 200", "advertise ipv4 unicast"),
		evpn("no neighbor fabric route-map one-target in"),
		append([]string{"route-map open permit 1", "exit"}, evpn("neighbor 10.65.255.1 route-map open in")...),
		append([]string{"route-map open permit 1", "exit"}, evpn("neighbor fabric route-map open in")...),
		{"no route-map one-target permit 20"},
		{"no route-map one-target"},
		{"route-map one-target permit 1"},
		{"route-map one-target permit 10", "set community 65000:1"},
		{"no bgp extcommunity-list expanded one-target seq 5 deny RT:.*RT:"},
		{"bgp extcommunity-list expanded one-target seq 1 permit .*"},
		{"no bgp extcommunity-list expanded one-target"},
	} {
		if len(lines) > 0 {
			if err := f.configure(ctx, lines); err != nil {
				t.Fatal(err)
			}
			if len(now()) == 0 {
				t.Errorf("after %q nothing differs", lines)
			}
		}
		if err := putBack(ctx, f, now()); err != nil {
			t.Errorf("after %q: %v", lines, err)
		}
		if d := now(); len(d) > 0 {
			t.Errorf("after %q, and put back, there differs %+v", lines, d)
		}
	}
}

// A reflector's startup configuration, as the lab writes it, for one leaf.
const reflecting = `bgp route-map delay-timer 1
bgp extcommunity-list expanded one-target seq 5 deny RT:.*RT:
bgp extcommunity-list expanded one-target seq 10 permit RT:65000:[0-9]+
bgp community-list standard refused seq 5 permit 65000:666
route-map to-leaves deny 5
 match community refused
exit
route-map to-leaves permit 10
 match evpn route-type macip
 match extcommunity one-target
exit
route-map to-leaves permit 20
 match evpn route-type multicast
 match extcommunity one-target
exit
route-map from-10.65.0.1 permit 10
 match extcommunity from-10.65.0.1
exit
route-map from-10.65.0.1 permit 20
 set community 65000:666 additive
exit
router bgp 65000
 no bgp default ipv4-unicast
 neighbor 10.65.0.1 remote-as 65000
 address-family l2vpn evpn
  neighbor 10.65.0.1 activate
  neighbor 10.65.0.1 route-map from-10.65.0.1 in
  neighbor 10.65.0.1 route-map to-leaves out
 exit-address-family
exit
`

// What somebody changes of a reflector's policy is seen, and put back rule by rule: what
// is as it is to be is not said again, and no map is removed.
func TestReflectorIsPutBack(t *testing.T) {
	conf := &ReflectorConfig{Leaves: []netip.Addr{netip.MustParseAddr("10.65.0.1")}, PathSpace: string(bgpd(t, reflecting))}
	r, ctx := &Reflector{conf: conf}, await.Context(t)
	open := func() []string {
		t.Helper()
		p, err := r.Passes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return p.Open
	}
	if o := open(); len(o) > 0 {
		t.Fatalf("at first it is open: %q", o)
	}
	for _, lines := range [][]string{
		{"no route-map to-leaves deny 5"},
		{"no route-map to-leaves"},
		{"route-map to-leaves permit 1", "exit"},
		{"route-map to-leaves permit 5", "exit"},
		{"route-map to-leaves permit 10", "match evpn route-type multicast"},
		{"route-map to-leaves permit 10", "no match extcommunity one-target"},
		{"route-map to-leaves deny 5", "match evpn route-type macip"},
		{"route-map to-leaves permit 10", "on-match next"},
		{"route-map to-leaves permit 10", "on-match goto 30", "continue 20"},
		{"route-map to-leaves permit 20", "call from-10.65.0.1"},
		{"route-map from-10.65.0.1 permit 10", "no match extcommunity from-10.65.0.1"},
		{"route-map from-10.65.0.1 permit 10", "match extcommunity one-target"},
		{"route-map from-10.65.0.1 permit 20", "no set community 65000:666 additive"},
		{"route-map from-10.65.0.1 permit 20", "set community 65000:1"},
		{"no route-map from-10.65.0.1"},
		{"no bgp community-list standard refused"},
		{"bgp community-list standard refused seq 1 deny 65000:666"},
		{"no bgp extcommunity-list expanded one-target"},
		{"route-map all permit 1", "exit", "router bgp 65000", "address-family l2vpn evpn", "neighbor 10.65.0.1 route-map all in"},
	} {
		if err := r.frr().configure(ctx, lines); err != nil {
			t.Fatal(err)
		}
		if len(open()) == 0 {
			t.Errorf("after %q nothing is open", lines)
		}
		before, err := runningOf(ctx, r.frr())
		if err != nil {
			t.Fatal(err)
		}
		text, err := r.frr().ask(ctx, "bgpd", policyShows...)
		if err != nil {
			t.Fatal(err)
		}
		_, broken, err := decodePolicy(conf, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range restore(broken, before) {
			for _, line := range append(d.back, d.together...) {
				if strings.HasPrefix(line, "no route-map ") && len(strings.Fields(line)) < 5 {
					t.Errorf("after %q a whole map is removed: %q", lines, line)
				}
			}
		}
		if err := r.restore(ctx); err != nil {
			t.Errorf("after %q: %v", lines, err)
		}
		if o := open(); len(o) > 0 {
			t.Errorf("after %q, and put back, it is open: %q", lines, o)
		}
	}
}
