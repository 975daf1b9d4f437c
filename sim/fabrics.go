package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/site"
)

// ports is the state of all edge ports and leaves. The devices keep what was
// written to them in the same form as read-back does: 45 bytes a port.
type ports struct {
	tables  *fabric.Tables
	fabrics []fabricState
	guid    []uint64 // by leaf
	changed []uint64 // by leaf: sequence number of its fabric when it last changed
	down    []int    // by leaf: how many faults hold it down
	failing map[site.Port]bool
	poison  map[site.Port]int    // read back as garbage, by how many faults
	moved   map[site.Port]uint64 // cabled to another device than the inventory says
	differs map[site.Leaf]bool   // configured otherwise than is desired, and nothing changes by it
	reading []fabric.Reading     // scratch
}

type fabricState struct {
	fence  fabric.Fence
	seq    uint64
	accept []ethernet.Range // from which leaves unpack VXLAN; nil: to be made again
	leaves []site.Leaf
}

func (v *ports) init(s *site.Site) {
	v.tables = fabric.NewTables(0)
	for range s.Fabrics {
		v.fabrics = append(v.fabrics, fabricState{seq: 1})
	}
	v.failing, v.poison, v.moved, v.differs = map[site.Port]bool{}, map[site.Port]int{}, map[site.Port]uint64{}, map[site.Leaf]bool{}
}

// grow adds the leaves and ports of an SU. From the factory a port carries
// nothing; an HCA is a limited member of the default partition.
func (v *ports) grow(s *site.Site, inv *site.SUInventory) {
	v.tables.Grow(s.Ports())
	su := len(s.SUs) - 1
	// By leaf number: those that there are none of have a place, and nothing in it.
	v.guid = append(v.guid, make([]uint64, site.NICs)...)
	v.changed = append(v.changed, make([]uint64, site.NICs)...)
	v.down = append(v.down, make([]int, site.NICs)...)
	for i := range inv.Leaves {
		leaf := site.Leaf(su*site.NICs + inv.Leaves[i].NIC)
		v.guid[leaf] = uint64(inv.Leaves[i].GUID)
		f := &v.fabrics[s.FabricOfLeaf(leaf)]
		f.seq++
		f.accept = nil
		f.leaves = append(f.leaves, leaf)
		v.changed[leaf] = f.seq
	}
	for _, n := range s.SUs[su].Nodes {
		for _, nic := range s.NICsOf(n) {
			p := site.PortOf(n, nic)
			row := fabric.Row{}
			if s.Fabrics[s.FabricOf(p)].Family == site.InfiniBand {
				row.NIC = []fabric.Member{fabric.Limited(defaultPartition)}
			}
			v.carry(s, p, row)
		}
	}
}

const defaultPartition = 0x7fff

// carry makes a port's devices carry a row.
func (v *ports) carry(s *site.Site, p site.Port, row fabric.Row) {
	v.tables.Set(&fabric.Reading{Port: p, NIC: row.NIC, Leaf: row.Leaf, EnforceIn: row.EnforceIn, EnforceOut: row.EnforceOut,
		Class: row.Class, Neighbour: s.PortID[p]})
}

// touch notes that what a port's leaf reads back as has changed.
func (s *Sim) touch(p site.Port) { s.touchLeaf(s.site.LeafOf(p)) }

func (s *Sim) touchLeaf(l site.Leaf) {
	f := &s.ports.fabrics[s.site.FabricOfLeaf(l)]
	f.seq++
	s.ports.changed[l] = f.seq
}

// row is what a port's devices carry in truth.
func (s *Sim) row(p site.Port) fabric.Row {
	r, _ := s.ports.tables.Get(p)
	return r.Row()
}

// Sizes of tables, as the devices modelled here have them.
const (
	leafKeys  = 32   // P_Keys of an InfiniBand switch port
	nicKeys   = 64   // P_Keys of an HCA
	leafVLANs = 4094 // VLANs of an Ethernet leaf
	portVLANs = 32   // of these, on one port
)

