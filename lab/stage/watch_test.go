package stage

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// heardDriver is a simulated driver, and the stage hears what it answers.
type heardDriver struct {
	fabric.Driver
	stage *Stage
}

func (d heardDriver) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	o, err := d.Driver.Observe(ctx, s)
	d.stage.Saw(o)
	return o, err
}

// unplugged are probes of a fabric that carries no packets.
type unplugged struct{}

func (unplugged) Leaks(context.Context) ([]string, error) { return nil, nil }

// simulated is a stage of which nothing is real, with both leases handed over, and a
// port of each rival.
func simulated(t *testing.T) (s *Stage, ports [2]site.Port) {
	t.Helper()
	s, err := New(Options{Example: "rivals-eth", Fabric: "roce", Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx := await.Context(t)
	for _, step := range []func() error{
		func() error {
			return s.Open(ctx, map[string]fabric.Driver{"roce": heardDriver{s.World.Fabrics()["roce"], s}})
		},
		func() error { return s.Sell(ctx) },
		func() error { return s.Deliver(ctx, 75*time.Hour) },
		func() error { return s.Settle(ctx) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for i, tenant := range Tenants {
		ports[i] = site.PortOf(s.Nodes(tenant)[0], 0)
	}
	return s, ports
}

// opened makes a port take everything and carry the rival's label beside its own: it
// fails two checks, and the ledger names the first.
func (s *Stage) opened(port site.Port) {
	row := fabric.Compile(site.RoCE, s.Label(Tenants[0]))
	row.Leaf = append(row.Leaf, fabric.Full(s.Label(Tenants[1])))
	row.EnforceIn = false
	s.World.Tamper(port, row)
}

func (s *Stage) attack(check string, at, touched []site.Port, mount func()) Attack {
	return Attack{Name: "x", By: "y", Ends: Detected, Check: check, Action: "z",
		Where: func() (a, b []site.Port) { return at, touched },
		Mount: func(context.Context) (func(context.Context) error, error) {
			mount()
			return func(context.Context) error { return nil }, nil
		}}
}

// TestWhichCheckComesFirstDecidesNothing: whichever of the checks that its port fails
// an attack is named by, it is seen; the ledger names one of them only.
func TestWhichCheckComesFirstDecidesNothing(t *testing.T) {
	s, ports := simulated(t)
	ctx := await.Context(t)
	for _, check := range []string{"foreign-label", "enforcement-off"} {
		head := s.Head()
		o, err := s.Try(ctx, s.attack(check, ports[:1], ports[:1], func() { s.opened(ports[0]) }), unplugged{})
		if err != nil || o.Looks != 1 {
			t.Errorf("named by %s: %v, after %d looks", check, err, o.Looks)
		}
		_, notes, err := s.Recorded(ctx, head)
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(notes, "\n"); strings.Contains(said, "foreign-label") || !strings.Contains(said, "enforcement-off") {
			t.Errorf("the ledger names %s: this test shows nothing", said)
		}
		if err := s.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnAttackIsNotSeen: its port never fails the check, or is not the one that does.
func TestAnAttackIsNotSeen(t *testing.T) {
	s, ports := simulated(t)
	for name, c := range map[string]struct {
		check string
		at    site.Port
		lacks string
	}{
		"another check":     {"mirrored", ports[0], "never failed mirrored; it failed [enforcement-off foreign-label"},
		"another port":      {"enforcement-off", ports[1], "never failed enforcement-off"},
		"no such entry":     {book.KindBrake, ports[0], "nothing recorded says"},
		"no such statement": {"routes come from leaves only", ports[0], "nothing recorded says"},
	} {
		w := s.Watch()
		s.opened(ports[0])
		if err := s.Live(t.Context(), time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		if lacks, err := w.Seen(t.Context(), c.check, []site.Port{c.at}); err != nil || !strings.Contains(lacks, c.lacks) {
			t.Errorf("%s: it lacks %q, %v; expected %q", name, lacks, err, c.lacks)
		}
		if err := s.Settle(await.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingElseIsRed: an attack that makes a port red which it may not touch has not
// ended as it says.
func TestNothingElseIsRed(t *testing.T) {
	s, ports := simulated(t)
	both := func() { s.opened(ports[0]); s.opened(ports[1]) }
	o, err := s.Try(await.Context(t), s.attack("foreign-label", ports[:1], ports[:1], both), unplugged{})
	if name := s.Site.PortName(ports[1]); err == nil || !strings.Contains(err.Error(), "red outside") || !slices.ContainsFunc(o.Strays, func(p string) bool { return strings.HasPrefix(p, name) }) {
		t.Errorf("%s was red: %v, %v", name, o.Strays, err)
	}
	if err := s.Settle(await.Context(t)); err != nil {
		t.Fatal(err)
	}
	prevented := s.attack("", nil, nil, func() { s.opened(ports[0]) })
	prevented.Ends = Prevented
	if _, err := s.Try(await.Context(t), prevented, unplugged{}); err == nil {
		t.Error("an attack that was to be prevented made a port red, and nobody minds")
	}
}
