package collector

import (
	"net/netip"

	"bulkhead/fabric/ethernet"
)

// table holds the routes of all reflectors by next hop, and the order in which
// next hops changed. Nothing in it is safe for several goroutines at once.
type table struct {
	clock   uint64 // of changes; the newest cursor
	floor   uint64 // cursors below it are answered with everything
	vteps   map[netip.Addr]*vtep
	newest  *vtep // list of all, the last changed first
	oldest  *vtep
	limit   int // of vteps that are kept though they have no routes
	emptied int // how many those are
}

// vtep is one next hop.
type vtep struct {
	addr         netip.Addr
	changed      uint64
	newer, older *vtep
	count        int // routes of all reflectors
}

// feed is what one reflector has sent. Records are in one slice; those of a next
// hop are linked.
type feed struct {
	at      map[key]int32
	records []record
	free    int32           // first unused record, linked by next; -1: none
	heads   map[*vtep]int32 // first record of a next hop
}

type record struct {
	route
	vtep       *vtep
	prev, next int32
}

const none = -1

func newTable(limit int) *table {
	return &table{vteps: map[netip.Addr]*vtep{}, limit: limit}
}

func newFeed() *feed { return &feed{at: map[key]int32{}, heads: map[*vtep]int32{}, free: none} }

// put adds a route or replaces it. Cost: O(1).
func (t *table) put(f *feed, k key, addr netip.Addr, r route) {
	if i, held := f.at[k]; held {
		old := &f.records[i]
		if old.vtep.addr == addr {
			if old.route != r {
				old.route = r
				t.touch(old.vtep)
			}
			return
		}
		t.drop(f, k) // it moved to another next hop: both changed
	}
	v := t.vteps[addr]
	if v == nil {
		v = &vtep{addr: addr}
		t.vteps[addr] = v
		t.link(v)
	} else if v.count == 0 {
		t.emptied--
	}
	v.count++
	i := f.free
	if i == none {
		i = int32(len(f.records))
		f.records = append(f.records, record{})
	} else {
		f.free = f.records[i].next
	}
	head, some := f.heads[v]
	if !some {
		head = none
	}
	f.records[i] = record{route: r, vtep: v, prev: none, next: head}
	if head != none {
		f.records[head].prev = i
	}
	f.heads[v] = i
	f.at[k] = i
	t.touch(v)
}

// drop takes a route away. Cost: O(1).
func (t *table) drop(f *feed, k key) {
	i, held := f.at[k]
	if !held {
		return
	}
	r := &f.records[i]
	v := r.vtep
	switch {
	case r.prev != none:
		f.records[r.prev].next = r.next
	case r.next != none:
		f.heads[v] = r.next
	default:
		delete(f.heads, v)
	}
	if r.next != none {
		f.records[r.next].prev = r.prev
	}
	delete(f.at, k)
	*r = record{next: f.free}
	f.free = i
	t.lost(v, 1)
}

// forget takes away all that a reflector sent. Cost: O(its routes).
func (t *table) forget(f *feed) {
	for v, i := range f.heads {
		n := 0
		for ; i != none; i = f.records[i].next {
			n++
		}
		t.lost(v, n)
	}
	*f = *newFeed()
}

func (t *table) lost(v *vtep, n int) {
	v.count -= n
	t.touch(v)
	if v.count == 0 {
		t.emptied++
		t.prune()
	}
}

// mark makes all next hops of a reflector count as changed.
func (t *table) mark(f *feed) {
	for v := range f.heads {
		t.touch(v)
	}
}

func (t *table) touch(v *vtep) {
	t.clock++
	v.changed = t.clock
	if t.newest != v {
		t.unlink(v)
		t.link(v)
	}
}

func (t *table) link(v *vtep) {
	v.newer, v.older = nil, t.newest
	if t.newest != nil {
		t.newest.newer = v
	} else {
		t.oldest = v
	}
	t.newest = v
}

func (t *table) unlink(v *vtep) {
	if v.newer != nil {
		v.newer.older = v.older
	} else {
		t.newest = v.older
	}
	if v.older != nil {
		v.older.newer = v.newer
	} else {
		t.oldest = v.newer
	}
}

// prune bounds how many next hops are kept only because they had routes once: who
// announces ever new next hops gains nothing. Cursors from before are answered
// with everything that is held.
func (t *table) prune() {
	if t.emptied <= t.limit {
		return
	}
	for v := t.oldest; v != nil && t.emptied > t.limit/2; {
		newer := v.newer
		if v.count == 0 {
			t.floor = max(t.floor, v.changed)
			t.unlink(v)
			delete(t.vteps, v.addr)
			t.emptied--
		}
		v = newer
	}
}

// since returns the next hops that changed after a cursor, or, where that is not
// known, all that are held. Cost: O(those).
func (t *table) since(cursor uint64) (list []netip.Addr, all bool) {
	if all = cursor == 0 || cursor < t.floor || cursor > t.clock; all {
		cursor = 0
	}
	for v := t.newest; v != nil && v.changed > cursor; v = v.older {
		if v.count > 0 || !all {
			list = append(list, v.addr)
		}
	}
	return list, all
}

// append adds a feed's routes of one next hop, without those that are there.
func (f *feed) append(out []ethernet.Route, v *vtep, seen map[route]bool) []ethernet.Route {
	i, some := f.heads[v]
	if !some {
		return out
	}
	for ; i != none; i = f.records[i].next {
		r := f.records[i].route
		if !seen[r] {
			seen[r] = true
			out = append(out, ethernet.Route{Kind: r.kind, VNI: r.vni, MAC: r.mac, Targets: list(r.targets), Originator: r.originator})
		}
	}
	return out
}
