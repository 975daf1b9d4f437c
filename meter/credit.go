package meter

import (
	"slices"
	"strings"

	"bulkhead/contract"
	"bulkhead/lease"
)

// step says what holds from some age of an outage on, until the next step.
type step struct {
	age   int64   // seconds since the outage began
	taker int     // the rule that credits, or -1
	match []int   // all rules that match
	gpus  []int64 // of each of these: how many GPUs of the node count; 0: all
}

// why is the cause by which a slot is credited. Which ports were not proven stays so when
// nobody can say any more what the slot is.
func (s *slot) why(effect code) CauseRef {
	if effect == isolationUnproven && s.state == unknown {
		return s.said
	}
	return s.cause
}

// of is how many GPU-seconds of a node a rule of the step counts in so many seconds.
func (st *step) of(seg *segment, rule int, seconds int64) int64 {
	all := seg.gpus(1)
	if at := slices.Index(st.match, rule); at >= 0 && st.gpus[at] > 0 {
		return seconds * min(st.gpus[at], all)
	}
	return seconds * all
}

// portsOf is how many ports of a node a rule credits, each as one GPU of it: the port is
// the GPU's way out. counts is false where it credits none of them; 0 is the whole node.
func portsOf(rule *contract.SLA, effect code, p lease.Ports) (gpus int64, counts bool) {
	if effect != isolationUnproven || p == (lease.Ports{}) {
		return 0, true
	}
	gpus = int64(p.Owner)
	if rule.Unclear == contract.UnclearCredited {
		gpus += int64(p.Either)
	}
	if gpus == 0 {
		return 0, false
	}
	if rule.Ports == contract.PortsNode {
		gpus = 0
	}
	return gpus, true
}

// credit gives the slot's time from a to b to the first SLA rule that matches.
// start is when the outage began; end is the change that ends it, or -1.
func (f *fold) credit(seg *segment, s *slot, effect code, start, a, b int64, end int32) {
	if a >= b {
		return
	}
	if effect == maintenanceNoticed {
		used := int64(s.noticed)
		s.noticed += int32(b - a)
		f.creditNoticed(seg, s, used, a, b, end)
		return
	}
	plan := f.plan(seg, effect, s.why(effect))
	for i, st := range plan {
		from, to := max(a, start+st.age), b
		if i+1 < len(plan) {
			to = min(to, start+plan[i+1].age)
		}
		f.give(seg, st, s.row, end, to-from)
	}
}

// creditNoticed matches noticed maintenance beyond each rule's allowance of
// the slot and month. used is what the slot has had before. It returns how many
// seconds, at the end of those from a to b, some rule has taken.
func (f *fold) creditNoticed(seg *segment, s *slot, used, a, b int64, end int32) (taken int64) {
	for _, rule := range f.plan(seg, maintenanceNoticed, s.cause)[0].match {
		over := min(b-a, max(0, used+(b-a)-seg.version.SLA[rule].AllowanceS))
		seg.matched[rule] += seg.gpus(over)
		if over > taken { // rules take from the end: what is over for one is over for a stricter one
			f.take(seg, rule, s.row, end, seg.gpus(over-taken))
			taken = over
		}
	}
	return taken
}

func (f *fold) give(seg *segment, st step, row, end int32, seconds int64) {
	if seconds <= 0 {
		return
	}
	for _, rule := range st.match {
		seg.matched[rule] += st.of(seg, rule, seconds)
	}
	if st.taker >= 0 {
		f.take(seg, st.taker, row, end, st.of(seg, st.taker, seconds))
	}
}

// take credits GPU-seconds.
func (f *fold) take(seg *segment, rule int, row, end int32, gpuSeconds int64) {
	seg.taken[rule] += gpuSeconds
	seg.rows[rule].add(row, f.entriesNamed())
	seg.rows[rule].add(end, f.entriesNamed())
}

// plan is which rules match a slot in a segment, by the age of the outage.
func (f *fold) plan(seg *segment, effect code, cause CauseRef) []step {
	plans := seg.plans[effect]
	if plans == nil {
		plans = make([][]step, len(f.changes.causes)+1)
		seg.plans[effect] = plans
	}
	if plans[cause] == nil {
		plans[cause] = f.newPlan(seg.version, effect, cause)
	}
	return plans[cause]
}

func (f *fold) newPlan(v *contract.Contract, effect code, cause CauseRef) (plan []step) {
	var why causeName // no exclusion is about what nobody looked at
	if cause != f.unasked {
		why = f.changes.causes[cause]
	}
	var rules []int
	counted := map[int]int64{}
	ages := []int64{0}
	for i := range v.SLA {
		if rule := &v.SLA[i]; covers(rule.Metric, effect) && !excluded(rule.Exclusions, why.text) {
			gpus, counts := portsOf(rule, effect, why.ports)
			if !counts {
				continue
			}
			rules, counted[i] = append(rules, i), gpus
			ages = append(ages, rule.AfterS)
		}
	}
	slices.Sort(ages)
	for _, age := range slices.Compact(ages) {
		st := step{age: age, taker: -1}
		for _, rule := range rules {
			if v.SLA[rule].AfterS <= age {
				st.match, st.gpus = append(st.match, rule), append(st.gpus, counted[rule])
			}
		}
		if len(st.match) > 0 {
			st.taker = st.match[0] // the contract's order is the precedence
		}
		plan = append(plan, st)
	}
	return plan
}

// covers says which states a metric is about.
func covers(m contract.Metric, effect code) bool {
	switch m {
	case contract.NodeAvailability, contract.ReplacementTime:
		return effect == downOwner
	case contract.DegradedNodes:
		return effect == degraded
	case contract.IsolationProven:
		return effect == isolationUnproven
	case contract.Maintenance:
		return effect == maintenanceNoticed || effect == maintenanceUnnoticed
	}
	return false
}

// excluded reports whether a cause is one of the exclusions, or one of them
// with details behind a colon: "power: feed B" is excluded by "power".
func excluded(exclusions []string, cause string) bool {
	for _, e := range exclusions {
		if rest, ok := strings.CutPrefix(cause, e); ok && (rest == "" || rest[0] == ':') {
			return true
		}
	}
	return false
}
