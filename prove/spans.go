package prove

import (
	"fmt"
	"slices"

	"bulkhead/site"
)

// spansOf is the fabrics on which the nodes of a lease have ports, and how many each
// has: they are of one kind.
// What is read of their BMCs is beside these: see [Request].
func spansOf(s *site.Site, nodes *site.Set) []site.Span {
	n, any := nodes.First()
	if !any {
		return nil
	}
	return s.Spans(s.ComputeFabric(n), s.RailsOf(n))
}

// spanned verifies that a certificate shows every port of each of its nodes: on one
// compute fabric and on the frontend at least, on each as many as a node has there.
// Which fabrics a lease spans is not the certificate's to say: who relies on it
// compares [Certificate.Spans]. It returns the field that is wrong.
func (c *Certificate) spanned(nodes int) (field string, err error) {
	roles := map[site.Role]int{}
	each := 0
	for i := range c.Fabrics {
		f := &c.Fabrics[i]
		field := fmt.Sprintf("fabrics[%d] %.40s", i, f.Fabric)
		switch {
		case !f.Role.Valid():
			return field, fmt.Errorf("role %.40q", f.Role)
		case f.Each < 1 || f.Each > site.Rails:
			return field, fmt.Errorf("%d ports a node, expected 1 to %d", f.Each, site.Rails)
		case f.ports() != nodes*f.Each:
			return field, fmt.Errorf("%d ports, but %d nodes with %d each have %d there", f.ports(), nodes, f.Each, nodes*f.Each)
		}
		roles[f.Role]++
		each += f.Each
	}
	for _, role := range [...]site.Role{site.RoleCompute, site.RoleFrontend} {
		if nodes > 0 && roles[role] != 1 {
			return "fabrics", fmt.Errorf("%d with the role %s, expected 1: isolation of a part is not isolation", roles[role], role)
		}
	}
	if want := nodes * each; want != c.Ports {
		return "ports", fmt.Errorf("%d, but %d nodes have %d edge ports", c.Ports, nodes, want)
	}
	return "", nil
}

func (f *FabricPart) ports() int { return f.Proven + f.Cut + f.Red + f.Unknown }

// Spans returns the fabrics that the certificate is about, in its order.
func (c *Certificate) Spans() []site.Span {
	spans := make([]site.Span, len(c.Fabrics))
	for i := range c.Fabrics {
		f := &c.Fabrics[i]
		spans[i] = site.Span{Fabric: f.Fabric, Role: f.Role, Family: f.Family, Ports: f.Each}
	}
	return spans
}

// notSpanned says which networks of a node a certificate is silent about.
func notSpanned(c *Certificate) []string {
	var list []string
	has := func(role site.Role) bool {
		return slices.ContainsFunc(c.Fabrics, func(f FabricPart) bool { return f.Role == role })
	}
	if !has(site.RoleStorage) {
		list = append(list, "storage: the nodes have no port on a fabric of its own for it; volumes are reached over the frontend, and labels do not cover services that relay")
	}
	if has(site.RoleManagement) {
		list = append(list, "management zone: what a node's own system reaches over its bus or a port that it shares with its BMC, and who knows the BMC's passwords")
	} else {
		list = append(list, "management zone: no port of a BMC is among these, so nothing here says who reaches one")
	}
	return append(list, c.NVLink.notProven())
}
