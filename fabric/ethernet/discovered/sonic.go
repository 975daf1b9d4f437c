package discovered

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric"
	"bulkhead/site/draft"
)

// SONiC reads one leaf's config_db.json. name is the leaf's; "" takes the host
// name that the file says. Of the tables it reads, none must be there but PORT:
// what is missing says nothing. Tables that it does not know are left alone.
func SONiC(name, file string, data []byte) (*Leaf, error) {
	if form := draft.OtherForm(data, "sonic"); form != "" {
		return nil, &Error{file, 1, "", form + "; here " + rightSONiC}
	}
	switch begin := bytes.TrimLeft(data, " \t\r\n\xef\xbb\xbf"); {
	case bytes.HasPrefix(begin, []byte("<")):
		return nil, &Error{file, 1, "", "it seems to be a minigraph.xml: sonic-cfggen -m minigraph.xml --print-data makes the form that is expected"}
	case bytes.HasPrefix(begin, []byte("lldp.")):
		return nil, &Error{file, 1, "", "it seems to be the output of lldpctl -f keyvalue: import it with --format lldp"}
	case len(begin) > 0 && begin[0] != '{' && begin[0] != '[':
		return nil, &Error{file, 1, "", fmt.Sprintf("begins with %.20q, which is no JSON: %s", begin[:min(20, len(begin))], rightSONiC)}
	}
	top, err := parse(file, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, err
	}
	if top.kind != '{' {
		return nil, &Error{file, top.line, "", "expected an object of tables, a SONiC config_db.json: " + rightSONiC}
	}
	r := &sonic{leaf: &Leaf{File: file, Name: name}, file: file, top: top}
	if top.get("lldp") != nil {
		return nil, &Error{file, top.line, "", "it seems to be the output of lldpctl -f json: import it with --format lldp"}
	}
	r.flat()
	r.once()
	if err := r.metadata(); err != nil {
		return nil, err
	}
	if err := r.ports(); err != nil {
		return nil, err
	}
	r.neighbours()
	r.vlans()
	r.tunnels()
	r.addresses()
	return r.leaf, nil
}

type sonic struct {
	leaf    *Leaf
	file    string
	top     *tree
	vlan    map[string]int // "vlan100" -> 100
	members map[int][]string
}

const rightSONiC = "sonic-cfggen -d --print-data, on the leaf, makes the form that is expected"

func (r *sonic) fail(line int, table, key, format string, args ...any) error {
	return &Error{r.file, line, where(table, key), fmt.Sprintf(format, args...)}
}

// note leaves an entry out.
func (r *sonic) note(line int, table, key, format string, args ...any) {
	r.leaf.note(line, "%s: %s", where(table, key), fmt.Sprintf(format, args...))
}

func where(table, key string) string {
	if key != "" {
		return table + "|" + key
	}
	return table
}

// flat puts keys of the form TABLE|key, which a dump of the leaf's Redis has, into
// tables. Such a dump may say of each key what type it is, and have its fields in a value.
func (r *sonic) flat() {
	tables := map[string]*tree{}
	var out []member
	first, count := 0, 0
	for _, m := range r.top.members {
		if name, _, isKey := strings.Cut(m.key, "|"); !isKey && m.value.kind == '{' && !dumped(m.value) && tables[name] == nil {
			tables[name] = m.value
		}
	}
	for _, m := range r.top.members {
		name, key, isKey := strings.Cut(m.key, "|")
		if !isKey {
			if !dumped(m.value) {
				out = append(out, m)
			}
			continue
		}
		if count++; count == 1 {
			first = m.value.line
		}
		value := m.value
		if dumped(value) {
			value = value.get("value")
		}
		t := tables[name]
		if t == nil {
			t = &tree{line: m.value.line, kind: '{'}
			tables[name] = t
			out = append(out, member{name, t})
		}
		t.members = append(t.members, member{key, value.plain()})
	}
	if count > 0 {
		r.leaf.note(first, "it seems to be a dump of Redis, with %d flat keys TABLE|key: they are taken as tables; %s", count, rightSONiC)
		r.top = &tree{line: r.top.line, kind: '{', members: out}
	}
}

