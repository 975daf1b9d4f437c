package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
	"bulkhead/storage"
)

// keptVersion is of the encoding of what devices hold. Another one is refused: it is
// a simulator's, and nothing of it has to be readable for ever.
const keptVersion = 1

// kept is what the devices of a site hold: what is still there when a process that
// plays them ends and another begins. What was said and not asked for yet is
// there as its newest word of each node; faults that were injected and hold a leaf or
// port back have ended, and those that were to come do not.
type kept struct {
	Version int       `json:"version"`
	Site    string    `json:"site"`
	Nodes   int       `json:"nodes"`
	Seed    uint64    `json:"seed"`
	Now     time.Time `json:"now"`
	Draws   uint64    `json:"draws"`

	Runs      []keptRun    `json:"runs"`
	States    []keptNode   `json:"states"`
	NodeFence node.Fence   `json:"node_fence"`
	Given     []uint64     `json:"given"`
	Said      uint64       `json:"said"`
	Ports     []keptPort   `json:"ports"` // of all that there are, ascending
	Fabrics   []keptFabric `json:"fabrics"`
	Changed   []uint64     `json:"changed"`
	Volumes   []keptVolume `json:"volumes"`
}

type keptRun struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Turnover uint32    `json:"turnover"`
	Attempt  int       `json:"attempt"`
	Nonce    []byte    `json:"nonce"`
	Start    time.Time `json:"start"`
	Due      time.Time `json:"due,omitzero"`
	End      time.Time `json:"end,omitzero"`
	Error    string    `json:"error,omitempty"`
	Liar     bool      `json:"liar,omitempty"`
	Resets   uint32    `json:"resets,omitempty"`
	Wiped    int       `json:"wiped"` // number of a run, from 1; 0: none
}

type keptNode struct {
	Step     int    `json:"step"` // numbers of runs, from 1; 0: none
	Wiped    int    `json:"wiped"`
	Ended    int    `json:"ended"`
	EndedSeq uint64 `json:"ended_seq"`
	SickSeq  uint64 `json:"sick_seq"`
	SickAt   int64  `json:"sick_at"`
	Resets   uint32 `json:"resets"`
	Class    uint8  `json:"class"`
	Powered  bool   `json:"powered"`
	Dead     bool   `json:"dead"`
	Hangs    bool   `json:"hangs"`
	Liar     bool   `json:"liar"`
	Repairs  bool   `json:"repairs"`
}

type keptPort struct {
	NIC   []fabric.Member `json:"n,omitempty"`
	Leaf  []fabric.Member `json:"l,omitempty"`
	In    bool            `json:"i,omitempty"`
	Out   bool            `json:"o,omitempty"`
	Class uint8           `json:"c,omitempty"`
}

type keptFabric struct {
	Fence fabric.Fence `json:"fence"`
	Seq   uint64       `json:"seq"`
}

type keptVolume struct {
	Provisioned storage.Volume                  `json:"held"`
	Grants      map[storage.Principal]time.Time `json:"grants"`
	Mounts      map[storage.Principal]int       `json:"mounts"`
	Bytes       uint64                          `json:"bytes"`
	Erased      *storage.ErasureReceipt         `json:"erased,omitempty"`
}

