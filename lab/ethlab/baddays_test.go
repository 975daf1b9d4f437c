package ethlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
	"bulkhead/lab/stage"
	"bulkhead/lease"
	"bulkhead/ledger/sqlite"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// badDays is a lab on whose nodes the rivals follow one another: five of the eight are
// vermilion's, then cobalt's, who has the other three all the time, and then
// vermilion's again.
type badDays struct {
	*Lab
	gates
	dir string
	log *sqlite.Log
}

func day(d, hour int) time.Time { return time.Date(2026, 5, d, hour, 0, 0, 0, time.UTC) }

func beginBadDays(t *testing.T) *badDays {
	b := &badDays{dir: t.TempDir()}
	var err error
	b.log, err = sqlite.Open(filepath.Join(b.dir, "ledger.db"))
	check(t, err)
	t.Cleanup(func() { _ = b.log.Close() })
	keys, err := keystore.Open(filepath.Join(b.dir, "keys"), stage.Begin)
	check(t, err)
	b.Lab = begin(t, Options{Log: b.log, Keys: keys, Calm: true,
		Device: func(leaf string, agent evpn.Device) evpn.Device { return &gate{agent, leaf, &b.gates} },
		Policy: func(spine netip.Addr, agent evpn.Reflector) evpn.Reflector {
			return &policyGate{agent, gate{leaf: spine.String(), gates: &b.gates}}
		}})
	for _, c := range []struct{ tenant, id, begin, end, gpus string }{
		{stage.Tenants[0], "vermilion-1", "2026-05-01", "2026-05-03", "40"},
		{stage.Tenants[1], "cobalt-1", "2026-05-01", "2027-05-01", "24"},
		{stage.Tenants[1], "cobalt-2", "2026-05-06", "2026-05-08", "40"},
		{stage.Tenants[0], "vermilion-2", "2026-05-11", "2027-05-01", "40"},
	} {
		text, err := b.Contract(c.tenant)
		check(t, err)
		check(t, b.Sign(t.Context(), []byte(strings.NewReplacer("id: "+c.tenant+"\n", "id: "+c.id+"\n", "2026-05-01", c.begin, "2027-05-01", c.end,
			"gpus: 40", "gpus: "+c.gpus, "gpus: 24", "gpus: "+c.gpus, "notice_days: 30", "notice_days: 0").Replace(string(text)))))
	}
	check(t, b.Live(t.Context(), 4*time.Hour, time.Hour)) // commissioned
	b.until(t, time.Date(2026, 4, 29, 0, 0, 0, 0, time.UTC))
	b.until(t, day(1, 0))
	b.proven(t)
	for n := range site.Index(b.Site.Nodes()) {
		check(t, b.Net.SetMember(b.Site.NodeID[n], int(n)))
	}
	if x, y := len(b.Nodes(stage.Tenants[0])), len(b.Nodes(stage.Tenants[1])); x != 5 || y != 3 {
		t.Fatalf("%d and %d nodes are delivered, expected 5 and 3", x, y)
	}
	b.apart(t)
	return b
}

// until lives until then in one step.
func (b *badDays) until(t *testing.T, to time.Time) {
	t.Helper()
	if d := to.Sub(b.Clock.Now()); d > 0 {
		check(t, b.Live(t.Context(), d, d))
	}
}

// proven lives, slowly, until every port of the compute fabric is proven: routing
// daemons and sessions take this machine's time, and leases end by the lab's.
func (b *badDays) proven(t *testing.T) {
	t.Helper()
	check(t, await.True(await.Context(t), "every port to be proven", func() bool {
		check(t, b.Live(t.Context(), time.Minute, time.Minute))
		locked, holds := 0, false
		b.Plane.View(func(s *book.State) { locked, holds = len(s.Drifted), s.Postures[FabricID].Holds })
		quiet := locked == 0 && holds && len(b.Findings()) == 0
		if !quiet {
			time.Sleep(250 * time.Millisecond) // a minute of the lab's time: so slowly that no lease ends meanwhile
		}
		return quiet
	}))
}

// mend gives a leaf its link to the management network back, and waits until it
// answers.
func (b *badDays) mend(t *testing.T, leaf string) {
	t.Helper()
	b.setCut(leaf, false)
	check(t, b.Net.SetManaged(leaf, true))
	check(t, await.True(await.Context(t), leaf+" to answer", func() bool {
		agent, err := b.Net.Client(leaf)
		check(t, err)
		defer agent.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = agent.Changes(ctx)
		return err == nil
	}))
}

