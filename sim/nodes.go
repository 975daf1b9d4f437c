package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/node"
	"bulkhead/site"
)

// nodes is the state of all nodes.
type nodes struct {
	inventory inventory
	state     []nodeState
	fence     node.Fence
	given     map[uint64]struct{} // ids of steps ever taken, hashed
	log       []record            // oldest first; records from floor on are all there
	floor     uint64
	seq       uint64 // of the newest record
	keep      int    // records that are kept one by one
}

// nodeState is one node's devices, 120 bytes.
type nodeState struct {
	step     *run // newest
	wiped    *run // newest wipe that reported success
	ended    *run // newest that has ended, when step has
	endedSeq uint64
	sickSeq  uint64 // of the newest health record
	sickAt   int64
	resets   uint32
	class    uint8 // of the present failure, index into Config.Classes plus one
	powered  bool
	dead     bool // does not answer
	hangs    bool // takes steps and never ends them
	liar     bool // reports wipes that did not happen
	repairs  bool // people have it on the bench
}

// run is one step on one node. It is not changed once it has ended.
type run struct {
	id       string
	kind     string
	turnover uint32
	attempt  int
	nonce    [32]byte
	start    time.Time
	due      time.Time // when it ends if the node answers; zero: never
	end      time.Time
	error    string
	liar     bool
	resets   uint32
	wiped    *run // whose receipts an attestation is over
}

// record is one thing that was said.
type record struct {
	seq    uint64
	at     time.Time
	node   site.Index
	run    *run  // a step's outcome, or
	class  uint8 // health: class that began or ended
	failed bool
	dead   bool
}

// maxLog is how many records are kept one by one; of what is older only the
// newest of each node can still be asked for.
const maxLog = 1 << 18

func (v *nodes) init() {
	v.keep = maxLog
	v.given = map[uint64]struct{}{}
	v.inventory.known = map[string]uint32{}
}

func (v *nodes) grow(inv *site.SUInventory) {
	for i := range inv.Nodes {
		v.inventory.add(inv.Kind, &inv.Nodes[i])
		v.state = append(v.state, nodeState{})
	}
}

func (v *nodes) say(r record) uint64 {
	v.seq++
	r.seq = v.seq
	v.log = append(v.log, r)
	if len(v.log) > 2*v.keep {
		v.log = slices.Clone(v.log[len(v.log)-v.keep:])
		v.floor = v.log[0].seq - 1
	}
	return r.seq
}

// Nodes returns the driver of all nodes.
func (s *Sim) Nodes() node.Driver { return (*nodeDriver)(s) }

type nodeDriver Sim

// Capabilities implements node.Driver.
func (d *nodeDriver) Capabilities(ctx context.Context) (node.Capabilities, error) {
	return node.Capabilities{Fencing: "device", Deadline: 10 * time.Second, Origin: claim.Simulated}, ctx.Err()
}

// maxStepID is the longest id of a step.
const maxStepID = 200

