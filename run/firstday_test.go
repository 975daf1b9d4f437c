package run_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/ledger/memory"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage"
)

// large is the tiny site with a hall more, of SUs that don't fit into one command.
func large(t *testing.T, pods int) *site.Template {
	t.Helper()
	text, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hall strings.Builder
	hall.WriteString("  - id: hall-e\n    phase: p3\n    pods:\n")
	for i := range pods {
		fmt.Fprintf(&hall, "      - {id: e%d, fabric: roce, kind: H200, nodes: 64, sus: 8}\n", i)
	}
	text = bytes.Replace(text, []byte("\ntotals: {gpus: 512, nodes: 64, sus: 8, pods: 5, halls: 4}\n"),
		fmt.Appendf([]byte(hall.String()), "\ntotals: {gpus: %d, nodes: %d, sus: %d, pods: %d, halls: 5}\n", 512+512*pods, 64+64*pods, 8+8*pods, 5+pods), 1)
	template, err := site.ParseTemplate("large", text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// nodesOf is how many nodes a plane's site has.
func nodesOf(p *run.Plane) (n int) {
	p.View(func(s *book.State) {
		if s.Site != nil {
			n = s.Site.Nodes()
		}
	})
	return n
}

func staged(p *run.Plane) (sus int) {
	p.View(func(s *book.State) {
		if s.Staged != nil {
			sus = len(s.Staged.SUs)
		}
	})
	return sus
}

// TestImportIsWholeForTheLoop imports a site in front of devices that are all there,
// and lets the loop look after every part of it, as a server's does: it sees the site
// of before, or the whole. Interrupted, and with another writer, the import goes on
// where it ended; with another file it begins anew. Growth is the same, and what is new is read back at once.
func TestImportIsWholeForTheLoop(t *testing.T) {
	ctx := context.Background()
	w, tiny := newWorld(t)
	template := large(t, 9)
	var err error
	if w.sim, err = sim.FromTemplate(template, sim.DefaultConfig(1, begin)); err != nil {
		t.Fatal(err)
	}
	p := w.open(t)
	interrupted := func(before int) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return p.Import(ctx, template, func(int, int) {
			if err := p.Tick(context.Background()); err != nil {
				t.Fatal(err)
			}
			if n := nodesOf(p); n != before {
				t.Fatalf("in the middle of the import the site has %d nodes, expected the %d of before", n, before)
			}
			cancel()
		})
	}
	if err := interrupted(0); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if got := staged(p); got != 32 {
		t.Errorf("%d scalable units are staged, expected 32", got)
	}
	if err := p.SaveSnapshot(ctx); err != nil {
		t.Fatal(err)
	}
	p = w.open(t) // the writer after a crash
	if err := p.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	if n, s := nodesOf(p), staged(p); n != 0 || s != 32 {
		t.Errorf("a new writer has %d nodes and %d staged, expected 0 and 32", n, s)
	}
	// A smaller file makes the site, and what was staged of the other is forgotten.
	if err := p.Import(ctx, tiny, nil); err != nil {
		t.Fatal(err)
	}
	if n, s := nodesOf(p), staged(p); n != 64 || s != 0 {
		t.Errorf("%d nodes, %d staged, expected 64 and 0", n, s)
	}
	w.live(t, p, 3)
	if unknown, _ := unknowns(p); unknown != 0 {
		t.Errorf("%d ports are unknown before the growth", unknown)
	}
	if err := interrupted(64); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted growth: %v", err)
	}
	p = w.open(t)
	entries := func() (n uint64) { p.View(func(s *book.State) { n = s.Seq }); return n }
	before := entries()
	told := 0
	if err := p.Import(ctx, template, func(int, int) { told++ }); err != nil {
		t.Fatal(err)
	}
	if n := nodesOf(p); n != 64+9*64 || told != 2 || entries() != before+2 {
		t.Errorf("%d nodes, in %d steps and %d entries: expected 640, and to go on after the first of three batches", n, told, entries()-before)
	}
	// New leaves were there before the import, and are read all the same.
	w.live(t, p, 1)
	if unknown, _ := unknowns(p); unknown != 0 {
		t.Errorf("%d ports of the new hall are unknown", unknown)
	}
	w.told(t)
}

// liars are drivers that say whatever a seed makes them say.
type liars struct {
	random *rand.Rand
	site   *site.Site
}

// number is an index that may be one, the first that is not, or anything.
func (l *liars) number(count int) uint32 {
	switch l.random.IntN(5) {
	case 0:
		return uint32(count)
	case 1:
		return l.random.Uint32()
	case 2:
		return uint32(count) + l.random.Uint32N(1000)
	}
	return l.random.Uint32N(uint32(count))
}

func (l *liars) time() time.Time {
	switch l.random.IntN(6) {
	case 0:
		return time.Time{}
	case 1:
		return time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -23*3600)).UTC() // the year 10000
	case 2:
		return time.Unix(0, int64(l.random.Uint64()))
	}
	return begin
}

func (l *liars) text() string {
	return []string{"", "a1-su01-n01", "x\x00\xff\xfe", strings.Repeat("long ", 10_000), "discovered/../", "acme/data"}[l.random.IntN(6)]
}

type liar struct {
	fabric.Driver
	*liars
}

