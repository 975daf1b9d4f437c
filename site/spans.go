package site

// Role is what a fabric is to the nodes that have ports on it.
type Role string

// The roles. A site of this release has compute fabrics, one frontend, over which
// storage is reached as well, and, where it names one, a management network, on which
// every node has its BMC's port. A storage fabric would be named like them.
const (
	RoleCompute    Role = "compute"
	RoleFrontend   Role = "frontend"
	RoleStorage    Role = "storage"
	RoleManagement Role = "management"
)

// Valid reports whether r is a known role.
func (r Role) Valid() bool {
	return r == RoleCompute || r == RoleFrontend || r == RoleStorage || r == RoleManagement
}

// Span is one fabric on which each node of a lease has edge ports. What spans a lease
// has follows from the kind of its nodes and from where these are.
type Span struct {
	Fabric string `json:"fabric"`
	Role   Role   `json:"role"`
	Family Family `json:"family"`
	Ports  int    `json:"ports"` // of each node, 1 to Rails
}

// Spans returns the fabrics on which nodes of so many rails have ports that are on a
// compute fabric, an index into Fabrics: that one with a port a GPU, the frontend, and the
// management network where the site names one.
func (s *Site) Spans(compute, rails int) []Span {
	spans := []Span{s.span(compute, RoleCompute, rails), s.span(s.frontend, RoleFrontend, 1)}
	if s.Management != "" {
		spans = append(spans, Span{Fabric: s.Management, Role: RoleManagement, Family: RoCE, Ports: 1})
	}
	return spans
}

func (s *Site) span(fabric int, role Role, ports int) Span {
	f := &s.Fabrics[fabric]
	return Span{Fabric: f.ID, Role: role, Family: f.Family, Ports: ports}
}
