package evpn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// Source is what receipts of this driver say.
const Source = "leaf agent"

// LeafTable is how many VNIs a row may give a port.
const LeafTable = 32

// Device is one leaf, as its agent is asked. Its calls may come from several
// goroutines at once, and end with their context.
type Device interface {
	// Changes returns a number that is another whenever something of the leaf may
	// have changed that Read would show, and another again after a restart.
	Changes(ctx context.Context) (uint64, error)
	// Await returns nil as soon as Changes would return another number than this one,
	// and an error when the context ended before, or the leaf does not answer.
	Await(ctx context.Context, number uint64) error
	// Read returns what the leaf says of itself; the routes are the collector's.
	Read(ctx context.Context) (ethernet.Capture, error)
	// Admit shows the leaf a fence; it refuses an older one (fabric.ErrFenced).
	Admit(ctx context.Context, f fabric.Fence) error
	// Write makes ports carry rows, by leaf port number. What fails is named by
	// port; an error says that nothing was written.
	Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (failed map[int]string, err error)
}

// Routes is what a collector beside the leaves has heard.
type Routes interface {
	// Routes returns the routes of a leaf; seen is false where nobody can say.
	Routes(vtep netip.Addr) (routes []ethernet.Route, seen bool)
	// Changed returns the next hops whose routes, or whether they are seen, changed
	// after a cursor, and the cursor for the next call. all says that the cursor was
	// of no use: then those are the ones that have routes, and no other has any.
	Changed(since uint64) (vteps []netip.Addr, cursor uint64, all bool)
	// Complete reports whether some reflector has sent all that it has: then a leaf
	// without routes announces nothing, or has lost its session there.
	Complete() bool
	// All reports whether every reflector has: then a leaf without routes announces
	// nothing to anybody, and the other leaves don't know of it.
	All() bool
	// Signal receives a value after something changed; several changes may give one.
	Signal() <-chan struct{}
}

// Driver drives one Ethernet fabric of a site.
type Driver struct {
	Site   *site.Site
	Fabric int // index into Site.Fabrics
	Leaves map[site.Leaf]Device
	Routes Routes
	// Reflectors are the route reflectors that have an agent, by address. None: what
	// they pass on is their configuration's, and nothing is said of it.
	Reflectors map[netip.Addr]Reflector
	Origin     claim.Origin
	Bound      time.Duration // longest that one leaf may take; 0: 10 s
	Window     int           // leaves asked at once; 0: 64
	// Patience is how long routes may take from a leaf to the collector; 0: 2 s.
	Patience time.Duration
	// Learning is how long a leaf may take to learn of another, or to forget it, before it
	// is said to know too little: routes come to the collector and to the leaves in no
	// order, and FRR gathers changes before it acts; 0: 10 s.
	Learning time.Duration
	Hear     time.Duration    // longest that a reflector may take to say what it passes on; 0: 3 s, or Bound
	Clock    func() time.Time // nil: time.Now

	numbering sync.Once
	number    claim.Digest

	writing sync.Mutex
	fences  fences

	reading   sync.Mutex
	first     uint64 // cursors below it are from before a restart
	cursor    uint64
	routes    uint64 // cursor of Routes
	complete  bool   // what Routes said of itself last
	known     map[site.Leaf]*leafState
	passed    map[netip.Addr]passed // by reflector
	members   members
	strangers map[netip.Addr]bool // next hops of routes, now or before, that are no leaf
}

// leafState is what was read of a leaf last.
type leafState struct {
	device    uint64 // its change number
	raw       []byte
	silent    bool     // it did not answer last
	stale     bool     // its routes changed since
	changed   uint64   // cursor
	announced []uint32 // VNIs, ascending, when it was read last
	carries   []uint32 // VNIs that it has ports in, likewise
	absent    map[absent]time.Time
	again     time.Time // when it is read again to tell whether it has learnt; zero: it is not
}

func (d *Driver) fabric() site.Fabric { return d.Site.Fabrics[d.Fabric] }

func (d *Driver) now() time.Time {
	if d.Clock != nil {
		return d.Clock()
	}
	return time.Now()
}

func (d *Driver) bound() time.Duration {
	if d.Bound == 0 {
		return 10 * time.Second
	}
	return d.Bound
}

// Capabilities implements fabric.Driver. A call touches its leaves at once, so it
// takes as long as the slowest, twice where the fence is new.
func (d *Driver) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	return fabric.Capabilities{Fabric: d.fabric().ID, Family: site.RoCE, LeafTable: LeafTable, Atomic: "port",
		Fencing: fabric.FencedByDevice, Deadline: 3 * d.bound(), Origin: d.Origin, Wakeful: true, Numbering: d.numbered()}, ctx.Err()
}

func (d *Driver) numbered() claim.Digest {
	d.numbering.Do(func() { d.number = fabric.Numbering(d.Site, d.Fabric) })
	return d.number
}

// Plan implements fabric.Driver.
func (d *Driver) Plan(desired []fabric.PortRow, observed *fabric.Tables) (fabric.Change, error) {
	return fabric.Plan(d.fabric().ID, desired, observed)
}

