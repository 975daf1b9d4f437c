package run_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

var oneSeed = flag.Uint64("seed", 0, "run this seed of the simulator alone, and say what happens")

// TestSeeds lives through some days of a small site for each of many seeds: devices
// that fail, lie, hang and are mis-configured, people who cordon, repair, pause
// and answer, a machine's clock that is set wrong for a while, and a control plane that is dropped and opened again. After every
// entry the invariants of the book must hold; at the end the ledger must fold to
// the same state again, from its beginning and from a snapshot, and every
// tenant's bundle must verify. BULKHEAD_SEEDS says how many.
func TestSeeds(t *testing.T) {
	if *oneSeed != 0 {
		if err := live(*oneSeed, t.Logf); err != nil {
			t.Fatal(err)
		}
		return
	}
	seeds := 200
	if text := os.Getenv("BULKHEAD_SEEDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("BULKHEAD_SEEDS=%q: expected a number", text)
		}
		seeds = n
	}
	if testing.Short() {
		seeds = min(seeds, 20)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many short lives
	var next, failed atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := next.Add(1); seed <= int64(seeds) && failed.Load() < 5; seed = next.Add(1) {
				if err := live(uint64(seed), func(string, ...any) {}); err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v\n  reproduce it: go test ./run -run TestSeeds -seed %d -v", seed, err, seed)
				}
			}
		})
	}
	wait.Wait()
	var counts []string
	for i, name := range happenings {
		n := happened[i].Load()
		counts = append(counts, fmt.Sprintf("%d %s", n, name))
		if n == 0 && seeds >= 200 {
			t.Errorf("in %d seeds %s never happened", seeds, name)
		}
	}
	if seeds >= 200 && lates.Load()*twices.Load()*nevers.Load() == 0 {
		t.Errorf("of the answers in %d seeds %d came late, %d twice, %d never", seeds, lates.Load(), twices.Load(), nevers.Load())
	}
	if seeds >= 200 && jumped.Load() == 0 {
		t.Errorf("in %d seeds no clock was set wrong", seeds)
	}
	if seeds >= 200 && defragmented.Load() == 0 {
		t.Errorf("in %d seeds no lease was spread", seeds)
	}
	if seeds >= 100 && (silences.Load() == 0 || withdrawn.Load() == 0) {
		t.Errorf("in %d seeds %d nodes fell silent and %d replacements were withdrawn", seeds, silences.Load(), withdrawn.Load())
	}
	t.Logf("%d seeds, %d entries, %d proposals to move nodes, each followed by the invariants; %d nodes fell silent, %d replacements withdrawn; opened again %d times; of the answers %d late, %d twice, %d never; %d clocks set wrong; %s",
		seeds, audited.Load(), defragmented.Load(), silences.Load(), withdrawn.Load(), reopened.Load(), lates.Load(), twices.Load(), nevers.Load(), jumped.Load(), strings.Join(counts, ", "))
}

// happenings are what fate or people may do, by number.
var happenings = [...]string{"liars", "hangs", "leaves down", "ports mis-configured", "ports unenforced", "read-backs poisoned", "all cleared",
	"cordons", "pauses", "resumptions", "brake releases", "repairs", "repeated ids", "vendor failures", "dead nodes", "ports that take nothing",
	"ports mis-cabled", "stray grants", "notices", "slips", "stale generations", "snapshots", "defragmentations", "acknowledgements"}

// What happened over all seeds.
var (
	happened          [len(happenings)]atomic.Int64
	audited, reopened atomic.Int64
	defragmented      atomic.Int64

	lates, twices, nevers atomic.Int64 // answers of drivers
	silences, withdrawn   atomic.Int64
)

func audit(s *book.State) error {
	audited.Add(1)
	return book.CheckInvariants(s)
}

// bundleEvery is for how many seeds one has its tenants' bundles written and
// verified: that costs as much as two lives.
const bundleEvery = 10

// restoreEvery is for how many seeds one has its end restored from a snapshot;
// seeds that open from a snapshot in the middle do so besides.
const restoreEvery = 4

// shape is the site that a seed lives on.
type shape struct {
	folder string
	widen  bool // twice the nodes
	trays  bool // of half as many GPUs
	days   int
	grace  bool // silent nodes have hours: many come back before they count as dead
}

