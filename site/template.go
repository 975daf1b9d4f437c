package site

import (
	"fmt"
	"strings"

	"bulkhead/claim"
)

// ParseTemplate reads a site file: YAML, strict, at most 2 MiB. The error is
// [claim.Problems]: file, line and field of everything that is wrong,
// so that what passes compiles. examples/ has commented site files.
func ParseTemplate(file string, data []byte) (*Template, error) {
	top, err := openDocument(file, data)
	if err != nil {
		return nil, err
	}
	r := &reader{t: &Template{File: file, overrides: map[string]Override{}, cables: map[string][]Link{}}}
	r.site(top.mapping())
	if err := top.Err(); err != nil {
		return nil, err
	}
	// What the reader let through must be what every other door lets through.
	if err := r.t.header.Check(); err != nil {
		top.Fail("%v", err)
		return nil, top.Err()
	}
	return r.t, nil
}

// reader turns a document into a template.
type reader struct {
	t *Template

	kinds, fabrics, phases, halls, pods names
	podAt                               []value // where each pod is in the file
	hostLine                            map[string]int

	shapeless bool // the shape is faulty: what follows from it is not judged
}

// names are the ids of one sort of thing: id -> number, in file order.
type names struct {
	number map[string]int
	line   map[string]int
	order  []string
}

// add reads the id of a new thing, complaining when it is taken.
func (n *names) add(m mapping) string {
	v := m.required("id")
	id := v.id()
	if id == "" {
		return ""
	}
	if n.number == nil {
		n.number, n.line = map[string]int{}, map[string]int{}
	}
	if _, ok := n.number[id]; ok {
		v.Fail("%q is here twice (first in line %d); give each an id of its own", id, n.line[id])
		return id
	}
	n.number[id] = len(n.order)
	n.line[id] = v.Line
	n.order = append(n.order, id)
	return id
}

// find reads a reference to a thing that was added before.
func (n *names) find(v value) (int, bool) {
	id := v.id()
	if id == "" {
		return 0, false
	}
	number, ok := n.number[id]
	if !ok {
		v.Fail("%q: no such thing in this file; expected one of %s", id, strings.Join(n.order, ", "))
	}
	return number, ok
}

func (r *reader) site(m mapping) {
	h := &r.t.header
	h.Version = HeaderVersion
	h.Name = m.required("site").id()
	origin := m.required("origin")
	h.Origin = claim.Origin(origin.text())
	switch h.Origin {
	case claim.Simulated, "":
	case claim.Hardware, claim.Emulated:
		// Fail closed: identities of devices that exist are not for us to make up.
		origin.Fail("%q: a template makes up serials, addresses and keys, which only a simulated site may have; write \"simulated\" (the import of a discovered inventory is not built yet)", string(h.Origin))
	default:
		origin.Fail("%q: expected simulated", string(h.Origin))
	}
	h.Seed = m.required("seed").text()
	r.shape(m.required("shape").mapping())
	r.policy(m)
	for _, v := range r.list(m.required("kinds"), 64) {
		r.kind(v.mapping())
	}
	r.fabricList(m.required("fabrics"))
	if network, ok := m.optional("management"); ok {
		r.management(network)
	}
	for _, v := range r.list(m.required("phases"), 1000) {
		p := v.mapping()
		phase := Phase{ID: r.phases.add(p), InService: p.required("in-service").date()}
		p.Done()
		h.Phases = append(h.Phases, phase)
	}
	for _, v := range r.list(m.required("halls"), 1000) {
		r.hall(v.mapping())
	}
	r.checkTotals(m)
	// Only a sound tree can be asked about its nodes and ports.
	overrides, hasOverrides := m.optional("nodes")
	links, hasLinks := m.optional("links")
	found, hasFound := m.optional("identities")
	m.Done()
	if m.Failed() > 0 {
		return
	}
	r.checkFabrics()
	r.checkAddresses()
	r.checkHosts()
	if hasOverrides {
		r.overrides(overrides)
	}
	if hasFound {
		r.identityList(found)
	}
	if hasLinks {
		r.links(links)
	}
}

