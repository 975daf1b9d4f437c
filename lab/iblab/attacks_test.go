//go:build labs

package iblab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/lab/await"
	"bulkhead/prove"
	"bulkhead/site"
)

// settle lives until every delivered port is proven again and hosts of one rival
// reach one another. OpenSM needs time of this machine for that.
func (l *Lab) settle(ctx context.Context, t *testing.T) {
	t.Helper()
	check(t, l.Settle(ctx))
	check(t, await.Until(ctx, "hosts to reach one another", func() (string, bool) {
		check(t, l.Live(ctx, time.Minute, time.Minute))
		cut := l.CutOff()
		return fmt.Sprint(cut), len(cut) == 0
	}))
	check(t, l.Settle(ctx))
}

// failing counts the ports of the compute fabric by all the checks that they fail.
func (l *Lab) failing() map[prove.Check][]site.Port {
	out := map[prove.Check][]site.Port{}
	for p := range site.Port(l.Site.Ports()) {
		if l.Site.FabricOf(p) == l.Driver.Fabric {
			for _, c := range l.Plane.FailedChecks(p) {
				out[c] = append(out[c], p)
			}
		}
	}
	return out
}

// agree compares what packets do, what z3 follows from the raw tables, and what
// the prover says: z3 finds a way between the rivals where packets find one, and
// where either does the prover calls no such fabric proven.
func (l *Lab) agree(ctx context.Context, t *testing.T, when string, packets []string) {
	t.Helper()
	leaks, conflicts := l.z3Leaks(ctx, t)
	if !conflicts && leaks != (len(packets) > 0) {
		t.Errorf("%s: z3 finds a way between the rivals: %t; of the packets %d arrive", when, leaks, len(packets))
	}
	if leaks && len(l.failing()) == 0 {
		t.Errorf("%s: z3 finds a way between the rivals, and every port is proven", when)
	}
}

// elsewhere are the checks of the prover that no attack on an InfiniBand fabric
// under OpenSM can be named by, and why.
var elsewhere = map[prove.Check]string{
	prove.UnderlayOpen: "overlays only", prove.ForeignRoute: "overlays only", prove.StrayPath: "overlays only", prove.Mirrored: "overlays only",
	prove.WrongPolicy: "overlays only",
	prove.Unannounced: "overlays only",
	prove.Unlearnt:    "overlays only",
	prove.WrongClass:  "OpenSM sets no class by partition",
	prove.Unheld:      "the book names a holder of every port; the prover's own tests take him away",
}

// cables is what the census says of adapters that are not where the inventory has
// them: with the cable that they hang on.
var cables = map[string]string{
	"an unknown host is plugged into a leaf":                   "port 16, which the inventory does not know",
	"a host behind a switch of its own is plugged into a leaf": "(0x0002c90300000a00) port 2, which the inventory does not know",
	"the cables of two rivals are swapped":                     ", belongs at a1-su01-leaf0 port ",
}

// TestAttacks mounts the corpus, one attack after the other, on one fabric. What the
// devices said while each was under way is then judged again with every check of the
// prover taken away in turn (mutation_test.go).
func TestAttacks(t *testing.T) {
	needZ3(t)
	ctx := await.Context(t)
	var attacks []*scene
	l := begin(t)
	if err := l.Sell(ctx); err != nil {
		t.Fatal(err)
	}
	check(t, l.Deliver(ctx, 74*time.Hour))
	if d := l.Delivered(); d[Tenants[0]] != 6 || d[Tenants[1]] != 6 {
		t.Fatalf("delivered %v", d)
	}
	l.settle(ctx, t)
	for i, a := range Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			leaks, cut := l.Leaks(), l.CutOff()
			if len(leaks) > 0 || len(cut) > 0 {
				t.Fatalf("before the attack: leaks %v, cut off %v", leaks, cut)
			}
			l.agree(ctx, t, "before the attack", leaks)
			if reached, err := l.CanaryReaches(); err != nil || len(reached) > 0 {
				t.Fatalf("before the attack, from the canary: %v, %v", reached, err)
			}
			hosts := l.Hosts()
			var at, touched []site.Port
			if a.Where != nil {
				at, touched = a.Where(l)
			}
			w, head := l.Watch(), l.Head()
			undo, err := a.Mount(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			open := l.LeaksAmong(hosts)
			if a.Ends == Prevented && len(open) > 0 {
				t.Errorf("it was to be prevented, and %d packets pass: %s", len(open), open[0])
			}
			attacks = append(attacks, l.capture(ctx, t, a, at))
			mounted := time.Now()
			looks, err := l.AwaitSeen(ctx, w, a.Check, at)
			check(t, err)
			took := time.Since(mounted)
			if strays, err := w.Strays(ctx, touched); err != nil || len(strays) > 0 {
				t.Errorf("it was red outside what it may touch: %v, %v", strays, err)
			}
			kinds, notes, err := l.Recorded(ctx, head)
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(notes, "\n")
			l.agree(ctx, t, "when it was seen", l.Leaks())
			if text := cables[a.Name]; !strings.Contains(said, text) {
				t.Errorf("the census does not say %q: %.2000s", text, said)
			}
			if reached, err := l.CanaryReaches(); len(reached) > 0 {
				t.Errorf("when it was seen the canary reaches %v, %v", reached, err)
			}
			// Also from and to nodes that have been taken out of service meanwhile.
			after := l.LeaksAmong(hosts)
			if a.Lasts != (len(after) > 0) {
				t.Errorf("when it was seen %d packets pass, until it is undone: %t: %v", len(after), a.Lasts, after[:min(1, len(after))])
			}
			t.Logf("%s: %d leaks at first, %d after %d looks, which took %s; recorded %v, findings %v", a.Ends, len(open), len(after), looks, took.Round(time.Millisecond), kinds, l.Findings())
			t.Logf(`measured {"attack": %q, "packets": %d, "seconds": %.2f}`, a.Name, len(open), took.Seconds()) // for package dated
			if err := undo(ctx); err != nil {
				t.Fatal(err)
			}
			if i < len(Attacks())-1 {
				l.settle(ctx, t)
				if left := l.LeaksAmong(hosts); len(left) > 0 {
					t.Errorf("when all is proven again %d packets pass: %s", len(left), left[0])
				}
			}
		})
	}
	mutate(t, attacks)
	names := map[string]bool{}
	for _, a := range Attacks() {
		if names[a.Name] || a.By == "" || a.Action == "" || !slices.Contains([]string{Prevented, Detected}, a.Ends) {
			t.Errorf("attack %+v is not described", a)
		}
		names[a.Name] = true
	}
}