// Keep returns what the devices hold now, for Resume. The same devices give the same
// bytes. Cost: about 100 MB for 50,000 nodes.
func (s *Sim) Keep() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := kept{Version: keptVersion, Site: s.site.Name, Nodes: s.site.Nodes(), Seed: s.config.Seed, Now: s.now, Draws: s.draws.state,
		NodeFence: s.nodes.fence, Given: slices.Sorted(maps.Keys(s.nodes.given)), Said: s.nodes.seq, Changed: s.ports.changed}
	numbers := map[*run]int{}
	var number func(r *run) int
	number = func(r *run) int {
		if r == nil {
			return 0
		}
		if n, known := numbers[r]; known {
			return n
		}
		k.Runs = append(k.Runs, keptRun{ID: r.id, Kind: r.kind, Turnover: r.turnover, Attempt: r.attempt, Nonce: r.nonce[:], Start: r.start, Due: r.due, End: r.end,
			Error: r.error, Liar: r.liar, Resets: r.resets})
		n := len(k.Runs)
		numbers[r] = n
		k.Runs[n-1].Wiped = number(r.wiped) // of a commissioning, itself
		return n
	}
	for i := range s.nodes.state {
		st := &s.nodes.state[i]
		k.States = append(k.States, keptNode{Step: number(st.step), Wiped: number(st.wiped), Ended: number(st.ended), EndedSeq: st.endedSeq, SickSeq: st.sickSeq,
			SickAt: st.sickAt, Resets: st.resets, Class: st.class, Powered: st.powered, Dead: st.dead, Hangs: st.hangs, Liar: st.liar, Repairs: st.repairs})
	}
	for p := range site.Port(s.site.Ports()) {
		if !s.site.HasPort(p) {
			continue
		}
		row := s.row(p)
		k.Ports = append(k.Ports, keptPort{NIC: row.NIC, Leaf: row.Leaf, In: row.EnforceIn, Out: row.EnforceOut, Class: row.Class})
	}
	for i := range s.ports.fabrics {
		f := &s.ports.fabrics[i]
		k.Fabrics = append(k.Fabrics, keptFabric{f.fence, f.seq})
	}
	for _, id := range slices.Sorted(maps.Keys(s.volume.byID)) {
		v := s.volume.byID[id]
		k.Volumes = append(k.Volumes, keptVolume{v.provisioned, v.grants, v.mounts, v.bytes, v.erased})
	}
	return json.Marshal(&k)
}

// Resume makes the devices of a new Sim hold what those of another one held, of the
// same site and seed, and begins at the time at which they were kept. A step that was
// under way ends when it would have.
func (s *Sim) Resume(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var k kept
	if err := claim.Exact(data, 1<<30, &k); err != nil {
		return fmt.Errorf("what devices held: %w", err)
	}
	if err := s.checkKept(&k); err != nil {
		return fmt.Errorf("what devices held: %w", err)
	}
	s.now, s.draws.state = k.Now.UTC(), k.Draws
	s.queue = nil
	runs := make([]*run, len(k.Runs)+1)
	for i := range k.Runs {
		r := &k.Runs[i]
		runs[i+1] = &run{id: r.ID, kind: r.Kind, turnover: r.Turnover, attempt: r.Attempt, start: r.Start.UTC(), due: r.Due.UTC(), end: r.End.UTC(), error: r.Error,
			liar: r.Liar, resets: r.Resets}
		copy(runs[i+1].nonce[:], r.Nonce)
	}
	for i := range k.Runs {
		runs[i+1].wiped = runs[k.Runs[i].Wiped]
	}
	v := &s.nodes
	v.fence, v.seq, v.floor, v.log = k.NodeFence, k.Said, k.Said, nil
	for _, id := range k.Given {
		v.given[id] = struct{}{}
	}
	for i := range k.States {
		n, kn := site.Index(i), &k.States[i]
		v.state[i] = nodeState{step: runs[kn.Step], wiped: runs[kn.Wiped], ended: runs[kn.Ended], endedSeq: kn.EndedSeq, sickSeq: kn.SickSeq, sickAt: kn.SickAt,
			resets: kn.Resets, class: kn.Class, powered: kn.Powered, dead: kn.Dead, hangs: kn.Hangs, liar: kn.Liar, repairs: kn.Repairs}
		if r := v.state[i].step; r != nil && r.end.IsZero() && r.due.After(s.now) {
			s.schedule(r.due, func() { s.end(n, r) })
		}
		if kn.Class > 0 && s.config.Classes[kn.Class-1].Heals {
			s.heal(n)
		}
	}
	at := 0
	for p := range site.Port(s.site.Ports()) {
		if s.site.HasPort(p) {
			kp := &k.Ports[at]
			s.ports.carry(s.site, p, fabric.Row{NIC: kp.NIC, Leaf: kp.Leaf, EnforceIn: kp.In, EnforceOut: kp.Out, Class: kp.Class})
			at++
		}
	}
	for i := range k.Fabrics {
		s.ports.fabrics[i].fence, s.ports.fabrics[i].seq = k.Fabrics[i].Fence, k.Fabrics[i].Seq
	}
	copy(s.ports.changed, k.Changed)
	for i := range k.Volumes {
		kv := &k.Volumes[i]
		held := &volume{provisioned: kv.Provisioned, grants: map[storage.Principal]time.Time{}, mounts: map[storage.Principal]int{}, bytes: kv.Bytes, erased: kv.Erased}
		maps.Copy(held.mounts, kv.Mounts)
		for p, since := range kv.Grants {
			held.grants[p] = since.UTC()
			if mounts := since.Add(mountAfter); mounts.After(s.now) {
				s.schedule(mounts, func() { s.use(held, p) })
			}
		}
		s.volume.byID[kv.Provisioned.Spec.ID] = held
	}
	s.planFailure()
	return nil
}

