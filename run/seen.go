package run

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// seen is what the loop has last seen of the devices, and what follows from it
// port by port. It lives in memory only: after a restart a full read-back comes
// before anything is delivered.
//
// The loop alone changes it, holding the plane's lock, and under mu where others may be
// reading: they hold mu only, and look at the site as it was when ports were added last.
type seen struct {
	mu     sync.RWMutex
	state  *book.State // the writer's: for the loop
	site   *site.Site  // a copy: for whoever reads
	tables *fabric.Tables
	prover *prove.Prover

	followed uint64 // the entry up to which what is wanted follows the state

	want    []uint32 // label value wanted at each edge port; 0: nothing yet
	wrong   []uint8  // by node: ports whose read-back is not as wanted
	pending *site.Set
	// settled ports have read back as wanted since their want last changed: only
	// these can drift. Until then they are on their way.
	settled []bool

	silent        map[site.Leaf]time.Time // leaves that did not answer the last read-back, with when they last did
	unread        map[site.Leaf]bool      // leaves that have not answered for longer than the window
	confirmed     map[string]time.Time    // by fabric: the last read-back, in which every leaf answered but the silent
	cursors       map[string]uint64       // by fabric
	swept         map[string]time.Time
	nodes         uint64               // cursor of node reports
	nodesComplete bool                 // the last look at nodes came to its end
	nodesAsked    time.Time            // when the newest look at nodes was asked for
	nodesAt       time.Time            // when nodes last told all that they had to tell
	looks         map[string]*lookedAt // by fabric, of the nodes under "": what is not recorded yet
	round         time.Time            // when looks were last taken over
	// stuck ports did not follow in this tick: waiting for them takes long, so they
	// are tried again in the next one.
	stuck map[site.Port]bool
	// given is what was written in this tick and not read back yet, and same what was read
	// back as before: it is not given again in this tick. changes counts the changes that
	// drivers were asked for.
	given    map[site.Port]given
	same     map[site.Port]uint32
	changes  uint64
	unmended map[site.Port]bool       // ports that read as before when they had been written, until they read as wanted
	differs  map[site.Leaf]*differing // what differs and turns no verdict
	postures map[string]time.Time     // by fabric: when its posture was looked at last
	guards   map[string]bool          // fabrics whose posture does not hold and is to be put back
	claimed  map[string]time.Time     // by driver: when it took this writer's fence last (claim)
	shown    map[string]time.Time     // by fabric: when its leaves were shown this term's fence first
	woken    map[string]bool          // fabrics whose driver has said since that something changed
	volumes  time.Time                // when the backend was last asked who can reach what
	missing  map[access]bool          // grants that were made and are gone

	askedAt map[int]uint64           // by index of the fabric: the ledger's position when the read-back that is on its way was asked for
	was     map[site.Port][]expected // what was expected of ports since then
	unsure  map[site.Port]time.Time  // ports whose last reading counts for nothing, since when

	listing bool                // all nodes are being listed, and not only what they said since
	unwell  map[site.Index]bool // nodes that are not well, among those listed so far

	// silenced nodes have reported that no session and no grant of their last
	// tenant is left. After a restart the step is asked for again.
	silenced *site.Set

	zones zones // of the nodes' BMCs

	owned  map[string]map[uint32]uint32 // by fabric: label value -> holder, as the prover knows it
	tried  attempt
	doubt  map[lease.ID]time.Time // since when a verdict has not been proven without anything having drifted
	judged map[lease.ID]time.Time // when each lease's verdict was last recorded
}

func newSeen(s *book.State) *seen {
	v := &seen{
		state: s, zones: newZones(), guards: map[string]bool{}, claimed: map[string]time.Time{}, missing: map[access]bool{},
		askedAt: map[int]uint64{}, was: map[site.Port][]expected{}, unsure: map[site.Port]time.Time{}, unwell: map[site.Index]bool{},
		tables: fabric.NewTables(0), pending: site.NewSet(0), silenced: site.NewSet(0), judged: map[lease.ID]time.Time{}, postures: map[string]time.Time{}, woken: map[string]bool{}, shown: map[string]time.Time{}, stuck: map[site.Port]bool{}, given: map[site.Port]given{}, same: map[site.Port]uint32{}, unmended: map[site.Port]bool{}, differs: map[site.Leaf]*differing{}, doubt: map[lease.ID]time.Time{},
		unread: map[site.Leaf]bool{}, silent: map[site.Leaf]time.Time{}, confirmed: map[string]time.Time{}, cursors: map[string]uint64{}, swept: map[string]time.Time{}, owned: map[string]map[uint32]uint32{},
	}
	v.grow(s)
	// What the ledger says of leaves that do not answer holds until they do: without
	// this a leaf that comes back while nobody looks would count as unread for ever.
	for leaf, since := range s.Unread {
		v.unread[leaf], v.silent[leaf] = true, since
	}
	for leaf, since := range s.Silent {
		v.silent[leaf] = since
	}
	return v
}

