package draft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/site"
	"bulkhead/site/hostlist"
)

// SiteFile writes the draft as a site file, and reads it back before it returns
// it: what is returned compiles. What it takes that nobody has said becomes a remark.
func (d *Draft) SiteFile(o Options) ([]byte, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	if o.Family == "" && slices.ContainsFunc(d.Fabrics, func(f Fabric) bool { return f.Family == "" }) {
		d.Remark("The file does not say what its fabrics are made of: RoCE is taken, --family infiniband says otherwise.")
	}
	d.gaps()
	h, err := d.header(o)
	if err != nil {
		return nil, err
	}
	if o.Kind == "" {
		o.Kind = h.Kinds[0].ID
	}
	w := &writer{}
	w.line(0, "# Drafted from %s.", oneLine(d.From))
	if d.discovered() {
		w.line(0, "# The shape, the host names and the GUIDs or MACs are from there. Serials, other addresses and keys are made up from the seed: this")
	} else {
		w.line(0, "# The shape and the host names are from there. Serials, addresses and keys are made up from the seed: this")
	}
	w.line(0, "# describes a simulated site. Models that are \"unknown\" are for a person to fill in.")
	for i, note := range d.Notes {
		if i == maxNotes {
			w.line(0, "# - and %d more notes", len(d.Notes)-i)
			break
		}
		w.line(0, "# - %s", comment(note.String()))
	}
	for _, remark := range d.Remarks {
		w.line(0, "# - %s", comment(remark))
	}
	w.line(0, "site: %s", o.Name)
	w.line(0, "origin: simulated")
	w.line(0, "seed: %s", strconv.Quote(h.Seed))
	w.shape(h.Shape)
	w.kinds(h.Kinds)
	fabrics := w.fabrics(d, h.Fabrics, o.Family)
	if h.Management != "" && !slices.Contains(fabrics, h.Management) {
		w.line(0, "management: %s", h.Management)
	}
	w.line(0, "phases:")
	for _, p := range h.Phases {
		w.line(1, "- {id: %s, in-service: %s}", p.ID, p.InService.UTC().Format(time.RFC3339))
	}
	pods := w.halls(d, o, h, fabrics)
	w.identities(d, pods)
	w.policy(h.Policy)
	data := []byte(w.text.String())
	if _, err := site.ParseTemplate("drafted site file", data); err != nil {
		return nil, fmt.Errorf("%s: it does not make a site: %w", d.From, err)
	}
	return data, nil
}

// gaps remarks on leaf ports without a node between those of nodes: what was only off when
// the site was discovered can't be added to its unit once that is imported.
func (d *Draft) gaps() {
	var first Unit
	units, ports := 0, 0
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				if len(u.At) == 0 {
					continue
				}
				if units++; units == 1 {
					first = u
				}
				ports += u.At[len(u.At)-1] - len(u.At)
			}
		}
	}
	if units == 0 {
		return
	}
	at := 1
	for slices.Contains(first.At, at) {
		at++
	}
	d.Remark("free leaf ports between those of nodes: %d, in %d of the scalable units, the first port %d in the unit of %s: a node that was only off can't be added to its unit later, so import when all are on",
		ports, units, at, first.Hosts[0])
}

// maxNotes is how many notes a site file repeats: all of them are printed.
const maxNotes = 100

// comment is a text as a comment of the file: no longer than a line may be there.
func comment(text string) string {
	const most = 400
	if text = oneLine(text); len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

type writer struct{ text strings.Builder }

func (w *writer) line(depth int, format string, args ...any) {
	w.text.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&w.text, format, args...)
	w.text.WriteByte('\n')
}

func (w *writer) shape(s site.Shape) {
	w.line(0, "shape:")
	for _, f := range []struct {
		name  string
		value int
	}{{"su-nodes", s.SUNodes}, {"rack-nodes", s.RackNodes}, {"pod-sus", s.PodSUs}, {"spines", s.Spines}, {"cores", s.Cores},
		{"frontend-spines", s.FrontendSpines}, {"leaf-ports", s.LeafPorts}, {"link-gbps", s.LinkGbps}, {"pod-taper", s.PodTaper}} {
		w.line(1, "%s: %d", f.name, f.value)
	}
}

