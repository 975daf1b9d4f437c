package opensm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/site"
)

// Source is what receipts of this driver say.
const Source = "opensm"

// Driver drives one InfiniBand fabric of a site through its OpenSM. A row is
// written for the HCA; OpenSM gives the leaf port behind it the same and turns
// enforcement on. Every port is a limited member of the default partition
// besides: OpenSM can't be told otherwise, so what is planned has it too.
type Driver struct {
	Site    *site.Site
	Fabric  int                  // index into Site.Fabrics
	Leaves  map[site.Leaf]uint64 // switch GUID of every leaf of the fabric
	Service []uint64             // GUIDs of ports that may be full members of the default partition
	Manager *Manager
	Reader  Reader
	SMs     []uint64 // port GUIDs that the owner's SMs run on; nil: mastership is not looked at
	Alarm   Alarm    // wakes Await; nil: nothing does
	Origin  claim.Origin
	Clock   func() time.Time // nil: time.Now

	writing sync.Mutex // one change at a time: each is a whole file
	last    members    // what was put last, as far as this driver knows; nil: it does not

	sizes sync.Mutex
	nic   int // P_Keys that the smallest tables hold, once read
	leaf  int

	numbering sync.Once
	number    claim.Digest

	reading sync.Mutex
	first   uint64 // cursors below it are from before a restart
	cursor  uint64
	known   map[site.Leaf]*leafState
	notices uint64    // notices, when the last look at all leaves began
	rest    time.Time // until then Await does not ask for another
	again   time.Time // then Await asks for another; zero: only after a notice
}

// leafState is what was read of a leaf last.
type leafState struct {
	readings []fabric.Reading
	silent   bool   // it did not answer last
	changed  uint64 // cursor
}

func (d *Driver) fabric() site.Fabric { return d.Site.Fabrics[d.Fabric] }

func (d *Driver) now() time.Time {
	if d.Clock != nil {
		return d.Clock()
	}
	return time.Now()
}

func (d *Driver) bound() time.Duration {
	if d.Manager.Bound == 0 {
		return time.Minute
	}
	return d.Manager.Bound
}

// leaves lists the leaves of the fabric that the site has nodes behind,
// ascending.
func (d *Driver) leaves() []site.Leaf { return slices.Sorted(maps.Keys(d.Leaves)) }

// Capabilities asks the devices how much they hold: the least of any that
// answered.
func (d *Driver) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	c := fabric.Capabilities{Fabric: d.fabric().ID, Family: site.InfiniBand, Atomic: "port",
		Fencing: fabric.FencedByDevice, Deadline: 3 * d.bound(), Origin: d.Origin,
		Numbering: d.numbered()}
	var err error
	c.NICTable, c.LeafTable, err = d.limits(ctx)
	return c, err
}

func (d *Driver) numbered() claim.Digest {
	d.numbering.Do(func() { d.number = fabric.Numbering(d.Site, d.Fabric) })
	return d.number
}

// limits reads the sizes of tables once: a device that is swapped for a smaller
// one shows when its table is full.
func (d *Driver) limits(ctx context.Context) (nic, leaf int, err error) {
	d.sizes.Lock()
	defer d.sizes.Unlock()
	if d.nic > 0 {
		return d.nic, d.leaf, nil
	}
	captures, err := d.Reader.Read(ctx, d.guids(d.leaves()))
	if err != nil {
		return 0, 0, err
	}
	for _, c := range captures {
		if c.Raw == nil {
			continue
		}
		if leaf == 0 || c.LeafTable < leaf {
			leaf = c.LeafTable
		}
		if c.NICTable > 0 && (nic == 0 || c.NICTable < nic) {
			nic = c.NICTable
		}
	}
	if nic == 0 || leaf == 0 {
		return 0, 0, fmt.Errorf("fabric %s: no leaf with an HCA behind it said how many P_Keys it holds", d.fabric().ID)
	}
	d.nic, d.leaf = nic, leaf
	return nic, leaf, nil
}

func (d *Driver) guids(leaves []site.Leaf) []uint64 {
	out := make([]uint64, len(leaves))
	for i, l := range leaves {
		out[i] = d.Leaves[l]
	}
	return out
}

