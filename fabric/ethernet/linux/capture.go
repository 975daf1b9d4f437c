package linux

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"bulkhead/fabric/ethernet"
)

// shown is what a leaf's programs say of it, decoded.
type shown struct {
	links   []shownLink
	entries []shownEntry
	steer   map[string]bool // interfaces whose queueing disciplines could copy or steer
	rules   *shownRules
	bgp     *shownBGP
	lldp    map[string]shownNeighbour
	running running
	queues  []byte // the file
}

// tableSize is how many VNIs a leaf holds. Linux has no limit of its own; this is how
// many VLANs a capture can number.
const tableSize = 4093

var panelPort = regexp.MustCompile(`^swp([1-9][0-9]{0,2})$`)

// reader makes a capture of what is shown.
type reader struct {
	conf *Config
	s    *shown
	by   map[string]*shownLink
	vnis map[string][]uint32 // by bridge: the VNIs of its VXLAN devices
	vids map[uint32]int      // by VNI
	own  map[string]int      // by bridge without a VNI: its VLAN
	c    ethernet.Capture
	dscp [8]uint8
	used [8]bool // classes that some port's filter puts packets into
}

// assemble makes a capture of what is shown. What it does not understand counts as a
// way around the tables.
func assemble(conf *Config, s *shown) (ethernet.Capture, error) {
	r := &reader{conf: conf, s: s, by: map[string]*shownLink{}, vnis: map[string][]uint32{}, vids: map[uint32]int{}, own: map[string]int{}}
	for i := range s.links {
		r.by[s.links[i].Name] = &s.links[i]
	}
	r.c = ethernet.Capture{Switch: conf.Leaf, TableSize: tableSize}
	r.number()
	r.overlay()
	if err := r.ports(); err != nil {
		return ethernet.Capture{}, err
	}
	r.underlay()
	r.classes()
	r.differs()
	return r.c, nil
}

// number gives VNIs, and bridges that have none, VLANs.
func (r *reader) number() {
	var all []uint32
	for i := range r.s.links {
		l := &r.s.links[i]
		if l.Info.Kind != "vxlan" {
			continue
		}
		if l.Master != "" {
			r.vnis[l.Master] = append(r.vnis[l.Master], l.Info.Data.ID)
		}
		all = append(all, l.Info.Data.ID)
	}
	slices.Sort(all)
	for i, vni := range slices.Compact(all) {
		r.vids[vni] = 2 + i
	}
	for i := range r.s.links {
		if l := &r.s.links[i]; l.Info.Kind == "bridge" && len(r.vnis[l.Name]) == 0 {
			r.own[l.Name] = 2 + len(r.vids) + len(r.own)
		}
	}
	r.c.TableUsed = min(len(r.vids)+len(r.own), tableSize)
}

// overlay is what each VNI is carried with.
func (r *reader) overlay() {
	by := map[uint32]*ethernet.VNI{}
	for i := range r.s.links {
		l := &r.s.links[i]
		if l.Info.Kind != "vxlan" {
			continue
		}
		d := &l.Info.Data
		v := by[d.ID]
		if v == nil {
			t := r.s.bgp.vnis[d.ID]
			v = &ethernet.VNI{VNI: d.ID, Import: t.imports, Export: t.exports}
			by[d.ID] = v
		}
		if d.Port != ethernet.VXLANPort || d.External || d.Learning || d.Proxy || d.Group != "" {
			r.c.Underlay.AcceptElse = true
		}
		if a, ok := parseIPv4(d.Remote); ok {
			v.Flood = append(v.Flood, a)
		} else if d.Remote != "" {
			r.c.Underlay.AcceptElse = true
		}
		for _, e := range r.s.entries {
			if e.Interface != l.Name || e.To == "" {
				continue
			}
			to, ok := parseIPv4(e.To)
			if !ok {
				to = netip.IPv4Unspecified()
			}
			// FRR marks what it gives as learned elsewhere, but not what another leaf
			// announces as sticky, so zebra's own table is asked.
			if mac, ok := parseMAC(e.MAC); ok && mac == 0 {
				v.Flood = append(v.Flood, to)
			} else if r.s.bgp.remote[remoteMAC{d.ID, mac}] != to {
				v.Static = append(v.Static, to)
			}
		}
	}
	for _, vni := range slices.Sorted(maps.Keys(by)) {
		v := by[vni]
		for _, list := range []*[]netip.Addr{&v.Flood, &v.Static} {
			slices.SortFunc(*list, netip.Addr.Compare)
			*list = slices.Compact(*list)
		}
		r.c.VNIs = append(r.c.VNIs, *v)
	}
}

