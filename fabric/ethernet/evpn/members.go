package evpn

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// members is which leaves announce each VNI (RFC 7432, section 7.3), as the collector
// heard: whom every other leaf of the VNI must know, or the two reach each other by what
// is not flooded at best. What a leaf announces under another's name, or another target,
// takes no part.
type members struct {
	of  map[netip.Addr][]uint32             // by leaf, ascending
	all map[uint32]map[netip.Addr]time.Time // since when
}

// note takes over what a leaf announces now, and returns the VNIs that this changes.
func (m *members) note(vtep netip.Addr, routes []ethernet.Route, at time.Time) (changed []uint32) {
	var vnis []uint32
	for _, r := range routes {
		if r.Kind == 3 && r.Originator == vtep && len(r.Targets) == 1 && r.Targets[0] == ethernet.TargetOf(r.VNI) {
			vnis = append(vnis, r.VNI)
		}
	}
	slices.Sort(vnis)
	vnis = slices.Compact(vnis)
	if m.of == nil {
		m.of, m.all = map[netip.Addr][]uint32{}, map[uint32]map[netip.Addr]time.Time{}
	}
	for _, vni := range m.of[vtep] {
		if _, still := slices.BinarySearch(vnis, vni); !still {
			delete(m.all[vni], vtep)
			changed = append(changed, vni)
		}
	}
	for _, vni := range vnis {
		if m.all[vni] == nil {
			m.all[vni] = map[netip.Addr]time.Time{}
		}
		if _, known := m.all[vni][vtep]; !known {
			m.all[vni][vtep] = at
			changed = append(changed, vni)
		}
	}
	m.of[vtep] = vnis
	return changed
}

// unlearnt sets what a leaf does not flood to and should, and reports whether some of it
// may be on its way: it is announced, or the VNI carried here, only since the leaf was
// read last.
func (m *members) unlearnt(c *ethernet.Capture, self netip.Addr, was leafState) (coming bool) {
	for i := range c.VNIs {
		v := &c.VNIs[i]
		_, carried := slices.BinarySearch(was.carries, v.VNI)
		v.Unlearnt = nil
		for a, since := range m.all[v.VNI] {
			if _, floods := slices.BinarySearchFunc(v.Flood, a, netip.Addr.Compare); !floods && a != self {
				v.Unlearnt = append(v.Unlearnt, a)
				coming = coming || !carried || since.After(was.at)
			}
		}
		slices.SortFunc(v.Unlearnt, netip.Addr.Compare)
	}
	return coming
}

// hearMembers notes who announces which VNI, of leaves whose routes changed; where all is
// set, of no other. A leaf that carries a VNI whose members changed is read again.
func (d *Driver) hearMembers(vteps []netip.Addr, all bool) {
	if all {
		for a := range d.members.of {
			if !slices.Contains(vteps, a) {
				vteps = append(vteps, a)
			}
		}
	}
	changed := map[uint32]bool{}
	for _, a := range vteps {
		if _, known := ethernet.LeafOf(d.Site, d.Fabric, a); !known {
			continue
		}
		routes, _ := d.Routes.Routes(a)
		for _, vni := range d.members.note(a, routes, time.Now()) {
			changed[vni] = true
		}
	}
	if len(changed) == 0 {
		return
	}
	for _, state := range d.known {
		state.stale = state.stale || slices.ContainsFunc(state.carries, func(vni uint32) bool { return changed[vni] })
	}
}

// readLearnt reads a leaf, and waits a little for what it has not learnt and could not
// know when it was read last: a route comes to the collector and to the leaves in no order.
func (d *Driver) readLearnt(ctx context.Context, l site.Leaf, was leafState) (c ethernet.Capture, err error) {
	for end := time.Now().Add(d.patience()); ; {
		if c, err = d.Leaves[l].Read(ctx); err != nil {
			return c, err
		}
		if !d.members.unlearnt(&c, ethernet.VTEP(d.Fabric, l), was) || ctx.Err() != nil || time.Now().After(end) {
			return c, ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(20*time.Millisecond, d.patience())):
		}
	}
}

func (d *Driver) patience() time.Duration {
	if d.Patience == 0 {
		return 2 * time.Second
	}
	return d.Patience
}
