package site

import (
	"fmt"
	"sort"
	"strings"
)

// What a template says of single nodes and single cables.

// nodePosition is where a node or switch of a template is.
type nodePosition struct{ pod, su, pos int }

// findNode resolves a node id without compiling anything.
func (t *Template) findNode(id string) (nodePosition, bool) {
	for p, pod := range t.header.Pods {
		if !strings.HasPrefix(id, pod.ID+"-su") {
			continue
		}
		for number := range t.pods[p].sus(t.header.Shape) {
			su := suID(pod.ID, number+1)
			if !strings.HasPrefix(id, su+"-n") {
				continue
			}
			for pos := range t.pods[p].suNodes(t.header.Shape, number) {
				if nodeID(su, pos) == id {
					return nodePosition{p, number, pos}, true
				}
			}
		}
	}
	return nodePosition{}, false
}

// overrides reads what the file says of single nodes.
func (r *reader) overrides(v value) {
	var ids names
	serials := map[string]string{}
	for _, item := range r.list(v, 10_000) {
		m := item.mapping()
		id := ids.add(m)
		if _, ok := r.t.findNode(id); id != "" && !ok {
			m.required("id").Fail("%q: the site has no such node; expected an id such as %s", id, r.firstNode())
		}
		o := Override{Node: id}
		serial, hasSerial := m.optional("serial")
		if hasSerial {
			o.Serial = serial.text()
			if other, ok := serials[o.Serial]; ok && o.Serial != "" {
				serial.Fail("%q is the serial of node %s already", o.Serial, other)
			}
			serials[o.Serial] = id
		}
		firmware, hasFirmware := m.optional("firmware")
		if hasFirmware {
			o.Firmware = map[string]string{}
			f := firmware.mapping()
			for _, class := range []string{ClassGPU, ClassNVMe, ClassNIC, ClassDRAM, ClassUEFI, ClassTPM, ClassBMC} {
				if version, ok := f.optional(class); ok {
					o.Firmware[class] = version.text()
				}
			}
			f.Done()
		}
		m.Done()
		if !hasSerial && !hasFirmware {
			m.Fail("says nothing of node %q; give serial or firmware, or remove it", id)
		}
		r.t.overrides[id] = o
	}
	if len(serials) == 0 {
		return
	}
	// A serial that another node would get by derivation.
	for p, pod := range r.t.header.Pods {
		for number := range r.t.pods[p].sus(r.t.header.Shape) {
			for pos := range r.t.pods[p].suNodes(r.t.header.Shape, number) {
				id := nodeID(suID(pod.ID, number+1), pos)
				if other, ok := serials[chassisSerial(r.t.header.Seed, id)]; ok && other != id && r.t.overrides[id].Serial == "" {
					v.Fail("node %s: its serial is the serial of node %s already", other, id)
				}
			}
		}
	}
}

func (r *reader) firstNode() string { return nodeID(suID(r.t.header.Pods[0].ID, 1), 0) }

// links reads extra cables between switches.
func (r *reader) links(v value) {
	used := map[string]int{} // end -> line
	for _, item := range r.list(v, 10_000) {
		m := item.mapping()
		from, to := m.required("from"), m.required("to")
		m.Done()
		link := Link{From: from.text(), To: to.text()}
		su, ok := r.end(from, link.From, true)
		_, okTo := r.end(to, link.To, false)
		for _, end := range []struct {
			value
			id string
		}{{from, link.From}, {to, link.To}} {
			if line, taken := used[end.id]; taken && end.id != "" {
				end.Fail("%q: two cables in a port: line %d has one there already; choose a free port", end.id, line)
			}
			used[end.id] = end.Line
		}
		if ok && okTo {
			r.t.cables[su] = append(r.t.cables[su], link)
		}
	}
	for _, links := range r.t.cables {
		sort.Slice(links, func(a, b int) bool { return links[a].From < links[b].From })
	}
}

// end checks one end of an extra link: a free port of a leaf or a spine that
// exists. It returns the SU of a leaf.
func (r *reader) end(v value, end string, leafOnly bool) (su string, ok bool) {
	if end == "" {
		return "", false
	}
	id, port, err := splitEnd(end)
	if err != nil {
		v.Fail("%v", err)
		return "", false
	}
	shape := r.t.header.Shape
	taken := func(free string, by string) {
		v.Fail("%q: two cables in a port: %s is there already; free ports of %s are %s", end, by, id, free)
	}
	for p, pod := range r.t.header.Pods {
		if !strings.HasPrefix(id, pod.ID+"-") {
			continue
		}
		plan := r.t.pods[p]
		for number := range plan.sus(shape) {
			su, nodes := suID(pod.ID, number+1), plan.suNodes(shape, number)
			for _, nic := range NICNumbers(r.t.header.Kinds[plan.kind].NodeGPUs()) {
				if leafID(su, nic) != id {
					continue
				}
				plane := shape.plane(pod.ID, nic, "")
				free := freePorts(shape.LeafPorts, nodes, shape.SUNodes, plane.Spines)
				switch {
				case port > shape.LeafPorts:
					v.Fail("%q: a leaf has ports 1 to %d", end, shape.LeafPorts)
				case port <= nodes:
					taken(free, "node "+nodeID(su, port-1))
				case port > shape.SUNodes && port <= shape.SUNodes+plane.Spines:
					taken(free, "uplink to "+plane.SpineID(port-shape.SUNodes))
				default:
					return su, true
				}
				return "", false
			}
		}
		for _, nic := range NICNumbers(r.t.header.Kinds[plan.kind].NodeGPUs()) {
			plane := shape.plane(pod.ID, nic, "")
			for spine := 1; spine <= plane.Spines && !leafOnly; spine++ {
				if plane.SpineID(spine) != id {
					continue
				}
				switch {
				case port > shape.LeafPorts:
					v.Fail("%q: a spine has ports 1 to %d", end, shape.LeafPorts)
				case port <= plan.sus(shape):
					taken(freeSpine(shape, plan, plane), leafID(suID(pod.ID, port), nic))
				case plane.Cores > 0 && port > shape.PodSUs:
					taken(freeSpine(shape, plan, plane), "an uplink to the cores")
				default:
					return "", true
				}
				return "", false
			}
		}
	}
	if leafOnly {
		v.Fail("%q leads nowhere: the site has no leaf %q; a link begins at a leaf, such as %s", end, id,
			joinEnd(leafID(suID(r.t.header.Pods[0].ID, 1), 0), shape.LeafPorts))
	} else {
		v.Fail("%q leads nowhere: the site has no leaf or spine %q", end, id)
	}
	return "", false
}

// freePorts describes the ports of a leaf that have neither node nor uplink.
func freePorts(ports, nodes, suNodes, uplinks int) string {
	var free []string
	for _, gap := range [][2]int{{nodes + 1, suNodes}, {suNodes + uplinks + 1, ports}} {
		if gap[0] == gap[1] {
			free = append(free, fmt.Sprint(gap[0]))
		} else if gap[0] < gap[1] {
			free = append(free, fmt.Sprintf("%d to %d", gap[0], gap[1]))
		}
	}
	if free == nil {
		return "none"
	}
	return strings.Join(free, " and ")
}

// freeSpine describes the free ports of a spine: those of SUs to come, and all
// above them where it has no cores to serve.
func freeSpine(shape Shape, plan podPlan, plane Plane) string {
	last := shape.LeafPorts
	if plane.Cores > 0 {
		last = shape.PodSUs
	}
	return freePorts(last, plan.sus(shape), last, 0)
}
