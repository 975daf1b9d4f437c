package site

import (
	"strconv"
	"strings"
)

// identities are those that an SU really has on its fabric, as they were
// discovered there, in place of the ones that a template makes up.
type identities struct {
	leaves []HardwareID   // node GUIDs, by rail; nil on Ethernet
	ports  [][]HardwareID // port GUIDs, on Ethernet MACs, by position and rail
	at     []int          // leaf ports, by position; nil: 1, 2, ...
}

// identityList reads the identities of SUs: on InfiniBand the leaves' GUIDs by
// rail, and for each node by position its port GUIDs, one a rail, on Ethernet MACs. A fabric has them for all its SUs or for
// none: a made-up port beside real ones would never be found.
func (r *reader) identityList(v value) {
	type unit struct {
		nodes, pod, rails int
	}
	units := map[string]unit{}
	for p := range r.t.header.Pods {
		for number := range r.t.pods[p].sus(r.t.header.Shape) {
			units[suID(r.t.header.Pods[p].ID, number+1)] = unit{r.t.pods[p].suNodes(r.t.header.Shape, number), p, r.t.header.Kinds[r.t.pods[p].kind].NodeGPUs()}
		}
	}
	r.t.identities = map[string]identities{}
	seen := map[HardwareID]int{} // -> line
	with := map[int]bool{}       // fabrics
	for _, item := range r.list(v, max(1, len(units))) {
		m := item.mapping()
		su := m.required("su")
		ports := m.required("ports")
		id := su.id()
		if id == "" {
			m.optional("leaves")
			m.optional("at")
			m.Done()
			continue
		}
		u, known := units[id]
		if !known {
			m.optional("leaves")
			m.optional("at")
			m.Done()
			su.Fail("%q: no such SU in this file", id)
			continue
		}
		fabric := r.t.header.Pods[u.pod].Fabric
		ethernet := r.t.header.Fabrics[fabric].Family != InfiniBand
		var leaves value
		if !ethernet {
			leaves = m.required("leaves")
		}
		at, hasAt := m.optional("at")
		m.Done()
		if _, twice := r.t.identities[id]; twice {
			su.Fail("%q is here twice", id)
			continue
		}
		with[fabric] = true
		list := ports.items()
		if len(list) != u.nodes {
			ports.Fail("%d nodes, expected %d, one for each position", len(list), u.nodes)
			continue
		}
		found := identities{ports: make([][]HardwareID, len(list))}
		if !ethernet {
			found.leaves = guidList(leaves, u.rails, seen, false)
		}
		if hasAt {
			found.at = r.leafPorts(at, u.nodes)
		}
		for pos, p := range list {
			found.ports[pos] = guidList(p, u.rails, seen, ethernet)
		}
		r.t.identities[id] = found
	}
	for id, u := range units {
		fabric := r.t.header.Pods[u.pod].Fabric
		if _, has := r.t.identities[id]; with[fabric] && !has && v.Failed() == 0 {
			v.Fail("SU %s of fabric %s has none and others of the fabric have: discover the whole fabric", id, r.t.header.Fabrics[fabric].ID)
			return
		}
	}
}

// leafPorts reads in which port of every leaf the nodes of an SU are, by position.
// Uplinks begin behind shape.su-nodes, so no node is beyond it.
func (r *reader) leafPorts(v value, nodes int) []int {
	items := v.items()
	if len(items) != nodes {
		v.Fail("%d ports, expected %d, one for each position", len(items), nodes)
		return nil
	}
	ports := make([]int, nodes)
	for pos, item := range items {
		ports[pos] = item.number(1, r.t.header.Shape.SUNodes)
		if pos > 0 && ports[pos] <= ports[pos-1] {
			item.Fail("%d: expected more than %d: positions are in the order of ports", ports[pos], ports[pos-1])
		}
	}
	return ports
}

// guidList reads the GUIDs or MACs of so many rails, each once in the file.
func guidList(v value, rails int, seen map[HardwareID]int, ethernet bool) []HardwareID {
	items := v.items()
	if !v.Missing() && len(items) != rails {
		v.Fail("%d GUIDs, expected %d, one for each rail", len(items), rails)
		return make([]HardwareID, rails)
	}
	out := make([]HardwareID, rails)
	for i, item := range items {
		text := item.text()
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
		if text == "" {
			continue
		}
		if err != nil || n == 0 || !strings.HasPrefix(text, "0x") {
			item.Fail("%.40q: expected a GUID as 0x and up to 16 hexadecimal digits", text)
			continue
		}
		if ethernet && (n >= 1<<48 || n>>40&1 == 1) {
			item.Fail("%.40q: expected the MAC of one port as 0x and up to 12 hexadecimal digits", text)
			continue
		}
		if line, twice := seen[HardwareID(n)]; twice {
			item.Fail("0x%x is in line %d already: a GUID is one device's", n, line)
		}
		seen[HardwareID(n)] = item.Line
		out[i] = HardwareID(n)
	}
	return out
}

// apply puts the identities into an inventory.
func (i identities) apply(inv *SUInventory) {
	for nic, guid := range i.leaves {
		inv.Leaves[nic].GUID = guid
	}
	for pos := range i.ports {
		for nic, guid := range i.ports[pos] {
			inv.Nodes[pos].NICs[nic].ID = guid
		}
	}
	for pos, port := range i.at {
		for nic := range inv.Nodes[pos].NICs {
			inv.Nodes[pos].NICs[nic].Port = port
		}
	}
}
