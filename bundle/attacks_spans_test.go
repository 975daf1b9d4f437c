package bundle_test

import (
	"slices"
	"strings"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/lease"
	"bulkhead/prove"
	"bulkhead/site"
)

// only keeps the part of an isolation certificate that is about a role, so that its
// figures add up.
func only(c *prove.Certificate, role site.Role) {
	c.Fabrics = slices.DeleteFunc(c.Fabrics, func(f prove.FabricPart) bool { return f.Role != role })
	nodes := c.Fabrics[0].Proven / c.Fabrics[0].Each
	c.Ports = nodes * c.Fabrics[0].Each
	c.Assumptions = slices.DeleteFunc(c.Assumptions, func(a string) bool {
		return a == "roce: an older writer's calls end within the driver's deadline; the device does not refuse them" && role == site.RoleFrontend
	})
}

// spanAttacks are on which fabrics isolation is shown on.
var spanAttacks = []attack{
	{"isolation of the frontend alone", bundle.CheckIsolation, "isolation of a part is not isolation", func(a *attempt) {
		a.certify(func(c *prove.Certificate) { only(c, site.RoleFrontend) })
	}},
	{"isolation of the rails alone", bundle.CheckIsolation, "isolation of a part is not isolation", func(a *attempt) {
		a.certify(func(c *prove.Certificate) { only(c, site.RoleCompute) })
	}},
	{"a lease that is said to span the frontend alone", bundle.CheckSpans, "isolation of a part is not isolation", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) {
			b.Spans = slices.DeleteFunc(b.Spans, func(s site.Span) bool { return s.Role != site.RoleFrontend })
		})
	}},
	{"a lease of fewer rails than were signed", bundle.CheckSpans, "by what was signed it has 8 GPUs", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.Spans[0].Ports = 1 })
	}},
	{"isolation of fewer rails than the lease spans", bundle.CheckSpans, "the lease spans 8 compute ports", func(a *attempt) {
		a.certify(func(c *prove.Certificate) {
			for i := range c.Fabrics {
				if f := &c.Fabrics[i]; f.Role == site.RoleCompute {
					c.Ports -= f.Proven - f.Proven/f.Each
					f.Proven, f.Each = f.Proven/f.Each, 1
				}
			}
		})
	}},
	{"isolation on another fabric than the lease's", bundle.CheckSpans, "shows nothing on roce", func(a *attempt) {
		a.certify(func(c *prove.Certificate) {
			for i := range c.Fabrics {
				f := &c.Fabrics[i]
				if f.Role != site.RoleCompute {
					continue
				}
				f.Fabric, f.Labels[0].Label.Fabric = "roce2", "roce2"
				for _, list := range [][]string{c.Assumptions, c.NotProven} {
					for j, line := range list {
						if rest, is := strings.CutPrefix(line, "roce:"); is {
							list[j] = "roce2:" + rest
						}
					}
				}
			}
		})
	}},
	{"a fabric that the lease spans and no certificate shows", bundle.CheckSpans, "shows nothing on san", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) {
			b.Spans = append(b.Spans, site.Span{Fabric: "san", Role: site.RoleStorage, Family: site.RoCE, Ports: 1})
		})
	}},
	{"racks that are NVLink domains, and not a word of them", bundle.CheckSpans, "racks of the lease are NVLink domains", func(a *attempt) {
		bundletest.Change(a.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.NVLinkRacks = true })
	}},
}