// ports lists the front panel's edge ports, and whatever else is in a bridge. What is
// no front panel's port has a number above all of them, downwards from 512.
func (r *reader) ports() error {
	stray := 512
	for i := range r.s.links {
		l := &r.s.links[i]
		n := 0
		if m := panelPort.FindStringSubmatch(l.Name); m != nil {
			n, _ = strconv.Atoi(m[1])
		}
		bridged := l.Master != "" && r.by[l.Master] != nil && r.by[l.Master].Info.Kind == "bridge"
		edge := n >= 1 && n <= maxPort && !slices.Contains(r.conf.Uplinks, l.Name)
		switch {
		case l.Info.Kind == "vxlan" || !edge && !bridged:
			continue
		case n < 1 || n > maxPort:
			n = stray
			stray--
		}
		if stray <= maxPort {
			return fmt.Errorf("leaf %s: more than %d interfaces in bridges that are no ports", r.conf.Leaf, 512-maxPort)
		}
		p := r.port(l, n, bridged)
		if !slices.Contains(l.Flags, "LOWER_UP") {
			p.LLDP, p.FDB = 0, 0 // its link is down: nobody is behind it
		}
		if _, known := r.conf.port(n); !known || !edge {
			// Nobody is expected there; what is taken from it is not for this leaf to say.
			p.FilterIn = p.FilterIn && edge
		}
		r.c.Ports = append(r.c.Ports, p)
	}
	slices.SortFunc(r.c.Ports, func(a, b ethernet.Port) int { return cmp.Compare(a.Number, b.Number) })
	return nil
}

func (r *reader) port(l *shownLink, number int, bridged bool) ethernet.Port {
	p := ethernet.Port{Number: number}
	filter := r.s.rules.ofPort(l.Name)
	p.Class = filter.class
	if filter.mac != 0 {
		r.dscp[filter.class], r.used[filter.class] = filter.dscp, true
	}
	p.Mirrored = filter.copies || r.s.steer[l.Name] || l.XDP != nil
	// The kernel lists them in no order. Of several static ones the filter's own is taken,
	// else the least, so that the same leaf always reads the same.
	static := 0
	for _, e := range r.s.entries {
		if e.Interface != l.Name || e.Master == "" || e.State == "permanent" {
			continue
		}
		mac, ok := parseMAC(e.MAC)
		if !ok || e.State != "static" {
			p.More = true
			continue
		}
		if static++; static == 1 || mac == filter.mac || p.FDB != filter.mac && mac < p.FDB {
			p.FDB = mac
		}
	}
	p.More = p.More || static > 1
	if n, seen := r.s.lldp[l.Name]; seen {
		p.LLDP = n.mac
		p.More = p.More || n.more
	}
	// Nothing else may take its packets on: no device on top of it, no address, no
	// other kind of master.
	alone := len(l.Adresses) == 0 && (l.Master == "" || bridged)
	for i := range r.s.links {
		if on := &r.s.links[i]; on.Lower == l.Name && on.Info.Kind != "veth" {
			alone = false
		}
	}
	p.FilterIn, p.FilterOut = filter.ok && alone, alone
	if !bridged {
		p.Locked = filter.mac == 0
		p.FilterIn = p.FilterIn && filter.mac == 0
		return p
	}
	s := &l.Info.Slave
	p.Locked = s.Locked && !s.Learning
	// The lock lets in whoever has an entry: of more than one, one is too many.
	p.FilterIn = p.FilterIn && p.FDB != 0 && filter.mac == p.FDB && static == 1
	r.member(&p, l)
	p.MTU = r.passing(l)
	return p
}

// passing is how great a packet is that passes between a port and others of its bridge.
func (r *reader) passing(l *shownLink) int {
	least := l.MTU
	for i := range r.s.links {
		other := &r.s.links[i]
		switch {
		case other.Info.Kind == "vxlan" && other.Master == l.Master:
			least = min(least, other.MTU)
		case slices.Contains(r.conf.Uplinks, other.Name) && len(r.vnis[l.Master]) > 0:
			least = min(least, other.MTU-ethernet.Overhead)
		}
	}
	return max(least, 0)
}

