package fabrictest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/site"
)

const tableSize = 8

// memory is a fabric that keeps rows in memory. It is here to test the suite:
// each fault makes it break one promise.
type memory struct {
	s     *site.Site
	index int
	fault string

	mu      sync.Mutex
	rows    map[site.Port]fabric.Row
	changed map[site.Leaf]uint64
	cursor  uint64
	newest  fabric.Fence
	down    map[site.Leaf]bool
	failing map[site.Port]bool
	asked   map[site.Port]fabric.Row // what was written last, for a driver that answers from its cache
}

func newMemory(family site.Family, fault string) (*memory, *Fixture) {
	s := NewSite(2, 3, family)
	m := &memory{s: s, index: 1, fault: fault, rows: map[site.Port]fabric.Row{}, changed: map[site.Leaf]uint64{}, cursor: 1,
		down: map[site.Leaf]bool{}, failing: map[site.Port]bool{}, asked: map[site.Port]fabric.Row{}}
	f := &Fixture{Driver: m, Site: s, Fabric: 1,
		SetReachable: func(leaf site.Leaf, reachable bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.down[leaf] = !reachable
			if reachable && !m.is("forgets silence") {
				m.cursor++
				m.changed[leaf] = m.cursor
			}
		},
		SetFailing: func(port site.Port, failing bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.failing[port] = failing
		},
		Tamper: func(port site.Port, row fabric.Row) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.write(port, row)
		},
	}
	return m, f
}

func (m *memory) is(fault string) bool { return m.fault == fault }

func (m *memory) write(p site.Port, row fabric.Row) {
	if m.is("adds") {
		row.Leaf = append(slices.Clone(row.Leaf), m.rows[p].Leaf...)
	}
	m.rows[p] = row.Clone()
	if !m.is("forgets changes") {
		m.cursor++
		m.changed[m.s.LeafOf(p)] = m.cursor
	}
}

func (m *memory) Capabilities(context.Context) (fabric.Capabilities, error) {
	f := m.s.Fabrics[m.index]
	c := fabric.Capabilities{Fabric: f.ID, Family: f.Family, LeafTable: tableSize, Atomic: "port",
		Fencing: fabric.FencedByDevice, Deadline: time.Second, Origin: claim.Simulated, Numbering: fabric.Numbering(m.s, m.index)}
	if f.Family == site.InfiniBand {
		c.NICTable = tableSize
	}
	if m.is("no fencing named") {
		c.Fencing = ""
	}
	return c, nil
}

func (m *memory) Plan(desired []fabric.PortRow, observed *fabric.Tables) (fabric.Change, error) {
	if m.is("plans everything") {
		return fabric.NewChange(m.s.Fabrics[m.index].ID, slices.Clone(desired)), nil
	}
	return fabric.Plan(m.s.Fabrics[m.index].ID, desired, observed)
}

func (m *memory) admit(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	if err := ctx.Err(); err != nil && !m.is("ignores context") {
		return err
	}
	for _, p := range ports {
		if (int(p) >= len(m.s.PortID) || m.s.FabricOf(p) != m.index) && !m.is("takes any port") {
			return fmt.Errorf("port %d: %w", p, fabric.ErrUnknownPort)
		}
	}
	if err := m.compare(f); err != nil {
		return err
	}
	m.newest = f
	return nil
}

func (m *memory) compare(f fabric.Fence) error {
	switch {
	case m.is("ignores fences"):
		return nil
	case m.is("knows no lineage"):
		f.Lineage = m.newest.Lineage
	case m.is("knows no run"):
		f.Run = m.newest.Run
	}
	return f.Admit(m.newest)
}

func (m *memory) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(c.Ports) == 0 && m.is("shows no fence") {
		return fabric.ApplyReceipt{Change: c.ID, Source: "memory"}, nil
	}
	var ports []site.Port
	for _, p := range c.Ports {
		ports = append(ports, p.Port)
	}
	if !m.is("takes any row") {
		own := fabric.Numbering(m.s, m.index)
		if m.is("takes any numbers") {
			own = claim.Digest{}
		}
		if err := c.Check(m.s.Fabrics[m.index].ID, own, m.s.Fabrics[m.index].Family, tableSize); err != nil {
			return fabric.ApplyReceipt{}, err
		}
	}
	if err := m.admit(ctx, ports, f); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	r := fabric.ApplyReceipt{Change: c.ID, Source: "memory"}
	if m.is("reads what it wrote") {
		r.Source = "smp"
	}
	for _, p := range c.Ports {
		m.asked[p.Port] = p.Row.Clone()
		reason := ""
		if int(p.Port) >= len(m.s.PortID) {
			continue
		}
		if m.failing[p.Port] {
			reason = "does not take it"
		} else if m.down[m.s.LeafOf(p.Port)] {
			reason = "leaf does not answer"
		}
		if reason != "" && m.is("says all is done") {
			reason = ""
			r.Applied++
			continue
		}
		if reason != "" {
			r.Failed = append(r.Failed, fabric.PortError{Port: p.Port, Error: reason})
			continue
		}
		r.Applied++
		if !m.rows[p.Port].Equal(p.Row) {
			m.write(p.Port, p.Row)
		}
	}
	return r, nil
}

func (m *memory) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.is("locks down unfenced") {
		f = m.newest
	}
	if err := m.admit(ctx, ports, f); err != nil {
		return err
	}
	var failed []string
	for _, p := range ports {
		if int(p) >= len(m.s.PortID) {
			continue
		}
		if m.failing[p] || m.down[m.s.LeafOf(p)] {
			failed = append(failed, fmt.Sprint(p))
			if m.is("gives up") {
				break
			}
			continue
		}
		row := fabric.Compile(m.s.Fabrics[m.index].Family, fabric.QuarantineLabel("", m.s.Fabrics[m.index].Family).Value)
		if m.is("opens on lockdown") {
			row = fabric.Row{}
		}
		m.write(p, row)
	}
	if len(failed) > 0 && !m.is("locks down silently") {
		return errors.New("ports not closed: " + strings.Join(failed, ", "))
	}
	return nil
}

