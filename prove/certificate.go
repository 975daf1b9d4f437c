package prove

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/site"
)

// CertificateVersion is the version that Certify writes and Check understands.
const CertificateVersion = 2

// PredicateType is the in-toto predicate type of a signed isolation certificate.
const PredicateType = "bulkhead/isolation-certificate/2"

// Certificate is an isolation certificate: what read-back showed of the edge
// ports of a lease's nodes at one moment, what follows from it, on which
// assumptions, and what does not. It names nothing of other tenants.
type Certificate struct {
	Version       int          `json:"version"`
	Verdict       string       `json:"verdict"` // "proven", "red", "unknown" or "cut off"
	NotProven     []string     `json:"not_proven"`
	Lease         string       `json:"lease"`
	Tenant        string       `json:"tenant"`
	Epoch         uint64       `json:"epoch"` // counts the verdicts of the lease
	Issued        time.Time    `json:"issued"`
	WindowSeconds int64        `json:"window_seconds"` // read-back older than this does not count
	Origin        claim.Origin `json:"origin"`
	Nodes         string       `json:"nodes"` // node indexes, a range set
	Ports         int          `json:"ports"` // edge ports of these nodes
	Fabrics       []FabricPart `json:"fabrics"`
	NVLink        *NVLinkPart  `json:"nvlink,omitempty"` // nil: no NVLink domain of these nodes goes beyond a node
	Checks        []string     `json:"checks"`           // every port was put to each of these
	Failed        []Failure    `json:"failed"`
	Assumptions   []string     `json:"assumptions"`
}

// FabricPart is what a certificate says of one fabric: of as many ports of each of its
// nodes as the kind of the nodes has there.
type FabricPart struct {
	Fabric  string      `json:"fabric"`
	Role    site.Role   `json:"role"`
	Family  site.Family `json:"family"`
	Each    int         `json:"ports_a_node"`
	Labels  []LabelPart `json:"labels"`
	Proven  int         `json:"proven"` // ports by verdict
	Cut     int         `json:"cut_off"`
	Red     int         `json:"red"`
	Unknown int         `json:"unknown"`
	// Counted is how many edge ports the whole fabric has, EverRead how many of
	// them were read back at some time, Unread how many have no read-back that
	// counts now: what these last carried is what counts.
	Counted  int `json:"counted"`
	EverRead int `json:"ever_read"`
	// Followed is of how many of its ports the switches' forwarding tables were followed to
	// all others of their labels; on InfiniBand alone.
	Followed int          `json:"followed,omitempty"`
	Unread   int          `json:"unread"`
	Oldest   time.Time    `json:"oldest"`   // read-back of the lease's ports
	Newest   time.Time    `json:"newest"`   // the same
	Source   string       `json:"source"`   // which path read
	Fencing  string       `json:"fencing"`  // what keeps an older writer out
	Evidence claim.Digest `json:"evidence"` // of the ports' readings, see AppendReading
}

// LabelPart is one label of the lease's holder with where it was seen.
type LabelPart struct {
	Label       fabric.Label `json:"label"`
	Occurrences int          `json:"occurrences"` // ports of the whole fabric that carry it
	Elsewhere   int          `json:"elsewhere"`   // of these, ports that its owner does not hold
}

// Failure is a check that failed.
type Failure struct {
	Check     string `json:"check"`
	Fabric    string `json:"fabric"`
	Ports     int    `json:"ports"`
	Elsewhere bool   `json:"elsewhere,omitempty"` // at ports that are not the lease's
}

// assumptions are the sentences that a verdict rests on. A verifier computes
// them again: a certificate that leaves one out is refused.
func assumptions(c *Certificate) []string {
	list := []string{
		"A1: the leaf, which is not under a tenant's control, checks the label of every packet at the edge port, as its own tables say",
		"A2: no device inside a fabric rewrites labels, leaks routes between them or mirrors packets",
		"A3: a packet is delivered only under a label that both ports carry and of which at least one is a full member",
		"A4: every live port of every leaf was listed by the leaf itself; ports that are not in the inventory make it unknown",
		"A5: the devices report their tables truthfully",
		"A6: the ledger gives a label to one owner at a time",
		"A7: services that all may reach (subnet administration, provisioning) do not relay between tenants",
	}
	for _, f := range c.Fabrics {
		switch f.Fencing {
		case fabric.FencedByDevice:
			list = append(list, f.Fabric+": an older writer is refused by the device")
		case fabric.FencedByDeadline:
			list = append(list, f.Fabric+": an older writer's calls end within the driver's deadline; the device does not refuse them")
		default:
			list = append(list, f.Fabric+": nothing is known of what keeps an older writer out")
		}
		if f.Role == site.RoleManagement {
			list = append(list, f.Fabric+": all that is between a BMC and others is the gateway whose own tables were read; whoever is behind the managers' addresses is the owner's")
		}
		if f.Family == site.InfiniBand {
			list = append(list, f.Fabric+": that limited members exchange nothing rests on NIC firmware")
		}
	}
	return list
}

