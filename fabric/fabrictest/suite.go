// Package fabrictest is what every fabric.Driver must pass.
//
// A driver's own test makes a [Fixture], with the hooks by which the suite
// breaks devices, and calls [Run]. The suite decodes read-back with the packages
// infiniband and ethernet, as the control plane does, and judges a driver by what
// the devices' own bytes say, never by its receipts.
package fabrictest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
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
	// Settle lets the devices' time pass until what was asked has happened; nil
	// where Apply returns only then.
	Settle func()
}

// Check is one demand on a driver. Run it on a new Fixture.
type Check struct {
	Name string
	Run  func(ctx context.Context, f *Fixture) error
}

// Run puts a driver to every check, each on a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) *Fixture) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			f := open(t)
			if f.SetReachable == nil || f.SetFailing == nil || f.Tamper == nil {
				t.Fatal("the fixture lacks a hook: SetReachable, SetFailing and Tamper are required")
			}
			if err := c.Run(ctx, f); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Checks returns the demands, in the order in which they build on one another.
func Checks() []Check {
	return []Check{
		{"capabilities", capabilities},
		{"everything is read back", readsEverything},
		{"apply is read back", applies},
		{"apply is idempotent", idempotent},
		{"plan of what is read back is empty", plansNothing},
		{"a row replaces all that was there", replaces},
		{"an older fence is refused", fences},
		{"reading is another path than writing", tampering},
		{"a port that fails is named", partial},
		{"an unreachable leaf is reported", unreachable},
		{"a change while unreachable shows afterwards", changedUnseen},
		{"since lists what changed", since},
		{"a cursor from elsewhere is answered in full", strangeCursor},
		{"scope limits the leaves", scoped},
		{"unknown ports are refused", unknownPorts},
		{"rows that open a port are refused", openRows},
		{"lockdown closes", lockdown},
		{"lockdown is fenced", lockdownFenced},
		{"lockdown goes on past a failure", lockdownPartial},
		{"changes at the same time all arrive", concurrent},
		{"an ended context is obeyed", ended},
	}
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
		readings, err := f.decode(d.Raw)
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

func (f *Fixture) decode(raw []byte) ([]fabric.Reading, error) {
	if f.fabric().Family == site.InfiniBand {
		return infiniband.Decode(raw)
	}
	return ethernet.Decode(raw)
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

func capabilities(ctx context.Context, f *Fixture) error {
	c, err := f.Driver.Capabilities(ctx)
	if err != nil {
		return err
	}
	switch {
	case c.Fabric != f.fabric().ID || c.Family != f.fabric().Family:
		return fmt.Errorf("capabilities of %s %q, expected %s %q", c.Family, c.Fabric, f.fabric().Family, f.fabric().ID)
	case c.LeafTable < 2 || c.Family == site.InfiniBand && c.NICTable < 3 || c.Family == site.RoCE && c.NICTable != 0:
		return fmt.Errorf("tables of %d at NICs and %d at leaves cannot hold a row with an entry free", c.NICTable, c.LeafTable)
	case c.Fencing != fabric.FencedByDevice && c.Fencing != fabric.FencedByDeadline:
		return fmt.Errorf("fencing %q: expected %q or %q", c.Fencing, fabric.FencedByDevice, fabric.FencedByDeadline)
	case c.Atomic == "" || c.Deadline <= 0 || !c.Origin.Valid():
		return fmt.Errorf("atomic %q, deadline %s, origin %q: expected all three", c.Atomic, c.Deadline, c.Origin)
	}
	return nil
}

func readsEverything(ctx context.Context, f *Fixture) error {
	s, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	if !slices.Equal(s.answered, f.leaves()) {
		return fmt.Errorf("leaves %v answered, expected %v", s.answered, f.leaves())
	}
	for _, p := range f.ports() {
		r, read := s.tables.Get(p)
		if !read {
			return fmt.Errorf("port %d was not read", p)
		}
		if r.Neighbour != f.Site.PortID[p] {
			return fmt.Errorf("port %d sees neighbour %#x, the inventory says %#x", p, r.Neighbour, f.Site.PortID[p])
		}
	}
	return nil
}

func applies(ctx context.Context, f *Fixture) error {
	ports := f.ports()
	if err := f.apply(ctx, f.change(f.value(0), ports...), firstFence); err != nil {
		return err
	}
	return f.expect(ctx, f.value(0), ports...)
}

func idempotent(ctx context.Context, f *Fixture) error {
	c := f.change(f.value(0), f.ports()[:2]...)
	for range 3 {
		if err := f.apply(ctx, c, firstFence); err != nil {
			return err
		}
	}
	return f.expect(ctx, f.value(0), f.ports()[:2]...)
}

func plansNothing(ctx context.Context, f *Fixture) error {
	before, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	desired := f.change(f.value(1), f.ports()...).Ports
	c, err := f.Driver.Plan(desired, before.tables)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if len(c.Ports) != len(desired) {
		return fmt.Errorf("plan changes %d ports, expected all %d", len(c.Ports), len(desired))
	}
	if err := f.apply(ctx, c, firstFence); err != nil {
		return err
	}
	after, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	if c, err = f.Driver.Plan(desired, after.tables); err != nil || !c.Empty() {
		return fmt.Errorf("plan after apply: %d ports, error %w; expected nothing to do", len(c.Ports), err)
	}
	return nil
}

func replaces(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	for _, value := range []uint32{f.value(0), f.value(1)} {
		if err := f.apply(ctx, f.change(value, p), firstFence); err != nil {
			return err
		}
	}
	if err := f.expect(ctx, f.value(1), p); err != nil {
		return err
	}
	closed := fabric.NewChange(f.fabric().ID, []fabric.PortRow{{Port: p, Row: fabric.Closed()}})
	if err := f.apply(ctx, closed, firstFence); err != nil {
		return err
	}
	s, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	return s.shows(fabric.Closed(), p)
}

func fences(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	for _, older := range []fabric.Fence{{Term: 2, Generation: 99}, {Term: 3, Generation: 9}} {
		if _, err := f.Driver.Apply(ctx, f.change(f.value(1), p), older); !errors.Is(err, fabric.ErrFenced) {
			return fmt.Errorf("apply with %s after %s: %v, expected ErrFenced", older, firstFence, err)
		}
	}
	f.settle()
	if err := f.expect(ctx, f.value(0), p); err != nil {
		return fmt.Errorf("after a refused apply: %w", err)
	}
	for _, newer := range []fabric.Fence{firstFence, {Term: 3, Generation: 11}, {Term: 4}} {
		if err := f.apply(ctx, f.change(f.value(1), p), newer); err != nil {
			return fmt.Errorf("with %s: %w", newer, err)
		}
	}
	return nil
}

func tampering(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	before, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	for _, row := range []fabric.Row{f.row(f.value(1)), {Leaf: []fabric.Member{fabric.Full(f.value(0)), fabric.Full(f.value(2))}, EnforceOut: true}} {
		f.Tamper(p, row)
		after, err := f.observe(ctx, fabric.Scope{Since: before.cursor})
		if err != nil {
			return err
		}
		if err := after.shows(row, p); err != nil {
			return fmt.Errorf("tables were changed behind the driver's back: %w", err)
		}
	}
	receipt, err := f.Driver.Apply(ctx, f.change(f.value(0), p), firstFence)
	if err != nil {
		return err
	}
	if receipt.Source == "" || receipt.Source == before.source {
		return fmt.Errorf("written by %q and read by %q: expected two paths", receipt.Source, before.source)
	}
	f.settle()
	return f.expect(ctx, f.value(0), p)
}

func partial(ctx context.Context, f *Fixture) error {
	ports := f.ports()[:3]
	if err := f.apply(ctx, f.change(f.value(0), ports...), firstFence); err != nil {
		return err
	}
	f.SetFailing(ports[1], true)
	receipt, err := f.Driver.Apply(ctx, f.change(f.value(1), ports...), firstFence)
	if err != nil {
		return fmt.Errorf("one port fails: %w; expected it in the receipt", err)
	}
	if len(receipt.Failed) != 1 || receipt.Failed[0].Port != ports[1] || receipt.Failed[0].Error == "" || receipt.Applied != 2 {
		return fmt.Errorf("receipt says %d applied, failed %v; expected 2, and port %d with a reason", receipt.Applied, receipt.Failed, ports[1])
	}
	f.settle()
	s, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	if err := errors.Join(s.shows(f.row(f.value(1)), ports[0], ports[2]), s.shows(f.row(f.value(0)), ports[1])); err != nil {
		return err
	}
	f.SetFailing(ports[1], false)
	if err := f.apply(ctx, f.change(f.value(1), ports...), firstFence); err != nil {
		return err
	}
	return f.expect(ctx, f.value(1), ports...)
}

func unreachable(ctx context.Context, f *Fixture) error {
	leaf := f.leaves()[0]
	var behind, other site.Port
	for _, p := range f.ports() {
		if f.Site.LeafOf(p) == leaf {
			behind = p
		} else {
			other = p
		}
	}
	before, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	f.SetReachable(leaf, false)
	for _, scope := range []fabric.Scope{{}, {Since: before.cursor}, {Leaves: []site.Leaf{leaf}}} {
		s, err := f.observe(ctx, scope)
		if err != nil {
			return err
		}
		if !slices.Equal(s.silent, []site.Leaf{leaf}) {
			return fmt.Errorf("unreachable leaves %v with %+v, expected [%d]", s.silent, scope, leaf)
		}
	}
	receipt, err := f.Driver.Apply(ctx, f.change(f.value(0), behind, other), firstFence)
	if err != nil {
		return err
	}
	if len(receipt.Failed) != 1 || receipt.Failed[0].Port != behind || receipt.Applied != 1 {
		return fmt.Errorf("receipt says %d applied, failed %v; expected 1, and port %d behind the leaf", receipt.Applied, receipt.Failed, behind)
	}
	f.settle()
	f.SetReachable(leaf, true)
	s, err := f.observe(ctx, fabric.Scope{Leaves: []site.Leaf{leaf}})
	if err != nil {
		return err
	}
	if len(s.silent) > 0 || !slices.Equal(s.answered, []site.Leaf{leaf}) {
		return fmt.Errorf("leaf %d is back, but %v answered and %v did not", leaf, s.answered, s.silent)
	}
	return nil
}

func changedUnseen(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	leaf := f.Site.LeafOf(p)
	before, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	f.SetReachable(leaf, false)
	f.Tamper(p, f.row(f.value(2)))
	during, err := f.observe(ctx, fabric.Scope{Since: before.cursor})
	if err != nil {
		return err
	}
	f.SetReachable(leaf, true)
	after, err := f.observe(ctx, fabric.Scope{Since: during.cursor})
	if err != nil {
		return err
	}
	return after.shows(f.row(f.value(2)), p)
}

func since(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	leaf := f.Site.LeafOf(p)
	first, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	quiet, err := f.observe(ctx, fabric.Scope{Since: first.cursor})
	if err != nil {
		return err
	}
	if len(quiet.answered)+len(quiet.silent) != 0 {
		return fmt.Errorf("nothing changed, but leaves %v are listed", quiet.answered)
	}
	if quiet.cursor < first.cursor {
		return fmt.Errorf("the cursor goes back from %d to %d", first.cursor, quiet.cursor)
	}
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	var last seen
	for range 2 { // the old cursor goes on to be answered
		if last, err = f.observe(ctx, fabric.Scope{Since: quiet.cursor}); err != nil {
			return err
		}
		if !slices.Equal(last.answered, []site.Leaf{leaf}) {
			return fmt.Errorf("leaves %v are listed, expected [%d], where the change was", last.answered, leaf)
		}
		if err := last.shows(f.row(f.value(0)), p); err != nil {
			return err
		}
	}
	if last, err = f.observe(ctx, fabric.Scope{Since: last.cursor}); err != nil || len(last.answered) > 0 {
		return fmt.Errorf("leaves %v are listed again, error %w", last.answered, err)
	}
	return nil
}

func strangeCursor(ctx context.Context, f *Fixture) error {
	first, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	s, err := f.observe(ctx, fabric.Scope{Since: first.cursor + 1<<40})
	if err != nil {
		return err
	}
	if !slices.Equal(s.answered, f.leaves()) {
		return fmt.Errorf("leaves %v answered to a cursor that was never given, expected all", s.answered)
	}
	return nil
}

func scoped(ctx context.Context, f *Fixture) error {
	leaf := f.leaves()[1]
	s, err := f.observe(ctx, fabric.Scope{Leaves: []site.Leaf{leaf}})
	if err != nil {
		return err
	}
	if !slices.Equal(s.answered, []site.Leaf{leaf}) {
		return fmt.Errorf("leaves %v answered, asked for [%d]", s.answered, leaf)
	}
	if _, err := f.Driver.Observe(ctx, fabric.Scope{Leaves: []site.Leaf{leaf, site.Leaf(f.Site.Leaves())}}); err == nil {
		return errors.New("a leaf that does not exist was observed without an error")
	}
	return nil
}

func unknownPorts(ctx context.Context, f *Fixture) error {
	good := f.ports()[0]
	before, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	was, _ := before.tables.Get(good)
	strangers := []site.Port{site.Port(len(f.Site.PortID))}
	for p := range site.Port(len(f.Site.PortID)) {
		if f.Site.FabricOf(p) != f.Fabric {
			strangers = append(strangers, p)
			break
		}
	}
	for _, p := range strangers {
		if _, err := f.Driver.Apply(ctx, f.change(f.value(0), good, p), firstFence); !errors.Is(err, fabric.ErrUnknownPort) {
			return fmt.Errorf("apply to port %d, which is not of this fabric: %v, expected ErrUnknownPort", p, err)
		}
		if err := f.Driver.Lockdown(ctx, []site.Port{p}, firstFence); !errors.Is(err, fabric.ErrUnknownPort) {
			return fmt.Errorf("lockdown of port %d, which is not of this fabric: %v, expected ErrUnknownPort", p, err)
		}
	}
	f.settle()
	after, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	return after.shows(was.Row(), good)
}

func openRows(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	open := f.row(f.value(1))
	open.EnforceIn = false
	stray := f.row(f.value(1))
	stray.Leaf = append(stray.Leaf, fabric.Member(0))
	caps, err := f.Driver.Capabilities(ctx)
	if err != nil {
		return err
	}
	large := f.row(f.value(1))
	for i := range caps.LeafTable + 1 {
		large.Leaf = append(large.Leaf, fabric.Full(f.value(2+i%4000)))
	}
	for _, row := range []fabric.Row{open, stray, large} {
		c := fabric.NewChange(f.fabric().ID, []fabric.PortRow{{Port: p, Row: row}})
		if _, err := f.Driver.Apply(ctx, c, firstFence); err == nil {
			return fmt.Errorf("a row that must not be written was accepted: enforce in=%t, %d entries", row.EnforceIn, len(row.Leaf))
		}
	}
	elsewhere := f.change(f.value(1), p)
	elsewhere.Fabric = "another"
	if _, err := f.Driver.Apply(ctx, elsewhere, firstFence); err == nil {
		return errors.New("a change for another fabric was accepted")
	}
	f.settle()
	return f.expect(ctx, f.value(0), p)
}

// closed expects ports to carry nothing but shared labels as limited members,
// and to enforce that.
func (s *seen) closed(family site.Family, ports ...site.Port) error {
	for _, p := range ports {
		r, read := s.tables.Get(p)
		if !read || !r.EnforceIn || !r.EnforceOut {
			return fmt.Errorf("port %d after lockdown: read %t, enforces in %t, out %t", p, read, r.EnforceIn, r.EnforceOut)
		}
		for _, m := range slices.Concat(r.NIC, r.Leaf) {
			if m.IsFull() || !fabric.IsShared(family, m.Value()) {
				return fmt.Errorf("port %d after lockdown still carries %s", p, m)
			}
		}
	}
	return nil
}

func lockdown(ctx context.Context, f *Fixture) error {
	ports := f.ports()[:3]
	if err := f.apply(ctx, f.change(f.value(0), ports...), firstFence); err != nil {
		return err
	}
	f.Tamper(ports[0], fabric.Row{Leaf: []fabric.Member{fabric.Full(f.value(0)), fabric.Full(f.value(1))}})
	before, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	for range 2 {
		if err := f.Driver.Lockdown(ctx, ports[:2], firstFence); err != nil {
			return err
		}
	}
	f.settle()
	s, err := f.observe(ctx, fabric.Scope{Since: before.cursor})
	if err != nil {
		return err
	}
	if err := s.closed(f.fabric().Family, ports[:2]...); err != nil {
		return err
	}
	if err := f.expect(ctx, f.value(0), ports[2]); err != nil {
		return fmt.Errorf("lockdown of other ports: %w", err)
	}
	if err := f.apply(ctx, f.change(f.value(0), ports...), firstFence); err != nil {
		return fmt.Errorf("after lockdown: %w", err)
	}
	return f.expect(ctx, f.value(0), ports...)
}

func lockdownFenced(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	if err := f.Driver.Lockdown(ctx, []site.Port{p}, fabric.Fence{Term: 2}); !errors.Is(err, fabric.ErrFenced) {
		return fmt.Errorf("lockdown with an older fence: %v, expected ErrFenced", err)
	}
	f.settle()
	return f.expect(ctx, f.value(0), p)
}

func lockdownPartial(ctx context.Context, f *Fixture) error {
	ports := f.ports()[:3]
	if err := f.apply(ctx, f.change(f.value(0), ports...), firstFence); err != nil {
		return err
	}
	f.SetFailing(ports[0], true)
	if err := f.Driver.Lockdown(ctx, ports, firstFence); err == nil {
		return fmt.Errorf("port %d cannot be written, and lockdown said nothing", ports[0])
	}
	f.settle()
	s, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	return s.closed(f.fabric().Family, ports[1:]...)
}

func concurrent(ctx context.Context, f *Fixture) error {
	ports := f.ports()
	const writers = 8
	errs := make([]error, writers+1)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < len(ports); i += writers {
				receipt, err := f.Driver.Apply(ctx, f.change(f.value(w), ports[i]), firstFence)
				if err == nil && len(receipt.Failed) > 0 {
					err = errors.New(receipt.Failed[0].Error)
				}
				errs[w] = errors.Join(errs[w], err)
			}
		})
	}
	wg.Go(func() {
		for range 4 {
			_, err := f.observe(ctx, fabric.Scope{})
			errs[writers] = errors.Join(errs[writers], err)
		}
	})
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	f.settle()
	s, err := f.observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	for i, p := range ports {
		if err := s.shows(f.row(f.value(i%writers)), p); err != nil {
			return err
		}
	}
	return nil
}

func ended(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Driver.Apply(over, f.change(f.value(1), p), firstFence); err == nil {
		return errors.New("apply in a context that has ended gave no error")
	}
	if _, err := f.Driver.Observe(over, fabric.Scope{}); err == nil {
		return errors.New("observe in a context that has ended gave no error")
	}
	f.settle()
	return f.expect(ctx, f.value(0), p)
}
