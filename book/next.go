package book

import (
	"fmt"
	"time"

	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
)

// Seen is what the loop has last seen of the devices.
type Seen interface {
	// Pending is the set of nodes with an edge port whose read-back is not what
	// is wanted of it.
	Pending() *site.Set
	// AsWanted says whether one port reads back as wanted.
	AsWanted(p site.Port) bool
	// Readable says whether a leaf answers.
	Readable(l site.Leaf) bool
	// Stranger says whether something else than the inventory's NIC is read back
	// behind a port, and whether the port is shut: it carries no label but shared ones.
	Stranger(p site.Port) (there, shut bool)
	// Red says whether a port's last read-back shows a violation, and of which check.
	Red(p site.Port) (check string, red bool)
	// Fresh says whether every fabric has been read back since the loop began:
	// until then nothing is decided from what was not seen.
	Fresh() bool
}

// Plan is what would bring observed to desired: a value that can be printed,
// compared and tested. Carrying it out decides nothing more.
type Plan struct {
	Lockdowns []Lockdown // first of all
	Ports     []PortWork
	Volumes   []VolumeWork
	Steps     []node.Step // without their nonces
	Guards    []string    // fabrics of which what guards their management is put back
	Fences    []string    // fabrics whose leaves are shown the fence of this term
	Commands  []Command   // records that need no device: time-outs, the brake
	Deferred  []string    // what is not done, and why
	Differs   []string    // what of devices' configurations is not as desired, though no check fails by it: since when
}

// PortWork sets one edge port's label.
type PortWork struct {
	Port  site.Port
	Label fabric.Label
	Owner fabric.Owner
	// Again: it reads as wanted, and is written so that its leaf puts back what differs.
	Again bool
}

// Next plans the next steps. It is level-triggered: it looks at what is, not at
// what happened, so it can be computed again at any time and after any crash.
// Cost: O(nodes in motion + ports that differ).
func Next(s *State, seen Seen, now time.Time) Plan {
	p := NextLockdowns(s, seen, now)
	if s.Site == nil {
		return p
	}
	if d := s.Control.Doubt; d != nil {
		p.Deferred = append(p.Deferred, DeferredInDoubt(d.Why))
	}
	switch {
	case s.Control.Adopted:
		p.Deferred = append(p.Deferred, "this site was adopted read-only: nothing is written to it")
		p.Deferred = append(append(p.Deferred, s.adoptedPlan(seen)...), s.keptFound()...)
		return p
	case s.Control.Recovering:
		p.Deferred = append(p.Deferred, "the ledger was recovered: first what the devices hold is read back and compared with what is left of it")
		return p
	case s.PausedAt(""):
		p.Deferred = append(p.Deferred, "the loop is paused: "+s.Control.Paused[""].Reason)
		return p
	case !seen.Fresh():
		p.Deferred = append(p.Deferred, "not every fabric has been read back since this writer began")
		return p
	}
	if s.Control.Doubt != nil {
		s.planPorts(&p, seen)
		return p
	}
	s.planVolumes(&p, now)
	s.planPorts(&p, seen)
	s.planSteps(&p, seen, now)
	p.Deferred = append(append(append(p.Deferred, s.keptFound()...), s.deferredLabels(now)...), s.deferredSwaps(now)...)
	p.Deferred = append(p.Deferred, s.deferredCordoned(now)...)
	return p
}

// deferredCordoned names the nodes that would be handed over by now and are cordoned.
func (s *State) deferredCordoned(now time.Time) (deferred []string) {
	for n := range s.Nodes.By[node.Reserved].All() {
		if l := s.LeaseOn(n); l != nil && s.Nodes.Cordoned[n] && !now.Before(l.Begin) && l.Returning.IsZero() {
			deferred = append(deferred, fmt.Sprintf("%s is cordoned and not handed over to %s: lift it (bulkhead node cordon %s --lift), or replace it (bulkhead node replace)", s.Site.NodeID[n], l.ID, s.Site.NodeID[n]))
		}
	}
	return deferred
}

// deferredLabels says how many labels have cooled down and are not free all the same.
func (s *State) deferredLabels(now time.Time) (deferred []string) {
	for _, f := range s.Site.Fabrics {
		resting := 0
		for _, a := range s.Labels[f.ID].Allocations() {
			if until, cooling := s.Labels[f.ID].CoolUntil(a.Value); cooling && until.Before(now) {
				resting++
			}
		}
		if resting > 0 {
			deferred = append(deferred, fmt.Sprintf("%d labels of %s have cooled down and are not free: every leaf must answer first, and show them nowhere", resting, f.ID))
		}
	}
	return deferred
}

