package evpn

import (
	"net/netip"
	"slices"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// members is which leaves are in each VNI: they have ports in it, as they were read, and
// announce it (RFC 7432, section 7.3), as the collector heard. Each must know every other,
// or what their ports send to everybody, ARP among it, does not arrive. Who announces what
// it has no port of, under another's name or another target, is none.
type members struct {
	of  map[netip.Addr][]uint32 // by leaf, ascending
	all map[uint32]map[netip.Addr]bool
}

// note takes over which VNIs a leaf is in, ascending, and adds those that this changes.
func (m *members) note(vtep netip.Addr, vnis []uint32, changed map[uint32]bool) {
	if m.of == nil {
		m.of, m.all = map[netip.Addr][]uint32{}, map[uint32]map[netip.Addr]bool{}
	}
	for _, vni := range m.of[vtep] {
		if _, still := slices.BinarySearch(vnis, vni); !still {
			if delete(m.all[vni], vtep); len(m.all[vni]) == 0 {
				delete(m.all, vni)
			}
			changed[vni] = true
		}
	}
	for _, vni := range vnis {
		if m.all[vni] == nil {
			m.all[vni] = map[netip.Addr]bool{}
		}
		if !m.all[vni][vtep] {
			m.all[vni][vtep], changed[vni] = true, true
		}
	}
	m.of[vtep] = vnis
}

// absent is a leaf that another of its VNI does not flood to.
type absent struct {
	vni  uint32
	leaf netip.Addr
}

// unlearnt sets whom a leaf has not flooded to for long enough, and returns since when it
// does not to whom, and when it is to be read again to tell; zero: it is not.
func (m *members) unlearnt(c *ethernet.Capture, self netip.Addr, was map[absent]time.Time, learning time.Duration) (is map[absent]time.Time, again time.Time) {
	now := time.Now()
	for i := range c.VNIs {
		v := &c.VNIs[i]
		v.Unlearnt = nil
		if !m.all[v.VNI][self] {
			continue
		}
		for a := range m.all[v.VNI] {
			if _, floods := slices.BinarySearchFunc(v.Flood, a, netip.Addr.Compare); floods || a == self {
				continue
			}
			since, known := was[absent{v.VNI, a}]
			if !known {
				since = now
			}
			if is == nil {
				is = map[absent]time.Time{}
			}
			is[absent{v.VNI, a}] = since
			if end := since.Add(learning); !end.After(now) {
				v.Unlearnt = append(v.Unlearnt, a)
			} else if again.IsZero() || end.Before(again) {
				again = end
			}
		}
		slices.SortFunc(v.Unlearnt, netip.Addr.Compare)
	}
	return is, again
}

// hearMembers works out anew which VNIs leaves are in. Of those VNIs whose members that
// changes every other leaf is read again: not to have learnt of one is no news of its own.
func (d *Driver) hearMembers(leaves []site.Leaf, read map[site.Leaf]bool) {
	changed := map[uint32]bool{}
	for _, l := range leaves {
		state, vtep := d.known[l], ethernet.VTEP(d.Fabric, l)
		if state == nil {
			continue
		}
		var vnis []uint32
		if len(state.carries) > 0 {
			routes, _ := d.Routes.Routes(vtep)
			for _, vni := range state.carries {
				if slices.ContainsFunc(routes, func(r ethernet.Route) bool {
					return r.Kind == 3 && r.VNI == vni && r.Honest(vtep)
				}) {
					vnis = append(vnis, vni)
				}
			}
		}
		d.members.note(vtep, vnis, changed)
	}
	if len(changed) == 0 {
		return
	}
	for l, state := range d.known {
		if !read[l] && slices.ContainsFunc(state.carries, func(vni uint32) bool { return changed[vni] }) {
			state.stale = true
		}
	}
}

// carried is which VNIs a leaf has ports in, ascending; ports that exchange nothing with
// each other, as in quarantine, need not know of others.
func carried(c *ethernet.Capture) (vnis []uint32) {
	for i := range c.Ports {
		for _, v := range c.Ports[i].VLANs {
			if v.VNI != 0 && !v.Isolated {
				vnis = append(vnis, v.VNI)
			}
		}
	}
	slices.Sort(vnis)
	return slices.Compact(vnis)
}
