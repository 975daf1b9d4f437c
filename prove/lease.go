package prove

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/site"
)

// Finding says which check fails at how many ports of one fabric. It names only
// ports and labels of who asked.
type Finding struct {
	Check     Check
	Fabric    int         // index into Site.Fabrics
	Elsewhere bool        // at ports that were not asked about; these are not named
	Label     uint32      // the label of theirs that is carried elsewhere, else 0
	Ports     []site.Port // the first MaxFindingPorts of them, ascending in the order asked
	Count     int
}

// MaxFindingPorts is how many ports a finding names.
const MaxFindingPorts = 64

func (f Finding) String() string {
	where := "at"
	if f.Elsewhere {
		where = "elsewhere at"
	}
	return fmt.Sprintf("%s %s %d ports", f.Check, where, f.Count)
}

// Lease judges a set of ports as a whole: those of a lease, or of the part of it
// that is handed over. The worst port decides: red, then unknown, then cut off.
// It is red as well if a label of the ports' holders is carried at ports that
// they do not hold, or if any port of the same fabric is open to all: does not
// enforce its table, or is a full member of a shared label. Ports elsewhere that
// cannot be read now count as they were last read. No ports at all are unknown.
// Cost: O(ports).
func (p *Prover) Lease(ports []site.Port) (Verdict, []Finding) {
	verdict, _, findings := p.judge(ports)
	return verdict, findings
}

func (p *Prover) judge(ports []site.Port) (Verdict, []Tally, []Finding) {
	tallies := make([]Tally, len(p.facts.owners))
	at := map[[2]int]int{}
	var findings []Finding
	var held holders
	for _, port := range ports {
		if int(port) >= len(p.reason) || p.facts.fabricOf(port) == noFabric {
			findings = append(findings, Finding{Check: Unreadable, Count: 1})
			continue
		}
		held.add(p.facts.holder[port])
		c, f := p.reason[port], int(p.facts.fabricOf(port))
		tallies[f].count(c.Verdict(), 1)
		if p.marks[port]&markOdd != 0 {
			held.add(TurnoverHolder(port.Node())) // what carries that label elsewhere reaches this port
		}
		if c == Passed {
			continue
		}
		key := [2]int{int(c), f}
		i, ok := at[key]
		if !ok {
			i = len(findings)
			at[key] = i
			findings = append(findings, Finding{Check: c, Fabric: f})
		}
		findings[i].Count++
		if len(findings[i].Ports) < MaxFindingPorts {
			findings[i].Ports = append(findings[i].Ports, port)
		}
	}
	for f := range tallies {
		if tallies[f].Ports() == 0 {
			continue
		}
		o := &p.facts.owners[f]
		if o.open > 0 {
			findings = append(findings, Finding{Check: EnforcementOff, Fabric: f, Elsewhere: true, Count: o.open})
		}
		for _, value := range fabric.Shared(o.family) {
			if n := p.Misplaced(f, value); n > 0 {
				findings = append(findings, Finding{Check: SharedFull, Fabric: f, Elsewhere: true, Count: n})
			}
		}
		for _, value := range p.labels(f, held.list) {
			if n := p.Misplaced(f, value); n > 0 {
				findings = append(findings, Finding{Check: ForeignLabel, Fabric: f, Elsewhere: true, Label: value, Count: n})
			}
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if a.Elsewhere != b.Elsewhere {
			return bit(a.Elsewhere) - bit(b.Elsewhere)
		}
		if a.Check != b.Check {
			return int(a.Check) - int(b.Check)
		}
		return a.Fabric - b.Fabric
	})
	verdict := Proven
	if len(ports) == 0 {
		verdict = Unknown
	}
	for i := range findings {
		verdict = Worse(verdict, findings[i].Check.Verdict())
	}
	return verdict, tallies, findings
}

// holders collects distinct holder numbers, in the order in which they come.
type holders struct {
	list []uint32
	has  map[uint32]bool
}

