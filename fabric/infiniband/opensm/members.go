package opensm

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/infiniband"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/site"
)

// rerouting is how long a manager may take, where nothing else is said, to lead packets
// around what has changed: so long a flow that ends on its way is not known to. OpenSM
// writes the tables of 40,000 hosts within some seconds.
const rerouting = 10 * time.Second

// member is an adapter's port as it was read last.
type member struct {
	guid uint64
	end  smp.End
	lid  uint16
	at   smp.End // port of its leaf
	// active says that its link is, at both ends, and as wide as they are: on another no
	// packets go but those of subnet management, or no great ones.
	active bool
	full   []uint16
	keys   []uint16 // those of full among them; without what all share
}

// reach is which ports are in which partitions, as they were read, and which of them don't
// reach each other by the switches' forwarding tables: see infiniband.Follow.
type reach struct {
	at    map[uint64][]member             // by leaf
	ended map[uint64]map[uint64]time.Time // by leaf: since when what it sends to a port has not arrived
}

// membersOf are the members behind a leaf's ports: those that answered.
func membersOf(edges []*smp.EdgePort) (list []member) {
	for _, e := range edges {
		if e.Host == nil || !e.Complete() {
			continue
		}
		guid := mad.ParseNodeInfo(&e.Host.NodeInfo).PortGUID
		if guid == 0 {
			continue // nobody is known to be there
		}
		host, leaf := mad.ParsePortInfo(&e.Host.PortInfo), mad.ParsePortInfo(&e.PortInfo)
		m := member{guid: guid, end: e.HostEnd, lid: host.LID, at: e.Switch,
			active: leaf.State == mad.PortActive && host.State == mad.PortActive && !leaf.Narrower(&host) && !host.Narrower(&leaf)}
		for _, k := range smp.PKeys(e.Host.Keys, e.HostCap) {
			if fabric.IsShared(site.InfiniBand, uint32(k.Key())) {
				continue
			}
			if k.IsFull() {
				m.full = append(m.full, k.Key())
			}
			if !slices.Contains(m.keys, k.Key()) {
				m.keys = append(m.keys, k.Key())
			}
		}
		list = append(list, m)
	}
	return list
}

// partition is who is in one.
type partition struct{ all, full []*member }

func (r *reach) partitions() map[uint16]*partition {
	parts := map[uint16]*partition{}
	for _, list := range r.at {
		for i := range list {
			m := &list[i]
			for _, k := range m.keys {
				p := parts[k]
				if p == nil {
					p = &partition{}
					parts[k] = p
				}
				p.all = append(p.all, m)
				if slices.Contains(m.full, k) {
					p.full = append(p.full, m)
				}
			}
		}
	}
	return parts
}

// partners calls do for every port that a member may exchange packets with: one of the two
// is a full member of a partition of both (10.9.1). Some are called twice.
func (m *member) partners(parts map[uint16]*partition, do func(*member)) {
	for _, k := range m.keys {
		list := parts[k].full
		if slices.Contains(m.full, k) {
			list = parts[k].all
		}
		for _, q := range list {
			if q.guid != m.guid {
				do(q)
			}
		}
	}
}

// partnersOf is who the ports of a leaf may exchange packets with. Some are listed twice.
func (r *reach) partnersOf(leaf uint64, parts map[uint16]*partition) (list []*member) {
	full := map[uint16]bool{}
	for i := range r.at[leaf] {
		m := &r.at[leaf][i]
		for _, k := range m.keys {
			full[k] = full[k] || slices.Contains(m.full, k)
		}
	}
	for k, any := range full {
		if any {
			list = append(list, parts[k].all...)
		} else {
			list = append(list, parts[k].full...)
		}
	}
	return list
}

// verdicts is what became of following the forwarding tables from leaves.
type verdicts struct {
	unreached map[uint64][]infiniband.Unreached // by leaf
	silent    map[uint64]string                 // leaves of which nobody can say, and why
	again     time.Time                         // when to ask again, since a manager may not be done; zero: never
}

