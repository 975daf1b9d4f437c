// Package fabrictest is what every fabric.Driver must pass.
//
// A driver's own test makes a [Fixture], with the hooks by which the suite
// breaks devices, and calls [Run]. The suite decodes read-back with the packages
// infiniband and ethernet, as the control plane does, and judges a driver by what
// the devices' own bytes say, never by its receipts.
package fabrictest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/lab/drivertest"
	"bulkhead/site"
)

// Fixture is a driver for one fabric of a site, with nothing applied yet, and
// hooks to break its devices. Every hook is required: a driver that cannot be
// broken in a test cannot be trusted when it breaks. The fabric needs at least
// two leaves, and two ports on one of them.
type Fixture struct {
	Driver fabric.Driver
	Site   *site.Site
	Fabric int // index into Site.Fabrics

	// SetReachable cuts a leaf off from the manager, for reading and writing, or
	// brings it back. Its tables stay.
	SetReachable func(leaf site.Leaf, reachable bool)
	// SetFailing makes writes to one port fail, or work again.
	SetFailing func(port site.Port, failing bool)
	// Tamper writes a port's tables behind the driver's back.
	Tamper func(port site.Port, row fabric.Row)
	// Always are members that the manager gives every port, whatever it is asked for:
	// shared ones, as limited members. A closed port reads back with them.
	Always []fabric.Member
	// Settle lets the devices' time pass until what was asked has happened; nil
	// where Apply returns only then.
	Settle func()
}

// Run puts a driver to every demand, each on a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) *Fixture) {
	drivertest.Run(t, demands, func(t *testing.T) *Fixture {
		f := open(t)
		if f.SetReachable == nil || f.SetFailing == nil || f.Tamper == nil {
			t.Fatal("the fixture lacks a hook: SetReachable, SetFailing and Tamper are required")
		}
		return f
	})
}

// demands are in the order in which they build on one another.
var demands = []drivertest.Requirement[*Fixture]{
	{Name: "capabilities", Holds: capabilities},
	{Name: "everything is read back", Holds: readsEverything},
	{Name: "apply is read back", Holds: applies},
	{Name: "apply is idempotent", Holds: idempotent},
	{Name: "plan of what is read back is empty", Holds: plansNothing},
	{Name: "a row replaces all that was there", Holds: replaces},
	{Name: "an older fence is refused", Holds: fences},
	{Name: "one lineage, one writer", Holds: lineages},
	{Name: "reading is another path than writing", Holds: tampering},
	{Name: "a port that fails is named", Holds: partial},
	{Name: "an unreachable leaf is reported", Holds: unreachable},
	{Name: "a change while unreachable shows afterwards", Holds: changedUnseen},
	{Name: "since lists what changed", Holds: since},
	{Name: "a cursor from elsewhere is answered in full", Holds: strangeCursor},
	{Name: "scope limits the leaves", Holds: scoped},
	{Name: "unknown ports are refused", Holds: unknownPorts},
	{Name: "another numbering is refused", Holds: otherNumbers},
	{Name: "rows that open a port are refused", Holds: openRows},
	{Name: "lockdown closes", Holds: lockdown},
	{Name: "lockdown is fenced", Holds: lockdownFenced},
	{Name: "lockdown goes on past a failure", Holds: lockdownPartial},
	{Name: "changes at the same time all arrive", Holds: concurrent},
	{Name: "a change is noticed, or waited for", Holds: awaits},
	{Name: "an ended context is obeyed", Holds: ended},
}

func (f *Fixture) fabric() site.Fabric { return f.Site.Fabrics[f.Fabric] }

func (f *Fixture) ports() []site.Port { return Ports(f.Site, f.Fabric) }

func (f *Fixture) leaves() []site.Leaf {
	var leaves []site.Leaf
	for _, p := range f.ports() {
		if l := f.Site.LeafOf(p); !slices.Contains(leaves, l) {
			leaves = append(leaves, l)
		}
	}
	slices.Sort(leaves)
	return leaves
}

func (f *Fixture) row(value uint32) fabric.Row { return fabric.Compile(f.fabric().Family, value) }

// value returns the i-th label value that tests use.
func (f *Fixture) value(i int) uint32 {
	if f.fabric().Family == site.InfiniBand {
		return uint32(1 + i)
	}
	return uint32(5000 + i)
}