// dumped tells {"type": "hash", "value": {...}}.
func dumped(t *tree) bool {
	v := t.get("value")
	return v != nil && (v.kind == '{' || t.get("type").said() != "" && t.get("ttl") != nil)
}

// plain is an entry whose fields have names as a configuration has them: Redis marks
// lists with an @.
func (t *tree) plain() *tree {
	if t == nil {
		return &tree{kind: '{'}
	}
	for i, m := range t.members {
		if name, list := strings.CutSuffix(m.key, "@"); list {
			value := &tree{line: m.value.line, kind: '['}
			for _, text := range strings.Split(m.value.said(), ",") {
				value.items = append(value.items, &tree{line: m.value.line, kind: '"', text: text})
			}
			t.members[i] = member{name, value}
		}
	}
	return t
}

// once notes a table or a key that is there twice: the first counts, and programs
// differ in which of the two they take.
func (r *sonic) once() {
	tables := map[string]int{}
	for _, t := range r.top.members {
		if line, twice := tables[t.key]; twice {
			r.note(t.value.line, t.key, "", "the table is in line %d already, which counts: this one is left out", line)
			continue
		}
		tables[t.key] = t.value.line
		keys := map[string]int{}
		kept := t.value.members[:0:0]
		for _, m := range t.value.members {
			if line, twice := keys[m.key]; twice {
				r.note(m.value.line, t.key, m.key, "the key is in line %d already, which counts: this one is left out", line)
				continue
			}
			keys[m.key] = m.value.line
			kept = append(kept, m)
		}
		t.value.members = kept
	}
}

// table returns the entries of a table; none where it is missing or empty.
func (r *sonic) table(name string) (out []member) {
	t := r.top.get(name)
	if t == nil || t.kind == 'v' && t.text == "" {
		return nil
	}
	if t.kind != '{' {
		r.note(t.line, name, "", "left out, expected an object of keys")
		return nil
	}
	for _, m := range t.members {
		if m.value.kind != '{' {
			r.note(m.value.line, name, m.key, "left out, expected an object of fields")
			continue
		}
		out = append(out, m)
	}
	return out
}

func (r *sonic) metadata() error {
	if r.leaf.Name != "" {
		return nil
	}
	for _, m := range r.table("DEVICE_METADATA") {
		if h := m.value.get("hostname"); strings.EqualFold(m.key, "localhost") && h.said() != "" {
			r.leaf.Name, r.leaf.Line = h.said(), h.line
			return nil
		}
	}
	return r.fail(r.top.line, "DEVICE_METADATA", "localhost", "no hostname: say whose file it is, as NAME=%s", r.file)
}