// shapeOf gives most seeds 64 nodes, one in 16 128, and one in 64 256, and one more
// 256 of 4 GPUs each.
// Every second seed is patient with silent nodes.
func shapeOf(seed uint64) shape {
	grace := seed%2 == 0
	switch {
	case seed%64 == 63:
		return shape{"small", true, false, 1, grace}
	case seed%64 == 30:
		return shape{"small", true, true, 1, grace}
	case seed%16 == 15:
		return shape{"small", false, false, 1, grace}
	}
	return shape{"tiny", false, false, 2, grace}
}

var templates sync.Map // by shape; templates are only read

func (s shape) template() (*site.Template, error) {
	if t, known := templates.Load(s); known {
		return t.(*site.Template), nil
	}
	data, err := examples.Files.ReadFile(s.folder + "/site.yaml")
	if err != nil {
		return nil, err
	}
	if s.widen {
		data = []byte(strings.NewReplacer("nodes: 16, sus: 2", "nodes: 32, sus: 4", "nodes: 8, sus: 1", "nodes: 16, sus: 2",
			"{gpus: 1024, nodes: 128, sus: 16,", "{gpus: 2048, nodes: 256, sus: 32,").Replace(string(data)))
	}
	if s.trays {
		data = []byte(strings.NewReplacer("firmware: 96.00.CF.00.01}", "firmware: 96.00.CF.00.01, count: 4}", "firmware: 96.00.D9.00.02}", "firmware: 96.00.D9.00.02, count: 4}",
			"{gpus: 2048,", "{gpus: 1024,").Replace(string(data)))
	}
	if s.grace {
		data = []byte(strings.NewReplacer("  silence-grace: 5m ", "  silence-grace: 3h ").Replace(string(data)))
		if !strings.Contains(string(data), "silence-grace") {
			data = []byte(strings.Replace(string(data), "policy:\n", "policy:\n  silence-grace: 3h\n", 1))
		}
	}
	t, err := site.ParseTemplate(s.folder+"/site.yaml", data)
	if err == nil {
		templates.Store(s, t)
	}
	return t, err
}

// nicOf draws a NIC of a node.
func (l *life) nicOf(n site.Index) int {
	nics := l.devices.Site().NICsOf(n)
	return nics[l.random.IntN(len(nics))]
}

// life is one seed's world.
type life struct {
	random  *rand.Rand
	silence *rand.Rand // which nodes fall silent, when and for how long
	source  *rand.ChaCha8
	devices *sim.Sim
	clock   *run.VirtualClock // what time it is
	wrong   *wrongClock       // what the control plane's machine shows
	log     ledger.Log
	keys    *keystore.Store
	plane   *run.Plane
	fates   *rand.Rand // what becomes of drivers' answers; nil: they come at once
	opened  int
	say     func(string, ...any)
}

var seedStart = time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC)

func live(seed uint64, say func(string, ...any)) error {
	ctx := context.Background()
	l := &life{random: rand.New(rand.NewPCG(seed, 1)), silence: rand.New(rand.NewPCG(seed, 2)), source: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}), say: say,
		clock: run.NewVirtualClock(seedStart), log: memory.New()}
	if seed%4 == 2 {
		l.fates = rand.New(rand.NewPCG(seed, 3))
	}
	shape := shapeOf(seed)
	template, err := shape.template()
	if err != nil {
		return err
	}
	l.wrong = newWrongClock(seed, l.clock)
	config := sim.DefaultConfig(seed, seedStart)
	config.FailureRate *= l.random.Float64() * 60
	config.DeadShare, config.LiarShare, config.SlowShare = l.random.Float64()*0.02, l.random.Float64()*0.02, l.random.Float64()*0.05
	if l.devices, err = sim.FromTemplate(template, config); err != nil {
		return err
	}
	if l.keys, err = keystore.InMemory(l.source, seedStart); err != nil {
		return err
	}
	if err := l.open(ctx); err != nil {
		return err
	}
	if err := l.plane.Import(ctx, template, nil); err != nil {
		return err
	}
	for _, name := range []string{"flagship", "tidewater", "research"} {
		c, err := parse(shape.folder+"/"+name+".yaml", contract.Parse)
		if err != nil {
			return err
		}
		if err := l.submit(ctx, "register "+name, book.RegisterTenant{Tenant: c.Tenant, Name: name}); err != nil {
			return err
		}
		if _, err := l.plane.Quote(ctx, name, c, 0); err != nil {
			return err
		}
		if err := l.submit(ctx, "sign "+name, book.SignQuote{Quote: name, By: "test", Signed: contract.ByTenant("test")}); err != nil {
			return err
		}
	}
	poll := time.Duration(30+l.random.IntN(60)) * time.Minute
	days := shape.days + l.random.IntN(shape.days)
	for now := seedStart; now.Before(seedStart.AddDate(0, 0, days)); now = now.Add(poll) {
		if err := l.devices.Advance(ctx, now); err != nil {
			return err
		}
		l.clock.Set(now)
		if err := l.wrong.before(ctx, l); err != nil {
			return err
		}
		if l.random.IntN(8) == 0 {
			if err := l.happen(ctx); err != nil {
				return fmt.Errorf("%s: %w", now.Format(time.DateTime), err)
			}
		}
		if err := l.fallSilent(ctx, now); err != nil {
			return err
		}
		if err := l.tick(ctx); err != nil {
			return fmt.Errorf("%s: %w", now.Format(time.DateTime), err)
		}
		if err := l.wrong.after(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", now.Format(time.DateTime), err)
		}
		if why := l.plane.ReadOnly(); why != nil {
			return fmt.Errorf("%s: the only writer is read-only: %w", now.Format(time.DateTime), why)
		}
		if l.random.IntN(100) == 0 {
			if err := l.rival(ctx); err != nil {
				return fmt.Errorf("%s: %w", now.Format(time.DateTime), err)
			}
			if err := l.open(ctx); err != nil {
				return fmt.Errorf("%s: reopened: %w", now.Format(time.DateTime), err)
			}
		}
	}
	return l.end(ctx, seed)
}

