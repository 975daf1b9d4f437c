package evpn_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/site"
)

// leaf is a leaf in memory that keeps what it is given and says so, as a real one
// would. It is here for what has to be tried without root; leaves of Linux and FRR
// pass the same suite.
type leaf struct {
	s  *site.Site
	id site.Leaf

	mu        sync.Mutex
	rows      map[int]fabric.Row
	changes   uint64
	fence     fabric.Fence
	down      bool
	failing   map[int]bool
	spoil     func(*ethernet.Capture) // what somebody did to it; nil: nothing
	reads     int
	heard     *heard
	announced int                 // VNIs
	deaf      map[netip.Addr]bool // leaves that it has not learnt of
}

var errDown = errors.New("it does not answer")

func (l *leaf) Changes(ctx context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, errDown
	}
	return l.changes, ctx.Err()
}

func (l *leaf) Await(ctx context.Context, number uint64) error {
	for ctx.Err() == nil {
		if now, err := l.Changes(ctx); err != nil || now != number {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}

func (l *leaf) Read(ctx context.Context) (ethernet.Capture, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return ethernet.Capture{}, errDown
	}
	l.reads++
	c, err := l.capture()
	if err == nil {
		err = ctx.Err()
	}
	c.Routes, c.RoutesSeen = nil, false
	for i := range c.VNIs {
		c.VNIs[i].Flood = nil
		for _, a := range l.heard.members(c.VNIs[i].VNI) {
			if a != c.Underlay.VTEP && !l.deaf[a] {
				c.VNIs[i].Flood = append(c.VNIs[i].Flood, a)
			}
		}
	}
	return c, err
}

func (l *leaf) capture() (ethernet.Capture, error) {
	var readings []fabric.Reading
	for number := range len(l.s.SUs[l.id.SU()].Nodes) {
		port, _ := l.s.PortAt(l.id, number+1)
		row := l.rows[number+1]
		readings = append(readings, fabric.Reading{LeafPort: number + 1, Leaf: row.Leaf, EnforceIn: row.EnforceIn, EnforceOut: row.EnforceOut, Class: row.Class, Neighbour: l.s.PortID[port]})
	}
	f := l.s.FabricOfLeaf(l.id)
	c, err := ethernet.Ideal(l.s, l.id, ethernet.VTEPRanges(l.s, f), readings, 4094)
	if l.spoil != nil {
		l.spoil(&c)
	}
	return c, err
}

func (l *leaf) Admit(ctx context.Context, f fabric.Fence) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errDown
	}
	if err := f.Admit(l.fence); err != nil {
		return err
	}
	l.fence = f
	return ctx.Err()
}

func (l *leaf) Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (map[int]string, error) {
	if err := l.Admit(ctx, f); err != nil {
		return nil, err
	}
	failed := map[int]string{}
	for number, row := range rows {
		if !l.put(number, row) {
			failed[number] = "it does not take it"
		}
	}
	return failed, nil
}

func (l *leaf) put(number int, row fabric.Row) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing[number] {
		return false
	}
	if !l.rows[number].Equal(row) {
		l.rows[number] = row.Clone()
		l.changes++
		l.announce()
	}
	return true
}

// announce says which VNIs the leaf carries, and one that it always does.
func (l *leaf) announce() {
	vnis := map[uint32]bool{5000: true}
	for _, row := range l.rows {
		for _, m := range row.Leaf {
			vnis[m.Value()] = true
		}
	}
	var routes []ethernet.Route
	vtep := ethernet.VTEP(l.s.FabricOfLeaf(l.id), l.id)
	for _, vni := range slices.Sorted(maps.Keys(vnis)) {
		routes = append(routes, ethernet.Route{Kind: 3, VNI: vni, Targets: []ethernet.Target{ethernet.TargetOf(vni)}, Originator: vtep})
	}
	if len(routes) != l.announced {
		l.announced = len(routes)
		l.heard.put(vtep, routes...)
	}
}

// heard is a collector that hears what the leaves in memory announce.
type heard struct {
	mu       sync.Mutex
	routes   map[netip.Addr][]ethernet.Route
	changed  map[netip.Addr]uint64
	cursor   uint64
	complete bool // one reflector is heard
	all      bool // and so are the others
	signal   chan struct{}
}

func (h *heard) Signal() <-chan struct{} { return h.signal }

func (h *heard) Routes(vtep netip.Addr) ([]ethernet.Route, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.routes[vtep], h.complete && len(h.routes[vtep]) > 0
}

// members lists who announces a VNI, ascending.
func (h *heard) members(vni uint32) (list []netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a, routes := range h.routes {
		if slices.ContainsFunc(routes, func(r ethernet.Route) bool { return r.VNI == vni }) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

func (h *heard) Changed(since uint64) (vteps []netip.Addr, cursor uint64, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a, c := range h.changed {
		if c > since {
			vteps = append(vteps, a)
		}
	}
	return vteps, h.cursor, since == 0
}

func (h *heard) Complete() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.complete
}

func (h *heard) All() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.complete && h.all
}

func (h *heard) put(vtep netip.Addr, routes ...ethernet.Route) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cursor++
	h.routes[vtep], h.changed[vtep] = slices.Clone(routes), h.cursor
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

// newDriver makes a driver of leaves in memory; each announces the labels of its ports.
func newDriver(s *site.Site, fabricIndex int) (*evpn.Driver, map[site.Leaf]*leaf, *heard) {
	h := &heard{routes: map[netip.Addr][]ethernet.Route{}, changed: map[netip.Addr]uint64{}, complete: true, signal: make(chan struct{}, 1)}
	leaves, devices := map[site.Leaf]*leaf{}, map[site.Leaf]evpn.Device{}
	for id := range site.Leaf(s.Leaves()) {
		if s.FabricOfLeaf(id) != fabricIndex {
			continue
		}
		leaves[id] = &leaf{s: s, id: id, rows: map[int]fabric.Row{}, failing: map[int]bool{}, changes: 1, heard: h}
		devices[id] = leaves[id]
		leaves[id].announce()
	}
	return &evpn.Driver{Site: s, Fabric: fabricIndex, Leaves: maps.Clone(devices), Routes: h, Origin: "simulated", Patience: time.Millisecond, Learning: time.Nanosecond}, leaves, h
}

// newOver is another control plane's driver over the same leaves.
func newOver(d *evpn.Driver) *evpn.Driver {
	return &evpn.Driver{Site: d.Site, Fabric: d.Fabric, Leaves: d.Leaves, Routes: d.Routes, Origin: d.Origin}
}
