// Package draft makes a site file of what another program knows of a site: its
// tree of switches and the names of its hosts. What that program does not know
// (node models, link counts, dates, policy) comes from another site file or is
// left "unknown" for a person to fill in. It is pure.
//
// A site file of today describes a simulated site: serials, addresses and keys
// are made up from its seed. So is a site that was drafted from a real one; only
// its shape and the names of its hosts are real, and the file says so.
package draft

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/site"
)

// Draft is a site as a foreign file describes it.
type Draft struct {
	From      string // what it was read from, such as "topology.conf, racks.conf (Slurm)"
	RackNodes int    // of a rack, where a unit is one; 0: not said
	Fabrics   []Fabric
	Halls     []Hall
	Notes     []Note   // what of the file is left out, or taken otherwise than it stands there
	Remarks   []string // what no file of its kind says, and what stands in for it: a sentence each
}

// Fabric is a compute fabric: what shares no link with another one.
type Fabric struct {
	Name   string
	Family site.Family // "" where the source does not say
	Rails  int         // of each of its nodes, 1 to 8; 0 where the source does not say
}

// Hall is a room, or a stand-in where the source knows none.
type Hall struct {
	Name string
	Pods []Pod
}

// Pod is a group of units under the same spines.
type Pod struct {
	Name   string
	Fabric int    // index into Draft.Fabrics
	Kind   string // GPU kind; "" = Options.Kind
	Units  []Unit
}

// Unit is the nodes under one set of leaves. A list of host names is in the order
// of positions: nodes of one rack stand together.
type Unit struct {
	Name  string // of its leaf switch, or "": for the comment
	Hosts []string

	// At is the leaf port of each host, ascending, where they are not 1, 2, ...
	// without a gap; nil otherwise.
	At []int

	// Where they were discovered: the node GUIDs of its rail leaves (InfiniBand only),
	// and the port GUIDs, on Ethernet the MACs, of each host by rail. A fabric has
	// them for all its units or for none.
	Leaves []uint64
	Ports  [][]uint64
}

// Reader reads a file that another file includes. Names are as they are written
// there.
type Reader func(name string) ([]byte, error)

// Options are what foreign files do not say.
type Options struct {
	Name      string       // of the site
	Like      *site.Header // shape, kinds, phases, policy and frontend fabric to take over; nil = unknown ones
	Kind      string       // GPU kind of all nodes; "" = the first kind of Like
	Family    site.Family  // of fabrics whose source does not say; "" = RoCE
	RackNodes int          // nodes a rack; 0 = that of Like, or 8
	Part      string       // which of several topologies of a file; "" = its default
	InService time.Time    // of phase p1 where Like is nil, UTC
	Hosts     Selection    // which hosts are nodes of the site
	Switches  Selection    // switches that are there, whatever their names suggest; none unless some are named
	Names     string       // file with the names of devices, read where the format needs one; "" = none
	RailPorts Selection    // which ports of a node are its rails
}

// Check names the first thing about a draft that no site can have.
func (d *Draft) Check() error {
	if len(d.Fabrics) == 0 || len(d.Halls) == 0 {
		return fmt.Errorf("%s: no nodes in it", d.From)
	}
	seen := map[string]string{}
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			if len(p.Units) > maxUnits {
				return fmt.Errorf("%s: pod %s has %d leaf switches, expected at most %d", d.From, p.Name, len(p.Units), maxUnits)
			}
			if len(p.Units) == 0 {
				return fmt.Errorf("%s: pod %s has no nodes", d.From, p.Name)
			}
			for _, u := range p.Units {
				if len(u.Hosts) < 1 || len(u.Hosts) > site.MaxSUNodes {
					return fmt.Errorf("%s: %d nodes under %s, expected 1 to %d", d.From, len(u.Hosts), u.Name, site.MaxSUNodes)
				}
				for _, host := range u.Hosts {
					if other, twice := seen[strings.ToLower(host)]; twice {
						return fmt.Errorf("%s: node %s is under %s and under %s, expected one: a node is in one scalable unit", d.From, host, other, u.Name)
					}
					seen[strings.ToLower(host)] = u.Name
				}
			}
		}
	}
	return nil
}

// maxUnits is the most SUs of a pod that a site can have.
const maxUnits = 99

// ids gives every name an id of the house: letters, digits and inner hyphens,
// each once.
type ids struct {
	taken map[string]bool
	most  int // characters
}

func (i *ids) of(name, otherwise string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	id := b.String()
	if len(id) > i.most-4 {
		id = id[:i.most-4]
	}
	if id = strings.Trim(id, "-"); id == "" {
		id = otherwise
	}
	if i.taken == nil {
		i.taken = map[string]bool{}
	}
	for n, base := 2, id; i.taken[id]; n++ {
		id = fmt.Sprintf("%s-%d", base, n)
	}
	i.taken[id] = true
	return id
}

