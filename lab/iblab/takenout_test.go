//go:build labs

package iblab

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

// object is something that the fabric consists of, how it is taken out of it, and how the
// owner's people put it back.
type object struct {
	name      string
	out, back func(ctx context.Context) error
}

// TestTakenOut takes single objects out of the fabric between the members of a lease: an
// entry of a table, a cable, the state of a link, a switch, the manager. Each either changes
// nothing that packets of its own tenant can tell, or something is said within a few looks.
// None is silent and missed.
func TestTakenOut(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t)
	check(t, l.Sell(ctx))
	check(t, l.Deliver(ctx, 74*time.Hour))
	l.settle(ctx, t)
	for _, o := range l.objects(t) {
		t.Run(o.name, func(t *testing.T) { l.takenOut(ctx, t, o) })
	}
}

// apart are the packets between all adapters of the first rival that do not arrive.
func (l *Lab) apart() (missing int) {
	var all []string
	for nic := range site.Rails {
		all = append(all, l.HCAs(Tenants[0], nic)...)
	}
	for _, from := range all {
		for _, to := range all {
			if from != to && !l.Fabric.Probe(from, to, l.Key(Tenants[0]), false).Delivered {
				missing++
			}
		}
	}
	return missing
}

// takenOut takes one out, and puts it back.
func (l *Lab) takenOut(ctx context.Context, t *testing.T, o object) {
	if missing := l.apart(); missing > 0 {
		t.Fatalf("before it is taken out %d packets are missing", missing)
	}
	head := l.Head()
	check(t, o.out(ctx))
	cut, said := 0, ""
	// Of packets that are missing for longer than a manager may take, something is said; that
	// it leads them around takes this machine's time.
	for look := 0; look < 200 && said == "" && (look < 4 || l.apart() > 0); look++ {
		cut = max(cut, l.apart())
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
		time.Sleep(300 * time.Millisecond)
	}
	left := l.apart()
	t.Logf("%d packets of its own tenant are missing, %d at the end; said: %q", cut, left, said)
	if left > 0 && said == "" {
		t.Errorf("%d packets of its own tenant are missing, and nothing says so", left)
	}
	check(t, o.back(ctx))
	l.settle(ctx, t)
}

// objects are those between the first rival's first port and the others.
func (l *Lab) objects(t *testing.T) []object {
	v := l.victims()
	near := v.hca[0]
	var same, far string // another adapter at its leaf, and one at another leaf
	for _, hca := range l.HCAs(Tenants[0], 0) {
		if hca != near {
			same = hca
			break
		}
	}
	far = l.HCAs(Tenants[0], 1)[0]
	restart := func(ctx context.Context) error {
		check(t, l.KillManager())
		return l.StartManager(ctx)
	}
	entry := func(of string) func(context.Context) error {
		return func(context.Context) error {
			port, err := l.Fabric.Port(of, 1)
			if err == nil {
				_, err = l.Fabric.Route(v.leaf[0], port.LID, mad.NoPort)
			}
			return err
		}
	}
	empty := func(name string, port int) func(context.Context) error {
		return func(context.Context) error {
			return l.Fabric.Tamper(name, port, func(keys []mad.PKey) {
				for i, k := range keys {
					if k == v.key[0] {
						keys[i] = 0
					}
				}
			})
		}
	}
	uplink, spine, there := l.uplink(t, v.leaf[0])
	return []object{
		{"the leaf's forwarding entry for a port of another leaf", entry(far), restart},
		{"the leaf's forwarding entry for its own port", entry(near), restart},
		{"the leaf's forwarding entry for another of its ports", entry(same), restart},
		{"the end of the leaf's forwarding table", func(context.Context) error { _, err := l.Fabric.Top(v.leaf[0], 0); return err }, restart},
		{"the activity of a port's link", func(context.Context) error { return l.Fabric.Deactivate(v.leaf[0], v.leafPort[0]) }, restart},
		{"the activity of the leaf's link to a spine", func(context.Context) error { return l.Fabric.Deactivate(v.leaf[0], uplink) }, restart},
		{"the MTU of the leaf's link to a spine", func(context.Context) error { return l.Fabric.Narrow(v.leaf[0], uplink) }, restart},
		{"the MTU of a port's link", func(context.Context) error { return l.Fabric.Narrow(v.leaf[0], v.leafPort[0]) }, restart},
		{"the leaf's cable to a spine", func(context.Context) error { return l.Fabric.Pull(v.leaf[0], uplink) },
			func(context.Context) error { return l.Fabric.Plug(v.leaf[0], uplink, spine, there) }},
		{"the P_Key of an HCA", empty(near, 1), nothing},
		{"the P_Key of its leaf's port", empty(v.leaf[0], v.leafPort[0]), nothing},
		{"the enforcement of its leaf's port", func(context.Context) error { return l.Fabric.Enforce(v.leaf[0], v.leafPort[0], false, false) },
			func(context.Context) error { return l.Fabric.Enforce(v.leaf[0], v.leafPort[0], true, true) }},
		{"a spine's answers", func(context.Context) error { return l.Fabric.Silence(spine, true) }, func(context.Context) error { return l.Fabric.Silence(spine, false) }},
		{"the manager", func(context.Context) error { return l.KillManager() }, l.StartManager},
	}
}

// uplink is a port of a leaf that leads to a spine, the spine, and its port.
func (l *Lab) uplink(t *testing.T, leaf string) (port int, spine string, there int) {
	for _, u := range l.Units {
		for _, link := range u.Links {
			name, number, _ := strings.Cut(link.From, ":")
			port, err := strconv.Atoi(number)
			check(t, err)
			to, number, _ := strings.Cut(link.To, ":")
			there, err := strconv.Atoi(number)
			check(t, err)
			if name == leaf {
				return port, to, there
			}
		}
	}
	t.Fatalf("%s has no uplink", leaf)
	return 0, "", 0
}
