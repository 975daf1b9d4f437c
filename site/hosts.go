package site

import (
	"strings"

	"bulkhead/site/hostlist"
)

// MaxHostText is the longest text of a list of host names in a site file; a
// longer list is written as several texts.
const MaxHostText = maxText

// hosts reads the host names of a pod: an entry an SU, each one text such as
// "n[001-064]" or a list of them, by position. What it complains about it leaves
// out.
func (r *reader) hosts(v value) (units [][]string, nodes int) {
	shape := r.t.header.Shape
	seen := &r.hostLine
	if *seen == nil {
		*seen = map[string]int{}
	}
	for _, item := range r.list(v, max(1, shape.PodSUs)) {
		texts := []value{item}
		if _, scalar := item.Plain(); !scalar {
			texts = r.list(item, MaxSUNodes)
		}
		var names []string
		for _, t := range texts {
			list := t.text()
			if list == "" {
				continue
			}
			found, err := hostlist.Expand(list, MaxSUNodes)
			if err != nil {
				t.Fail("%v", err)
				continue
			}
			for _, name := range found {
				// Host names do not tell upper from lower case.
				key := strings.ToLower(name)
				if line, twice := (*seen)[key]; twice {
					t.Fail("host %q is here twice (first in line %d); a node has one place", name, line)
				}
				(*seen)[key] = t.Line
			}
			names = append(names, found...)
		}
		switch {
		case len(names) == 0:
			continue
		case shape.SUNodes > 0 && len(names) > shape.SUNodes:
			item.Fail("%d host names: an SU has at most %d nodes; see shape.su-nodes", len(names), shape.SUNodes)
		case len(names) <= r.t.header.Policy.SparesPerSU:
			item.Fail("%d nodes, which the %d spares of an SU use up; lower policy.spares-per-su", len(names), r.t.header.Policy.SparesPerSU)
		}
		units = append(units, names)
		nodes += len(names)
	}
	return units, nodes
}

// checkHosts refuses a host name that is the id of another node: who says it
// would mean either.
func (r *reader) checkHosts() {
	for p := range r.t.header.Pods {
		for number, unit := range r.t.pods[p].hosts {
			for pos, host := range unit {
				at, is := r.t.findNode(host)
				if is && at != (nodePosition{p, number, pos}) {
					r.podAt[p].Fail("host %q is the id of another node; rename the pod", host)
				}
			}
		}
	}
}