// Plan plans what OpenSM can make of the rows: see Driver.
func (d *Driver) Plan(desired []fabric.PortRow, observed *fabric.Tables) (fabric.Change, error) {
	rows := make([]fabric.PortRow, len(desired))
	for i, r := range desired {
		rows[i] = fabric.PortRow{Port: r.Port, Row: floor(r.Row)}
	}
	return fabric.Plan(d.fabric().ID, rows, observed)
}

func (d *Driver) serves(guid uint64) bool { return slices.Contains(d.Service, guid) }

func (d *Driver) checkPorts(ports []site.Port) error {
	for _, p := range ports {
		if err := fabric.OwnPort(d.Site, d.Fabric, p); err != nil {
			return err
		}
		if _, known := d.Leaves[d.Site.LeafOf(p)]; !known {
			return fmt.Errorf("fabric %s: port %d: no switch GUID for leaf %s: %w", d.fabric().ID, p, d.Site.LeafID(d.Site.LeafOf(p)), fabric.ErrUnknownPort)
		}
	}
	return nil
}

// Apply writes a change: the whole file anew, OpenSM told, devices waited for. A
// port whose device is silent stays in the file and is named as failed.
func (d *Driver) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	if err := ctx.Err(); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	if err := d.checkPorts(c.Numbers()); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	nic, leaf, err := d.limits(ctx)
	if err != nil {
		return fabric.ApplyReceipt{}, err
	}
	// One entry stays free: leaves stop enforcing for a port whose table is full.
	if err := c.Check(d.fabric().ID, d.numbered(), site.InfiniBand, min(nic, leaf)-1); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	r := fabric.ApplyReceipt{Change: c.ID, Source: Source}
	rows := map[site.Port]fabric.Row{}
	for _, p := range c.Ports {
		if err := expressible(p.Row, d.serves(d.Site.PortID[p.Port])); err != nil {
			r.Failed = append(r.Failed, fabric.PortError{Port: p.Port, Error: err.Error()})
			continue
		}
		rows[p.Port] = floor(p.Row)
	}
	left, err := d.write(ctx, rows, f)
	if err != nil {
		return fabric.ApplyReceipt{}, err
	}
	r.Failed = append(r.Failed, left...)
	slices.SortFunc(r.Failed, func(a, b fabric.PortError) int { return int(a.Port) - int(b.Port) })
	r.Applied = len(c.Ports) - len(r.Failed)
	return r, nil
}

// Lockdown makes ports limited members of the default partition and of nothing
// else. It wins over an edit by hand: read-back has shown a violation, and closing
// is worth more than whatever somebody wrote. Every other port then gets what was
// put last, or what the edited file says of it if this driver never put any; where
// nothing can be read out of that, it is closed as well.
func (d *Driver) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	if err := d.checkPorts(ports); err != nil {
		return err
	}
	rows := map[site.Port]fabric.Row{}
	for _, p := range ports {
		rows[p] = floor(fabric.Closed())
	}
	left, err := d.write(ctx, rows, f)
	if errors.Is(err, ErrEdited) {
		left, err = d.closeOver(ctx, rows, f)
	}
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("fabric %s: %d of %d ports are not closed, among them port %d: %s",
			d.fabric().ID, len(left), len(ports), left[0].Port, left[0].Error)
	}
	return nil
}

// closeOver puts rows in place of a file that somebody edited.
func (d *Driver) closeOver(ctx context.Context, rows map[site.Port]fabric.Row, f fabric.Fence) ([]fabric.PortError, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	found, err := d.Manager.File.Read()
	if err != nil && !errors.Is(err, ErrEdited) {
		return nil, err
	}
	want := maps.Clone(d.last)
	if want == nil {
		want = members{}
		if ours, err := conf.ParsePartitions(found); err == nil {
			want = byPort(ours)
		}
	}
	for p, row := range rows {
		want[d.Site.PortID[p]] = row.NIC
	}
	text, err := conf.CheckedPartitions(want.partitioning())
	if err != nil {
		return nil, err
	}
	if err := d.Manager.File.TakeOver(ctx, text, f, claim.DigestOf(found)); err != nil {
		return nil, err
	}
	d.last = want
	if err := d.Manager.Reload.Reload(ctx); err != nil {
		return nil, err
	}
	return d.Manager.Settle(ctx, d.remaining(rows))
}

