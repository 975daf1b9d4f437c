package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/prove"
	"bulkhead/site"
)

// Facts are what the ledger says at an instant of the compute fabric: who holds which
// port, and whose each label is.
type Facts struct {
	site   *site.Site
	fabric int
	holder []uint32          // by port
	owner  map[uint32]uint32 // by label
}

// Facts returns what holds now.
func (s *Stage) Facts() *Facts {
	f := &Facts{site: s.Site, fabric: s.index, holder: make([]uint32, s.Site.Ports()), owner: map[uint32]uint32{}}
	s.Plane.View(func(b *book.State) {
		for n := range site.Index(b.Site.Nodes()) {
			for nic := range site.NICs {
				f.holder[site.PortOf(n, nic)] = uint32(b.Wants(n).Holder)
			}
		}
		for _, label := range b.Labels[s.options.Fabric].Allocations() {
			f.owner[label.Value] = uint32(b.HolderOf(label.Owner))
		}
	})
	return f
}

// Prover returns a prover that has read nothing yet.
func (f *Facts) Prover() (*prove.Prover, error) {
	p := prove.NewProver(f.site, fabric.NewTables(f.site.Ports()))
	for port, holder := range f.holder {
		p.Hold(site.Port(port), holder)
	}
	for value, holder := range f.owner {
		if err := p.Own(f.fabric, value, holder); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Read gives a prover what devices said. Who did not answer is passed over.
func (f *Facts) Read(p *prove.Prover, devices []fabric.DeviceReading) error {
	for _, d := range devices {
		if !d.Reachable {
			continue
		}
		var readings []fabric.Reading
		var err error
		if f.site.Fabrics[f.fabric].Family == site.InfiniBand {
			readings, err = infiniband.Decode(d.Raw)
		} else {
			readings, err = ethernet.Read(f.site, d.Leaf, d.Raw)
		}
		if err != nil {
			return err
		}
		p.Read(d.Leaf, d.At, readings)
	}
	return nil
}

// looks are the answers of a fabric, as its driver gave them.
type looks struct {
	mu    sync.Mutex
	last  map[site.Leaf]fabric.DeviceReading
	since [][]fabric.DeviceReading // since a watch began; nil: there is none
}

// Saw hears what the driver of the compute fabric answered. A lab puts it between
// driver and control plane.
func (s *Stage) Saw(o fabric.Observation) {
	l := &s.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[site.Leaf]fabric.DeviceReading{}
	}
	for _, d := range o.Devices {
		if d.Reachable {
			l.last[d.Leaf] = d
		}
	}
	if l.since != nil {
		l.since = append(l.since, o.Devices)
	}
}

// Watch judges what is read back from its beginning on, look by look, by a prover of
// its own and by what the ledger said when it began. So it knows every check that a
// port has failed meanwhile: the ledger names the first that fails, and which of several
// right ones that is hangs on what a look came upon first; and when the control plane
// has reacted, they are gone.
type Watch struct {
	stage *Stage
	facts *Facts
	head  uint64
	clean []fabric.DeviceReading
}

// Watch begins one, and ends the one before.
func (s *Stage) Watch() *Watch {
	w := &Watch{stage: s, facts: s.Facts(), head: s.Head()}
	l := &s.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.last {
		w.clean = append(w.clean, d)
	}
	l.since = [][]fabric.DeviceReading{}
	return w
}

// Found are the checks that ports of the compute fabric have failed since.
type Found map[site.Port][]prove.Check

// Found returns them. A leaf that does not answer is not judged here: how long that is
// nothing to worry about is the control plane's to say.
func (w *Watch) Found() (Found, error) {
	p, err := w.facts.Prover()
	if err != nil {
		return nil, err
	}
	if err := w.facts.Read(p, w.clean); err != nil {
		return nil, err
	}
	l := &w.stage.looks
	l.mu.Lock()
	since := slices.Clone(l.since)
	l.mu.Unlock()
	found := Found{}
	for _, devices := range since {
		if err := w.facts.Read(p, devices); err != nil {
			return nil, err
		}
		for port := range site.Port(w.facts.site.Ports()) {
			if w.facts.site.HasPort(port) && w.facts.site.FabricOf(port) == w.facts.fabric {
				found.add(port, p.Failed(port))
			}
		}
	}
	for port := range site.Port(w.facts.site.Ports()) {
		if w.facts.site.HasPort(port) && w.facts.site.FabricOf(port) == w.facts.fabric {
			found.add(port, w.stage.Plane.FailedChecks(port))
		}
	}
	return found, nil
}

func (f Found) add(port site.Port, failed []prove.Check) {
	for _, c := range failed {
		if !slices.Contains(f[port], c) {
			f[port] = append(f[port], c)
		}
	}
}

// Reacted lists the ports that the ledger says have drifted since, each with the check
// that it names.
func (w *Watch) Reacted(ctx context.Context) (map[site.Port]prove.Check, error) {
	_, notes, err := w.stage.Recorded(ctx, w.head)
	if err != nil {
		return nil, err
	}
	out := map[site.Port]prove.Check{}
	for _, note := range notes {
		var d fabric.Drifted
		// Lenient JSON: of a note, the fabric and the ports.
		if json.Unmarshal([]byte(note), &d) != nil || d.Fabric != w.stage.options.Fabric {
			continue
		}
		for _, p := range d.Ports {
			if c, known := checkNamed(p.Check); known {
				out[site.Port(p.Port)] = c
			}
		}
	}
	return out, nil
}

func checkNamed(name string) (prove.Check, bool) {
	i := slices.IndexFunc(prove.Checks(), func(c prove.Check) bool { return c.String() == name })
	if i < 0 {
		return prove.Passed, false
	}
	return prove.Checks()[i], true
}

// Seen says what of an attack is not seen yet: "" when the check that it must fail is
// among those that each of its ports has failed, whichever came first, and, where that
// is a violation, the ledger says of each of them that it has drifted.
func (w *Watch) Seen(ctx context.Context, check string, at []site.Port) (lacks string, err error) {
	if check == "" {
		return "", nil
	}
	c, is := checkNamed(check)
	if !is { // an item of the posture, or a kind of entry
		kinds, notes, err := w.stage.Recorded(ctx, w.head)
		if err != nil || kinds[check] > 0 || strings.Contains(strings.Join(notes, "\n"), check) {
			return "", err
		}
		return fmt.Sprintf("nothing recorded says %q: %s; %.2000s", check, Counts(kinds), strings.Join(notes, "\n")), nil
	}
	found, err := w.Found()
	if err != nil {
		return "", err
	}
	reacted, err := w.Reacted(ctx)
	if err != nil {
		return "", err
	}
	for _, port := range at {
		if !slices.Contains(found[port], c) {
			return fmt.Sprintf("%s never failed %s; it failed %v", w.facts.site.PortName(port), c, found[port]), nil
		}
		if _, drifted := reacted[port]; c.Verdict() == prove.Red && !drifted {
			return fmt.Sprintf("%s failed %v, and no entry says that it has drifted", w.facts.site.PortName(port), found[port]), nil
		}
	}
	return "", nil
}

// Strays lists what was red outside the ports that an attack may touch: where the
// ledger says so, and where the control plane holds so now.
func (w *Watch) Strays(ctx context.Context, touched []site.Port) (strays []string, err error) {
	red, err := w.Reacted(ctx)
	if err != nil {
		return nil, err
	}
	w.stage.Plane.Ports(func(port site.Port, _ prove.Verdict, c prove.Check) {
		if w.facts.site.FabricOf(port) == w.facts.fabric {
			if _, is := red[port]; !is {
				red[port] = c
			}
		}
	})
	for port, c := range red {
		if c.Verdict() == prove.Red && !slices.Contains(touched, port) {
			strays = append(strays, fmt.Sprintf("%s: %s", w.facts.site.PortName(port), c))
		}
	}
	slices.Sort(strays)
	return strays, nil
}

// LeafPorts are the edge ports at the leaves of ports: what a leaf that was taken over
// may touch.
func (s *Stage) LeafPorts(of ...site.Port) (ports []site.Port) {
	for port := range site.Port(s.Site.Ports()) {
		if s.Site.HasPort(port) && slices.ContainsFunc(of, func(o site.Port) bool { return s.Site.LeafOf(o) == s.Site.LeafOf(port) }) {
			ports = append(ports, port)
		}
	}
	return ports
}