// notProven are the sentences that say what a certificate does not show.
func notProven(c *Certificate) []string {
	var list []string
	switch {
	case c.Verdict == Proven.String():
	case c.Apart() == Proven:
		list = append(list, "that its members reach each other: the verdict is "+c.Verdict+"; others are kept out all the same")
	default:
		list = append(list, "isolation: the verdict is "+c.Verdict)
	}
	switch c.Origin {
	case claim.Simulated:
		list = append(list, "anything of hardware: the devices are simulated")
	case claim.Emulated:
		list = append(list, "anything of hardware: the devices are emulated")
	}
	list = append(list,
		"that the devices are honest: this is consistent with what they said of themselves",
		"that nobody listens: optical taps and silent mirrors are not covered",
		"performance isolation",
	)
	list = append(list, notSpanned(c)...)
	for _, f := range c.Fabrics {
		if f.Unread > 0 {
			list = append(list, fmt.Sprintf("%s: %d of %d edge ports have no fresh read-back and count as they were last read", f.Fabric, f.Unread, f.Counted))
		}
		if f.Role == site.RoleCompute && f.Followed < f.ports() {
			list = append(list, f.Fabric+": that packets find their way between leaves: "+unreadInside(f.Family))
		}
		if n := f.Counted - f.EverRead; n > 0 {
			list = append(list, fmt.Sprintf("%s: %d of %d edge ports were never read", f.Fabric, n, f.Counted))
		}
	}
	return list
}

// unreadInside is what of a fabric's inside is not read back.
func unreadInside(f site.Family) string {
	if f == site.InfiniBand {
		return "switches' forwarding tables are not read back"
	}
	return "the underlay's routes, and how great a packet its spines take, are not read back"
}

// Encode returns the canonical JSON: the same certificate gives the same bytes.
func (c *Certificate) Encode() ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("isolation certificate: %w", err)
	}
	return data, nil
}

// MaxCertificate is the largest encoded certificate that Decode reads, in bytes.
const MaxCertificate = 1 << 20

// DecodeCertificate reads canonical JSON and nothing else: unknown, missing or
// repeated fields, another order or spacing are refused. It does not Check.
func DecodeCertificate(data []byte) (*Certificate, error) {
	var c Certificate
	if err := claim.Exact(data, MaxCertificate, &c); err != nil {
		return nil, fmt.Errorf("isolation certificate: %w", err)
	}
	canonical, err := c.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(canonical, data) {
		return nil, fmt.Errorf("isolation certificate: not in canonical form")
	}
	return &c, nil
}

// NodeSet returns the nodes that the certificate is about. Indexes must be
// below limit.
func (c *Certificate) NodeSet(limit int) (*site.Set, error) {
	set, err := site.ParseSet(c.Nodes, limit)
	if err != nil {
		return nil, fmt.Errorf("isolation certificate: nodes: %w", err)
	}
	return set, nil
}

// Check is the verifier's side: it computes again what follows from the rest of
// the certificate, and refuses one that does not add up, leaves out a check, an
// assumption or what is not proven, is not fresh, or has a verdict that its own
// figures do not give. It knows no clock: who relies on the certificate compares
// Issued. That it is signed is checked by claim.Open.
func (c *Certificate) Check() error {
	fail := func(field, format string, args ...any) error {
		return fmt.Errorf("isolation certificate of %.80s epoch %d: %s: %s", c.Lease, c.Epoch, field, fmt.Sprintf(format, args...))
	}
	verdict, err := ParseVerdict(c.Verdict)
	switch {
	case c.Version != CertificateVersion:
		return fail("version", "%d, expected %d", c.Version, CertificateVersion)
	case err != nil:
		return fail("verdict", "%v", err)
	case c.Lease == "" || c.Tenant == "":
		return fail("lease, tenant", "expected both to be named")
	case !c.Origin.Valid():
		return fail("origin", "%.40q is none", c.Origin)
	case c.Issued.IsZero() || c.Issued.Location() != time.UTC:
		return fail("issued", "expected a time in UTC")
	case c.WindowSeconds <= 0 || c.WindowSeconds > 7*24*3600:
		return fail("window_seconds", "%d, expected 1 to %d", c.WindowSeconds, 7*24*3600)
	}
	nodes, err := site.ParseSet(c.Nodes, site.MaxNodes) // takes the canonical form only
	if err != nil {
		return fail("nodes", "%v", err)
	}
	if !c.NVLink.valid() {
		return fail("nvlink", "%d of %d domains", c.NVLink.Alone, c.NVLink.Domains)
	}
	if field, err := c.spanned(nodes.Len()); err != nil {
		return fail(field, "%v", err)
	}
	for i := range c.Failed {
		if known := slices.ContainsFunc(Checks(), func(k Check) bool { return k.String() == c.Failed[i].Check }); !known || c.Failed[i].Ports <= 0 {
			return fail("failed", "%.40q at %d ports is not a check that can fail", c.Failed[i].Check, c.Failed[i].Ports)
		}
	}
	follows, err := c.follows(fail)
	if err != nil {
		return err
	}
	follows = Worse(follows, c.NVLink.verdict())
	if follows != verdict {
		return fail("verdict", "%s, but the figures give %s", verdict, follows)
	}
	var names []string
	for _, k := range Checks() {
		names = append(names, k.String())
	}
	for _, list := range []struct {
		field     string
		got, want []string
	}{{"checks", c.Checks, names}, {"assumptions", c.Assumptions, assumptions(c)}, {"not_proven", c.NotProven, notProven(c)}} {
		if !slices.Equal(list.got, list.want) {
			return fail(list.field, "not those that this certificate must print: expected %.300q", strings.Join(list.want, "; "))
		}
	}
	return nil
}