// list returns the entries of a list of at least one and at most limit.
func (r *reader) list(v value, limit int) []value {
	items := v.items()
	if !v.Missing() && len(items) == 0 && v.Failed() == 0 {
		v.Fail("empty: expected at least one entry")
	}
	if len(items) > limit {
		v.Fail("%d entries: expected at most %d", len(items), limit)
		return items[:limit]
	}
	return items
}

func (r *reader) shape(m mapping) {
	s := &r.t.header.Shape
	*s = Shape{RackNodes: 8, PodSUs: 64, LeafPorts: 128, LinkGbps: 400, PodTaper: 1}
	before := m.Failed()
	for _, b := range s.bounds() {
		v, ok := m.optional(b.name)
		so := m.Failed()
		if ok {
			*b.value = v.number(b.low, b.high)
		} else if *b.value == 0 && b.low > 0 {
			m.required(b.name)
		}
		if m.Failed() > so { // what follows from it is not to be complained about
			*b.value = b.high
		}
	}
	m.Done()
	r.shapeless = m.Missing() || m.Failed() > before
	if m.Missing() || m.Failed() > before {
		return
	}
	if err := s.check(); err != nil {
		m.Fail("%v", err)
	}
}

func (r *reader) policy(top mapping) {
	p := &r.t.header.Policy
	*p = DefaultPolicy()
	v, ok := top.optional("policy")
	if ok {
		m := v.mapping()
		before := m.Failed()
		for _, s := range p.settings() {
			f, ok := m.optional(s.name)
			if !ok {
				continue
			}
			if s.duration != nil {
				*s.duration = f.duration()
			} else {
				*s.count = f.number(int(s.low), int(s.high))
			}
			if reason := s.wrong(); reason != "" && f.Failed() == before {
				f.Fail("%s", reason)
			}
		}
		m.Done()
		if m.Failed() > before {
			return
		}
	}
	if name, reason := p.wrong(); reason != "" {
		f, _ := v.mapping().optional(name)
		f.Fail("%s", reason)
	}
	if nodes := r.t.header.Shape.SUNodes; nodes > 0 && p.SparesPerSU >= nodes {
		v.Fail("spares-per-su: %d spares of %d nodes an SU leave nothing to sell; use fewer", p.SparesPerSU, nodes)
	}
}

func (r *reader) kind(m mapping) {
	k := Kind{ID: r.kinds.add(m), Chassis: m.required("chassis").text()}
	gpu := m.required("gpu").mapping()
	k.GPU.read(gpu)
	if count, ok := gpu.optional("count"); ok {
		if k.GPUs = count.number(1, GPUs); k.GPUs == GPUs {
			k.GPUs = 0
		}
	}
	gpu.Done()
	for _, part := range []struct {
		name  string
		model *Model
	}{{"rail-nic", &k.RailNIC}, {"frontend-nic", &k.FrontendNIC}, {"dram", &k.DRAM}, {"tpm", &k.TPM},
		{"uefi", &k.UEFI}, {"bmc", &k.BMC}, {"switch", &k.Switch}} {
		p := m.required(part.name).mapping()
		part.model.read(p)
		p.Done()
	}
	drive := m.required("drive").mapping()
	k.Drive.read(drive)
	k.Drives = drive.required("count").number(0, MaxDrives)
	drive.Done()
	if racks, ok := m.optional("nvlink-racks"); ok {
		k.NVLinkRacks = racks.Bool()
	}
	m.Done()
	r.t.header.Kinds = append(r.t.header.Kinds, k)
}

func (x *Model) read(m mapping) {
	x.Model = m.required("model").text()
	x.Firmware = m.required("firmware").text()
}