func parse[T any](path string, parse func(string, []byte) (T, error)) (T, error) {
	data, err := examples.Files.ReadFile(path)
	if err != nil {
		var none T
		return none, err
	}
	return parse(path, data)
}

// open opens a control plane on the ledger; what another had in memory is gone.
func (l *life) open(ctx context.Context) (err error) {
	if l.opened++; l.opened > 1 {
		reopened.Add(1)
	}
	l.say("%s: the control plane opens, for the %d. time", l.clock.Now().Format(time.DateTime), l.opened)
	l.plane, err = run.Open(ctx, run.Config{
		Log: l.log, Signers: l.keys, Clock: l.wrong, Mark: l.wrong.mark, Salt: l.source, Writer: "seed", Shards: 1, Audit: audit,
		Lineage: named("5eed"), Run: fmt.Sprintf("%x", l.opened),
		Devices: run.Devices{Fabrics: l.devices.Fabrics(), Nodes: l.devices.Nodes(), Storage: l.devices.Storage()}, Fate: l.fate(),
	})
	return err
}

// fate draws what becomes of the answers of drivers: some are late, so that they are
// heard after others or after the plane has gone on, some come twice, some never.
func (l *life) fate() func(lane, what string) run.Fate {
	if l.fates == nil {
		return nil
	}
	return func(lane, what string) (f run.Fate) {
		switch l.fates.IntN(40) {
		case 0, 1, 2:
			f.Late = time.Duration(1+l.fates.IntN(120)) * time.Minute
			lates.Add(1)
		case 3:
			f.Twice = true
			twices.Add(1)
		case 4:
			f.Never = true
			nevers.Add(1)
		}
		return f
	}
}

// rival opens a control plane over a copy of the ledger at the same devices. It must step
// down at its first look and append nothing after its term began; the one that lives on
// must not notice, which its next looks show.
func (l *life) rival(ctx context.Context) error {
	log, err := copyLog(ctx, l.log)
	if err != nil {
		return err
	}
	rival, err := run.Open(ctx, run.Config{Log: log, Signers: l.keys, Clock: l.clock, Writer: "rival", Shards: 1, Lineage: named("c0b1"), Run: "c0b1",
		Devices: run.Devices{Fabrics: l.devices.Fabrics(), Nodes: l.devices.Nodes(), Storage: l.devices.Storage()}})
	if err != nil {
		return err
	}
	began := head(rival)
	if err := rival.Tick(ctx); err != nil {
		return err
	}
	if !steppedDown(rival) || head(rival) != began {
		return fmt.Errorf("a plane over a copy of the ledger: read-only %v, %d entries after its term began", rival.ReadOnly(), head(rival)-began)
	}
	return nil
}

// submit gives a command; a refusal is an answer and not a failure.
func (l *life) submit(ctx context.Context, id string, c book.Command) error {
	_, err := l.plane.Submit(ctx, id, c)
	var refused *book.Refusal
	if errors.As(err, &refused) {
		l.say("%s: refused: %v", l.clock.Now().Format(time.DateTime), err)
		return nil
	}
	return err
}