// write brings rows into force beside all others that are, and returns the ports
// that did not follow.
//
// OpenSM writes a table only where it differs from what it believes to be there,
// and it never looks. So a port that was tampered with and is to carry what
// OpenSM believes that it carries, is first given something else: nothing, or
// quarantine. That writes the block over. A key that somebody wrote into another
// block of the table survives that; it shows in read-back, and the port fails.
func (d *Driver) write(ctx context.Context, rows map[site.Port]fabric.Row, f fabric.Fence) ([]fabric.PortError, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.Manager.File.Admit(ctx, f); err != nil {
		return nil, err
	}
	text, err := d.Manager.File.Read()
	if err != nil {
		return nil, err
	}
	believed := members{}
	if text != nil {
		ours, err := conf.ParsePartitions(text)
		if err != nil {
			return nil, err
		}
		believed = byPort(ours)
		d.last = maps.Clone(believed)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	if d.SMs != nil {
		// Another SM would not follow the file, and may open what this one closes.
		if err := Master(ctx, d.Reader, d.SMs); err != nil {
			return nil, err
		}
	}
	seen, err := d.read(ctx, rows)
	if err != nil {
		return nil, err
	}
	want := maps.Clone(believed)
	detour := maps.Clone(believed)
	detours := map[site.Port]fabric.Row{}
	for p, row := range rows {
		guid := d.Site.PortID[p]
		want[guid] = row.NIC
		was := believed.row(guid)
		reading, read := seen[p]
		if read && was.Equal(row) && !sameTables(&reading, &row) {
			detour[guid] = nil
			if empty := floor(fabric.Closed()); was.Equal(empty) {
				detour[guid] = []fabric.Member{fabric.Limited(fabric.QuarantineLabel("", site.InfiniBand).Value)}
			}
			detours[p] = detour.row(guid)
		}
	}
	if len(detours) > 0 {
		if _, err := d.bring(ctx, detour, detours, f); err != nil {
			return nil, err
		}
	}
	left, err := d.bring(ctx, want, rows, f)
	if err == nil {
		d.last = want
	}
	slices.SortFunc(left, func(a, b fabric.PortError) int { return int(a.Port) - int(b.Port) })
	return left, err
}

func sameTables(reading *fabric.Reading, row *fabric.Row) bool {
	a := fabric.Row{NIC: reading.NIC, Leaf: reading.Leaf, Class: row.Class}
	b := fabric.Row{NIC: row.NIC, Leaf: row.Leaf, Class: row.Class}
	return a.Equal(b)
}

// bring puts a configuration into force and waits for the ports of rows.
// A leaf that did not answer at first is not waited for: its ports fail.
func (d *Driver) bring(ctx context.Context, m members, rows map[site.Port]fabric.Row, f fabric.Fence) ([]fabric.PortError, error) {
	text, err := conf.CheckedPartitions(m.partitioning())
	if err != nil {
		return nil, err
	}
	first, err := d.read(ctx, rows)
	if err != nil {
		return nil, err
	}
	var silent []fabric.PortError
	waited := make(map[site.Port]fabric.Row, len(rows))
	for p, row := range rows {
		if _, answered := first[p]; answered {
			waited[p] = row
		} else {
			silent = append(silent, fabric.PortError{Port: p, Error: "its leaf does not answer"})
		}
	}
	left, err := d.Manager.Bring(ctx, text, f, d.remaining(waited))
	return append(left, silent...), err
}

// remaining returns what names the ports that do not carry their row yet.
func (d *Driver) remaining(rows map[site.Port]fabric.Row) func(context.Context) ([]fabric.PortError, error) {
	return func(ctx context.Context) ([]fabric.PortError, error) {
		if len(rows) == 0 {
			return nil, nil
		}
		seen, err := d.read(ctx, rows)
		if err != nil {
			return nil, err
		}
		var left []fabric.PortError
		for p, row := range rows {
			reading, read := seen[p]
			switch {
			case !read:
				left = append(left, fabric.PortError{Port: p, Error: "its leaf does not answer"})
			case reading.Neighbour != d.Site.PortID[p]:
				left = append(left, fabric.PortError{Port: p, Error: fmt.Sprintf("0x%016x is behind it, the inventory says 0x%016x", reading.Neighbour, d.Site.PortID[p])})
			case reading.Full:
				left = append(left, fabric.PortError{Port: p, Error: "a table is full: its leaf stops enforcing"})
			default:
				if got := reading.Row(); !got.Equal(row) {
					left = append(left, fabric.PortError{Port: p, Error: fmt.Sprintf("reads back %s, expected %s", got, row)})
				}
			}
		}
		return left, nil
	}
}

// read reads the ports of rows; those of silent leaves are missing.
func (d *Driver) read(ctx context.Context, rows map[site.Port]fabric.Row) (map[site.Port]fabric.Reading, error) {
	var leaves []site.Leaf
	for p := range rows {
		if l := d.Site.LeafOf(p); !slices.Contains(leaves, l) {
			leaves = append(leaves, l)
		}
	}
	slices.Sort(leaves)
	captures, err := d.Reader.Read(ctx, d.guids(leaves))
	if err != nil {
		return nil, err
	}
	out := make(map[site.Port]fabric.Reading, len(rows))
	for i, c := range captures {
		if c.Raw == nil {
			continue
		}
		readings, err := infiniband.Decode(c.Raw)
		if err != nil {
			return nil, fmt.Errorf("leaf %s: %w", d.Site.LeafID(leaves[i]), err)
		}
		located, _ := fabric.Locate(d.Site, leaves[i], readings)
		for _, r := range located {
			if _, asked := rows[r.Port]; asked {
				out[r.Port] = r
			}
		}
	}
	return out, nil
}

// Observe reads the devices. A cursor from before this driver was made is
// answered in full.
func (d *Driver) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if err := ctx.Err(); err != nil {
		return fabric.Observation{}, err
	}
	leaves := s.Leaves
	if leaves == nil {
		leaves = d.leaves()
	}
	for _, l := range leaves {
		if _, known := d.Leaves[l]; !known {
			return fabric.Observation{}, fmt.Errorf("fabric %s: leaf %d is not of it", d.fabric().ID, l)
		}
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	notices, began := d.alarms(), time.Now()
	captures, err := d.Reader.Read(ctx, d.guids(leaves))
	d.rest = time.Now().Add(max(leastRest, restFactor*time.Since(began)))
	if err != nil {
		return fabric.Observation{}, err
	}
	if s.Leaves == nil {
		d.notices, d.again = notices, time.Time{}
	}
	if d.known == nil {
		d.first = uint64(d.now().UnixNano())
		d.cursor, d.known = d.first, map[site.Leaf]*leafState{}
	}
	o := fabric.Observation{At: d.now(), Fresh: true, Numbering: d.numbered()}
	for i, c := range captures {
		l := leaves[i]
		if !c.Again.IsZero() && (d.again.IsZero() || c.Again.Before(d.again)) {
			d.again = c.Again
		}
		state := d.known[l]
		if state == nil {
			state = &leafState{silent: true}
			d.known[l] = state
		}
		var readings []fabric.Reading
		if c.Raw != nil {
			if readings, err = infiniband.Decode(c.Raw); err != nil {
				return fabric.Observation{}, fmt.Errorf("leaf %s: %w", d.Site.LeafID(l), err)
			}
		}
		if c.Raw == nil {
			state.silent = true
			o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Source: infiniband.Source, At: c.At})
			continue
		}
		if state.silent || !slices.EqualFunc(state.readings, readings, sameReading) {
			d.cursor++
			state.changed, state.readings, state.silent = d.cursor, readings, false
		}
		if given := s.Since >= d.first && s.Since <= d.cursor; !given || state.changed > s.Since {
			o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, Reachable: true, Source: infiniband.Source, At: c.At, Raw: c.Raw})
		}
	}
	o.Cursor = d.cursor
	return o, nil
}

func sameReading(a, b fabric.Reading) bool {
	return a.LeafPort == b.LeafPort && a.Neighbour == b.Neighbour && a.Full == b.Full && a.Faults == b.Faults && a.Followed == b.Followed && a.Row().Equal(b.Row())
}

var _ fabric.Driver = (*Driver)(nil)