// follow says of the members behind leaves which of them are not reached, or do not reach
// others.
//
// A port whose link is not active, or whose own leaf does not send it what is for its LID, is
// not counted against those that do not reach it: its adapter has a hand in both.
//
// Cost: the blocks that were not read yet, and for each leaf as many flows as its partitions
// have members, about 0.2 µs each (BenchmarkFollow): 8 ms where 40,000 ports are in one.
func (r *reach) follow(ctx context.Context, f *smp.Forwarding, leaves []uint64, patience time.Duration) (v verdicts, err error) {
	v = verdicts{unreached: map[uint64][]infiniband.Unreached{}, silent: map[uint64]string{}}
	parts := r.partitions()
	home := map[*member]bool{} // whether its leaf sends it what is for it
	for _, leaf := range leaves {
		own, partners := r.at[leaf], r.partnersOf(leaf, parts)
		var flows []smp.Flow
		for i := range own {
			flows = append(flows, smp.Flow{Switch: leaf, LID: own[i].lid, To: own[i].end})
		}
		for _, q := range partners {
			flows = append(flows, smp.Flow{Switch: leaf, LID: q.lid, To: q.end})
		}
		var strangers []*member
		for _, q := range partners {
			if _, known := home[q]; !known {
				home[q] = false
				strangers = append(strangers, q)
				flows = append(flows, smp.Flow{Switch: q.at.Node, LID: q.lid, To: q.end})
			}
		}
		outcomes, err := f.Follow(ctx, flows)
		if err != nil {
			return verdicts{}, err
		}
		for i, q := range strangers {
			home[q] = q.active && outcomes[len(own)+len(partners)+i].Arrives
		}
		w := watch{leaf: leaf, patience: patience, was: r.ended[leaf], is: map[uint64]time.Time{}, now: time.Now(), v: &v}
		lost := map[*member]lostFlow{}
		for i, q := range partners {
			if o := outcomes[len(own)+i]; !o.Arrives && home[q] {
				lost[q] = w.judge(q.guid, o)
			}
		}
		for i := range own {
			if !own[i].active {
				outcomes[i] = smp.Outcome{At: own[i].at}
			}
			w.port(&own[i], w.judge(own[i].guid, atHome(leaf, outcomes[i])), lost, parts)
		}
		r.ended[leaf] = w.is
	}
	return v, nil
}

// atHome is what becomes of what a leaf sends to a port of its own, by the LID that the
// adapter says. It may say that of one that does not answer, elsewhere: that nobody can say
// what becomes of it is no fault of the leaf's, which others hang on, unless it is the leaf
// that does not say.
func atHome(leaf uint64, o smp.Outcome) smp.Outcome {
	if o.At != (smp.End{Node: leaf}) {
		o.Err = nil
	}
	return o
}

// lostFlow is how long a flow has not arrived.
type lostFlow uint8

const (
	arrives lostFlow = iota
	pending          // not for long enough to tell
	lost
)

// watch is one leaf while what becomes of its packets is judged.
type watch struct {
	leaf     uint64
	was, is  map[uint64]time.Time // since when what is for a port has not arrived
	now      time.Time
	patience time.Duration
	v        *verdicts
}

func (w *watch) judge(to uint64, o smp.Outcome) lostFlow {
	if o.Arrives {
		return arrives
	}
	since, known := w.was[to]
	if !known {
		since = w.now
	}
	w.is[to] = since
	if end := since.Add(w.patience); end.After(w.now) {
		if w.v.again.IsZero() || end.Before(w.v.again) {
			w.v.again = end
		}
		return pending
	}
	if o.Err != nil && w.v.silent[w.leaf] == "" {
		w.v.silent[w.leaf] = o.Err.Error()
	}
	return lost
}

// port adds one of the leaf's own ports, if it is not reached or does not reach others.
func (w *watch) port(m *member, own lostFlow, flows map[*member]lostFlow, parts map[uint16]*partition) {
	u := infiniband.Unreached{LeafPort: int(m.at.Port), Address: own == lost}
	late := own == pending
	if len(flows) > 0 {
		missed := map[uint64]bool{}
		m.partners(parts, func(q *member) {
			switch flows[q] {
			case pending:
				late = true
			case lost:
				if missed[q.guid] = true; u.One == 0 || q.guid < u.One {
					u.One = q.guid
				}
			}
		})
		u.Missed = uint16(min(len(missed), math.MaxUint16))
	}
	if late || u.Address || u.Missed > 0 {
		w.v.unreached[w.leaf] = append(w.v.unreached[w.leaf], u)
	}
}

// followed adds to captures of leaves what came of following the forwarding tables.
func (r *SMPReader) followed(ctx context.Context, f *smp.Fabric, captures []Capture, edges map[uint64][]*smp.EdgePort) error {
	r.reaching.Lock()
	defer r.reaching.Unlock()
	if r.reach.at == nil {
		r.reach = reach{at: map[uint64][]member{}, ended: map[uint64]map[uint64]time.Time{}}
	}
	if r.through != f {
		r.through, r.forwarding = f, r.Client.Forwarding(f, r.Keys)
	}
	var leaves []uint64
	for i := range captures {
		if c := &captures[i]; c.Raw != nil {
			leaves = append(leaves, c.Leaf)
			r.reach.at[c.Leaf] = membersOf(edges[c.Leaf])
		}
	}
	v, err := r.reach.follow(ctx, r.forwarding, leaves, cmp.Or(r.Rerouting, rerouting))
	if err != nil {
		r.through = nil // what was not waited for is no answer
		return err
	}
	for i := range captures {
		c := &captures[i]
		if c.Raw == nil {
			continue
		}
		if c.Again = v.again; v.silent[c.Leaf] != "" {
			c.Raw, c.Reason = nil, "where its packets go: "+v.silent[c.Leaf]
			continue
		}
		c.Raw = infiniband.Follow(c.Raw, v.unreached[c.Leaf])
	}
	return nil
}
