package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/prove"
	"bulkhead/site"
)

// spansOf holds the fabrics that a lease is said to span to what its tenant has signed:
// a port a GPU on its compute fabric, and one on the frontend. What else it spans is
// asked of every certificate as well. Empty: they are right.
func spansOf(l *leaseLog) string {
	seen := map[string]bool{}
	roles := map[site.Role]int{}
	for _, s := range l.Spans {
		roles[s.Role]++
		want := 1
		if s.Role == site.RoleCompute {
			want = l.gpus
		}
		switch {
		case !s.Role.Valid() || !s.Family.Valid() || s.Fabric == "" || seen[s.Fabric]:
			return fmt.Sprintf("it spans %.80q with the role %.40q and of the family %.40q: expected each fabric once, of a known role and family", s.Fabric, s.Role, s.Family)
		case (s.Role == site.RoleCompute) != (s.Fabric == l.Fabric):
			return fmt.Sprintf("it spans %.80q with the role %s; its compute fabric is %s", s.Fabric, s.Role, l.Fabric)
		case s.Ports < 1 || s.Role != site.RoleStorage && s.Ports != want:
			return fmt.Sprintf("a node has %d ports on %.80s (%s), by what was signed it has %d GPUs", s.Ports, s.Fabric, s.Role, l.gpus)
		}
		seen[s.Fabric] = true
	}
	for _, role := range [...]site.Role{site.RoleCompute, site.RoleFrontend} {
		if roles[role] != 1 {
			return fmt.Sprintf("it spans %d fabrics of the role %s, expected 1: isolation of a part is not isolation of the lease", roles[role], role)
		}
	}
	return ""
}

// lacks is the first role of which the policy asks for a network and a lease spans none;
// "": there is none.
func (p *Policy) lacks(spans []site.Span) site.Role {
	for _, role := range p.Networks {
		if !slices.ContainsFunc(spans, func(s site.Span) bool { return s.Role == role }) {
			return role
		}
	}
	return ""
}

// spanned compares what an isolation certificate shows with what the lease spans.
// Empty: it shows every port of each of its nodes on every fabric.
func (l *leaseLog) spanned(c *prove.Certificate) string {
	shown := c.Spans()
	for _, s := range l.Spans {
		if found := spanOn(shown, s.Fabric); found != s {
			return fmt.Sprintf("the isolation certificate shows %s on %s, the lease spans %s there", said(found), s.Fabric, said(s))
		}
	}
	if len(shown) != len(l.Spans) {
		return fmt.Sprintf("the isolation certificate is about %d fabrics, the lease spans %d", len(shown), len(l.Spans))
	}
	if (c.NVLink != nil) != l.NVLinkRacks {
		return fmt.Sprintf("racks of the lease are NVLink domains: %v; the isolation certificate says something of them: %v", l.NVLinkRacks, c.NVLink != nil)
	}
	return ""
}

// sizeOf is the steps of comparing a certificate with what the lease spans.
func (l *leaseLog) sizeOf(c *prove.Certificate) int {
	steps := maxNodes/64/64 + (1+len(l.Spans))*(1+len(c.Fabrics))
	for i := range c.Fabrics {
		steps += len(c.Fabrics[i].Labels)
	}
	return steps
}

// readBack is what the claim about a fabric rests on.
func readBack(c *prove.Certificate, f *prove.FabricPart) string {
	note := "the owner's signed read-back"
	if age := c.Issued.Sub(f.Oldest); age > time.Hour {
		note += ", up to " + days(age) + " old"
	}
	if f.Unread > 0 {
		note += fmt.Sprintf("; %d of %d edge ports of the fabric have none that counts", f.Unread, f.Counted)
	}
	if never := f.Counted - f.EverRead; never > 0 {
		note += fmt.Sprintf("; %d of %d were never read", never, f.Counted)
	}
	return note
}

// networks says of which networks of the leases' nodes nothing is shown at all.
func (v *verifier) networks(add func(format string, args ...any)) {
	var storage, management, gated, alone, racks []string
	for _, l := range v.order {
		roles := map[site.Role]bool{}
		for _, s := range l.Spans {
			roles[s.Role] = true
		}
		id := string(l.Lease)
		if !roles[site.RoleStorage] {
			storage = append(storage, id)
		}
		if !roles[site.RoleManagement] {
			management = append(management, id)
		} else {
			gated = append(gated, id)
		}
		if l.NVLinkRacks {
			racks = append(racks, id)
		} else {
			alone = append(alone, id)
		}
	}
	for _, line := range []struct {
		leases []string
		format string
	}{
		{storage, "storage network: the nodes of %s have no port on a fabric of its own for it; volumes are reached over the frontend, and labels do not cover services that relay"},
		{management, "management zone: no port of a BMC of %s is in an isolation certificate; whether each is a zone of its own is asked where a manager's guard is, and not shown here"},
		{gated, "management zone: what the own system of a node of %s reaches over its bus or a port that it shares with its BMC, and who knows the BMC's passwords"},
		{racks, "NVLink: racks of %s are one NVLink domain each; that they were its project's alone follows from the owner's inventory and ledger, and no partition was read back"},
		{alone, "NVLink: that no NVLink domain of %s goes beyond a node is the owner's inventory; nothing was read back of it"},
	} {
		if len(line.leases) > 0 {
			add(line.format, few(line.leases))
		}
	}
}

// few lists the first of some names.
func few(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

func spanOn(spans []site.Span, fabric string) site.Span {
	for _, s := range spans {
		if s.Fabric == fabric {
			return s
		}
	}
	return site.Span{}
}

func said(s site.Span) string {
	if s.Fabric == "" {
		return "nothing"
	}
	return fmt.Sprintf("%d %s ports a node (%s)", s.Ports, s.Role, s.Family)
}

// isolatedOn claims isolation fabric by fabric, and says of NVLink what was shown.
func (v *verifier) isolatedOn(at logEntry, lease, when string, c *isolationSays, o *opened) {
	for i := range c.Fabrics {
		f := &c.Fabrics[i]
		shown := "every port carried the tenant's label and no other"
		if f.Role == site.RoleManagement {
			shown = "each node's BMC was reached by the owner's managers only, and reached nobody"
		}
		v.claim(at, claim.Claim{
			Subject:  lease,
			Sentence: fmt.Sprintf("isolated on %s (%s, %s a node) %s: %s", f.Fabric, f.Role, count(f.Each, "port"), when, shown),
			Grade:    claim.OperatorAsserted, Origin: c.Origin, Evidence: []claim.Digest{o.digest}, Note: readBack(c.Certificate, f),
		}, v.policy.Minimum.Isolation)
	}
	if c.NVLink != nil {
		v.claim(at, claim.Claim{
			Subject:  lease,
			Sentence: fmt.Sprintf("its NVLink domains were its project's alone %s", when),
			Grade:    claim.OperatorAsserted, Origin: c.Origin, Evidence: []claim.Digest{o.digest},
			Note: "by the owner's inventory and ledger; no partition was read back",
		}, v.policy.Minimum.Isolation)
	}
}