func (w *writer) kinds(kinds []site.Kind) {
	w.line(0, "kinds:")
	for _, k := range kinds {
		w.line(1, "- id: %s", k.ID)
		w.line(2, "chassis: %s", strconv.Quote(k.Chassis))
		for _, part := range []struct {
			name  string
			model site.Model
		}{{"gpu", k.GPU}, {"rail-nic", k.RailNIC}, {"frontend-nic", k.FrontendNIC}, {"dram", k.DRAM}, {"tpm", k.TPM}, {"uefi", k.UEFI},
			{"bmc", k.BMC}, {"switch", k.Switch}} {
			count := ""
			if part.name == "gpu" && k.GPUs > 0 {
				count = fmt.Sprintf(", count: %d", k.GPUs)
			}
			w.line(2, "%s: {model: %s, firmware: %s%s}", part.name, strconv.Quote(part.model.Model), strconv.Quote(part.model.Firmware), count)
		}
		if k.NVLinkRacks {
			w.line(2, "nvlink-racks: true")
		}
		w.line(2, "drive: {model: %s, firmware: %s, count: %d}", strconv.Quote(k.Drive.Model), strconv.Quote(k.Drive.Firmware), k.Drives)
	}
}

// fabrics writes the fabrics and returns the id of each of the draft's.
func (w *writer) fabrics(d *Draft, frontend []site.Fabric, family site.Family) []string {
	names := ids{most: 40}
	w.line(0, "fabrics:")
	for _, f := range frontend {
		w.line(1, "- {id: %s, family: %s, frontend: true}", names.of(f.ID, "frontend"), f.Family)
	}
	var out []string
	for _, f := range d.Fabrics {
		if f.Family == "" {
			f.Family = family
		}
		if f.Family == "" {
			f.Family = site.RoCE
		}
		id := names.of(f.Name, "fabric")
		out = append(out, id)
		w.line(1, "- {id: %s, family: %s} # %s", id, f.Family, oneLine(f.Name))
	}
	return out
}

// halls writes the halls and returns the ids of the pods, in their order.
func (w *writer) halls(d *Draft, o Options, h site.Header, fabrics []string) (podIDs []string) {
	halls, pods := ids{most: 40}, ids{most: 20}
	w.line(0, "halls:")
	for _, hall := range d.Halls {
		w.line(1, "- id: %s", halls.of(hall.Name, "hall"))
		w.line(2, "phase: %s", h.Phases[0].ID)
		w.line(2, "pods:")
		for _, pod := range hall.Pods {
			kind := pod.Kind
			if kind == "" {
				kind = o.Kind
			}
			id := pods.of(pod.Name, "pod")
			podIDs = append(podIDs, id)
			w.line(3, "- id: %s # %s", id, oneLine(pod.Name))
			w.line(4, "fabric: %s", fabrics[pod.Fabric])
			w.line(4, "kind: %s", kind)
			w.line(4, "hosts: # an entry a scalable unit, by position")
			for _, u := range pod.Units {
				w.unit(u)
			}
		}
	}
	return podIDs
}

func (d *Draft) discovered() bool {
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				if u.Ports != nil {
					return true
				}
			}
		}
	}
	return false
}

// identities writes what was discovered of each unit.
func (w *writer) identities(d *Draft, pods []string) {
	if !d.discovered() {
		return
	}
	list := func(guids []uint64) string {
		texts := make([]string, len(guids))
		for i, g := range guids {
			texts[i] = fmt.Sprintf(`"0x%016x"`, g)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	w.line(0, "identities: # GUIDs and MACs as they were discovered: of leaves by rail, of nodes' ports by position and rail")
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			id := pods[0]
			pods = pods[1:]
			for number, u := range p.Units {
				if u.Ports == nil {
					continue
				}
				w.line(1, "- su: %s-su%02d", id, number+1)
				if u.At != nil {
					w.line(2, "at: %s # ports of every leaf", strings.ReplaceAll(fmt.Sprint(u.At), " ", ", "))
				}
				if u.Leaves != nil {
					w.line(2, "leaves: %s", list(u.Leaves))
				}
				w.line(2, "ports:")
				for i, ports := range u.Ports {
					w.line(3, "- %s # %s", list(ports), oneLine(u.Hosts[i]))
				}
			}
		}
	}
}

// perLine is how many names an irregular unit puts into one text.
const perLine = 8

func (w *writer) unit(u Unit) {
	name := ""
	if u.Name != "" {
		name = " # " + oneLine(u.Name)
	}
	if list := hostlist.Fold(u.Hosts); len(list) <= site.MaxHostText {
		w.line(5, "- %s%s", strconv.Quote(list), name)
		return
	}
	w.line(5, "-%s", name)
	for rest := u.Hosts; len(rest) > 0; {
		n := min(perLine, len(rest))
		for n > 1 && len(hostlist.Fold(rest[:n])) > site.MaxHostText {
			n--
		}
		// A run may be longer than its text.
		for n < len(rest) && len(hostlist.Fold(rest[:n+1])) <= site.MaxHostText {
			n++
		}
		w.line(6, "- %s", strconv.Quote(hostlist.Fold(rest[:n])))
		rest = rest[n:]
	}
}

func (w *writer) policy(p site.Policy) {
	w.line(0, "policy:")
	for _, row := range p.Rows() {
		w.line(1, "%s: %s", row[0], row[1])
	}
}