type fabricDriver struct {
	s     *Sim
	index int
}

func (d *fabricDriver) fabric() site.Fabric { return d.s.site.Fabrics[d.index] }

// Capabilities implements fabric.Driver.
func (d *fabricDriver) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	f := d.fabric()
	c := fabric.Capabilities{Fabric: f.ID, Family: f.Family, LeafTable: portVLANs, Atomic: "port", Fencing: fabric.FencedByDevice,
		Deadline: 10 * time.Second, Origin: claim.Simulated}
	if f.Family == site.InfiniBand {
		c.NICTable, c.LeafTable = nicKeys, leafKeys
	}
	return c, ctx.Err()
}

// Plan implements fabric.Driver.
func (d *fabricDriver) Plan(desired []fabric.PortRow, observed *fabric.Tables) (fabric.Change, error) {
	return fabric.Plan(d.fabric().ID, desired, observed)
}

// writer is the path that writes; readers use ethernet.Source or infiniband.Source.
const writer = "sim"

// Apply implements fabric.Driver.
func (d *fabricDriver) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	own := d.fabric()
	if err := c.Check(own.ID, claim.Digest{}, own.Family, leafKeys); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	for _, p := range c.Numbers() {
		if err := fabric.OwnPort(s.site, d.index, p); err != nil {
			return fabric.ApplyReceipt{}, err
		}
	}
	if err := d.admit(f); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	receipt := fabric.ApplyReceipt{Change: c.ID, Source: writer}
	for i := range c.Ports {
		if err := d.write(c.Ports[i].Port, c.Ports[i].Row); err != nil {
			receipt.Failed = append(receipt.Failed, fabric.PortError{Port: c.Ports[i].Port, Error: err.Error()})
			continue
		}
		receipt.Applied++
	}
	return receipt, nil
}

// admit compares a fence as the devices do, and remembers the newest.
func (d *fabricDriver) admit(f fabric.Fence) error {
	state := &d.s.ports.fabrics[d.index]
	if err := f.Admit(state.fence); err != nil {
		return fmt.Errorf("fabric %s: %w", d.fabric().ID, err)
	}
	state.fence = f
	return nil
}

func (d *fabricDriver) write(p site.Port, row fabric.Row) error {
	s := d.s
	if l := s.site.LeafOf(p); s.ports.down[l] > 0 {
		return fmt.Errorf("leaf %s does not answer", s.site.LeafID(l))
	}
	if s.ports.failing[p] {
		return fmt.Errorf("port %s does not take what is written to it", s.site.PortName(p))
	}
	if l := s.site.LeafOf(p); s.ports.differs[l] { // whichever port is written
		delete(s.ports.differs, l)
		s.touchLeaf(l)
	}
	if s.row(p).Equal(row) {
		return nil
	}
	s.ports.carry(s.site, p, row)
	s.touch(p)
	return nil
}

