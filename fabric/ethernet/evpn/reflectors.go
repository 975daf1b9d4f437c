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

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// Reflector is one route reflector, as its agent is asked. Its calls may come from
// several goroutines at once, and end with their context.
type Reflector interface {
	// Allow orders which VNIs' routes are passed on from which ports' leaves: in the
	// place of what was ordered for those ports, or besides it where more is said. It
	// refuses an older fence (fabric.ErrFenced).
	Allow(ctx context.Context, orders ethernet.Orders, more bool, f fabric.Fence) error
	// Changes returns a number that is another whenever Passes may say something else
	// than before, and another again after a restart.
	Changes(ctx context.Context) (uint64, error)
	// Await returns nil as soon as Changes would return another number than this one,
	// and an error when the context ended before, or the reflector does not answer.
	Await(ctx context.Context, number uint64) error
	// Passes says what is passed on.
	Passes(ctx context.Context) (ethernet.Passed, error)
}

// passed is what a reflector said last.
type passed struct {
	number uint64 // from before it was said
	said   ethernet.Passed
	err    error // since
}

// hearLimit bounds how long a reflector may take to say what it passes on, where the
// driver has no Hear: one that does not answer must not keep its fabric from being
// looked at.
const hearLimit = 3 * time.Second

func (d *Driver) hearing() time.Duration {
	if d.Hear == 0 {
		return min(hearLimit, d.bound())
	}
	return d.Hear
}

// eachReflector does one thing at all reflectors at once, each with its own deadline.
func (d *Driver) eachReflector(ctx context.Context, limit time.Duration, do func(context.Context, netip.Addr, Reflector)) {
	var wait sync.WaitGroup
	for at, r := range d.Reflectors {
		wait.Go(func() {
			bounded, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			do(bounded, at, r)
		})
	}
	wait.Wait()
}

// allow tells the reflectors of the labels that ports are given. One that does not
// take it stops nobody: others pass the routes on, and read-back says that it does not.
func (d *Driver) allow(ctx context.Context, rows []fabric.PortRow, more bool, f fabric.Fence) (fenced error) {
	orders := ethernet.Orders{}
	for i := range rows {
		l := d.Site.LeafOf(rows[i].Port)
		leaf := ethernet.VTEP(d.Fabric, l)
		if orders[leaf] == nil {
			orders[leaf] = map[int][]uint32{}
		}
		vnis := []uint32{}
		for _, m := range rows[i].Row.Leaf {
			vnis = append(vnis, m.Value())
		}
		orders[leaf][d.Site.LeafPort(rows[i].Port)] = vnis
	}
	var mu sync.Mutex
	d.eachReflector(ctx, d.bound(), func(ctx context.Context, _ netip.Addr, r Reflector) {
		if err := r.Allow(ctx, orders, more, f); errors.Is(err, fabric.ErrFenced) {
			mu.Lock()
			defer mu.Unlock()
			fenced = err
		}
	})
	return fenced
}

// hearReflectors asks every reflector what it passes on, unless that is as before.
// Leaves of which it passes on something else than before are read again.
func (d *Driver) hearReflectors(ctx context.Context) {
	if d.passed == nil {
		d.passed = map[netip.Addr]passed{}
	}
	var mu sync.Mutex
	d.eachReflector(ctx, d.hearing(), func(ctx context.Context, at netip.Addr, r Reflector) {
		number, err := r.Changes(ctx)
		mu.Lock()
		was, heard := d.passed[at]
		mu.Unlock()
		if err == nil && heard && was.err == nil && number == was.number {
			return
		}
		var said ethernet.Passed
		if err == nil {
			said, err = r.Passes(ctx)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			// What it said last stays in the captures; the posture does not hold meanwhile.
			d.passed[at] = passed{said: was.said, err: err}
			return
		}
		for l, state := range d.known {
			vtep := ethernet.VTEP(d.Fabric, l)
			state.stale = state.stale || !heard || !slices.Equal(was.said.Targets[vtep], said.Targets[vtep])
		}
		d.passed[at] = passed{number: number, said: said}
	})
}

// reflections is what the reflectors pass on of a leaf.
func (d *Driver) reflections(l site.Leaf) (out []ethernet.Reflection) {
	for _, at := range slices.SortedFunc(maps.Keys(d.passed), netip.Addr.Compare) {
		if p := d.passed[at]; p.said.Targets != nil {
			out = append(out, ethernet.Reflection{At: at, Passes: p.said.Targets[ethernet.VTEP(d.Fabric, l)]})
		}
	}
	return out
}

// reflectorItem says whether reflectors pass on nothing but what was ordered. Between
// what is ordered and what ports carry there may be a change that is not at its end;
// that a port's own routes are passed on is judged with its leaf.
func (d *Driver) reflectorItem() fabric.PostureItem {
	item := fabric.PostureItem{Name: "reflectors pass on what was ordered only", OK: true, Grade: measured,
		Evidence: fmt.Sprintf("%d reflectors, each with a list of targets for every leaf", len(d.Reflectors))}
	if len(d.Reflectors) == 0 {
		item.OK, item.Lacking, item.Evidence = false, true, "no reflector has an agent: what they pass on is as they were configured"
		return item
	}
	var wrong []string
	for at := range d.Reflectors {
		p, asked := d.passed[at]
		switch {
		case !asked:
			wrong = append(wrong, fmt.Sprintf("%s was not asked yet", at))
			continue
		case p.err != nil:
			wrong = append(wrong, fmt.Sprintf("%s can't be read: %v", at, p.err))
		}
		for _, o := range p.said.Open {
			wrong = append(wrong, fmt.Sprintf("%s: %s", at, o))
		}
		for leaf, targets := range p.said.Targets {
			for _, t := range targets {
				if !slices.Contains(p.said.Ordered[leaf], t) {
					wrong = append(wrong, fmt.Sprintf("%s passes on %s of %s, which nobody ordered", at, t, leaf))
				}
			}
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		item.OK, item.Evidence = false, fmt.Sprintf("%.800s", fmt.Sprint(wrong))
	}
	return item
}
