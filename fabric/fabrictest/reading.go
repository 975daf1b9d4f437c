package fabrictest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bulkhead/fabric"
	"bulkhead/site"
)

// What is demanded of reading.

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