// Apply implements node.Driver.
func (d *nodeDriver) Apply(ctx context.Context, steps []node.Step, f node.Fence) ([]node.StepReceipt, error) {
	s := (*Sim)(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.Admit(s.nodes.fence); err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	s.nodes.fence = f
	receipts := make([]node.StepReceipt, len(steps))
	for i := range steps {
		receipts[i] = node.StepReceipt{Step: steps[i].ID, Taken: true}
		if err := s.take(&steps[i]); err != nil {
			receipts[i].Taken, receipts[i].Error = false, err.Error()
		}
	}
	return receipts, nil
}

func hashID(id string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return mix(h)
}

// take starts a step.
func (s *Sim) take(step *node.Step) error {
	if int(step.Node) >= len(s.nodes.state) {
		return fmt.Errorf("node index %d: the site has %d nodes", step.Node, len(s.nodes.state))
	}
	if step.ID == "" || len(step.ID) > maxStepID {
		return fmt.Errorf("step id %.40q: expected 1 to %d bytes", step.ID, maxStepID)
	}
	if _, ok := s.takes(step.Kind, 0); !ok {
		return fmt.Errorf("step kind %.40q is not known", step.Kind)
	}
	id := hashID(step.ID)
	if _, twice := s.nodes.given[id]; twice {
		return nil
	}
	st := &s.nodes.state[step.Node]
	if st.dead && step.Kind != node.StepRepair {
		return fmt.Errorf("%s does not answer", s.site.NodeID[step.Node])
	}
	s.nodes.given[id] = struct{}{}
	r := &run{id: step.ID, kind: step.Kind, turnover: step.Turnover, attempt: step.Attempt, nonce: step.Nonce, start: s.now}
	st.step, st.ended = r, nil
	switch step.Kind {
	case node.StepCommission:
		st.powered = true
	case node.StepRepair:
		st.powered, st.repairs = false, true
	}
	draws := s.draw(drawStep, uint64(step.Node), hashID(step.ID))
	takes, _ := s.takes(step.Kind, st.class)
	takes = draws.between(0.8, 1.2, takes)
	if draws.share() < s.config.SlowShare && step.Kind != node.StepRepair {
		takes = draws.between(0.8*s.config.SlowFactor, 1.2*s.config.SlowFactor, takes)
	}
	never := draws.share() < s.config.DeadShare && step.Kind != node.StepRepair
	r.liar = st.liar || draws.share() < s.config.LiarShare
	if never {
		return nil
	}
	n := step.Node
	r.due = s.now.Add(takes)
	s.schedule(r.due, func() { s.end(n, r) })
	return nil
}

// takes is what a step takes in the middle.
func (s *Sim) takes(kind string, class uint8) (time.Duration, bool) {
	t := &s.config.Times
	switch kind {
	case node.StepCommission:
		return t.Commission, true
	case node.StepSever:
		return t.Sever, true
	case node.StepSanitize:
		return t.Sanitize, true
	case node.StepAttest:
		return t.Attest, true
	case node.StepPowerOff:
		return t.PowerOff, true
	case node.StepRepair:
		if class > 0 {
			return s.config.Classes[class-1].Takes, true
		}
		return t.Inspect, true
	}
	return 0, false
}

// end lets a step end, if it is still the node's and the node still answers. A
// repair is people's work and ends whatever the node does.
func (s *Sim) end(n site.Index, r *run) {
	st := &s.nodes.state[n]
	if st.step != r || r.kind != node.StepRepair && (st.dead || st.hangs) {
		return
	}
	r.end = s.now
	broken := st.class > 0 && !s.config.Classes[st.class-1].Heals
	switch r.kind {
	case node.StepRepair:
		st.powered, st.repairs, st.liar, st.hangs = true, false, false, false
		s.recover(n)
	case node.StepPowerOff:
		st.powered = false
	case node.StepSever:
	default:
		if broken {
			r.error = "hardware failed meanwhile: " + s.config.Classes[st.class-1].Name
			break
		}
		if r.kind != node.StepAttest {
			st.wiped = r
		}
		if r.kind != node.StepSanitize {
			st.resets++
			r.resets, r.wiped = st.resets, st.wiped
		}
	}
	st.ended = r
	st.endedSeq = s.nodes.say(record{at: s.now, node: n, run: r})
}

// maxReports and maxEvidence bound one observation: 2,048 nodes' evidence are
// about 12 MB.
const (
	maxReports  = 1 << 14
	maxEvidence = 2048
)

// Observe implements node.Driver.
func (d *nodeDriver) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	s := (*Sim)(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return node.Observation{}, err
	}
	v := &s.nodes
	if since > v.seq {
		since = 0
	}
	s.askedNodes = s.askedAt(ctx)
	o := node.Observation{Cursor: since, At: s.now}
	records := v.since(since)
	evidence := 0
	for i := range records {
		if len(o.Reports) == maxReports || evidence == maxEvidence {
			records, o.More = records[:i], true
			break
		}
		r := &records[i]
		if r.run != nil && r.run.error == "" {
			evidence++
		}
		o.Reports = append(o.Reports, s.report(r))
		o.Cursor = r.seq
	}
	if !o.More {
		o.Cursor = v.seq
	}
	return o, s.testify(o.Reports, records)
}

// since lists what was said after a cursor: all of it, or where that is no
// longer kept, and from the beginning, the newest of each node.
func (v *nodes) since(since uint64) []record {
	if since > 0 && since >= v.floor {
		at, _ := slices.BinarySearchFunc(v.log, since+1, func(r record, seq uint64) int {
			switch {
			case r.seq < seq:
				return -1
			case r.seq > seq:
				return 1
			}
			return 0
		})
		return v.log[at:]
	}
	var records []record
	for i := range v.state {
		st := &v.state[i]
		if st.ended != nil && st.endedSeq > since {
			records = append(records, record{seq: st.endedSeq, at: st.ended.end, node: site.Index(i), run: st.ended})
		}
		// From the beginning, being well is nothing to say.
		if st.sickSeq > since && (st.class > 0 || st.dead || since > 0) {
			records = append(records, record{seq: st.sickSeq, at: time.Unix(0, st.sickAt).UTC(), node: site.Index(i),
				class: st.class, failed: st.class > 0, dead: st.dead})
		}
	}
	slices.SortFunc(records, func(a, b record) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return records
}

// report is a record without its evidence.
func (s *Sim) report(r *record) node.Report {
	out := node.Report{Node: r.node, At: r.at}
	if r.run != nil {
		out.Step, out.OK, out.Error = r.run.id, r.run.error == "", r.run.error
		return out
	}
	out.OK = !r.failed && !r.dead
	out.Health = &node.Health{Alive: !r.dead, Failed: r.failed, Detail: "recovered"}
	if r.dead {
		out.Health.Detail = "does not answer"
	}
	if r.class > 0 {
		class := &s.config.Classes[r.class-1]
		out.Health.Class = class.Name
		if r.failed {
			out.Health.Detail = class.Detail
		}
	}
	return out
}