// managementCut: the control plane reaches no leaf for ten minutes, and then for ten
// more. Nothing is written and nothing locked down; tenants' packets go on; within the
// window verdicts stand, after it everything is unknown, and all is proven again when
// the network is back.
func (b *badDays) managementCut(t *testing.T) {
	ctx := await.Context(t)
	tables, fences, head := b.tables(t), b.fences(t), b.Head()
	check(t, b.Net.SetLink(ethnet.OOB, "manage", false))
	b.setCut("", true)
	recorded := func() map[string]int {
		kinds, _, err := b.Recorded(ctx, head)
		check(t, err)
		for _, kind := range []string{fabric.KindDrifted, fabric.KindLocked, book.KindBrake} {
			if kinds[kind] > 0 {
				t.Errorf("%d entries %s: a cut network is no violation", kinds[kind], kind)
			}
		}
		return kinds
	}
	leaves := len(b.Net.Plan.Leaves(FabricID))
	check(t, b.Live(ctx, 10*time.Minute, 10*time.Minute))
	if kinds := recorded(); kinds[fabric.KindUnread] > 0 || kinds[fabric.KindSilent] == 0 {
		t.Errorf("after ten minutes, within the window: recorded %v, expected silent leaves and no alarm", kinds)
	}
	b.apart(t)
	check(t, b.Live(ctx, 10*time.Minute, 10*time.Minute))
	if kinds := recorded(); kinds[fabric.KindUnread] != leaves {
		t.Errorf("after twenty minutes: recorded %v, expected an alarm about each of %d leaves", kinds, leaves)
	}
	if found := b.Findings(); found[prove.Unreadable.String()] != 8*leaves/2 || len(found) != 1 {
		t.Errorf("after twenty minutes: findings %v, expected every port to be unknown", found)
	}
	b.leasesAre(t, "after twenty minutes", prove.Unknown, meter.IsolationUnproven)
	b.apart(t)
	b.same(t, "while it is cut", tables, fences)
	check(t, b.Net.SetLink(ethnet.OOB, "manage", true))
	b.setCut("", false)
	b.proven(t)
	if kinds := recorded(); kinds[fabric.KindReread] != leaves {
		t.Errorf("when it is back: recorded %v, expected each of %d leaves to be read again", kinds, leaves)
	}
	b.same(t, "when it is back", tables, fences)
	b.leasesAre(t, "when it is back", prove.Proven, meter.Up)
	b.apart(t)
}

// restarted: all of a leaf's FRR is killed, and started again later with its startup
// configuration, which knows of no VNI. Meanwhile the leaf can't be read, and nothing is
// written, locked down or handed to somebody else; afterwards it is as it was.
func (b *badDays) restarted(t *testing.T) {
	ctx := await.Context(t)
	leaf := b.victims()[0].leaf
	tables, fences, head := b.tables(t), b.fences(t), b.Head()
	for _, daemon := range []string{"bgpd", "ospfd", "zebra"} {
		check(t, b.Net.KillDaemon(leaf, daemon))
	}
	for range 3 {
		check(t, b.Live(ctx, 10*time.Minute, 10*time.Minute))
	}
	if found := b.Findings(); found[prove.Unreadable.String()] != 4 || len(found) != 1 {
		t.Errorf("without FRR: findings %v, expected the leaf's four ports to be unknown", found)
	}
	for _, daemon := range []string{"zebra", "ospfd", "bgpd"} {
		check(t, b.Net.StartDaemon(ctx, leaf, daemon))
	}
	check(t, b.Net.AwaitSessions(ctx, leaf))
	b.proven(t)
	kinds, _, err := b.Recorded(ctx, head)
	check(t, err)
	if kinds[fabric.KindUnread] != 1 || kinds[fabric.KindReread] != 1 || kinds[fabric.KindLocked]+kinds[fabric.KindDrifted] > 0 {
		t.Errorf("recorded %v, expected one leaf to be unread, and read again", kinds)
	}
	// Its ports are proven as soon as they carry what they should; the routes of other
	// leaves come when BGP has them again.
	check(t, await.Until(ctx, "leaves to say what they said before", func() (string, bool) {
		other := changed(tables, b.tables(t))
		return fmt.Sprint(other), len(other) == 0
	}))
	b.same(t, "with FRR back", tables, fences)
	b.apart(t)
}

// leasesAre expects a verdict of every lease that is handed over, and its slots to be
// billed so.
func (b *badDays) leasesAre(t *testing.T, when string, verdict prove.Verdict, state meter.SlotState) {
	t.Helper()
	billed := map[lease.ID]meter.SlotState{}
	b.Plane.View(func(s *book.State) {
		for _, l := range s.Leases {
			if l.Delivered > 0 {
				billed[l.ID] = l.Events[len(l.Events)-1].State
			}
		}
	})
	if len(billed) == 0 {
		t.Fatal("no lease is handed over")
	}
	for id, is := range billed {
		if got, known := b.Plane.Isolation(id); !known || got.Verdict != verdict || is != state {
			t.Errorf("%s: %s is %s, billed as %s: expected %s, %s", when, id, got.Verdict, is, verdict, state)
		}
	}
}

