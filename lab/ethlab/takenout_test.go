//go:build labs

package ethlab

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
)

// object is something that a leaf of the fabric consists of, and how it is taken out of it
// and put back.
type object struct {
	name      string
	out, back func(ctx context.Context) error
}

// TestTakenOut takes single objects out of the leaf of one member of a lease: an entry, a
// device, a line of a configuration, a daemon. Each either changes nothing that packets of
// its own tenant can tell, or something is said within a few looks: a port that is not
// proven, a leaf that is silent, a posture that does not hold. None is silent and missed.
func TestTakenOut(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t, Options{})
	check(t, l.Sell(ctx))
	check(t, l.Settle(ctx))
	l.Probed = 1
	check(t, l.Connected(ctx))
	l.Driver.Patience = 5 * time.Second // a leaf that announces nothing more is waited for at each look
	for _, o := range l.objects() {
		t.Run(o.name, func(t *testing.T) { l.takenOut(ctx, t, o) })
	}
}

// takenOut takes one out, and puts it back.
func (l *Lab) takenOut(ctx context.Context, t *testing.T, o object) {
	head := l.Head()
	check(t, o.out(ctx))
	cut, said := 0, ""
	for look := 0; look < 40 && said == "" && (look < 4 || cut > 0); look++ {
		missing, err := l.CutOff(ctx)
		check(t, err)
		cut = max(cut, len(missing))
		step := time.Minute
		if look == 1 {
			step = time.Hour // for windows to pass
		}
		check(t, l.Live(ctx, step, step))
		kinds, _, err := l.Recorded(ctx, head)
		check(t, err)
		for _, kind := range []string{"fabric.drifted/1", "fabric.unread/1", "fabric.silent/1", "fabric.posture/1"} {
			if kinds[kind] > 0 {
				said += kind + " "
			}
		}
		if found := l.Findings(); len(found) > 0 {
			said += stage.Counts(found)
		}
		time.Sleep(300 * time.Millisecond) // what it learns by itself takes this machine's time
	}
	t.Logf("%d frames of its own tenant are missing; said: %q", cut, said)
	if cut > 0 && said == "" {
		t.Errorf("%d frames of its own tenant are missing, and nothing says so", cut)
	}
	check(t, o.back(ctx))
	check(t, l.Settle(ctx))
	check(t, l.Connected(ctx))
}

// objects are those of the first rival's leaf.
func (l *Lab) objects() []object {
	v := l.victims()[0]
	var far victim
	for _, n := range l.Nodes(stage.Tenants[0]) {
		if other := l.victim(n, stage.Tenants[0]); other.leaf != v.leaf {
			far = other
		}
	}
	own, other := l.Net.Plan.Device(v.leaf), l.Net.Plan.Device(far.leaf)
	commands := func(lines ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			for _, words := range lines {
				if err := l.at(ctx, v.leaf, "%s", words); err != nil {
					return err
				}
			}
			return nil
		}
	}
	lines := func(lines ...string) func(context.Context) error {
		return func(ctx context.Context) error { return l.configure(ctx, v.leaf, lines...) }
	}
	target := ethernet.TargetOf(v.vni).String()
	family := "address-family l2vpn evpn"
	vni, bridge, vxlan := fmt.Sprintf("vni %d", v.vni), fmt.Sprintf("bd%d", v.vni), fmt.Sprintf("vni%d", v.vni)
	up := func(name string) func(context.Context) error { return l.undo(v.leaf, "ip link set "+name+" up") }
	reflector := "neighbor " + l.Net.Plan.Device(own.Uplinks[0].Peer).Loopback.String()
	return []object{
		{"a port's own forwarding entry", commands(fmt.Sprintf("bridge fdb del %s dev %s master", text(v.mac), v.swp())), nothing},
		{"a port's place in its bridge", commands("ip link set " + v.swp() + " nomaster"), nothing},
		{"a port", commands("ip link set " + v.swp() + " down"), up(v.swp())},
		{"the VXLAN device", commands("ip link set " + vxlan + " down"), up(vxlan)},
		{"a port's MTU", commands("ip link set " + v.swp() + " mtu 1500"), nothing},
		{"the VXLAN device's MTU", commands("ip link set " + vxlan + " mtu 1450"), nothing},
		{"an uplink's MTU", commands("ip link set " + own.Uplinks[0].Port + " mtu 1500"), commands(fmt.Sprintf("ip link set %s mtu %d", own.Uplinks[0].Port, ethernet.MTU+216))},
		{"the VXLAN device's place in its bridge", commands("ip link set " + vxlan + " nomaster"), l.undo(v.leaf, "ip link set "+vxlan+" master "+bridge)},
		{"the bridge", commands("ip link set " + bridge + " down"), up(bridge)},
		{"a flood entry", commands(fmt.Sprintf("bridge fdb del 00:00:00:00:00:00 dev %s dst %s", vxlan, other.Loopback)), nothing},
		{"the forwarding entry of a far host", commands(fmt.Sprintf("bridge fdb del %s dev %s dst %s", text(far.mac), vxlan, other.Loopback)), nothing},
		{"the filter", commands("nft delete table inet bulkhead"), nothing},
		{"the VNI's route targets", lines(family, vni, "no route-target import "+target, "no route-target export "+target), nothing},
		{"the session with one reflector", lines(reflector + " shutdown"), lines("no " + reflector + " shutdown")},
		{"the sessions with all reflectors", lines("neighbor fabric shutdown"), lines("no neighbor fabric shutdown")},
		{"its own address", commands(fmt.Sprintf("ip addr del %s/32 dev lo", own.Loopback)), l.undo(v.leaf, fmt.Sprintf("ip addr add %s/32 dev lo", own.Loopback))},
		{"the inbound policy", lines(family, "no neighbor fabric route-map one-target in"), nothing},
		{"bgpd", func(context.Context) error { return l.Net.KillDaemon(v.leaf, "bgpd") }, func(ctx context.Context) error { return l.Net.StartDaemon(ctx, v.leaf, "bgpd") }},
		{"lldpd", func(ctx context.Context) error { return l.Net.StopLLDP(ctx, v.leaf) }, func(context.Context) error { return l.Net.StartLLDP(v.leaf, "swp*") }},
	}
}