// fallSilent lets nodes stop answering for a while, now and then several at once, and
// some again and again: before the grace is over they come back, or after it, before
// another node is in their slot, or after it.
func (l *life) fallSilent(ctx context.Context, now time.Time) error {
	if l.silence.IntN(6) > 0 {
		return nil
	}
	for range 1 + l.silence.IntN(3) {
		f := sim.Fault{Kind: sim.Silent, Node: site.Index(l.silence.IntN(l.devices.Site().Nodes())), For: time.Duration(1+l.silence.IntN(500)) * time.Minute}
		for at := now; ; at = at.Add(f.For + time.Duration(1+l.silence.IntN(90))*time.Minute) {
			silences.Add(1)
			if err := l.devices.Inject(ctx, at, f); err != nil {
				return err
			}
			if l.silence.IntN(3) > 0 {
				break
			}
			f.For = time.Duration(1+l.silence.IntN(60)) * time.Minute
		}
	}
	return nil
}

// tick lets the loop look and act, and then asks the devices themselves: no node that
// answers and is well has left its slot by itself.
func (l *life) tick(ctx context.Context) error {
	type slot struct {
		ref  book.SlotRef
		node site.Index
	}
	var were []slot
	l.plane.View(func(s *book.State) {
		for ref, swap := range s.Swaps {
			if _, moves := s.Defrags[ref.Lease]; !moves && s.Nodes.State[swap.Was] == node.Delivered && !s.Nodes.Cordoned[swap.Was] && l.devices.Well(swap.Was) {
				were = append(were, slot{ref, swap.Was})
			}
		}
	})
	if err := l.plane.Tick(ctx); err != nil {
		return err
	}
	var err error
	l.plane.View(func(s *book.State) {
		for _, w := range were {
			_, open := s.Swaps[w.ref]
			switch held, ok := s.LeaseByID(w.ref.Lease); {
			case !ok || !held.Returning.IsZero():
			case held.Slots[w.ref.Slot] != w.node:
				err = fmt.Errorf("slot %d of %s: %s is well and answers, and was swapped", w.ref.Slot, w.ref.Lease, s.Site.NodeID[w.node])
			case open && s.HealthOf(w.node) == book.Healthy && s.Control.Doubt == nil: // what is due waits for a time that is certain
				err = fmt.Errorf("slot %d of %s: %s is well, and is still to be replaced", w.ref.Slot, w.ref.Lease, s.Site.NodeID[w.node])
			case !open:
				withdrawn.Add(1)
			}
		}
	})
	return err
}

// happen lets fate or people do one thing.
func (l *life) happen(ctx context.Context) error {
	now := l.clock.Now()
	n := site.Index(l.random.IntN(l.devices.Site().Nodes()))
	id := l.devices.Site().NodeID[n]
	what := l.random.IntN(len(happenings))
	happened[what].Add(1)
	l.say("%s: event %d at %s", now.Format(time.DateTime), what, id)
	hold := time.Duration(10+l.random.IntN(300)) * time.Minute
	switch what {
	case 0:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Liar, Node: n})
	case 1:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Hangs, Node: n})
	case 2:
		leaf := site.Leaf(l.random.IntN(l.devices.Site().Leaves()))
		for !l.devices.Site().HasLeaf(leaf) {
			leaf = site.Leaf(l.random.IntN(l.devices.Site().Leaves()))
		}
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.LeafDown, Leaf: leaf, For: hold})
	case 3:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Misconfigured, Node: n, NIC: l.nicOf(n), Label: uint32(1 + l.random.IntN(4))})
	case 4:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Unenforced, Node: n, NIC: l.nicOf(n)})
	case 5:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Poisoned, Ports: 1 + l.random.IntN(150), For: hold})
	case 6:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Cleared})
	case 7:
		return l.submit(ctx, "", book.Cordon{Node: id, Lift: l.random.IntN(2) == 0, Reason: "test", By: "test"})
	case 8:
		return l.submit(ctx, "", book.PauseLoop{By: "test", Reason: "test"})
	case 9:
		return l.submit(ctx, "", book.ResumeLoop{By: "test", Reason: "test"})
	case 10:
		return l.submit(ctx, "", book.ReleaseBrake{By: book.Actor{Subject: "second person", Role: "approver"}, Reason: "test"})
	case 11:
		var quarantined []site.Index
		l.plane.View(func(s *book.State) { quarantined = s.Nodes.By[node.Quarantined].Slice() })
		return l.submit(ctx, "", book.SendToRepair{Nodes: quarantined, Reason: "test"})
	case 12: // the same id again, whatever it was
		return l.submit(ctx, "register flagship", book.RegisterTenant{Tenant: "other", Name: "other"})
	case 13:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Fails, Node: n, Class: sim.ReturnToVendor})
	case 14:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Dead, Node: n})
	case 15:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.PortFails, Node: n, NIC: l.nicOf(n), For: hold})
	case 16:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.Miscabled, Node: n, NIC: l.nicOf(n)})
	case 17:
		return l.devices.Inject(ctx, now, sim.Fault{Kind: sim.StrayGrant})
	case 18:
		c := noticeOf("tidewater")
		l.plane.View(func(s *book.State) {
			if out, err := c.Preview(s, now); err == nil {
				c.Confirmed = out.Preview.Digest()
			}
		})
		return l.submit(ctx, "", c)
	case 19:
		return l.submit(ctx, "", book.RescheduleHall{Hall: "hall-d", InService: time.Date(2026, 7, 1+l.random.IntN(20), 0, 0, 0, 0, time.UTC), Reason: "test"})
	case 20: // what somebody decided of a node that has moved on since
		return l.submit(ctx, "", book.IfUnmoved{Node: id, Generation: uint64(l.random.IntN(4)), Command: book.Cordon{Node: id, Reason: "test", By: "test"}})
	case 21: // a new control plane from a snapshot and the entries after it
		if err := l.plane.SaveSnapshot(ctx); err != nil {
			return err
		}
		return l.open(ctx)
	case 22:
		return l.defragment(ctx)
	}
	var refs []book.SlotRef
	l.plane.View(func(s *book.State) {
		for ref := range s.Swaps {
			refs = append(refs, ref)
		}
	})
	for _, ref := range refs {
		if err := l.submit(ctx, "", book.AcknowledgeReplacement{Lease: ref.Lease, Slot: ref.Slot, Actor: officer(ref.Lease)}); err != nil {
			return err
		}
	}
	return nil
}