// management reads the name of the network on which the BMCs are: it is no fabric of
// the list, because nothing is placed on it.
func (r *reader) management(v value) {
	id := v.id()
	if _, taken := r.fabrics.number[id]; taken {
		v.Fail("%q: a fabric on line %d is called so; BMCs are on a network of their own", id, r.fabrics.line[id])
	}
	r.t.header.Management = id
}

func (r *reader) fabricList(v value) {
	frontends := 0
	for _, item := range r.list(v, 256) {
		m := item.mapping()
		f := Fabric{ID: r.fabrics.add(m)}
		family := m.required("family")
		f.Family = Family(family.text())
		if f.Family != "" && !f.Family.Valid() {
			family.Fail("%q: expected roce or infiniband", string(f.Family))
		}
		if frontend, ok := m.optional("frontend"); ok {
			f.Frontend = frontend.Bool()
		}
		if f.Frontend {
			frontends++
		}
		m.Done()
		r.t.header.Fabrics = append(r.t.header.Fabrics, f)
	}
	if !v.Missing() && frontends != 1 {
		v.Fail("%d fabrics with \"frontend: true\": expected exactly 1, the one of every node's last NIC", frontends)
	}
}

func (r *reader) hall(m mapping) {
	h := &r.t.header
	hall := Hall{ID: r.halls.add(m)}
	if phase, ok := r.phases.find(m.required("phase")); ok && phase < len(h.Phases) {
		hall.Phase, hall.InService = phase, h.Phases[phase].InService
	}
	if date, ok := m.optional("in-service"); ok {
		hall.InService = date.date()
	}
	number := len(h.Halls)
	h.Halls = append(h.Halls, hall)
	for _, v := range r.list(m.required("pods"), 1000) {
		r.pod(v.mapping(), number)
	}
	m.Done()
}

func (r *reader) pod(m mapping, hall int) {
	h := &r.t.header
	before := m.Failed()
	pod := Pod{ID: r.pods.add(m), Hall: hall}
	if pod.ID != "" {
		if err := checkPodID(pod.ID); err != nil {
			m.required("id").Fail("%v", err)
		}
	}
	fabric := m.required("fabric")
	if n, ok := r.fabrics.find(fabric); ok && n < len(h.Fabrics) {
		pod.Fabric = n
		if h.Fabrics[n].Frontend {
			fabric.Fail("%q is the frontend fabric; expected a compute fabric", h.Fabrics[n].ID)
		}
	}
	plan := podPlan{}
	plan.kind, _ = r.kinds.find(m.required("kind"))
	limit := max(1, h.Shape.SUNodes*h.Shape.PodSUs)
	nodes, counted := m.optional("nodes")
	if hosts, ok := m.optional("hosts"); ok {
		plan.hosts, plan.nodes = r.hosts(hosts)
		if counted && nodes.number(1, limit) != plan.nodes {
			nodes.Fail("there are %d host names; correct one of the two, or leave the count out", plan.nodes)
		}
	} else {
		nodes = m.required("nodes")
		plan.nodes = nodes.number(1, limit)
	}
	if plan.hosts != nil {
		if stated, ok := m.optional("sus"); ok {
			if n := stated.number(1, max(1, h.Shape.PodSUs)); n != len(plan.hosts) {
				stated.Fail("%d SUs, but %d lists of host names; correct one of the two", n, len(plan.hosts))
			}
		}
	} else if h.Shape.SUNodes > 0 && plan.nodes > 0 && !r.shapeless && m.Failed() == before {
		sus := plan.sus(h.Shape)
		if last := plan.suNodes(h.Shape, sus-1); last <= h.Policy.SparesPerSU {
			nodes.Fail("%d nodes make %d SUs, the last of %d nodes, which its %d spares use up; change the count", plan.nodes, sus, last, h.Policy.SparesPerSU)
		}
		if stated, ok := m.optional("sus"); ok {
			if n := stated.number(1, h.Shape.PodSUs); n != sus {
				stated.Fail("%d SUs, but %d nodes in SUs of %d make %d; correct one of the two", n, plan.nodes, h.Shape.SUNodes, sus)
			}
		}
	} else {
		m.optional("sus")
	}
	m.Done()
	h.Pods = append(h.Pods, pod)
	r.t.pods = append(r.t.pods, plan)
	r.podAt = append(r.podAt, value{m.YAML})
}

