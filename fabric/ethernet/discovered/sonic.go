package discovered

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric"
)

// SONiC reads one leaf's config_db.json. name is the leaf's; "" takes the host
// name that the file says. Of the tables it reads, none must be there but PORT:
// what is missing says nothing. Tables that it does not know are left alone.
func SONiC(name, file string, data []byte) (*Leaf, error) {
	top, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	if top.kind != '{' {
		return nil, &Error{file, top.line, "", "expected an object of tables: a SONiC config_db.json"}
	}
	r := &sonic{leaf: &Leaf{File: file, Name: name}, file: file, top: top}
	for _, step := range []func() error{r.once, r.metadata, r.ports, r.neighbours, r.vlans, r.tunnels, r.addresses} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.leaf, nil
}

type sonic struct {
	leaf    *Leaf
	file    string
	top     *tree
	vlan    map[string]int // "vlan100" -> 100
	members map[int][]string
}

func (r *sonic) fail(line int, table, key, format string, args ...any) error {
	where := table
	if key != "" {
		where += "|" + key
	}
	return &Error{r.file, line, where, fmt.Sprintf(format, args...)}
}

// once refuses a table or a key that is there twice: programs differ in which of
// the two they take.
func (r *sonic) once() error {
	tables := map[string]int{}
	for _, t := range r.top.members {
		if line, twice := tables[t.key]; twice {
			return r.fail(t.value.line, t.key, "", "the table is in line %d already", line)
		}
		tables[t.key] = t.value.line
		keys := map[string]int{}
		for _, m := range t.value.members {
			if line, twice := keys[m.key]; twice {
				return r.fail(m.value.line, t.key, m.key, "the key is in line %d already", line)
			}
			keys[m.key] = m.value.line
		}
	}
	return nil
}

// table returns the entries of a table; none where it is missing or empty.
func (r *sonic) table(name string) ([]member, error) {
	t := r.top.get(name)
	if t == nil || t.kind == 'v' && t.text == "" {
		return nil, nil
	}
	if t.kind != '{' {
		return nil, r.fail(t.line, name, "", "expected an object of keys")
	}
	for _, m := range t.members {
		if m.value.kind != '{' {
			return nil, r.fail(m.value.line, name, m.key, "expected an object of fields")
		}
	}
	return t.members, nil
}

func (r *sonic) metadata() error {
	if r.leaf.Name != "" {
		return nil
	}
	entries, err := r.table("DEVICE_METADATA")
	if err != nil {
		return err
	}
	for _, m := range entries {
		if h := m.value.get("hostname"); strings.EqualFold(m.key, "localhost") && h.said() != "" {
			r.leaf.Name, r.leaf.Line = h.said(), h.line
			return nil
		}
	}
	return r.fail(r.top.line, "DEVICE_METADATA", "localhost", "no hostname: say whose file it is, as NAME=%s", r.file)
}

