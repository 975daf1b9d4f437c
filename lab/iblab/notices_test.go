//go:build labs

package iblab

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/await"
	"bulkhead/prove"
)

// provoked are things that devices tell their manager of, and what a look then
// finds; "": nothing took effect.
var provoked = []struct {
	name  string
	trap  uint16
	check string
	do    func(ctx context.Context, l *Lab, v victims) (undo func() error, err error)
}{
	{"a packet under the rival's P_Key", mad.TrapBadPKeySwitch, "", func(_ context.Context, l *Lab, v victims) (func() error, error) {
		if d := l.Fabric.Probe(v.hca[0], v.hca[1], v.key[1], true); d.Delivered || d.Where != "leaf in" {
			return nil, fmt.Errorf("%+v", d)
		}
		return nil, nil
	}},
	{"a forged Set of the leaf's table, without the M_Key", mad.TrapBadMKey, "", func(ctx context.Context, l *Lab, v victims) (func() error, error) {
		c, err := l.host(v.hca[0], refused)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return nil, l.refusedSet(ctx, c, v, true, 1, v.key[0], v.key[1])
	}},
	{"a cable is pulled out", mad.TrapLinkStateChange, prove.NoNeighbour.String(), func(_ context.Context, l *Lab, v victims) (func() error, error) {
		return func() error { return l.Fabric.Plug(v.leaf[0], v.leafPort[0], v.hca[0], 1) }, l.Fabric.Pull(v.leaf[0], v.leafPort[0])
	}},
	{"an unknown host is plugged in", mad.TrapLinkStateChange, prove.UncountedPort.String(), func(_ context.Context, l *Lab, v victims) (func() error, error) {
		_ = l.Fabric.AddHost("passer-by", 0x0002c90300000020)
		return func() error { return l.Fabric.Pull(v.leaf[0], 16) }, l.Fabric.Plug(v.leaf[0], 16, "passer-by", 1)
	}},
}

// quiet waits until devices have nothing more to tell for a moment, with a look after
// each notice. A notice that comes later wakes for nothing: whoever waits for a certain
// one waits on.
func (l *Lab) quiet(ctx context.Context, t *testing.T) {
	t.Helper()
	check(t, await.True(ctx, "devices to rest", func() bool {
		check(t, l.Plane.Tick(ctx))
		bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return errors.Is(l.Plane.Await(bounded), context.DeadlineExceeded)
	}))
}

// TestNoticesWake: what devices tell their manager makes the control plane look now,
// whatever its period, and the look finds what there is to find. No time passes for
// the plane meanwhile, so no look is due by the period.
func TestNoticesWake(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t)
	check(t, l.Sell(ctx))
	check(t, l.Deliver(ctx, 74*time.Hour))
	l.settle(ctx, t)
	for _, p := range provoked {
		t.Run(p.name, func(t *testing.T) {
			l.quiet(ctx, t)
			before := l.sentTraps(p.trap)
			undo, err := p.do(ctx, l, l.victims())
			check(t, err)
			began := time.Now()
			// The policy's poll plays no part: nobody ticks while the lab waits.
			if err := l.Plane.Await(ctx); err != nil {
				t.Fatalf("nothing woke it: %v; %d traps %d were sent", err, l.sentTraps(p.trap)-before, p.trap)
			}
			if l.sentTraps(p.trap) == before {
				t.Errorf("trap %d was not what woke it", p.trap)
			}
			t.Logf("woken after %s, poll %s", time.Since(began).Round(time.Millisecond), l.Site.Policy.Poll)
			check(t, l.Plane.Tick(ctx))
			if p.check != "" && l.Findings()[p.check] == 0 {
				t.Errorf("the look does not find %s: %v", p.check, l.Findings())
			}
			if p.check == "" && len(l.Findings()) > 0 {
				t.Errorf("nothing took effect, and the look finds %v", l.Findings())
			}
			if undo != nil {
				check(t, undo())
				l.settle(ctx, t)
			}
		})
	}
}

// TestWithoutNoticesNothingWakes: the same things, and nobody subscribed.
func TestWithoutNoticesNothingWakes(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t, func(o *Options) { o.Deaf = true })
	check(t, l.Sell(ctx))
	check(t, l.Deliver(ctx, 74*time.Hour))
	l.settle(ctx, t)
	check(t, l.Plane.Tick(ctx))
	for _, p := range provoked {
		before := l.sentTraps(p.trap)
		_, err := p.do(ctx, l, l.victims())
		check(t, err)
		if l.sentTraps(p.trap) == before {
			t.Errorf("%s: no trap %d was sent", p.name, p.trap)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	if err := l.Plane.Await(bounded); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("woken by nobody: %v", err)
	}
	if len(l.Findings()) > 0 {
		t.Fatalf("somebody has looked: %v", l.Findings())
	}
	check(t, l.Plane.Tick(ctx))
	if l.Findings()[prove.UncountedPort.String()] == 0 {
		t.Errorf("the look that is due does not find the unknown host: %v", l.Findings())
	}
}

// sentTraps counts the traps of a number.
func (l *Lab) sentTraps(number uint16) (n int) {
	traps, _ := l.Fabric.Traps()
	for _, trap := range traps {
		if trap.Number == number {
			n++
		}
	}
	return n
}