func (h *holders) add(number uint32) {
	if n := len(h.list); n > 0 && h.list[n-1] == number || h.has[number] {
		return
	}
	if h.has == nil {
		h.has = map[uint32]bool{}
	}
	h.has[number] = true
	h.list = append(h.list, number)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Worse returns the verdict that decides: red before unknown before cut off.
func Worse(a, b Verdict) Verdict {
	for _, v := range [...]Verdict{Red, Unknown, Cut} {
		if a == v || b == v {
			return v
		}
	}
	return Proven
}

// labels returns the values that holders own in a fabric, ascending.
func (p *Prover) labels(fabricIndex int, numbers []uint32) []uint32 {
	var values []uint32
	for _, h := range numbers {
		for _, l := range p.facts.labels[h] {
			if l.fabric == fabricIndex {
				values = append(values, l.value)
			}
		}
		if h >= FirstTurnover {
			if l := fabric.TurnoverLabel("", p.facts.owners[fabricIndex].family, site.Index(h-FirstTurnover)); l.Value != 0 {
				values = append(values, l.Value)
			}
		}
	}
	slices.Sort(values)
	return values
}

// Path says how a fabric is written and read.
type Path struct {
	Fencing string // fabric.FencedByDevice or fabric.FencedByDeadline
	Source  string // which path read: "smp", "kernel+lldp"
}

// Request asks for an isolation certificate of nodes of a lease.
type Request struct {
	Lease, Tenant string
	Epoch         uint64 // counts the verdicts of a lease
	Nodes         *site.Set
	Issued        time.Time
	Window        time.Duration   // read-back older than this does not count
	Paths         map[string]Path // by fabric id
	// Management names the management network that the lease spans; "": none. Zones is
	// what was read of it; nil: nothing.
	Management string
	Zones      *Prover
}

// Certify judges the edge ports of nodes and puts the result into an isolation
// certificate, whatever the verdict. That leaves which were not read within the window
// are marked unknown is the caller's, but for those of Zones.
// Cost: O(ports), 40 ms for 394,000: most of it hashes what was read.
func (p *Prover) Certify(r Request) (Certificate, []Finding) {
	s := p.facts.site
	ports := make([]site.Port, 0, r.Nodes.Len()*site.NICs)
	for n := range r.Nodes.All() {
		for _, nic := range s.NICsOf(n) {
			ports = append(ports, site.PortOf(n, nic))
		}
	}
	verdict, tallies, findings := p.judge(ports)
	c := Certificate{
		Version: CertificateVersion, Lease: r.Lease, Tenant: r.Tenant, Epoch: r.Epoch,
		Issued: r.Issued.UTC(), WindowSeconds: int64(r.Window / time.Second), Origin: s.Origin, Verdict: verdict.String(),
		Nodes: r.Nodes.String(), Ports: len(ports), Fabrics: []FabricPart{}, Failed: []Failure{},
	}
	spans := spansOf(s, r.Nodes)
	for f := range tallies {
		if tallies[f].Ports() > 0 {
			part := p.part(f, tallies[f], ports, r.Paths[s.Fabrics[f].ID])
			for _, span := range spans {
				if span.Fabric == part.Fabric {
					part.Role, part.Each = span.Role, span.Ports
				}
			}
			c.Fabrics = append(c.Fabrics, part)
		}
	}
	for _, f := range findings {
		c.Failed = append(c.Failed, Failure{Check: f.Check.String(), Fabric: s.Fabrics[f.Fabric].ID, Ports: f.Count, Elsewhere: f.Elsewhere})
	}
	if r.Management != "" {
		zones := r.Zones
		if zones == nil {
			zones = Zones(s)
		}
		zones.Expire(r.Issued.Add(-r.Window))
		verdict = Worse(verdict, c.zones(r.Management, zones, r.Nodes, r.Paths[r.Management]))
		c.Verdict = verdict.String()
	}
	if c.NVLink = p.nvlink(r.Nodes); c.NVLink != nil {
		verdict = Worse(verdict, c.NVLink.verdict())
		c.Verdict = verdict.String()
	}
	for _, check := range Checks() {
		c.Checks = append(c.Checks, check.String())
	}
	c.Assumptions = assumptions(&c)
	c.NotProven = notProven(&c)
	return c, findings
}

// part is what a certificate says of one fabric.
func (p *Prover) part(f int, t Tally, ports []site.Port, path Path) FabricPart {
	s, o := p.facts.site, &p.facts.owners[f]
	part := FabricPart{
		Fabric: o.id, Family: o.family, Fencing: path.Fencing, Source: path.Source, Labels: []LabelPart{},
		Proven: t.Proven, Cut: t.Cut, Red: t.Red, Unknown: t.Unknown,
		Counted: o.ports, EverRead: o.read,
	}
	for leaf := range p.unread {
		if int(p.facts.leaf[leaf]) == f && p.unread[leaf] {
			part.Unread += len(s.SUs[site.Leaf(leaf).SU()].Nodes)
		}
	}
	var held holders
	hash := sha256.New()
	var b []byte
	for _, port := range ports {
		if int(p.facts.fabricOf(port)) != f {
			continue
		}
		held.add(p.facts.holder[port])
		at := p.readAt[s.LeafOf(port)]
		if t := time.Unix(0, at).UTC(); at != 0 {
			if part.Oldest.IsZero() || t.Before(part.Oldest) {
				part.Oldest = t
			}
			if t.After(part.Newest) {
				part.Newest = t
			}
		}
		if p.tables.Flags(port)&fabric.FlagFollowed != 0 {
			part.Followed++
		}
		b = AppendReading(b[:0], port, p.tables)
		hash.Write(b)
	}
	part.Evidence = claim.Digest(hash.Sum(nil))
	for _, value := range p.labels(f, held.list) {
		part.Labels = append(part.Labels, LabelPart{
			Label:       fabric.Label{Fabric: o.id, Kind: fabric.KindOf(o.family), Value: value},
			Occurrences: p.Occurrences(f, value), Elsewhere: p.Misplaced(f, value),
		})
	}
	return part
}

// AppendReading appends the canonical bytes of a port's last reading, all
// numbers big-endian: port (4 bytes), flags (2: read, in, out, full from bit 0,
// then the faults, and in bit 15 followed), traffic class (1), neighbour (8), then NIC and leaf table, each a count (4) and its members (4
// each), ascending. The evidence digest of a certificate is the SHA-256 of these
// for all ports of the fabric, ascending.
func AppendReading(b []byte, port site.Port, t *fabric.Tables) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(port))
	b = binary.BigEndian.AppendUint16(b, uint16(t.Flags(port)))
	b = append(b, t.Class(port))
	b = binary.BigEndian.AppendUint64(b, t.Neighbour(port))
	for _, side := range [2][]fabric.Member{t.NIC(port), t.Leaf(port)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(side)))
		for _, m := range side {
			b = binary.BigEndian.AppendUint32(b, uint32(m))
		}
	}
	return b
}