// checkTotals compares what the file says of the whole with its sum.
func (r *reader) checkTotals(top mapping) {
	if n := r.t.Nodes(); n > MaxNodes {
		top.Fail("%d nodes: expected at most %d", n, MaxNodes)
	}
	v, ok := top.optional("totals")
	if !ok {
		return
	}
	m := v.mapping()
	sound := m.Failed() == 0 // else the sums follow from what was complained about
	for _, total := range []struct {
		name string
		is   func() int
	}{
		{"gpus", func() int { return r.t.GPUs() }},
		{"nodes", func() int { return r.t.Nodes() }},
		{"sus", func() int { return r.t.SUs() }},
		{"pods", func() int { return len(r.t.pods) }},
		{"halls", func() int { return len(r.t.header.Halls) }},
	} {
		f, ok := m.optional(total.name)
		if !ok || r.t.header.Shape.SUNodes < 1 {
			continue
		}
		if stated := f.number(0, MaxNodes*GPUs); sound && stated != total.is() {
			f.Fail("%d, but the halls add up to %d; correct one of the two", stated, total.is())
		}
	}
	m.Done()
}

// unicastLIDs is how many addresses an InfiniBand subnet has: 0x0001 to 0xbfff.
const unicastLIDs = 0xbfff

// errRails refuses a kind in a fabric whose other nodes have another number of GPUs.
func errRails(fabric, kind string, gpus int, other string, others int) error {
	return fmt.Errorf("fabric %q has %d rail planes, one a GPU of its %s nodes, and %s nodes have %d GPUs: give %s a fabric of its own",
		fabric, others, other, kind, gpus, kind)
}

// checkFabrics refuses an InfiniBand subnet with more ports than addresses, and a
// fabric whose nodes have different numbers of rails.
func (r *reader) checkFabrics() {
	h := &r.t.header
	need, first := make([]int, len(h.Fabrics)), make([]*Kind, len(h.Fabrics))
	for i, pod := range h.Pods {
		plan := r.t.pods[i]
		kind := &h.Kinds[plan.kind]
		if first[pod.Fabric] == nil {
			first[pod.Fabric] = kind
		} else if other := first[pod.Fabric]; other.NodeGPUs() != kind.NodeGPUs() {
			r.podAt[i].Fail("%v", errRails(h.Fabrics[pod.Fabric].ID, kind.ID, kind.NodeGPUs(), other.ID, other.NodeGPUs()))
		}
		need[pod.Fabric] += h.Kinds[plan.kind].NodeGPUs() * (plan.nodes + plan.sus(h.Shape) + h.Shape.Spines + h.Shape.Cores)
	}
	for i, pod := range h.Pods {
		f := h.Fabrics[pod.Fabric]
		if f.Family == InfiniBand && need[pod.Fabric] > unicastLIDs {
			r.podAt[i].Fail("fabric %q needs %d InfiniBand addresses for its NICs and switches, and a subnet has %d; split it into several fabrics",
				f.ID, need[pod.Fabric], unicastLIDs)
			need[pod.Fabric] = 0 // once is enough
		}
	}
}

// checkAddresses refuses a seed under which two SUs get the same addresses.
func (r *reader) checkAddresses() {
	owner := map[uint64]string{}
	for p, pod := range r.t.header.Pods {
		for number := range r.t.pods[p].sus(r.t.header.Shape) {
			su := suID(pod.ID, number+1)
			block := addressBlock(r.t.header.Seed, su)
			if other, ok := owner[block]; ok {
				r.podAt[p].Fail("SUs %s and %s get the same addresses from this seed; rename the newer pod", other, su)
				return
			}
			owner[block] = su
		}
	}
}
