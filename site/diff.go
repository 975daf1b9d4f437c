package site

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is what an import of a newer template would do to a site. The zero
// Change, with nothing to retire, does nothing.
type Change struct {
	Fields  []FieldChange `json:"fields,omitempty"`  // header: policy, dates, what is new or gone
	AddSUs  []string      `json:"add_sus,omitempty"` // in the order of import
	Add     int           `json:"add_nodes"`         // nodes in them
	AddGPUs int           `json:"add_gpus"`          // GPUs in these
	Retire  *Set          `json:"retire"`            // nodes that the template has no more: an import refuses that
	Gone    []string      `json:"gone,omitempty"`    // ids of their SUs
	Refused []string      `json:"refused,omitempty"` // what an import would refuse, and why
}

// maxRefused is how many refusals are named.
const maxRefused = 20

// FieldChange is one thing with its old and new text; "" is "not there".
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Empty reports whether the import would change nothing.
func (c *Change) Empty() bool {
	return len(c.Fields) == 0 && len(c.AddSUs) == 0 && c.Retire.Empty() && len(c.Refused) == 0
}

// Err returns an error that names everything that an import would refuse, or nil.
func (c *Change) Err() error {
	if len(c.Refused) == 0 {
		return nil
	}
	return fmt.Errorf("site: the change is refused:\n%s", strings.Join(c.Refused, "\n"))
}

// String prints the change for people, a line each.
func (c *Change) String() string {
	if c.Empty() {
		return "no change\n"
	}
	var b strings.Builder
	for _, f := range c.Fields {
		switch {
		case f.Old == "":
			fmt.Fprintf(&b, "+ %s: %s\n", f.Field, f.New)
		case f.New == "":
			fmt.Fprintf(&b, "- %s: %s\n", f.Field, f.Old)
		default:
			fmt.Fprintf(&b, "~ %s: %s -> %s\n", f.Field, f.Old, f.New)
		}
	}
	if len(c.AddSUs) > 0 {
		fmt.Fprintf(&b, "+ %d SUs with %d nodes, %d GPUs: %s\n", len(c.AddSUs), c.Add, c.AddGPUs, few(c.AddSUs))
	}
	if !c.Retire.Empty() {
		fmt.Fprintf(&b, "- %d nodes are gone from the file, in %d SUs: %s\n", c.Retire.Len(), len(c.Gone), few(c.Gone))
	}
	for _, text := range c.Refused {
		fmt.Fprintf(&b, "! %s\n", text)
	}
	return b.String()
}

// few lists names, the middle left out where they are many.
func few(names []string) string {
	if len(names) <= 8 {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:3], ", ") + ", ... " + names[len(names)-1]
}