// checkKept refuses what is of another site, and what can't be.
func (s *Sim) checkKept(k *kept) error {
	switch {
	case k.Version != keptVersion:
		return fmt.Errorf("version %d: this release keeps version %d: begin without it", k.Version, keptVersion)
	case k.Site != s.site.Name || k.Nodes != s.site.Nodes():
		return fmt.Errorf("they are of site %.80q with %d nodes, and this one is %q with %d", k.Site, k.Nodes, s.site.Name, s.site.Nodes())
	case k.Seed != s.config.Seed:
		return fmt.Errorf("they are of seed %d, and this one is of seed %d", k.Seed, s.config.Seed)
	case k.Now.Year() < 2000 || k.Now.Year() > 2200:
		return fmt.Errorf("time %s: expected one between the years 2000 and 2200", k.Now)
	case len(k.States) != s.site.Nodes() || len(k.Ports) != s.site.EdgePorts() || len(k.Fabrics) != len(s.site.Fabrics) || len(k.Changed) != s.site.Leaves():
		return fmt.Errorf("%d nodes, %d ports, %d fabrics, %d leaves: the site has %d, %d, %d and %d", len(k.States), len(k.Ports), len(k.Fabrics), len(k.Changed),
			s.site.Nodes(), s.site.EdgePorts(), len(s.site.Fabrics), s.site.Leaves())
	}
	for i := range k.Runs {
		if r := &k.Runs[i]; r.Wiped < 0 || r.Wiped > len(k.Runs) || len(r.Nonce) != len(run{}.nonce) {
			return fmt.Errorf("step %d: expected a nonce of 32 bytes, and a wipe that is there", i+1)
		}
	}
	for i := range k.States {
		st := &k.States[i]
		if int(st.Class) > len(s.config.Classes) {
			return fmt.Errorf("node %d: failure class %d of %d", i, st.Class, len(s.config.Classes))
		}
		for _, r := range []int{st.Step, st.Wiped, st.Ended} {
			if r < 0 || r > len(k.Runs) {
				return fmt.Errorf("node %d: step %d of %d", i, r, len(k.Runs))
			}
		}
	}
	for i := range k.Ports {
		for _, side := range [2][]fabric.Member{k.Ports[i].NIC, k.Ports[i].Leaf} {
			for _, m := range side {
				if !m.Valid() {
					return fmt.Errorf("port %d: member 0x%08x is no label", i, uint32(m))
				}
			}
		}
	}
	for i := range k.Volumes {
		if err := k.Volumes[i].Provisioned.Spec.Check(); err != nil {
			return err
		}
	}
	return nil
}