func (d *Driver) checkPorts(ports []site.Port) error {
	for _, p := range ports {
		if err := fabric.OwnPort(d.Site, d.Fabric, p); err != nil {
			return err
		}
		if d.Leaves[d.Site.LeafOf(p)] == nil {
			return fmt.Errorf("fabric %s: port %s: no agent is known for leaf %s: %w", d.fabric().ID, d.Site.PortName(p), d.Site.LeafID(d.Site.LeafOf(p)), fabric.ErrUnknownPort)
		}
	}
	return nil
}

// Apply implements fabric.Driver.
func (d *Driver) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	if err := ctx.Err(); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	if err := d.checkPorts(c.Numbers()); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	if err := c.Check(d.fabric().ID, d.numbered(), site.RoCE, LeafTable); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	r := fabric.ApplyReceipt{Change: c.ID, Source: Source}
	var err error
	r.Failed, err = d.write(ctx, c.Ports, f)
	r.Applied = len(c.Ports) - len(r.Failed)
	return r, err
}

// Lockdown implements fabric.Driver: ports become isolated members of the
// quarantine label.
func (d *Driver) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.checkPorts(ports); err != nil {
		return err
	}
	row := fabric.Compile(site.RoCE, fabric.QuarantineLabel(d.fabric().ID, site.RoCE).Value)
	rows := make([]fabric.PortRow, len(ports))
	for i, p := range ports {
		rows[i] = fabric.PortRow{Port: p, Row: row}
	}
	failed, err := d.write(ctx, rows, f)
	errs := []error{err}
	for _, p := range failed {
		errs = append(errs, fmt.Errorf("port %s is not locked down: %s", d.Site.PortName(p.Port), p.Error))
	}
	return errors.Join(errs...)
}

// write sends rows to their leaves, all at once. A fence that some leaf refuses
// refuses the whole before anything is written.
func (d *Driver) write(ctx context.Context, rows []fabric.PortRow, f fabric.Fence) ([]fabric.PortError, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	byLeaf := map[site.Leaf]map[int]fabric.Row{}
	for i := range rows {
		l := d.Site.LeafOf(rows[i].Port)
		if byLeaf[l] == nil {
			byLeaf[l] = map[int]fabric.Row{}
		}
		byLeaf[l][d.Site.LeafPort(rows[i].Port)] = rows[i].Row
	}
	leaves := slices.Sorted(maps.Keys(byLeaf))
	unreachable, err := d.admit(ctx, leaves, f)
	if err != nil {
		return nil, err
	}
	// Reflectors pass on what a port will carry before it does, and no longer what it
	// carried when it has ended.
	if err := d.allow(ctx, rows, true, f); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var failed []fabric.PortError
	var fenced error
	d.each(ctx, leaves, func(ctx context.Context, l site.Leaf) {
		lost, err := map[int]string(nil), unreachable[l]
		if err == nil {
			lost, err = d.Leaves[l].Write(ctx, byLeaf[l], f)
		}
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, fabric.ErrFenced) {
			fenced = err
		}
		for number := range byLeaf[l] {
			why, bad := lost[number]
			if err != nil {
				why, bad = err.Error(), true
			}
			if port, known := d.Site.PortAt(l, number); bad && known {
				failed = append(failed, fabric.PortError{Port: port, Error: why})
			}
		}
	})
	if fenced != nil {
		return nil, fenced
	}
	written := slices.DeleteFunc(slices.Clone(rows), func(r fabric.PortRow) bool {
		return slices.ContainsFunc(failed, func(e fabric.PortError) bool { return e.Port == r.Port })
	})
	if err := d.allow(ctx, written, false, f); err != nil {
		return nil, err
	}
	slices.SortFunc(failed, func(a, b fabric.PortError) int { return int(a.Port) - int(b.Port) })
	return failed, nil
}

// admit shows a fence to the leaves that are to be written, and one of a new writer, or
// one that is only to be shown, to every leaf of the fabric, so that what an older writer still sends is refused
// everywhere that can be reached. Leaves that do not answer are returned, and are
// shown it when they answer again.
func (d *Driver) admit(ctx context.Context, leaves []site.Leaf, f fabric.Fence) (unreachable map[site.Leaf]error, err error) {
	newest := d.fences.newest()
	if err := f.Admit(newest); err != nil {
		return nil, err
	}
	if f.Writer() != newest.Writer() || len(leaves) == 0 { // nothing to write: it is only to be shown
		leaves = slices.Sorted(maps.Keys(d.Leaves))
	}
	unreachable = map[site.Leaf]error{}
	var mu sync.Mutex
	d.each(ctx, leaves, func(ctx context.Context, l site.Leaf) {
		why := d.Leaves[l].Admit(ctx, f)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(why, fabric.ErrFenced):
			err = why
		case why != nil:
			unreachable[l] = why
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		d.fences.shown(f, leaves, unreachable)
	}
	return unreachable, err
}

// each does one thing for several leaves, Window of them at a time, each with its
// own deadline.
func (d *Driver) each(ctx context.Context, leaves []site.Leaf, do func(context.Context, site.Leaf)) {
	window := d.Window
	if window == 0 {
		window = 64
	}
	slots := make(chan struct{}, window)
	var wait sync.WaitGroup
	for _, l := range leaves {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			bounded, cancel := context.WithTimeout(ctx, d.bound())
			defer cancel()
			do(bounded, l)
		})
	}
	wait.Wait()
}

var _ fabric.Driver = (*Driver)(nil)
