package fabrictest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lineage"
	"bulkhead/site"
)

// What is demanded of writing.

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
	if c, err = f.Driver.Plan(desired, after.tables); err != nil || len(c.Ports) > 0 {
		return fmt.Errorf("plan after apply: %d ports, error %v; expected nothing to do", len(c.Ports), err)
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
	empty := fabric.Closed()
	empty.NIC, empty.Leaf = f.Always, f.Always
	if err := empty.Check(f.fabric().Family, 0); err != nil || slices.ContainsFunc(f.Always, func(m fabric.Member) bool { return m.IsFull() || !fabric.IsShared(f.fabric().Family, m.Value()) }) {
		return fmt.Errorf("the fixture's Always %v: expected limited members of shared labels, error %w", f.Always, err)
	}
	return s.shows(empty, p)
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

// The writers that one ledger has: its own, the same in a later run, a copy's, and the
// copy's after somebody had it take over.
var (
	ownRun   = fabric.Fence{Lineage: lineage.Lineage{Epoch: 1, ID: "0a"}, Term: 5, Run: "1e", Generation: 7}
	otherRun = fabric.Fence{Lineage: ownRun.Lineage, Term: 5, Run: "2e", Generation: 8}
	copied   = fabric.Fence{Lineage: lineage.Lineage{Epoch: 1, ID: "0b"}, Term: 9, Run: "3e", Generation: 900}
	unnamed  = fabric.Fence{Term: 9, Generation: 900}
	takenBy  = fabric.Fence{Lineage: lineage.Lineage{Epoch: 2, ID: "0b"}, Term: 2, Run: "4e", Generation: 1}
)

// lineages: whoever works on a copy of the ledger is refused however new it looks, and
// told by whom, until somebody decides that it goes on; then the other one is. An empty
// change is enough to show who writes.
func lineages(ctx context.Context, f *Fixture) error {
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	show := func(fence fabric.Fence) error {
		_, err := f.Driver.Apply(ctx, fabric.NewChange(f.fabric().ID, nil), fence)
		return err
	}
	refuses := func(seen fabric.Fence, others ...fabric.Fence) error {
		for _, other := range others {
			_, applied := f.Driver.Apply(ctx, f.change(f.value(1), p), other)
			for what, err := range map[string]error{"an empty change": show(other), "a change": applied, "lockdown": f.Driver.Lockdown(ctx, []site.Port{p}, other)} {
				var refused *lineage.RefusedError
				if !errors.Is(err, fabric.ErrFenced) || !errors.As(err, &refused) || refused.Newest.Writer() != seen.Writer() || !refused.ByAnother() {
					return fmt.Errorf("%s with %s after %s: %v, expected a *lineage.RefusedError that names the second", what, other, seen, err)
				}
			}
		}
		f.settle()
		return f.expect(ctx, f.value(0), p)
	}
	if err := show(ownRun); err != nil {
		return fmt.Errorf("an empty change with %s: %w", ownRun, err)
	}
	if err := refuses(ownRun, firstFence, otherRun, copied, unnamed); err != nil {
		return err
	}
	if err := f.apply(ctx, f.change(f.value(0), p), ownRun); err != nil {
		return fmt.Errorf("the first writer, after others were refused: %w", err)
	}
	if err := show(takenBy); err != nil {
		return fmt.Errorf("an empty change with %s, which took over: %w", takenBy, err)
	}
	return refuses(takenBy, ownRun, copied, unnamed)
}

// otherNumbers: a read-back says how its leaves are numbered, as the capabilities do,
// and a change by other numbers changes nothing.
func otherNumbers(ctx context.Context, f *Fixture) error {
	c, err := f.Driver.Capabilities(ctx)
	if err != nil {
		return err
	}
	o, err := f.Driver.Observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	if o.Numbering != c.Numbering {
		return fmt.Errorf("a read-back numbered %s, the capabilities say %s", o.Numbering, c.Numbering)
	}
	if c.Numbering.IsZero() {
		return nil // its devices bring their numbers themselves
	}
	p := f.ports()[0]
	if err := f.apply(ctx, f.change(f.value(0), p), firstFence); err != nil {
		return err
	}
	other := f.change(f.value(1), p)
	other.Numbering = claim.DigestOf([]byte("another site file"))
	if _, err := f.Driver.Apply(ctx, other, firstFence); !errors.Is(err, fabric.ErrNumbering) {
		return fmt.Errorf("a change of another numbering: %v, expected ErrNumbering", err)
	}
	f.settle()
	if err := f.expect(ctx, f.value(0), p); err != nil {
		return fmt.Errorf("after a refused change: %w", err)
	}
	other.Numbering = c.Numbering
	return f.apply(ctx, other, firstFence)
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
	o, err := f.Driver.Observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	if f.Driver.Await(over, o.Cursor) == nil {
		return errors.New("await in a context that has ended gave no error")
	}
	return f.expect(ctx, f.value(0), p)
}

// noticing is how long a driver has to notice a change, if it notices any.
const noticing = time.Second

func awaits(ctx context.Context, f *Fixture) error {
	o, err := f.Driver.Observe(ctx, fabric.Scope{})
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, noticing)
	defer cancel()
	noticed := make(chan error, 1)
	go func() { noticed <- f.Driver.Await(bounded, o.Cursor) }()
	p := f.ports()[0]
	f.Tamper(p, f.row(f.value(2)))
	if err := <-noticed; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("await: %w: expected nil, or the end of the context", err)
	}
	s, err := f.observe(ctx, fabric.Scope{Since: o.Cursor})
	if err != nil {
		return err
	}
	return s.shows(f.row(f.value(2)), p)
}