var (
	errCut  = errors.New("the link is cut")
	errLost = errors.New("the answer is lost")
)

// cutAt cuts a leaf's link to the management network when it is next called so, and
// returns whether that has happened.
func (b *badDays) cutAt(t *testing.T, leaf, call string) *atomic.Bool {
	done := &atomic.Bool{}
	b.on(func(_ context.Context, at, is string) error {
		if at != leaf || is != call || !done.CompareAndSwap(false, true) {
			return nil
		}
		if err := b.Net.SetManaged(leaf, false); err != nil {
			t.Error(err)
		}
		b.setCut(leaf, true)
		switch is {
		case callWrite:
			return errCut // once sent, it would arrive when the link is mended
		case wasWritten:
			return errLost // it was on its way
		}
		return nil
	})
	return done
}

// unreachableAtEachStep: nodes go from one rival to the other, and a leaf of theirs is
// out of reach at each call of the change in turn, taking away and giving: when the
// fence is shown, when it is written, when the answer comes, when it is asked for
// changes, and when it is read back. What hangs on it is not released, nor handed
// over; what does not goes on; when the leaf is back the change goes on where it was.
// Proving needs no call of its own: it is done on what was read.
func (b *badDays) unreachableAtEachStep(t *testing.T) {
	ctx := await.Context(t)
	move := b.Nodes(stage.Tenants[0])
	// The leaf of a scalable unit in which all nodes change hands; the others of the
	// lease are elsewhere.
	var here, there []site.Index
	full := b.Site.NodeSU[move[len(move)-1]]
	for _, n := range move {
		if b.Site.NodeSU[n] == full {
			here = append(here, n)
		} else {
			there = append(there, n)
		}
	}
	if len(here) < 2 || len(there) == 0 {
		t.Fatalf("the lease's nodes are %v, expected some in each of two scalable units", move)
	}
	leaf := b.Site.LeafID(b.Site.LeafOf(site.PortOf(here[0], 0)))
	states := func(nodes []site.Index) map[node.State]int {
		out := map[node.State]int{}
		b.Plane.View(func(s *book.State) {
			for _, n := range nodes {
				out[s.Nodes.State[n]]++
			}
		})
		return out
	}
	before := b.labels()
	// each lives through a change that is due now, the leaf out of reach at each call in turn.
	each := func(doing string, held node.State, first func()) {
		t.Helper()
		for i, call := range []string{callAdmit, callWrite, wasWritten, callChanges, callRead} {
			cut := b.cutAt(t, leaf, call)
			if i == 0 {
				first()
			} else {
				check(t, b.Live(ctx, time.Hour, time.Hour))
			}
			if !cut.Load() {
				t.Fatalf("%s: there was no call %q to %s", doing, call, leaf)
			}
			if got := states(here); got[held] != len(here) {
				t.Fatalf("%s, with %s out of reach at %q: nodes behind it are %v, expected all %s", doing, leaf, call, got, held)
			}
			if call == callWrite || call == wasWritten { // the others have it, this one not; and all have it
				b.inOneSlice(t, doing+", "+call, before)
			}
			b.on(nil)
			b.mend(t, leaf)
		}
	}
	each("taking away", node.Reclaiming, func() { b.until(t, day(3, 0)); check(t, b.Live(ctx, time.Hour, time.Hour)) })
	if got := states(there); got[node.Reclaiming] > 0 {
		t.Errorf("nodes behind other leaves are %v: they had nothing to wait for", got)
	}
	check(t, b.Live(ctx, 6*time.Hour, time.Hour))
	if got := states(move); got[node.Ready] != len(move) {
		t.Fatalf("with the leaf back nodes are %v, expected all %d to be free and clean", got, len(move))
	}
	each("giving", node.Reserved, func() { b.until(t, day(4, 0)); b.until(t, day(6, 2)) })
	if got := states(there); got[node.Delivered] != len(there) {
		t.Errorf("nodes behind other leaves are %v: they had nothing to wait for", got)
	}
	check(t, b.Live(ctx, 2*time.Hour, time.Hour))
	if got := states(move); got[node.Delivered] != len(move) {
		t.Fatalf("with the leaf back nodes are %v, expected all %d to be handed over", got, len(move))
	}
	b.proven(t)
	b.apart(t)
}