func (s *State) planPorts(p *Plan, seen Seen) {
	braked := s.Control.Brake != nil
	unreadable, strangers := 0, 0
	for n := range seen.Pending().All() {
		if s.PausedAt(s.Site.Halls[s.Site.HallOf(n)].ID) {
			continue
		}
		w := s.Wants(n)
		if w.Owner == "" {
			continue
		}
		if (braked || s.Control.Doubt != nil) && s.Nodes.State[n] == node.Reclaiming {
			continue // taking a label away from a tenant is what the brake is for, and needs a time that is certain
		}
		for _, nic := range s.Site.NICsOf(n) {
			port := site.PortOf(n, nic)
			if seen.AsWanted(port) {
				continue
			}
			if !seen.Readable(s.Site.LeafOf(port)) {
				unreadable++
				continue
			}
			if lock, drifted := s.Drifted[port]; drifted && lock.State != DriftClosed && braked {
				continue
			}
			f := s.Site.Fabrics[s.Site.FabricOf(port)]
			// On Ethernet whatever is behind the port would hear the tenant, so it waits
			// for the right cable. On InfiniBand a key goes with the adapter, wherever it is.
			if there, shut := seen.Stranger(port); there && f.Family == site.RoCE {
				strangers++
				if !shut {
					p.Ports = append(p.Ports, PortWork{Port: port, Label: fabric.QuarantineLabel(f.ID, f.Family), Owner: fabric.Quarantine})
				}
				continue
			}
			label, ok := s.Label(s.Site.FabricOf(port), n, w.Owner)
			if !ok {
				p.Deferred = append(p.Deferred, fmt.Sprintf("%s has no label in the fabric of %s", w.Owner, s.Site.PortName(port)))
				continue
			}
			p.Ports = append(p.Ports, PortWork{Port: port, Label: label, Owner: w.Owner})
		}
	}
	if braked {
		p.Deferred = append(p.Deferred, "the brake is engaged: "+s.Control.Brake.Detail)
	}
	if strangers > 0 {
		p.Deferred = append(p.Deferred, fmt.Sprintf("%d ports stay shut: what is plugged in is not what the inventory says", strangers))
	}
	if unreadable > 0 {
		p.Deferred = append(p.Deferred, fmt.Sprintf("%d ports wait for leaves that can't be read", unreadable))
	}
}

// stepOf says which step a state waits for, and how long it may take.
func (s *State) stepOf(st node.State) (kind string, timeout time.Duration) {
	t := s.Policy.Turnover
	switch st {
	case node.Commissioning:
		return node.StepCommission, t.Commission
	case node.Reclaiming:
		return node.StepSever, t.Sever
	case node.Sanitizing:
		return node.StepSanitize, t.Sanitize
	case node.Attesting:
		return node.StepAttest, t.Attest
	case node.Repair:
		return node.StepRepair, RepairLimit
	}
	return "", 0
}

// RepairLimit is how long a repair may take before people are asked: a return
// to the vendor takes ten days.
const RepairLimit = 30 * 24 * time.Hour

// StepID names a step: the same node, turnover, kind and attempt is the same
// step, so giving it twice is giving it once.
func StepID(nodeID string, turnover uint32, kind string, attempt int) string {
	return fmt.Sprintf("%s/%d/%s/%d", nodeID, turnover, kind, attempt)
}

// ExpectedStep is the id of the step that a node waits for, or "".
func (s *State) ExpectedStep(n site.Index) string {
	kind, _ := s.stepOf(s.Nodes.State[n])
	if kind == "" || s.Nodes.Begun[n] == 0 {
		return ""
	}
	return StepID(s.Site.NodeID[n], s.Nodes.Turnover[n], kind, int(s.Nodes.Attempt[n]))
}

func (s *State) planSteps(p *Plan, seen Seen, now time.Time) {
	pending := seen.Pending()
	budget := s.Budget(CauseReplacement, now)
	var late Quarantine
	for _, st := range []node.State{node.Commissioning, node.Reclaiming, node.Sanitizing, node.Attesting, node.Repair} {
		kind, timeout := s.stepOf(st)
		for n := range s.Nodes.By[st].All() {
			if pending.Has(n) && st != node.Repair || s.PausedAt(s.Site.Halls[s.Site.HallOf(n)].ID) {
				continue
			}
			attempt := int(s.Nodes.Attempt[n])
			if begun := s.Nodes.Begun[n]; begun != 0 {
				if now.Sub(time.Unix(begun, 0)) <= timeout {
					continue
				}
				if attempt >= s.Policy.Turnover.Attempts {
					late.Nodes = append(late.Nodes, n)
					late.Reason = append(late.Reason, fmt.Sprintf("%s did not end within %s, %d times", kind, timeout, attempt))
					continue
				}
			}
			if st == node.Reclaiming && !s.signedReturn(n) {
				if budget == 0 {
					s.deferOrBrake(p, n)
					continue
				}
				budget--
			}
			p.Steps = append(p.Steps, node.Step{
				ID:   StepID(s.Site.NodeID[n], s.Nodes.Turnover[n], kind, attempt+1),
				Node: n, Kind: kind, Turnover: s.Nodes.Turnover[n], Attempt: attempt + 1,
			})
		}
	}
	if len(late.Nodes) > 0 {
		p.Commands = append(p.Commands, late)
	}
}

// signedReturn says whether a node is reclaimed because its lease is being
// returned: that was signed, and the brake does not count it.
func (s *State) signedReturn(n site.Index) bool {
	i := s.Nodes.Owner[n]
	return i != NoLease && !s.Leases[i].Returning.IsZero()
}

func (s *State) deferOrBrake(p *Plan, n site.Index) {
	if s.Control.Brake != nil {
		p.Deferred = append(p.Deferred, s.Site.NodeID[n]+" is not fenced: the brake is engaged")
		return
	}
	p.Commands = append(p.Commands, EngageBrake{
		Cause:  CauseReplacement,
		Detail: fmt.Sprintf("more than %d nodes would be fenced within %s", s.Policy.Brake.Nodes, s.Policy.Brake.Window),
		By:     Loop,
	})
}