func (m *memory) Observe(ctx context.Context, scope fabric.Scope) (fabric.Observation, error) {
	if err := ctx.Err(); err != nil && !m.is("ignores context") {
		return fabric.Observation{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	leaves := scope.Leaves
	if leaves == nil || m.is("ignores scope") {
		leaves = nil
		for l := range site.Leaf(m.s.Leaves()) {
			if m.s.FabricOfLeaf(l) == m.index {
				leaves = append(leaves, l)
			}
		}
	}
	if scope.Since > m.cursor && !m.is("trusts cursors") {
		scope.Since = 0
	}
	at := time.Unix(1_700_000_000, int64(m.cursor)).UTC()
	o := fabric.Observation{Cursor: m.cursor, At: at, Fresh: !m.is("stale"), Devices: []fabric.DeviceReading{}, Numbering: fabric.Numbering(m.s, m.index)}
	if m.is("reads without numbers") {
		o.Numbering = claim.Digest{}
	}
	for _, l := range leaves {
		if int(l) >= m.s.Leaves() || m.s.FabricOfLeaf(l) != m.index {
			return o, fmt.Errorf("leaf %d is not of this fabric", l)
		}
		if m.down[l] {
			if !m.is("omits unreachable") {
				o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, At: at})
			}
			continue
		}
		if scope.Since > 0 && m.changed[l] <= scope.Since && !m.is("lists everything") {
			continue
		}
		raw, err := m.capture(l)
		if err != nil {
			return o, err
		}
		source := infiniband.Source
		o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Reachable: true, Source: source, At: at, Raw: raw})
	}
	return o, nil
}

func (m *memory) Await(ctx context.Context, since uint64) error {
	if m.is("awaits in vain") {
		return errors.New("no")
	}
	for ctx.Err() == nil {
		m.mu.Lock()
		now := m.cursor
		m.mu.Unlock()
		if now != since {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	if m.is("ignores context") {
		return nil
	}
	return ctx.Err()
}

func (m *memory) capture(l site.Leaf) ([]byte, error) {
	var readings []fabric.Reading
	for _, n := range m.s.SUs[l.SU()].Nodes {
		p := site.PortOf(n, l.NIC())
		row := m.rows[p]
		if m.is("reads its cache") {
			row = m.asked[p]
		}
		readings = append(readings, fabric.Reading{LeafPort: m.s.LeafPort(p), NIC: row.NIC, Leaf: row.Leaf,
			EnforceIn: row.EnforceIn, EnforceOut: row.EnforceOut, Class: row.Class, Neighbour: m.s.PortID[p]})
	}
	if m.is("lists strays") {
		readings = append(readings, fabric.Reading{LeafPort: 60, Neighbour: 77})
	}
	if m.s.Fabrics[m.index].Family == site.InfiniBand {
		return infiniband.Encode(infiniband.Header{GUID: uint64(l) + 1, LeafCap: tableSize, NICCap: tableSize}, readings)
	}
	c, err := ethernet.Ideal(m.s, l, ethernet.VTEPRanges(m.s, m.index), readings, 4094)
	if err != nil {
		return nil, err
	}
	return ethernet.Encode(&c)
}

func TestMemoryPasses(t *testing.T) {
	for _, family := range []site.Family{site.RoCE, site.InfiniBand} {
		t.Run(string(family), func(t *testing.T) {
			Run(t, func(*testing.T) *Fixture {
				_, f := newMemory(family, "")
				return f
			})
		})
	}
}

var faults = []string{"adds", "awaits in vain", "forgets changes", "no fencing named", "plans everything", "ignores context", "takes any port",
	"takes any numbers", "reads without numbers", "ignores fences", "knows no lineage", "knows no run", "shows no fence", "takes any row", "reads what it wrote", "says all is done", "locks down unfenced", "gives up",
	"opens on lockdown", "locks down silently", "ignores scope", "trusts cursors", "stale", "omits unreachable",
	"lists everything", "reads its cache", "lists strays", "forgets silence"}

// TestSuiteNotices breaks one promise at a time; the suite must notice each.
func TestSuiteNotices(t *testing.T) {
	for _, fault := range faults {
		for _, family := range []site.Family{site.RoCE, site.InfiniBand} {
			var noticed []string
			for _, c := range demands {
				_, f := newMemory(family, fault)
				if err := c.Holds(t.Context(), f); err != nil {
					noticed = append(noticed, c.Name)
				}
			}
			if len(noticed) == 0 {
				t.Errorf("a %s driver that %q passes the suite", family, fault)
			}
		}
	}
}

// TestEveryCheckHasTeeth: the faults above turn every check red at least once,
// but for those listed with the reason.
func TestEveryCheckHasTeeth(t *testing.T) {
	red := map[string]bool{
		"changes at the same time all arrive": true, // a race has no seed; the race detector finds it
		"apply is idempotent":                 true, // broken only by devices that count writes
	}
	for _, fault := range faults {
		for _, c := range demands {
			_, f := newMemory(site.RoCE, fault)
			if c.Holds(t.Context(), f) != nil {
				red[c.Name] = true
			}
		}
	}
	for _, c := range demands {
		if !red[c.Name] {
			t.Errorf("no fault turns %q red: it tests nothing", c.Name)
		}
	}
}
