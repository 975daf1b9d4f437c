package ethernet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/fabric"
)

// check refuses a capture that contradicts itself, or whose lists are out of
// order: ports or VLANs repeated, a VLAN with two VNIs, a VNI with two VLANs.
func (c *Capture) check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("ethernet capture: "+format, args...)
	}
	switch {
	case !validName(c.Switch):
		return fail("switch %.80q: expected letters, digits, - _ . up to 64", c.Switch)
	case c.TableUsed < 0 || c.TableSize < c.TableUsed || c.TableSize > maxTable:
		return fail("VLAN table %d of %d: expected used <= size <= %d", c.TableUsed, c.TableSize, maxTable)
	case len(c.Ports) > maxPorts || len(c.VNIs) > maxList || len(c.Routes) > maxList || len(c.Underlay.Accept) > maxList:
		return fail("%d ports, %d VNIs, %d routes, %d accepted ranges: at most %d ports and %d of each other", len(c.Ports), len(c.VNIs), len(c.Routes), len(c.Underlay.Accept), maxPorts, maxList)
	case !c.RoutesSeen && len(c.Routes) > 0:
		return fail("routes that nobody saw")
	case !plain(c.Underlay.VTEP) && c.Underlay.VTEP.IsValid():
		return fail("vtep %s: expected an IPv4 address or none", c.Underlay.VTEP)
	}
	if err := ascending("peers", c.Underlay.Peers, netip.Addr.Compare, plain); err != nil {
		return err
	}
	for i, r := range c.Underlay.Accept {
		if !plain(r.From) || !plain(r.To) || r.From.Compare(r.To) > 0 || i > 0 && c.Underlay.Accept[i-1].To.Compare(r.From) >= 0 {
			return fail("accept[%d] %s: expected ranges of IPv4 addresses, ascending and apart", i, r)
		}
	}
	class := func(p ClassParameters) bool { return p.Class <= 7 && p.DSCP <= 63 && p.ECNPercent <= 100 }
	if err := ascending("classes", c.Classes, func(a, b ClassParameters) int { return cmp.Compare(a.Class, b.Class) }, class); err != nil {
		return err
	}
	if err := c.checkPorts(); err != nil {
		return err
	}
	for i := range c.VNIs {
		v := &c.VNIs[i]
		if v.VNI == 0 || v.VNI > fabric.MaxValue || i > 0 && c.VNIs[i-1].VNI >= v.VNI {
			return fail("vnis[%d] %d: expected ascending VNIs up to %d", i, v.VNI, fabric.MaxValue)
		}
		for _, err := range []error{
			ascending("import", v.Import, cmp.Compare[Target], validTarget), ascending("export", v.Export, cmp.Compare[Target], validTarget),
			ascending("flood", v.Flood, netip.Addr.Compare, plain), ascending("static", v.Static, netip.Addr.Compare, plain),
			ascending("unlearnt", v.Unlearnt, netip.Addr.Compare, plain),
		} {
			if err != nil {
				return fail("vni %d: %w", v.VNI, err)
			}
		}
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		if r.VNI > fabric.MaxValue || r.MAC > maxMAC || !plain(r.Originator) || i > 0 && CompareRoutes(c.Routes[i-1], *r) >= 0 {
			return fail("routes[%d]: kind %d, VNI %d, MAC %#x, originator %s: expected ascending routes, a MAC of 48 bits, an IPv4 address", i, r.Kind, r.VNI, r.MAC, r.Originator)
		}
		if err := ascending("targets", r.Targets, cmp.Compare[Target], validTarget); err != nil {
			return fail("routes[%d]: %w", i, err)
		}
	}
	for i, r := range c.Reflectors {
		if i >= MaxReflectors || !plain(r.At) || i > 0 && c.Reflectors[i-1].At.Compare(r.At) >= 0 {
			return fail("reflectors[%d] %s: expected up to %d IPv4 addresses, ascending", i, r.At, MaxReflectors)
		}
		if err := ascending("passes", r.Passes, cmp.Compare[Target], validTarget); err != nil {
			return fail("reflectors[%d]: %w", i, err)
		}
	}
	if len(c.Differs) > maxDiffers {
		return fail("%d differences, at most %d", len(c.Differs), maxDiffers)
	}
	return ascending("differs", c.Differs, strings.Compare, plainWords)
}