// note changes what readers may be looking at. What change does is short, and waits for
// nothing.
func (v *seen) note(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

// grow makes room for the ports of newly imported nodes.
func (v *seen) grow(s *book.State) {
	if s.Site == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.site = s.Site.Snapshot()
	ports := s.Site.Ports()
	if len(v.want) < ports {
		// What drivers said of the new devices before is not known any more: they
		// say everything again.
		clear(v.swept)
	}
	v.tables.Grow(ports)
	if v.prover == nil {
		v.prover = prove.NewProver(v.site, v.tables)
	} else {
		v.prover.Follow(v.site)
	}
	for len(v.want) < ports {
		v.want = append(v.want, 0)
		v.settled = append(v.settled, false)
	}
	for len(v.wrong) < s.Site.Nodes() {
		v.wrong = append(v.wrong, 0)
		s.Touched.Add(site.Index(len(v.wrong) - 1))
	}
}

// follow brings what is wanted of the touched nodes' ports up to date.
// Cost: O(touched nodes).
func (v *seen) follow() {
	s := v.state
	if s.Site == nil {
		return
	}
	if v.followed == s.Seq && s.Touched.Len() == 0 {
		return // nothing was decided since
	}
	v.followed = s.Seq
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := range s.Touched.All() {
		w := s.Wants(n)
		for _, nic := range s.Site.NICsOf(n) {
			port := site.PortOf(n, nic)
			value := uint32(0)
			if label, ok := s.Label(s.Site.FabricOf(port), n, w.Owner); ok {
				value = label.Value
			}
			holder := w.Holder
			if s.Kept.Has(n) {
				holder = s.FoundHolder(s.Site.Fabrics[s.Site.FabricOf(port)].ID, n)
			}
			if value != v.want[port] || uint32(holder) != v.prover.Facts().Holder(port) {
				v.remember(port, s.Seq)
			}
			v.prover.Hold(port, uint32(holder))
			if value != v.want[port] {
				// What a new writer finds on a delivered node was proven
				// before it began: if it reads otherwise now, it has drifted.
				v.settled[port] = v.want[port] == 0 && s.Nodes.State[n] == node.Delivered
				v.want[port] = value
				delete(v.unmended, port)
			}
		}
		v.recount(n)
	}
	s.Touched = site.NewSet(s.Site.Nodes())
	v.ownLabels()
}

// recount counts a node's ports that are not as wanted.
func (v *seen) recount(n site.Index) {
	wrong := uint8(0)
	for _, nic := range v.state.Site.NICsOf(n) {
		port := site.PortOf(n, nic)
		if v.AsWanted(port) {
			v.settled[port] = true
			delete(v.unmended, port)
		} else if v.want[port] != 0 {
			wrong++
		}
	}
	v.wrong[n] = wrong
	if wrong > 0 {
		v.pending.Add(n)
	} else {
		v.pending.Remove(n)
	}
}

// Pending implements book.Seen.
func (v *seen) Pending() *site.Set { return v.pending }

// AsWanted implements book.Seen.
func (v *seen) AsWanted(p site.Port) bool {
	if int(p) >= len(v.want) || v.want[p] == 0 {
		return false
	}
	if _, unsure := v.unsure[p]; unsure {
		return false
	}
	f := v.site.Fabrics[v.site.FabricOf(p)]
	return v.tables.Carries(p, f.Family, v.want[p])
}

// Red implements book.Seen.
func (v *seen) Red(p site.Port) (check string, red bool) {
	if _, unsure := v.unsure[p]; unsure || v.prover == nil {
		return "", false
	}
	verdict, failed := v.prover.Verdict(p)
	return failed.String(), verdict == prove.Red
}

// Readable implements book.Seen.
func (v *seen) Readable(l site.Leaf) bool {
	_, silent := v.silent[l]
	return !silent && !v.unread[l]
}

// Stranger implements book.Seen.
func (v *seen) Stranger(p site.Port) (there, shut bool) {
	if v.tables.Flags(p)&fabric.FlagRead == 0 {
		return false, false
	}
	family := v.site.Fabrics[v.site.FabricOf(p)].Family
	shut = true
	for _, side := range [2][]fabric.Member{v.tables.NIC(p), v.tables.Leaf(p)} {
		for _, m := range side {
			shut = shut && fabric.IsShared(family, m.Value()) && !m.IsFull()
		}
	}
	neighbour := v.tables.Neighbour(p)
	return neighbour != 0 && neighbour != v.site.PortID[p], shut
}

// speakAgain ends the silence of the leaves of a fabric that answered, and returns those
// that count again, as last read.
func (v *seen) speakAgain(index int, quiet map[site.Leaf]bool, at time.Time) (back []site.Leaf) {
	for leaf := range v.silent {
		if v.site.FabricOfLeaf(leaf) != index || quiet[leaf] {
			continue
		}
		delete(v.silent, leaf)
		if v.unread[leaf] {
			delete(v.unread, leaf)
			v.prover.MarkRead(leaf, at)
			back = append(back, leaf)
		}
	}
	slices.Sort(back)
	return back
}

// unguarded lists the fabrics whose guard is to be put back.
func (v *seen) unguarded() []string { return slices.Sorted(maps.Keys(v.guards)) }

// noAnswer notes that a leaf did not answer, and reports whether that has lasted for
// longer than the window, for the first time.
func (v *seen) noAnswer(l site.Leaf, confirmed, at, now time.Time, window time.Duration) bool {
	if _, known := v.silent[l]; !known {
		// A writer that has not read it yet takes it that the one before did at its last
		// look, and no later.
		v.silent[l] = at.Add(-v.state.Policy.Poll)
		if !confirmed.IsZero() {
			v.silent[l] = confirmed
		}
	}
	if v.unread[l] || now.Sub(v.silent[l]) <= window {
		return false
	}
	v.lose([]site.Leaf{l})
	return true
}

// lose makes leaves unknown.
func (v *seen) lose(leaves []site.Leaf) {
	for _, l := range leaves {
		v.unread[l] = true
		if _, known := v.silent[l]; !known {
			v.silent[l] = time.Time{}
		}
		v.prover.MarkUnknown(l)
	}
}

// confirm tells the prover that the leaves of nodes were as last read when their
// fabric was read last. It is done when it is needed, not at every look.
func (v *seen) confirm(nodes []site.Index) {
	v.mu.Lock()
	defer v.mu.Unlock()
	done := map[uint32]bool{}
	for _, n := range nodes {
		su := v.state.Site.NodeSU[n]
		if done[su] {
			continue
		}
		done[su] = true
		for _, nic := range v.state.Site.NICsOf(n) {
			leaf := v.state.Site.LeafOf(site.PortOf(n, nic))
			if v.Readable(leaf) {
				v.prover.MarkRead(leaf, v.confirmed[v.state.Site.Fabrics[v.state.Site.FabricOfLeaf(leaf)].ID])
			}
		}
	}
}

// Fresh implements book.Seen.
func (v *seen) Fresh() bool {
	if v.site == nil {
		return false
	}
	for _, f := range v.site.Fabrics {
		if v.cursors[f.ID] == 0 {
			return false
		}
	}
	return true
}

// whole reports whether every leaf of a fabric answered its last read-back, and was
// read by this writer. Cost: O(leaves).
func (v *seen) whole(index int) bool {
	for _, leaf := range v.leaves(index) {
		if _, counts := v.prover.LastRead(leaf); !counts || !v.Readable(leaf) {
			return false
		}
	}
	return true
}

// ownLabels tells the prover who owns which label.
func (v *seen) ownLabels() {
	s := v.state
	for index, f := range s.Site.Fabrics {
		known := v.owned[f.ID]
		now := map[uint32]uint32{}
		for _, a := range s.Labels[f.ID].Allocations() {
			now[a.Value] = uint32(s.HolderOf(a.Owner))
		}
		for value := range s.Found[f.ID] { // those that no pool gives out too
			if _, turnover := fabric.TurnoverNode(f.Family, value); !turnover {
				now[value] = uint32(s.HolderOf(book.FoundOwner(value)))
			}
		}
		for value := range known {
			if _, still := now[value]; !still {
				_ = v.prover.Own(index, value, prove.Nobody) // freeing always goes
			}
		}
		for value, holder := range now {
			if known[value] != holder {
				if book.HolderNumber(known[value]).WasFound() {
					// Its tenant is known by now, and stays under it.
					_ = v.prover.Own(index, value, prove.Nobody)
				}
				if err := v.prover.Own(index, value, holder); err != nil {
					// The book gives a label to one owner at a time: it can't be.
					panic(err)
				}
			}
		}
		v.owned[f.ID] = now
	}
}

func (v *seen) portsOf(leaf site.Leaf) iter.Seq[site.Port] {
	return func(yield func(site.Port) bool) {
		for _, n := range v.state.Site.SUs[leaf.SU()].Nodes {
			if !yield(site.PortOf(n, leaf.NIC())) {
				return
			}
		}
	}
}

// leaves lists the leaves of a fabric.
func (v *seen) leaves(fabricIndex int) []site.Leaf {
	var out []site.Leaf
	for leaf := range site.Leaf(v.state.Site.Leaves()) {
		if v.state.Site.FabricOfLeaf(leaf) == fabricIndex {
			out = append(out, leaf)
		}
	}
	return out
}