// follows checks the figures of each fabric and returns the verdict they give.
func (c *Certificate) follows(fail func(field, format string, args ...any) error) (Verdict, error) {
	verdict := Proven
	if c.Ports == 0 {
		verdict = Unknown
	}
	ports, bad := 0, 0
	for i := range c.Fabrics {
		f := &c.Fabrics[i]
		field := fmt.Sprintf("fabrics[%d] %.40s", i, f.Fabric)
		sum := f.Proven + f.Cut + f.Red + f.Unknown
		switch {
		case f.Fabric == "" || !f.Family.Valid():
			return Unknown, fail(field, "family %.40q", f.Family)
		case i > 0 && slices.ContainsFunc(c.Fabrics[:i], func(o FabricPart) bool { return o.Fabric == f.Fabric }):
			return Unknown, fail(field, "is there twice")
		case min(f.Proven, f.Cut, f.Red, f.Unknown, f.Unread, f.EverRead, f.Followed) < 0 || sum == 0:
			return Unknown, fail(field, "port counts must be 0 or more, and not all 0")
		case f.Followed > sum || f.Followed > 0 && f.Family != site.InfiniBand:
			return Unknown, fail(field, "forwarding tables were followed from %d of %d ports of family %s: that cannot be", f.Followed, sum, f.Family)
		case f.Counted < sum || f.EverRead > f.Counted || f.Unread > f.Counted || f.EverRead < sum-f.Unknown:
			return Unknown, fail(field, "%d ports of %d counted, %d ever read, %d unread: that cannot be", sum, f.Counted, f.EverRead, f.Unread)
		case f.Unknown == 0 && c.Issued.Sub(f.Oldest) > time.Duration(c.WindowSeconds)*time.Second:
			return Unknown, fail(field, "oldest read-back %s is outside the window", f.Oldest.Format(time.RFC3339))
		case f.Newest.After(c.Issued) || f.Oldest.After(f.Newest):
			return Unknown, fail(field, "read-back from %s to %s does not fit the issue", f.Oldest.Format(time.RFC3339), f.Newest.Format(time.RFC3339))
		case f.Evidence.IsZero():
			return Unknown, fail(field, "no evidence digest")
		}
		seen := 0
		for _, l := range f.Labels {
			if l.Label.Fabric != f.Fabric || l.Label.Kind != fabric.KindOf(f.Family) || l.Label.Value == 0 || l.Elsewhere < 0 || l.Occurrences < l.Elsewhere {
				return Unknown, fail(field, "label %s with %d occurrences, %d elsewhere", l.Label, l.Occurrences, l.Elsewhere)
			}
			seen += l.Occurrences - l.Elsewhere
			if l.Elsewhere > 0 {
				verdict = Worse(verdict, Red)
			}
		}
		if seen < f.Proven && f.Role != site.RoleManagement { // there each node has a zone of its own
			return Unknown, fail(field, "%d ports are proven, but its labels were seen at %d", f.Proven, seen)
		}
		ports += sum
		bad += sum - f.Proven
		for _, v := range []struct {
			verdict Verdict
			ports   int
		}{{Red, f.Red}, {Unknown, f.Unknown}, {Cut, f.Cut}} {
			if v.ports > 0 {
				verdict = Worse(verdict, v.verdict)
			}
		}
	}
	if ports != c.Ports {
		return Unknown, fail("ports", "%d, but the fabrics add up to %d", c.Ports, ports)
	}
	for _, f := range c.Failed {
		if f.Elsewhere {
			verdict = Worse(verdict, Red)
			continue
		}
		bad -= f.Ports
	}
	if bad != 0 {
		return Unknown, fail("failed", "the checks that failed leave %d ports unexplained", bad)
	}
	return verdict, nil
}