func (f *Fixture) change(value uint32, ports ...site.Port) fabric.Change {
	var rows []fabric.PortRow
	for _, p := range ports {
		rows = append(rows, fabric.PortRow{Port: p, Row: f.row(value)})
	}
	return fabric.NewChange(f.fabric().ID, rows)
}

var firstFence = fabric.Fence{Term: 3, Generation: 10}

// apply carries a change out and expects every port to succeed.
func (f *Fixture) apply(ctx context.Context, c fabric.Change, fence fabric.Fence) error {
	receipt, err := f.Driver.Apply(ctx, c, fence)
	switch {
	case err != nil:
		return fmt.Errorf("apply: %w", err)
	case len(receipt.Failed) > 0:
		return fmt.Errorf("apply: port %d failed: %s", receipt.Failed[0].Port, receipt.Failed[0].Error)
	case receipt.Applied != len(c.Ports):
		return fmt.Errorf("receipt says %d ports applied, expected %d", receipt.Applied, len(c.Ports))
	case receipt.Change != c.ID:
		return fmt.Errorf("receipt is for change %q, expected %q", receipt.Change, c.ID)
	}
	f.settle()
	return nil
}

func (f *Fixture) settle() {
	if f.Settle != nil {
		f.Settle()
	}
}

// observe reads back into new tables, and returns the leaves that answered and
// those that did not.
func (f *Fixture) observe(ctx context.Context, scope fabric.Scope) (seen seen, err error) {
	o, err := f.Driver.Observe(ctx, scope)
	if err != nil {
		return seen, fmt.Errorf("observe: %w", err)
	}
	if o.Cursor == 0 || !o.Fresh || o.At.IsZero() {
		return seen, fmt.Errorf("observation with cursor %d, fresh %t, at %s: expected a cursor above 0, fresh, and a time", o.Cursor, o.Fresh, o.At)
	}
	seen.cursor = o.Cursor
	seen.tables = fabric.NewTables(len(f.Site.PortID))
	for _, d := range o.Devices {
		if slices.Contains(seen.answered, d.Leaf) || slices.Contains(seen.silent, d.Leaf) {
			return seen, fmt.Errorf("leaf %d is listed twice", d.Leaf)
		}
		if !d.Reachable {
			if len(d.Raw) > 0 {
				return seen, fmt.Errorf("leaf %d is unreachable and has a reading", d.Leaf)
			}
			seen.silent = append(seen.silent, d.Leaf)
			continue
		}
		if d.Source == "" || d.At.IsZero() || d.At.After(o.At) {
			return seen, fmt.Errorf("reading of leaf %d: source %q at %s, observed at %s: expected a source and a time not after it", d.Leaf, d.Source, d.At, o.At)
		}
		seen.source = d.Source
		seen.answered = append(seen.answered, d.Leaf)
		readings, err := f.decode(d)
		if err != nil {
			return seen, fmt.Errorf("reading of leaf %d: %w", d.Leaf, err)
		}
		located, strays := fabric.Locate(f.Site, d.Leaf, readings)
		if len(strays) > 0 {
			return seen, fmt.Errorf("reading of leaf %d lists port %d, where no node is", d.Leaf, strays[0].LeafPort)
		}
		for i := range located {
			seen.tables.Set(&located[i])
		}
	}
	slices.Sort(seen.answered)
	return seen, nil
}

type seen struct {
	cursor           uint64
	tables           *fabric.Tables
	answered, silent []site.Leaf
	source           string
}

func (f *Fixture) decode(d fabric.DeviceReading) ([]fabric.Reading, error) {
	if f.fabric().Family == site.InfiniBand {
		return infiniband.Decode(d.Raw)
	}
	return ethernet.Read(f.Site, d.Leaf, d.Raw)
}

// shows expects each port to read back as row says.
func (s *seen) shows(row fabric.Row, ports ...site.Port) error {
	for _, p := range ports {
		r, read := s.tables.Get(p)
		if !read {
			return fmt.Errorf("port %d was not read", p)
		}
		if got := r.Row(); !got.Equal(row) {
			return fmt.Errorf("port %d reads back %s, expected %s", p, got, row)
		}
	}
	return nil
}

// expect reads everything back and expects the ports to carry a label.
func (f *Fixture) expect(ctx context.Context, value uint32, ports ...site.Port) error {
	s, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	return s.shows(f.row(value), ports...)
}