// ports numbers the leaf's ports by their first lane, which is where they are on
// the front: names and aliases differ between vendors, and break-out ports (etp1a,
// etp1b) each have lanes of their own.
func (r *sonic) ports() error {
	entries, err := r.table("PORT")
	if err != nil {
		return err
	}
	type port struct {
		name string
		lane int
		line int
	}
	var list []port
	lanes := map[int]port{}
	for _, m := range entries {
		p := port{name: m.key, line: m.value.line}
		l := m.value.get("lanes")
		if l.said() == "" {
			return r.fail(p.line, "PORT", m.key, "no lanes: expected numbers such as \"0,1,2,3\"")
		}
		for i, text := range strings.Split(l.said(), ",") {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < 0 || n > 1<<16 {
				return r.fail(l.line, "PORT", m.key, "lanes %.40q: expected numbers such as \"0,1,2,3\"", l.said())
			}
			if other, taken := lanes[n]; taken {
				return r.fail(l.line, "PORT", m.key, "lane %d is %s's already (line %d)", n, other.name, other.line)
			}
			if i == 0 {
				p.lane = n
			}
			lanes[n] = p
		}
		if s := m.value.get("admin_status"); s != nil && !strings.EqualFold(s.said(), "up") && !strings.EqualFold(s.said(), "down") {
			return r.fail(s.line, "PORT", m.key, "admin_status %.20q: expected up or down", s.said())
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return r.fail(r.top.line, "PORT", "", "no ports: expected a leaf's configuration")
	}
	slices.SortFunc(list, func(a, b port) int { return cmp.Or(cmp.Compare(a.lane, b.lane), compareNames(a.name, b.name)) })
	for _, p := range list {
		r.leaf.Ports = append(r.leaf.Ports, p.name)
	}
	return nil
}

func (r *sonic) neighbours() error {
	entries, err := r.table("DEVICE_NEIGHBOR")
	if err != nil {
		return err
	}
	for _, m := range entries {
		if !slices.Contains(r.leaf.Ports, m.key) {
			return r.fail(m.value.line, "DEVICE_NEIGHBOR", m.key, "no such port in PORT")
		}
		name := strings.TrimSpace(m.value.get("name").said())
		if name == "" {
			return r.fail(m.value.line, "DEVICE_NEIGHBOR", m.key, "no name: expected the neighbour's")
		}
		r.leaf.Links = append(r.leaf.Links, Link{Line: m.value.line, Port: m.key, Host: name, NIC: strings.TrimSpace(m.value.get("port").said())})
	}
	slices.SortFunc(r.leaf.Links, func(a, b Link) int { return compareNames(a.Port, b.Port) })
	return nil
}

func (r *sonic) vlans() error {
	entries, err := r.table("VLAN")
	if err != nil {
		return err
	}
	r.vlan, r.members = map[string]int{}, map[int][]string{}
	for _, m := range entries {
		number, ok := vlanNumber(m.key)
		if !ok {
			return r.fail(m.value.line, "VLAN", m.key, "expected a name such as Vlan100, 1 to 4094")
		}
		if id := m.value.get("vlanid"); id != nil && id.said() != strconv.Itoa(number) {
			return r.fail(id.line, "VLAN", m.key, "vlanid %.20q: expected %d", id.said(), number)
		}
		r.vlan[strings.ToLower(m.key)] = number
	}
	if entries, err = r.table("VLAN_MEMBER"); err != nil {
		return err
	}
	for _, m := range entries {
		name, port, ok := strings.Cut(m.key, "|")
		if !ok {
			return r.fail(m.value.line, "VLAN_MEMBER", m.key, "expected VLAN|PORT")
		}
		number, known := r.vlan[strings.ToLower(name)]
		if !known {
			return r.fail(m.value.line, "VLAN_MEMBER", m.key, "no such VLAN in VLAN")
		}
		if !slices.Contains(r.leaf.Ports, port) {
			if strings.HasPrefix(port, "PortChannel") {
				r.leaf.Notes = append(r.leaf.Notes, fmt.Sprintf("%s:%d: VLAN_MEMBER|%s: ports that are bundled are not taken over", r.file, m.value.line, m.key))
				continue
			}
			return r.fail(m.value.line, "VLAN_MEMBER", m.key, "no such port in PORT")
		}
		if mode := m.value.get("tagging_mode"); mode != nil && !strings.EqualFold(mode.said(), "tagged") && !strings.EqualFold(mode.said(), "untagged") && !strings.EqualFold(mode.said(), "priority_tagged") {
			return r.fail(mode.line, "VLAN_MEMBER", m.key, "tagging_mode %.20q: expected tagged, untagged or priority_tagged", mode.said())
		}
		r.members[number] = append(r.members[number], port)
	}
	return nil
}

// vlanNumber reads Vlan100, in any case.
func vlanNumber(name string) (int, bool) {
	if len(name) < 5 || !strings.EqualFold(name[:4], "vlan") {
		return 0, false
	}
	n, err := strconv.Atoi(name[4:])
	return n, err == nil && n >= 1 && n <= 4094
}

func (r *sonic) tunnels() error {
	entries, err := r.table("VXLAN_TUNNEL")
	if err != nil {
		return err
	}
	tunnels := map[string]bool{}
	for _, m := range entries {
		tunnels[m.key] = true
		if a := m.value.get("src_ip"); a != nil {
			if _, err := netip.ParseAddr(a.said()); err != nil {
				return r.fail(a.line, "VXLAN_TUNNEL", m.key, "src_ip %.40q: expected an address", a.said())
			}
		}
	}
	if entries, err = r.table("VXLAN_TUNNEL_MAP"); err != nil {
		return err
	}
	vnis, vlans := map[uint32]int{}, map[int]int{}
	for _, m := range entries {
		line := m.value.line
		tunnel, _, ok := strings.Cut(m.key, "|")
		if !ok {
			return r.fail(line, "VXLAN_TUNNEL_MAP", m.key, "expected TUNNEL|MAP")
		}
		if !tunnels[tunnel] {
			return r.fail(line, "VXLAN_TUNNEL_MAP", m.key, "no such tunnel in VXLAN_TUNNEL")
		}
		n, err := strconv.ParseUint(m.value.get("vni").said(), 10, 32)
		if err != nil || n == 0 || n > fabric.MaxValue {
			return r.fail(line, "VXLAN_TUNNEL_MAP", m.key, "vni %.20q: expected 1 to %d", m.value.get("vni").said(), fabric.MaxValue)
		}
		number, known := r.vlan[strings.ToLower(m.value.get("vlan").said())]
		if !known {
			return r.fail(line, "VXLAN_TUNNEL_MAP", m.key, "vlan %.20q: no such VLAN in VLAN", m.value.get("vlan").said())
		}
		if other, twice := vnis[uint32(n)]; twice {
			return r.fail(line, "VXLAN_TUNNEL_MAP", m.key, "VNI %d is mapped in line %d already", n, other)
		}
		if other, twice := vlans[number]; twice {
			return r.fail(line, "VXLAN_TUNNEL_MAP", m.key, "Vlan%d is mapped in line %d already", number, other)
		}
		vnis[uint32(n)], vlans[number] = line, line
		ports := r.members[number]
		slices.SortFunc(ports, compareNames)
		r.leaf.VNIs = append(r.leaf.VNIs, VNI{Line: line, VNI: uint32(n), VLAN: number, Ports: ports})
	}
	slices.SortFunc(r.leaf.VNIs, func(a, b VNI) int { return cmp.Compare(a.VNI, b.VNI) })
	return nil
}

// addresses checks what says where the leaf is reached, and with whom it speaks
// BGP: nothing of it goes into a draft, whose own address plan replaces it.
func (r *sonic) addresses() error {
	entries, err := r.table("LOOPBACK_INTERFACE")
	if err != nil {
		return err
	}
	for _, m := range entries {
		if _, prefix, ok := strings.Cut(m.key, "|"); ok {
			if _, err := netip.ParsePrefix(prefix); err != nil {
				return r.fail(m.value.line, "LOOPBACK_INTERFACE", m.key, "%.40q: expected a prefix such as 10.0.0.1/32", prefix)
			}
		}
	}
	if entries, err = r.table("BGP_NEIGHBOR"); err != nil {
		return err
	}
	for _, m := range entries {
		address := m.key[strings.LastIndexByte(m.key, '|')+1:] // "default|10.0.0.2" where VRFs are in the key
		if _, err := netip.ParseAddr(address); err != nil && !slices.Contains(r.leaf.Ports, address) {
			return r.fail(m.value.line, "BGP_NEIGHBOR", m.key, "%.40q: expected an address, or a port", address)
		}
	}
	if len(entries) > 0 {
		r.leaf.Notes = append(r.leaf.Notes, fmt.Sprintf("%s: %d BGP neighbours: addresses of the underlay are not taken over, they follow from the site's own plan", r.file, len(entries)))
	}
	return nil
}