// Diff says what importing a template would do to a site, by stable id. The
// header is the template's, or the template's with dates changed. Numbers never
// change: what is new is added at the end, in the order of the template. What an
// existing node is made of cannot be edited (a swapped part enters by a signed
// serial change), and what is gone cannot go, so that is refused, by name. The
// error is for a template that does not compile. Cost: that of Compile.
func Diff(old *Site, h Header, t *Template) (Change, error) {
	c := Change{Retire: NewSet(0)}
	if err := h.Check(); err != nil {
		return c, err
	}
	if err := old.compatible(&h); err != nil {
		c.Refused = append(c.Refused, err.Error())
	}
	c.Fields = headerChanges(old, &h)
	more := 0
	present := make([]bool, len(old.SUs))
	_, err := t.Compile(func(inv *SUInventory) error {
		number, ok := old.SUByID(inv.SU)
		if !ok {
			c.AddSUs = append(c.AddSUs, inv.SU)
			c.Add += len(inv.Nodes)
			c.AddGPUs += len(inv.Nodes) * len(inv.Nodes[0].GPUs)
			return nil
		}
		present[number] = true
		su := &old.SUs[number]
		if inv.Digest() == su.Inventory {
			if gone := old.retiredIn(su); gone > 0 {
				c.Refused = append(c.Refused, fmt.Sprintf("SU %s: %d of its nodes are retired already; a retired node does not come back: take a new id", su.ID, gone))
			}
			return nil
		}
		if more++; len(c.Refused) < maxRefused {
			c.Refused = append(c.Refused, old.inventoryChange(su, inv))
			more--
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	if more > 0 {
		c.Refused = append(c.Refused, fmt.Sprintf("and %d more SUs", more))
	}
	for number := range old.SUs {
		su := &old.SUs[number]
		if present[number] || old.retiredIn(su) == len(su.Nodes) {
			continue
		}
		c.Gone = append(c.Gone, su.ID)
		for _, n := range su.Nodes {
			if !old.IsRetired(n) {
				c.Retire.Add(n)
			}
		}
	}
	if !c.Retire.Empty() {
		// By a slip of the hand a file loses a pod; nobody's nodes go with it.
		c.Refused = append(c.Refused, fmt.Sprintf("%d nodes of the site are not in the file: an import takes nothing away; put %s back", c.Retire.Len(), few(c.Gone)))
	}
	return c, nil
}

func (s *Site) retiredIn(su *SU) int {
	gone := 0
	for _, n := range su.Nodes {
		if s.retired.Has(n) {
			gone++
		}
	}
	return gone
}

// inventoryChange says in one line how an SU would differ from what was imported.
func (s *Site) inventoryChange(su *SU, inv *SUInventory) string {
	const way = "; what was imported stays as it is: undo the edit"
	switch {
	case inv.Kind != su.Kind:
		return fmt.Sprintf("SU %s: kind %s would become %s%s, or give the pod a new id", su.ID, su.Kind, inv.Kind, way)
	}
	if text := s.membersChange(su, inv); text != "" {
		return text
	}
	switch {
	case inv.Spares != su.Spares:
		return fmt.Sprintf("SU %s: %d spares would become %d%s: existing leases count on them", su.ID, su.Spares, inv.Spares, way)
	}
	for pos := range inv.Nodes {
		node, n := &inv.Nodes[pos], su.Nodes[pos]
		switch {
		case node.Serial != s.Serial[n]:
			return fmt.Sprintf("node %s: serial %q would become %q%s; a swapped chassis enters by a signed serial change", node.ID, s.Serial[n], node.Serial, way)
		case DeviceDigest(node.WipeDevices()) != s.Devices[n]:
			return fmt.Sprintf("node %s: its devices would change%s; a swapped part enters by a signed serial change", node.ID, way)
		}
	}
	return fmt.Sprintf("SU %s: its links, switches or firmware would change%s", su.ID, way)
}

// membersChange says which nodes an SU would gain or lose, and what to do; "" where it is
// the same ones. Nodes are numbered by leaf port, spares are the last of them, and leases
// count on both: an SU stays as its first import made it.
func (s *Site) membersChange(su *SU, inv *SUInventory) string {
	was := map[string]bool{}
	for _, n := range su.Nodes {
		was[s.HostOf(n)] = true
	}
	var more, less []string
	for i := range inv.Nodes {
		name := inv.Nodes[i].Host
		if name == "" {
			name = inv.Nodes[i].ID
		}
		if was[name] {
			delete(was, name)
			continue
		}
		more = append(more, fmt.Sprintf("%s (leaf port %d)", name, inv.Nodes[i].NICs[0].Port))
	}
	for _, n := range su.Nodes {
		if was[s.HostOf(n)] {
			less = append(less, s.HostOf(n))
		}
	}
	if len(more)+len(less) == 0 {
		return ""
	}
	text := fmt.Sprintf("SU %s: %d nodes would become %d", su.ID, len(su.Nodes), len(inv.Nodes))
	if len(more) > 0 {
		text += fmt.Sprintf("; new in it: %s: none can be added to an SU that was imported, as its nodes and spares are numbered by leaf port: leave them out of this file (site import --hosts names those that stay), and the rest of it is imported; to have them in, import this file into a new folder, before anything is leased, or cable them to leaves of their own, which are an SU of their own",
			few(more))
	}
	if len(less) > 0 {
		text += fmt.Sprintf("; not in the file: %s: an import takes nothing away: put them back, or, where the file was discovered, discover again when they are on", few(less))
	}
	return text
}

// headerChanges lists what differs between a site and a newer header.
func headerChanges(old *Site, h *Header) []FieldChange {
	var list []FieldChange
	note := func(field, was, is string) {
		if was != is {
			list = append(list, FieldChange{field, was, is})
		}
	}
	oldPolicy, newPolicy := old.Policy, h.Policy
	was, is := oldPolicy.settings(), newPolicy.settings()
	for i := range is {
		note("policy."+is[i].name, was[i].String(), is[i].String())
	}
	if h.Management != "" { // what the header leaves out stays
		note("management", old.Management, h.Management)
	}
	for _, k := range h.Kinds {
		if _, ok := old.Kind(k.ID); !ok {
			note("kind "+k.ID, "", k.Chassis)
		}
	}
	for _, f := range h.Fabrics {
		if _, ok := old.FabricByID(f.ID); !ok {
			note("fabric "+f.ID, "", string(f.Family))
		}
	}
	for _, p := range h.Phases {
		if i := old.phaseByID(p.ID); i < 0 {
			note("phase "+p.ID, "", day(p.InService))
		} else {
			note("phase "+p.ID, day(old.Phases[i].InService), day(p.InService))
		}
	}
	for _, l := range h.Halls {
		if i, ok := old.HallByID(l.ID); !ok {
			note("hall "+l.ID, "", "in service "+day(l.InService))
		} else {
			note("hall "+l.ID, "in service "+day(old.Halls[i].InService), "in service "+day(l.InService))
		}
	}
	for i, p := range h.Pods {
		if _, ok := old.pods[p.ID]; !ok {
			note("pod "+p.ID, "", fmt.Sprintf("in %s on fabric %s", h.Halls[p.Hall].ID, h.Fabrics[h.Pods[i].Fabric].ID))
		}
	}
	alive := make([]bool, len(old.Pods))
	for i := range old.SUs {
		su := &old.SUs[i]
		alive[su.Pod] = alive[su.Pod] || old.retiredIn(su) < len(su.Nodes)
	}
	for i, p := range old.Pods {
		if alive[i] && !slices.ContainsFunc(h.Pods, func(q Pod) bool { return q.ID == p.ID }) {
			note("pod "+p.ID, "in "+old.Halls[p.Hall].ID, "")
		}
	}
	return list
}

func day(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}
