//go:build labs

package ethlab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
)

// TestWhatDiffersIsPutBack does to a leaf what changes nothing today: its VNI's own targets
// are no longer said, and bgpd derives the same; its inbound policy is removed while the
// reflectors' holds. Both are told with their age while the leaf takes no writes, no
// verdict turns, and they are put back within one look when it takes them.
func TestWhatDiffersIsPutBack(t *testing.T) {
	ctx := await.Context(t)
	var g gates
	l := begin(t, Options{Device: func(leaf string, agent evpn.Device) evpn.Device { return &gate{agent, leaf, &g} }})
	check(t, l.Sell(ctx))
	check(t, l.Settle(ctx))
	l.Probed = 1
	check(t, l.Connected(ctx))
	if n, _ := l.Plane.Differing(); n != 0 {
		t.Fatalf("before anything is done there differs %q", l.Plane.Plan(ctx).Differs)
	}
	v := l.victims()[0]
	var sweep time.Duration
	l.Plane.View(func(s *book.State) { sweep = s.Policy.Sweep })
	target, family := ethernet.TargetOf(v.vni).String(), "address-family l2vpn evpn"
	inbound := "neighbor fabric route-map one-target in"
	for _, c := range []struct {
		name, says string
		line       string // of the configuration, that is gone and comes back
		lines      []string
	}{
		{"the VNI's targets", fmt.Sprintf("VNI %d: its own route target is derived", v.vni), "route-target import " + target, []string{family, fmt.Sprintf("vni %d", v.vni), "no route-target import " + target, "no route-target export " + target}},
		{"the inbound policy", "are taken by policy ??: expected one-target", inbound, []string{family, "no " + inbound}},
	} {
		t.Run(c.name, func(t *testing.T) {
			there := func(want bool) {
				t.Helper()
				out, err := l.Net.Vtysh(ctx, v.leaf, "show running-config")
				if err != nil || strings.Contains(out, c.line) != want {
					t.Fatalf("%q is in bgpd's configuration: expected %t, %v", c.line, want, err)
				}
			}
			head := l.Head()
			g.on(func(_ context.Context, leaf, call string) error {
				if leaf == v.leaf && call == callWrite {
					return errors.New("it takes no writes")
				}
				return nil
			})
			there(true)
			check(t, l.configure(ctx, v.leaf, c.lines...))
			there(false)
			var since string
			for range 3 {
				check(t, l.Live(ctx, time.Minute, time.Minute))
				check(t, l.Connected(ctx))
				told := l.Plane.Plan(ctx).Differs
				if len(told) == 0 || !strings.HasPrefix(told[0], v.leaf+": ") || !strings.Contains(told[0], c.says) || !strings.Contains(told[0], "(since 20") {
					t.Fatalf("told is %q, expected %s: %s, and since when", told, v.leaf, c.says)
				}
				if since == "" {
					since = told[0]
				}
				if told[0] != since {
					t.Errorf("told is %q and was %q: its age began anew", told[0], since)
				}
			}
			if _, age := l.Plane.Differing(); age < 2*time.Minute {
				t.Errorf("it is %s old after three looks, a minute apart", age)
			}
			g.on(nil)
			check(t, l.Live(ctx, sweep, sweep))
			there(true)
			if n, _ := l.Plane.Differing(); n != 0 {
				t.Errorf("after a sweep there differs %q", l.Plane.Plan(ctx).Differs)
			}
			kinds, _, err := l.Recorded(ctx, head)
			check(t, err)
			if kinds[fabric.KindDrifted]+kinds[fabric.KindLocked] > 0 || len(l.Findings()) > 0 {
				t.Errorf("entries %v, findings %v: expected no drift", kinds, l.Findings())
			}
			check(t, l.Settle(ctx))
			check(t, l.Connected(ctx))
		})
	}
}