// largest returns how many nodes the largest unit has, or leaf ports for them.
func (d *Draft) largest() int {
	n := 0
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				n = max(n, len(u.Hosts))
				if len(u.At) > 0 {
					n = max(n, u.At[len(u.At)-1])
				}
			}
		}
	}
	return n
}

// smallest returns how many nodes the smallest unit has.
func (d *Draft) smallest() int {
	n := site.MaxSUNodes
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				n = min(n, len(u.Hosts))
			}
		}
	}
	return n
}

// header is what the site file says before its halls.
func (d *Draft) header(o Options) (site.Header, error) {
	h := site.Header{Name: o.Name, Seed: o.Name}
	if o.Like != nil {
		h = o.Like.Clone()
		h.Name, h.Seed = o.Name, o.Name
		h.Fabrics = slices.DeleteFunc(h.Fabrics, func(f site.Fabric) bool { return !f.Frontend })
	} else {
		unknown := site.Model{Model: "unknown", Firmware: "unknown"}
		h.Shape = site.Shape{PodSUs: maxUnits, Spines: min(128, d.largest()), Cores: 32, FrontendSpines: 8, LinkGbps: 400, PodTaper: 1}
		h.Policy = site.DefaultPolicy()
		h.Policy.SparesPerSU = 0
		h.Kinds = []site.Kind{{ID: cmp.Or(o.Kind, "GPU"), Chassis: "unknown", GPU: unknown, RailNIC: unknown, FrontendNIC: unknown, Drive: unknown,
			DRAM: unknown, TPM: unknown, UEFI: unknown, BMC: unknown, Switch: unknown}}
		h.Fabrics = []site.Fabric{{ID: "frontend", Family: site.RoCE, Frontend: true}}
		h.Phases = []site.Phase{{ID: "p1", InService: o.InService}}
	}
	s := &h.Shape
	s.SUNodes = max(s.SUNodes, d.largest())
	if o.RackNodes > 0 {
		s.RackNodes = o.RackNodes
	} else if d.RackNodes > 0 {
		s.RackNodes = d.RackNodes
	} else if s.RackNodes == 0 {
		s.RackNodes = min(8, s.SUNodes)
	}
	s.LeafPorts = max(s.LeafPorts, 128, s.SUNodes+s.Spines, s.SUNodes+s.FrontendSpines, s.PodSUs)
	if err := d.kinds(&h, o); err != nil {
		return h, err
	}
	if least := d.smallest(); h.Policy.SparesPerSU >= least {
		return h, fmt.Errorf("%s: a scalable unit has %d nodes, and %d spares a unit would leave nothing to sell: lower spares-per-su in the file that this one is to be like",
			d.From, least, h.Policy.SparesPerSU)
	}
	return h, nil
}

// kinds finds for every fabric a kind of as many GPUs as its nodes have rails, and
// gives it to the pods that have none of their own. Without a site to be like, kinds
// are made.
func (d *Draft) kinds(h *site.Header, o Options) error {
	byRails := map[int]string{}
	for i, f := range d.Fabrics {
		if f.Rails == 0 {
			continue
		}
		id := byRails[f.Rails]
		if id == "" && o.Like == nil {
			kind := h.Kinds[0]
			if len(byRails) > 0 {
				kind.ID = fmt.Sprintf("%s-%d", h.Kinds[0].ID, f.Rails)
			}
			if kind.GPUs = f.Rails; f.Rails == site.GPUs {
				kind.GPUs = 0
			}
			if id = kind.ID; len(byRails) > 0 {
				h.Kinds = append(h.Kinds, kind)
			} else {
				h.Kinds[0] = kind
			}
		}
		for k := range h.Kinds {
			if kind := &h.Kinds[k]; id == "" && kind.NodeGPUs() == f.Rails && (o.Kind == "" || o.Kind == kind.ID) {
				id = kind.ID
			}
		}
		if id == "" {
			return fmt.Errorf("%s: nodes of fabric %s have %d rails, and no kind of site %s%s has %d GPUs a node: give --like the site file of such nodes, or leave it out and a kind is made",
				d.From, f.Name, f.Rails, o.Like.Name, map[bool]string{false: " that is called " + o.Kind}[o.Kind == ""], f.Rails)
		}
		byRails[f.Rails] = id
		for hall := range d.Halls {
			for p := range d.Halls[hall].Pods {
				if pod := &d.Halls[hall].Pods[p]; pod.Fabric == i && pod.Kind == "" {
					pod.Kind = id
				}
			}
		}
	}
	return nil
}

// SiteName makes the name of a site of the name of a file.
func SiteName(file string) string {
	base, _, _ := strings.Cut(file, ".")
	names := ids{most: 40}
	return names.of(base, "site")
}