func (c *Capture) checkPorts() error {
	last := 0
	var mapped mapping
	for i := range c.Ports {
		p := &c.Ports[i]
		switch {
		case p.Number <= last || p.Number > maxPorts:
			return fmt.Errorf("ethernet capture: port %d after port %d: expected ascending numbers up to %d", p.Number, last, maxPorts)
		case p.Class > 7:
			return fmt.Errorf("ethernet capture: port %d: class %d: expected 0 to 7", p.Number, p.Class)
		case p.MTU < 0 || p.MTU > maxMTU:
			return fmt.Errorf("ethernet capture: port %d: MTU %d: expected 0 to %d", p.Number, p.MTU, maxMTU)
		case p.LLDP > maxMAC || p.FDB > maxMAC:
			return fmt.Errorf("ethernet capture: port %d: neighbours %#x and %#x: expected MACs of 48 bits", p.Number, p.LLDP, p.FDB)
		}
		last = p.Number
		vid := firstVID - 1
		for _, v := range p.VLANs {
			switch {
			case v.VID <= vid || v.VID > maxVID:
				return fmt.Errorf("ethernet capture: port %d: VLAN %d: expected ascending VLANs from %d to %d", p.Number, v.VID, firstVID, maxVID)
			case v.VNI != 0 && v.VNI <= maxVID || v.VNI > fabric.MaxValue:
				return fmt.Errorf("ethernet capture: port %d: VNI %d: expected 0, or a value above %d of 24 bits", p.Number, v.VNI, maxVID)
			case !mapped.add(v.VID, v.VNI):
				return fmt.Errorf("ethernet capture: port %d: VLAN %d and VNI %d: expected one VNI for a VLAN and one VLAN for a VNI", p.Number, v.VID, v.VNI)
			}
			vid = v.VID
		}
	}
	return nil
}

// mapping is which VNI each VLAN of a leaf has.
type mapping struct {
	pairs []VLAN // each VLAN once
}

// add records a VLAN's VNI and reports whether that agrees with what was recorded:
// a VLAN with another VNI does not, nor do two VLANs with one VNI.
func (m *mapping) add(vid int, vni uint32) bool {
	for i := len(m.pairs) - 1; i >= 0; i-- {
		if p := &m.pairs[i]; p.VID == vid || p.VNI == vni && vni != 0 {
			return p.VID == vid && p.VNI == vni
		}
	}
	m.pairs = append(m.pairs, VLAN{VID: vid, VNI: vni})
	return true
}

// CompareRoutes orders routes: by kind, VNI, MAC, originator, then targets.
func CompareRoutes(a, b Route) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.VNI, b.VNI), cmp.Compare(a.MAC, b.MAC), a.Originator.Compare(b.Originator), slices.Compare(a.Targets, b.Targets))
}

func ascending[T any](name string, list []T, compare func(a, b T) int, valid func(T) bool) error {
	if len(list) > maxList {
		return fmt.Errorf("%s: %d entries, at most %d", name, len(list), maxList)
	}
	for i := range list {
		if !valid(list[i]) || i > 0 && compare(list[i-1], list[i]) >= 0 {
			return fmt.Errorf("ethernet capture: %s[%d]: %v: expected valid entries, ascending, none twice", name, i, list[i])
		}
	}
	return nil
}

func plain(a netip.Addr) bool { return a.Is4() }

func validTarget(t Target) bool { return t > 0 && t <= maxTarget }