// defragment proposes to move nodes of a lease, or takes a proposal a step further.
func (l *life) defragment(ctx context.Context) error {
	var id lease.ID
	var open *book.Defrag
	l.plane.View(func(s *book.State) {
		for other, p := range s.Defrags {
			if id == "" || other < id {
				copied := *p
				id, open = other, &copied
			}
		}
		if open == nil && len(s.Leases) > 0 {
			id = s.Leases[l.random.IntN(len(s.Leases))].ID
		}
	})
	switch {
	case open == nil:
		points, err := l.plane.Frontier(id, 1+l.random.IntN(8))
		if err != nil || len(points) < 2 {
			return nil // no lease, or none that is spread
		}
		best := points[len(points)-1]
		defragmented.Add(1)
		return l.submit(ctx, "", book.ProposeDefrag{Lease: id, Moves: best.Moves, After: best.Cost, Reason: "test", By: "operator"})
	case l.random.IntN(6) == 0:
		return l.submit(ctx, "", book.EndDefrag{Lease: id, Proposal: open.Number, Reason: "test", By: "officer"})
	case open.Consented == "":
		return l.submit(ctx, "", book.ConsentDefrag{Lease: id, Proposal: open.Number, By: "officer"})
	}
	return l.submit(ctx, "", book.AcceptDefrag{Lease: id, Proposal: open.Number, By: "approver"})
}

// end checks what must be true of any life.
func (l *life) end(ctx context.Context, seed uint64) error {
	var want claim.Digest
	var err error
	var snapshot []byte
	l.plane.View(func(s *book.State) {
		if want, err = s.Hash(); err == nil {
			snapshot, err = s.Snapshot()
		}
	})
	if err != nil {
		return err
	}
	again := book.New()
	for e, err := range l.log.Read(ctx, 1) {
		if err != nil {
			return err
		}
		if err := book.Apply(again, &e, run.BodiesOf(l.log)); err != nil {
			return err
		}
	}
	folded := map[string]*book.State{"replay": again}
	if seed%restoreEvery == 0 {
		if folded["snapshot"], err = book.Restore(snapshot, run.BodiesOf(l.log)); err != nil {
			return err
		}
	}
	for what, s := range folded {
		if got, err := s.Hash(); err != nil || got != want {
			return fmt.Errorf("%s gives state %s, the writer has %s (%v)", what, got, want, err)
		}
	}
	if seed%bundleEvery != 0 {
		return nil
	}
	for _, tenant := range []string{"flagship", "tidewater", "research"} {
		if _, err := takenHome(ctx, l.plane, l.keys, l.devices.Site().Name, tenant); err != nil {
			return err
		}
	}
	return nil
}
