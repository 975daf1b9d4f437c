package evpn

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// Observe implements fabric.Driver. With a cursor of its own, a leaf is read again
// only when its agent or the collector says that something changed, or when it did
// not answer before; a leaf that was out of reach when this writer began is shown its
// fence first. Cost with a cursor: one short call a leaf, and a read of those that
// changed.
func (d *Driver) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if err := ctx.Err(); err != nil {
		return fabric.Observation{}, err
	}
	leaves := s.Leaves
	if leaves == nil {
		leaves = slices.Collect(maps.Keys(d.Leaves))
	}
	leaves = slices.Clone(leaves)
	slices.Sort(leaves)
	leaves = slices.Compact(leaves)
	for _, l := range leaves {
		if d.Leaves[l] == nil {
			return fabric.Observation{}, fmt.Errorf("fabric %s: leaf %d is not of it", d.fabric().ID, l)
		}
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	if d.known == nil {
		d.first = uint64(d.now().UnixNano())
		d.cursor, d.known, d.strangers = d.first, map[site.Leaf]*leafState{}, map[netip.Addr]bool{}
	}
	for _, l := range leaves {
		if d.known[l] == nil {
			d.known[l] = &leafState{silent: true}
		}
	}
	d.hearRoutes()
	d.hearReflectors(ctx)
	given := s.Since >= d.first && s.Since <= d.cursor
	answers := make([]answer, len(leaves))
	at := map[site.Leaf]int{}
	for i, l := range leaves {
		at[l] = i
	}
	unshown := d.fences.missing()
	d.each(ctx, leaves, func(ctx context.Context, l site.Leaf) {
		if unshown[l] {
			if err := d.fences.show(ctx, l, d.Leaves[l]); err != nil {
				answers[at[l]].err = err
				return
			}
		}
		answers[at[l]] = d.ask(ctx, l, *d.known[l], !given)
	})
	if err := ctx.Err(); err != nil {
		return fabric.Observation{}, err
	}
	d.learn(leaves, answers)
	o := fabric.Observation{At: d.now(), Fresh: true, Numbering: d.numbered()}
	for i, l := range leaves {
		a, state := &answers[i], d.known[l]
		if a.err != nil {
			// Read again as soon as it answers, and not waited for until then.
			state.silent, state.stale, state.again = true, false, time.Time{}
			o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Source: ethernet.Source, At: o.At})
			continue
		}
		if a.raw != nil {
			if state.silent || !bytes.Equal(a.raw, state.raw) {
				d.cursor++
				state.raw, state.changed = a.raw, d.cursor
			}
			state.device, state.silent, state.stale, state.announced = a.device, false, false, a.announced
		}
		if !given || state.changed > s.Since {
			o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Reachable: true, Source: ethernet.Source, At: o.At, Raw: state.raw})
		}
	}
	o.Cursor = d.cursor
	return o, nil
}

// learn works out whom the leaves that were read don't know, of all that are in their
// VNIs by now, and writes down what they said.
func (d *Driver) learn(leaves []site.Leaf, answers []answer) {
	read := map[site.Leaf]bool{}
	for i, l := range leaves {
		if answers[i].capture != nil {
			read[l], d.known[l].carries = true, carried(answers[i].capture)
		}
	}
	d.hearMembers(slices.Collect(maps.Keys(read)), read)
	learning := d.Learning
	if learning == 0 {
		learning = 10 * time.Second
	}
	for i, l := range leaves {
		a, state := &answers[i], d.known[l]
		if a.capture == nil {
			continue
		}
		state.absent, state.again = d.members.unlearnt(a.capture, ethernet.VTEP(d.Fabric, l), state.absent, learning)
		a.raw, a.err = ethernet.Encode(a.capture)
	}
}

// hearRoutes notes the leaves of which the collector has news.
func (d *Driver) hearRoutes() {
	vteps, cursor, all := d.Routes.Changed(d.routes)
	d.routes = cursor
	if complete := d.Routes.Complete(); all || complete != d.complete {
		d.complete = complete
		for _, state := range d.known {
			state.stale = true
		}
	}
	var of []site.Leaf
	for _, a := range vteps {
		leaf, known := ethernet.LeafOf(d.Site, d.Fabric, a)
		switch {
		case !known:
			d.strangers[a] = true
		case d.known[leaf] != nil:
			d.known[leaf].stale, of = true, append(of, leaf)
		}
	}
	if all {
		of = slices.Collect(maps.Keys(d.known))
	}
	d.hearMembers(of, nil)
}

// answer is what a leaf and the collector said; capture is nil where nothing changed.
type answer struct {
	device    uint64
	capture   *ethernet.Capture
	raw       []byte
	announced []uint32
	err       error
}

// ask asks a leaf for its change number, and reads it where that or anything else
// says that what was read last may not hold any more. The number is from before the
// reading: what changes meanwhile is read again next time.
func (d *Driver) ask(ctx context.Context, l site.Leaf, was leafState, all bool) (a answer) {
	leaf := d.Leaves[l]
	if a.device, a.err = leaf.Changes(ctx); a.err != nil {
		return a
	}
	due := !was.again.IsZero() && !time.Now().Before(was.again)
	if !all && !was.silent && !was.stale && !due && a.device == was.device {
		return a
	}
	c, err := leaf.Read(ctx)
	if err != nil {
		return answer{err: err}
	}
	var fresh []uint32
	for i := range c.VNIs {
		if _, before := slices.BinarySearch(was.announced, c.VNIs[i].VNI); !before {
			fresh = append(fresh, c.VNIs[i].VNI)
		}
	}
	c.Routes, c.RoutesSeen = d.routesOf(ctx, ethernet.VTEP(d.Fabric, l), fresh)
	if len(c.Routes) == 0 && len(c.VNIs) > 0 && !d.Routes.All() {
		c.RoutesSeen = false // a session is down, and nobody can say what is announced
	}
	for _, r := range c.Routes {
		if r.Kind == 3 {
			a.announced = append(a.announced, r.VNI)
		}
	}
	slices.Sort(a.announced)
	c.Reflectors = d.reflections(l)
	a.capture = &c
	return a
}

// routesOf returns the routes of a leaf, and whether some reflector could say. A VNI that
// it was given a moment ago is announced a moment later, and is waited for; one that it
// announced when it was read last is not.
func (d *Driver) routesOf(ctx context.Context, vtep netip.Addr, fresh []uint32) ([]ethernet.Route, bool) {
	patience := d.Patience
	if patience == 0 {
		patience = 2 * time.Second
	}
	for end := time.Now().Add(patience); ; {
		routes, seen := d.Routes.Routes(vtep)
		complete := d.Routes.Complete()
		if announced(routes, fresh) || !complete || ctx.Err() != nil || time.Now().After(end) {
			return routes, seen || complete
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(10*time.Millisecond, patience)):
		}
	}
}

// announced reports whether routes say of each VNI that the leaf has ports of it.
func announced(routes []ethernet.Route, vnis []uint32) bool {
	for _, vni := range vnis {
		if !slices.ContainsFunc(routes, func(r ethernet.Route) bool { return r.Kind == 3 && r.VNI == vni }) {
			return false
		}
	}
	return true
}
