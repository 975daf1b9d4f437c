package linux

import (
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