// Observe implements fabric.Driver: real readings, of the wrong leaves, cut, changed, or twice.
func (d *liar) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	o, err := d.Driver.Observe(ctx, fabric.Scope{})
	if err != nil {
		return o, err
	}
	o.Cursor, o.At = d.random.Uint64(), d.time()
	for i := range o.Devices {
		r := &o.Devices[i]
		switch d.random.IntN(6) {
		case 0:
			r.Leaf = site.Leaf(d.number(d.site.Leaves()))
		case 1:
			r.Leaf, r.Reachable = site.Leaf(d.number(d.site.Leaves())), false
		case 2:
			r.Raw = r.Raw[:d.random.IntN(len(r.Raw)+1)]
		case 3:
			r.Raw = bytes.Clone(r.Raw)
			for range 3 {
				if len(r.Raw) > 0 {
					r.Raw[d.random.IntN(len(r.Raw))] = byte(d.random.Uint32())
				}
			}
		case 4:
			r.Raw, r.At = o.Devices[d.random.IntN(len(o.Devices))].Raw, d.time()
		}
	}
	return o, nil
}

// Apply implements fabric.Driver.
func (d *liar) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	r, err := d.Driver.Apply(ctx, c, f)
	for range d.random.IntN(5) {
		r.Failed = append(r.Failed, fabric.PortError{Port: site.Port(d.number(d.site.Ports())), Error: d.text()})
	}
	return r, err
}

// Posture implements fabric.Postured.
func (d *liar) Posture(context.Context) (fabric.Posture, error) {
	p := fabric.Posture{At: d.time()}
	for range d.random.IntN(4) {
		p.Items = append(p.Items, fabric.PostureItem{Name: d.text(), OK: d.random.IntN(2) == 0, Grade: d.text(), Evidence: d.text()})
	}
	return p, nil
}

type lyingNodes struct {
	node.Driver
	*liars
}

// Observe implements node.Driver.
func (d *lyingNodes) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	o, err := d.Driver.Observe(ctx, 0)
	o.Cursor = since + d.random.Uint64N(3)
	for range 10 {
		o.Reports = append(o.Reports, node.Report{Node: site.Index(d.number(d.site.Nodes())), At: d.time(), Error: d.text(), OK: d.random.IntN(2) == 0,
			Health: &node.Health{Class: d.text(), Alive: d.random.IntN(2) == 0, Failed: d.random.IntN(2) == 0, Detail: d.text()}})
	}
	for i := range o.Reports {
		r := &o.Reports[i]
		switch d.random.IntN(8) {
		case 0:
			r.Node = site.Index(d.number(d.site.Nodes()))
		case 1:
			r.Raw = []byte(d.text())
		case 2:
			r.Raw = bytes.Clone(r.Raw)
			if len(r.Raw) > 0 {
				r.Raw[d.random.IntN(len(r.Raw))] = byte(d.random.Uint32())
			}
		}
	}
	return o, err
}

type lyingStorage struct {
	storage.Driver
	*liars
}

// Observe implements storage.Driver.
func (d *lyingStorage) Observe(ctx context.Context) (storage.Observation, error) {
	o, err := d.Driver.Observe(ctx)
	for i := range o.Grants {
		if d.random.IntN(3) == 0 {
			o.Grants[i].Since = d.time()
		}
	}
	for range 3 {
		o.Mounts = append(o.Mounts, storage.Grant{Volume: storage.VolumeID(d.text()), Principal: storage.Principal(d.text()), Since: d.time()})
	}
	return o, err
}

// Provision implements storage.Driver.
func (d *lyingStorage) Provision(ctx context.Context, s storage.VolumeSpec) (storage.Volume, error) {
	v, err := d.Driver.Provision(ctx, s)
	if d.random.IntN(2) == 0 {
		v.Created, v.Backend = d.time(), d.text()
	}
	return v, err
}

// seedsOfLiars is how many ways of lying are tried.
const seedsOfLiars = uint64(3)

// TestWhateverADriverSays: drivers that lie about everything, seed by seed, before and
// while a lease is handed over, of a site that has more than the ledger: nothing panics, and the
// plane goes on and can be opened again.
func TestWhateverADriverSays(t *testing.T) {
	ctx := context.Background()
	for seed := range seedsOfLiars {
		w, tiny := newWorld(t)
		template := large(t, 1)
		var err error
		if w.sim, err = sim.FromTemplate(template, sim.DefaultConfig(seed, begin)); err != nil {
			t.Fatal(err)
		}
		w.log = memory.New()
		number := uint64(0)
		lies := func() *liars { // each has its own, as they are asked at once
			number++
			return &liars{random: rand.New(rand.NewPCG(seed, number)), site: w.sim.Site()}
		}
		devices := run.Devices{Fabrics: map[string]fabric.Driver{}, Nodes: &lyingNodes{w.sim.Nodes(), lies()}, Storage: &lyingStorage{w.sim.Storage(), lies()}}
		for _, f := range w.sim.Site().Fabrics {
			devices.Fabrics[f.ID] = &liar{w.sim.Fabrics()[f.ID], lies()}
		}
		open := func() *run.Plane {
			p, err := run.Open(ctx, run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Devices: devices, Shards: 1, Audit: book.CheckInvariants})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			return p
		}
		p := open()
		if err := p.Import(ctx, tiny, nil); err != nil {
			t.Fatal(err)
		}
		w.sell(t, p)
		for range 3 {
			w.live(t, p, 6)
			p = open()
		}
		if broken := p.Broken(); broken != nil {
			t.Fatalf("seed %d: %v", seed, broken)
		}
	}
}