// ports numbers the leaf's ports by their first lane, which is where they are on
// the front: names and aliases differ between vendors, and break-out ports (etp1a,
// etp1b) each have lanes of their own. Where lanes are missing or clash, the names
// of the ports order them.
func (r *sonic) ports() error {
	type port struct {
		name string
		lane int
		line int
	}
	var list []port
	lanes := map[int]port{}
	without := 0
	for _, m := range r.table("PORT") {
		p := port{name: m.key, line: m.value.line}
		l := m.value.get("lanes")
		if l.said() == "" {
			if without++; without == 1 {
				r.note(p.line, "PORT", m.key, "no lanes, which say where ports are on the front: the order of the ports' names counts")
			}
		}
		for i, text := range strings.Split(l.said(), ",") {
			if l.said() == "" {
				break
			}
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < 0 || n > 1<<16 {
				r.note(l.line, "PORT", m.key, "lanes %.40q: expected numbers such as \"0,1,2,3\"; the order of the ports' names counts", l.said())
				without++
				break
			}
			if other, taken := lanes[n]; taken {
				r.note(l.line, "PORT", m.key, "lane %d is %s's already (line %d): the order of the ports' names counts", n, other.name, other.line)
				without++
				break
			}
			if i == 0 {
				p.lane = n
			}
			lanes[n] = p
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return r.fail(r.top.line, "PORT", "", "no ports: expected a leaf's configuration; %s", rightSONiC)
	}
	if without > 0 {
		for i := range list {
			list[i].lane = 0
		}
	}
	slices.SortFunc(list, func(a, b port) int { return cmp.Or(cmp.Compare(a.lane, b.lane), draft.CompareNames(a.name, b.name)) })
	for _, p := range list {
		r.leaf.Ports = append(r.leaf.Ports, p.name)
	}
	return nil
}

// neighbours reads who is behind each port. Where nobody is named, the ports that are
// up and not the underlay's are kept, as those of nodes that have no name.
func (r *sonic) neighbours() {
	for _, m := range r.table("DEVICE_NEIGHBOR") {
		port := m.key
		if local := m.value.get("local_port").said(); local != "" && !slices.Contains(r.leaf.Ports, port) {
			port = local
		}
		name := strings.TrimSpace(m.value.get("name").said())
		switch {
		case !slices.Contains(r.leaf.Ports, port):
			r.note(m.value.line, "DEVICE_NEIGHBOR", m.key, "left out, no such port in PORT")
		case name == "":
			r.note(m.value.line, "DEVICE_NEIGHBOR", m.key, "left out, it does not name the neighbour")
		default:
			r.leaf.Links = append(r.leaf.Links, Link{Line: m.value.line, Port: port, Host: name, NIC: strings.TrimSpace(m.value.get("port").said())})
		}
	}
	slices.SortFunc(r.leaf.Links, func(a, b Link) int { return draft.CompareNames(a.Port, b.Port) })
	if len(r.leaf.Links) > 0 {
		return
	}
	routed := map[string]bool{}
	for _, table := range []string{"INTERFACE", "PORTCHANNEL_MEMBER"} {
		for _, m := range r.table(table) {
			for _, part := range strings.Split(m.key, "|") {
				routed[part] = true
			}
		}
	}
	for _, m := range r.table("PORT") {
		if status := m.value.get("admin_status").said(); !routed[m.key] && (status == "" || strings.EqualFold(status, "up")) {
			r.leaf.Access = append(r.leaf.Access, Link{Line: m.value.line, Port: m.key, NIC: r.leaf.Name})
		}
	}
}

func (r *sonic) vlans() {
	r.vlan, r.members = map[string]int{}, map[int][]string{}
	join := func(line int, table, key string, number int, port string) {
		switch {
		case slices.Contains(r.members[number], port):
		case slices.Contains(r.leaf.Ports, port):
			r.members[number] = append(r.members[number], port)
		case strings.HasPrefix(port, "PortChannel"):
			r.note(line, table, key, "ports that are bundled are not taken over")
		default:
			r.note(line, table, key, "left out, no port %.40s in PORT", port)
		}
	}
	for _, m := range r.table("VLAN") {
		number, ok := vlanNumber(m.key)
		if !ok {
			r.note(m.value.line, "VLAN", m.key, "left out, expected a name such as Vlan100, 1 to 4094")
			continue
		}
		if id := m.value.get("vlanid"); id != nil && id.said() != strconv.Itoa(number) {
			r.note(id.line, "VLAN", m.key, "left out: vlanid %.20q, expected %d", id.said(), number)
			continue
		}
		r.vlan[strings.ToLower(m.key)] = number
		if members := m.value.get("members"); members != nil { // as older releases have it
			for _, port := range members.items {
				join(port.line, "VLAN", m.key, number, port.said())
			}
		}
	}
	for _, m := range r.table("VLAN_MEMBER") {
		name, port, ok := strings.Cut(m.key, "|")
		if !ok {
			r.note(m.value.line, "VLAN_MEMBER", m.key, "left out, expected VLAN|PORT")
			continue
		}
		number, known := r.vlan[strings.ToLower(name)]
		if !known {
			r.note(m.value.line, "VLAN_MEMBER", m.key, "left out, no such VLAN in VLAN")
			continue
		}
		join(m.value.line, "VLAN_MEMBER", m.key, number, port)
	}
}

// vlanNumber reads Vlan100, in any case.
func vlanNumber(name string) (int, bool) {
	if len(name) < 5 || !strings.EqualFold(name[:4], "vlan") {
		return 0, false
	}
	n, err := strconv.Atoi(name[4:])
	return n, err == nil && n >= 1 && n <= 4094
}

// tunnels reads which VLAN is which VNI. A VNI that is a VRF's carries what is routed
// between VLANs: Bulkhead proves who is in one VNI, not what is routed.
func (r *sonic) tunnels() {
	routed := map[uint32]string{}
	vrfs := map[string]bool{}
	for _, table := range []string{"VRF", "VNET"} {
		for _, m := range r.table(table) {
			vrfs[strings.ToLower(m.key)] = true
			if n, err := strconv.ParseUint(m.value.get("vni").said(), 10, 32); err == nil && n > 0 {
				routed[uint32(n)] = m.key
				r.note(m.value.line, table, m.key, "VNI %d is routed (an L3VNI): what passes between VLANs by it is not proven", n)
			}
		}
	}
	tunnels := map[string]bool{}
	for _, m := range r.table("VXLAN_TUNNEL") {
		tunnels[m.key] = true
	}
	vnis, vlans := map[uint32]int{}, map[int]int{}
	for _, m := range r.table("VXLAN_TUNNEL_MAP") {
		line := m.value.line
		left := func(format string, args ...any) {
			r.note(line, "VXLAN_TUNNEL_MAP", m.key, "left out, "+format, args...)
		}
		tunnel, mapped, ok := strings.Cut(m.key, "|")
		n, err := strconv.ParseUint(m.value.get("vni").said(), 10, 32)
		vrf := m.value.get("vrf").said()
		if first, _, _ := strings.Cut(mapped, "|"); vrf == "" && (vrfs[strings.ToLower(first)] || m.value.get("vlan") == nil && strings.HasPrefix(strings.ToLower(first), "vrf")) {
			vrf = first
		}
		number, known := r.vlan[strings.ToLower(m.value.get("vlan").said())]
		switch {
		case !ok:
			left("expected TUNNEL|MAP")
		case err != nil || n == 0 || n > fabric.MaxValue:
			left("vni %.20q: expected 1 to %d", m.value.get("vni").said(), fabric.MaxValue)
		case vrf != "" || routed[uint32(n)] != "":
			left("VNI %d is routed (an L3VNI, of VRF %s): what passes between VLANs by it is not proven", n, cmp.Or(vrf, routed[uint32(n)]))
		case !tunnels[tunnel]:
			left("no such tunnel in VXLAN_TUNNEL")
		case !known:
			left("vlan %.20q: no such VLAN in VLAN", m.value.get("vlan").said())
		case vnis[uint32(n)] != 0:
			left("VNI %d is mapped in line %d already", n, vnis[uint32(n)])
		case vlans[number] != 0:
			left("Vlan%d is mapped in line %d already", number, vlans[number])
		default:
			vnis[uint32(n)], vlans[number] = line, line
			ports := r.members[number]
			slices.SortFunc(ports, draft.CompareNames)
			r.leaf.VNIs = append(r.leaf.VNIs, VNI{Line: line, VNI: uint32(n), VLAN: number, Ports: ports})
		}
	}
	slices.SortFunc(r.leaf.VNIs, func(a, b VNI) int { return cmp.Compare(a.VNI, b.VNI) })
}

// addresses counts with whom the leaf speaks BGP: nothing of where it is reached goes
// into a draft, whose own address plan replaces it.
func (r *sonic) addresses() { r.leaf.BGP = len(r.table("BGP_NEIGHBOR")) }