// member is which VLANs a port is in, by its bridge.
func (r *reader) member(p *ethernet.Port, l *shownLink) {
	bridge := r.by[l.Master]
	if bridge.Info.Data.VLANFiltering != 0 {
		p.FilterIn, p.FilterOut = false, false // who gets what is not read here
	}
	p.Mirrored = p.Mirrored || r.s.steer[bridge.Name]
	if !slices.Contains(bridge.Flags, "UP") {
		return // a bridge that is down passes nothing on: the port is a member of nothing
	}
	isolated := l.Info.Slave.Isolated
	for i := range r.s.links {
		other := &r.s.links[i]
		if other.Lower == bridge.Name && other.Info.Kind != "veth" {
			p.FilterOut = false
		}
		if other.Master == bridge.Name && other.Info.Kind == "vxlan" {
			isolated = isolated && other.Info.Slave.Isolated
			p.Mirrored = p.Mirrored || r.s.steer[other.Name]
		}
	}
	if vid, local := r.own[bridge.Name]; local {
		p.VLANs = []ethernet.VLAN{{VID: vid, Isolated: isolated}}
		return
	}
	vnis := slices.Clone(r.vnis[bridge.Name])
	slices.Sort(vnis)
	for _, vni := range slices.Compact(vnis) {
		p.VLANs = append(p.VLANs, ethernet.VLAN{VID: r.vids[vni], VNI: vni, Isolated: isolated})
	}
}

func (r *reader) underlay() {
	u := &r.c.Underlay
	rule := r.s.rules.ofLeaf(r.conf.Uplinks, r.conf.Management)
	u.Accept, u.AcceptElse = rule.accept, u.AcceptElse || rule.acceptElse
	u.Forwards = rule.forwards || r.s.bgp.routed
	u.Peers = r.s.bgp.peers
	var locals []netip.Addr
	for i := range r.s.links {
		l := &r.s.links[i]
		switch {
		case l.Info.Kind == "vxlan":
			a, _ := parseIPv4(l.Info.Data.Local)
			locals = append(locals, a)
		case l.Name == "lo":
			for _, a := range l.Adresses {
				if ip, ok := parseIPv4(a.Local); ok && !ip.IsLoopback() {
					locals = append(locals, ip)
				}
			}
		case l.Info.Kind == "bridge", panelPort.MatchString(l.Name) && !slices.Contains(r.conf.Uplinks, l.Name):
			u.Forwards = u.Forwards || len(l.Adresses) > 0
		}
		if r.s.steer[l.Name] && slices.Contains(r.conf.Uplinks, l.Name) {
			for i := range r.c.Ports {
				r.c.Ports[i].Mirrored = true
			}
		}
	}
	slices.SortFunc(locals, netip.Addr.Compare)
	if locals = slices.Compact(locals); len(locals) == 1 && locals[0].IsValid() {
		u.VTEP = locals[0]
	}
}

// classes is how traffic classes are treated: the DSCP as the filters set it, where
// some port is in the class, else as the plan has it; queues as the leaf's file says.
func (r *reader) classes() {
	var file []queues
	// Lenient JSON: what tc and the kernel print grows with their releases.
	if json.Unmarshal(r.s.queues, &file) != nil || len(file) > 8 {
		return
	}
	for _, q := range file {
		if q.Class > 7 || q.ECNPercent > 100 || len(r.c.Classes) > 0 && r.c.Classes[len(r.c.Classes)-1].Class >= q.Class {
			r.c.Classes = nil
			return
		}
		p := ethernet.ClassParameters{Class: q.Class, DSCP: ethernet.Classes()[q.Class].DSCP, PFC: q.PFC, ECNMin: q.ECNMin, ECNMax: q.ECNMax, ECNPercent: q.ECNPercent}
		if r.used[q.Class] {
			p.DSCP = r.dscp[q.Class]
		}
		r.c.Classes = append(r.c.Classes, p)
	}
}

// differs is what the leaf's configuration, compared in full, is otherwise than it is to
// be: of bgpd, of the leaf's own filter, and which VNIs it has for nobody.
func (r *reader) differs() {
	occupied := map[uint32]bool{}
	for i := range r.s.links {
		if l := &r.s.links[i]; l.Info.Kind != "vxlan" {
			for _, vni := range r.vnis[l.Master] {
				occupied[vni] = true
			}
		}
	}
	var all []string
	for _, d := range r.conf.differences(r.s.running, occupied) {
		all = append(all, d.text)
	}
	all = append(all, r.s.rules.differs(r.conf)...)
	for i := range r.c.VNIs {
		if v := r.c.VNIs[i].VNI; !occupied[v] {
			all = append(all, fmt.Sprintf("VNI %d has a device, and no port is in it", v))
		}
	}
	r.c.Differs = ethernet.Differences(all)
}