// Lockdown implements fabric.Driver.
func (d *fabricDriver) Lockdown(ctx context.Context, list []site.Port, f fabric.Fence) error {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range list {
		if err := fabric.OwnPort(s.site, d.index, p); err != nil {
			return err
		}
	}
	if err := d.admit(f); err != nil {
		return err
	}
	family := d.fabric().Family
	row := fabric.Compile(family, fabric.QuarantineLabel(d.fabric().ID, family).Value)
	var failed []error
	for _, p := range list {
		if err := d.write(p, row); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Observe implements fabric.Driver. It encodes each leaf as its devices would
// say it, from what they hold. Cost: about 15 µs a leaf of 64 ports that is read.
func (d *fabricDriver) Observe(ctx context.Context, scope fabric.Scope) (fabric.Observation, error) {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fabric.Observation{}, err
	}
	state := &s.ports.fabrics[d.index]
	leaves := scope.Leaves
	if leaves == nil {
		leaves, s.asked[d.index] = state.leaves, s.askedAt(ctx)
	}
	since := scope.Since
	if since > state.seq {
		since = 0
	}
	o := fabric.Observation{Cursor: state.seq, At: s.now, Fresh: true}
	source := ethernet.Source
	if d.fabric().Family == site.InfiniBand {
		source = infiniband.Source
	}
	if scope.Leaves == nil && since == state.seq && !slices.ContainsFunc(s.ports.down, func(faults int) bool { return faults > 0 }) {
		return o, nil // as it was, and every leaf answers: most looks end here
	}
	for i, l := range leaves {
		if int(l) >= s.site.Leaves() || s.site.FabricOfLeaf(l) != d.index {
			return fabric.Observation{}, fmt.Errorf("fabric %s: leaf %d: no such leaf in this fabric", d.fabric().ID, l)
		}
		if scope.Leaves != nil && slices.Contains(leaves[:i], l) {
			continue
		}
		if s.ports.down[l] > 0 {
			o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Source: source, At: s.now})
			continue
		}
		if since > 0 && s.ports.changed[l] <= since {
			continue
		}
		if len(o.Devices)&0xff == 0 && ctx.Err() != nil {
			return fabric.Observation{}, ctx.Err()
		}
		raw, err := d.capture(l)
		if err != nil {
			return fabric.Observation{}, fmt.Errorf("fabric %s: leaf %s: %w", d.fabric().ID, s.site.LeafID(l), err)
		}
		o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Reachable: true, Source: source, At: s.now, Raw: raw})
	}
	return o, nil
}

// Await implements fabric.Driver. Simulated devices change when their time is
// advanced, and whoever does that looks.
func (d *fabricDriver) Await(ctx context.Context, _ uint64) error {
	<-ctx.Done()
	return ctx.Err()
}

// capture is what a leaf and the NICs behind it say of themselves.
func (d *fabricDriver) capture(l site.Leaf) ([]byte, error) {
	s, t := d.s, d.s.ports.tables
	readings := s.ports.reading[:0]
	for i, n := range s.site.SUs[l.SU()].Nodes {
		p := site.PortOf(n, l.NIC())
		flags := t.Flags(p)
		r := fabric.Reading{Port: p, LeafPort: i + 1, NIC: t.NIC(p), Leaf: t.Leaf(p), Class: t.Class(p), Neighbour: t.Neighbour(p),
			EnforceIn: flags&fabric.FlagEnforceIn != 0, EnforceOut: flags&fabric.FlagEnforceOut != 0}
		if other, ok := s.ports.moved[p]; ok {
			r.Neighbour = other
		}
		if s.ports.poison[p] > 0 {
			r = s.garbage(r, d.fabric().Family)
		}
		readings = append(readings, r)
	}
	s.ports.reading = readings
	if d.fabric().Family == site.InfiniBand {
		return infiniband.Encode(infiniband.Header{GUID: s.ports.guid[l], LeafCap: leafKeys, NICCap: nicKeys}, readings)
	}
	f := &s.ports.fabrics[d.index]
	if f.accept == nil {
		f.accept = ethernet.VTEPRanges(s.site, d.index)
	}
	c, err := ethernet.Ideal(s.site, l, f.accept, readings, leafVLANs)
	if err != nil {
		return nil, err
	}
	if s.ports.differs[l] {
		c.Differs = ethernet.Differences([]string{"a line of its configuration is missing"})
	}
	return ethernet.Encode(&c)
}

// garbage is a reading by a collector that is at fault: some label that the
// device does not carry.
func (s *Sim) garbage(r fabric.Reading, family site.Family) fabric.Reading {
	draws := s.draw(drawPoison, uint64(r.Port), 0)
	value := uint32(5000 + draws.below(100_000))
	if family == site.InfiniBand {
		value = uint32(0x400 + draws.below(0x800))
	}
	r.Leaf = []fabric.Member{fabric.Full(value)}
	if len(r.NIC) > 0 {
		r.NIC = r.Leaf
	}
	return r
}
