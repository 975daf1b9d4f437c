package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
	"bulkhead/storage"
)

// Fault is one thing that goes wrong because somebody wants to see what follows.
type Fault struct {
	Kind   string           `json:"kind"`
	Node   site.Index       `json:"node"`             // of what happens to a node or its ports
	NIC    int              `json:"nic"`              // of what happens to a port
	Leaf   site.Leaf        `json:"leaf"`             // LeafDown, Differs
	Side   string           `json:"side,omitempty"`   // Misconfigured: "leaf" (also ""), "nic"
	Label  uint32           `json:"label,omitempty"`  // Misconfigured: value of the foreign label
	Ports  int              `json:"ports,omitempty"`  // Poisoned: how many
	Class  string           `json:"class,omitempty"`  // Fails: a class of Config.Classes
	Volume storage.VolumeID `json:"volume,omitempty"` // StrayGrant; "": the first there is
	For    time.Duration    `json:"for,omitempty"`    // LeafDown, Poisoned, PortFails: until it ends by itself; 0: until Cleared. Silent, too; 0: until repaired
}

// The kinds of fault.
const (
	Liar          = "liar"               // reports wipes as done and leaves a drive as it was, until repaired
	Hangs         = "hangs"              // takes steps and never ends them, until repaired
	Dead          = "dead"               // does not answer, until repaired
	Silent        = "silent"             // does not answer, and nothing ails it
	Fails         = "fails"              // fails as the class does
	LeafDown      = "leaf-down"          // a leaf can be neither read nor written; its tables stay
	Misconfigured = "misconfigured-port" // a foreign label is added as a full member, behind everybody's back
	Emptied       = "emptied-port"       // a port loses all its labels, behind everybody's back
	Unenforced    = "unenforced-port"    // a leaf port stops enforcing
	Miscabled     = "miscabled-port"     // the device behind a leaf port is another
	PortFails     = "port-fails"         // takes nothing that is written to it
	Poisoned      = "poisoned"           // many ports read back as garbage; the devices are fine
	OpenBMC       = "open-bmc"           // the gateway of the management network lets packets pass between a node's BMC and the next one's, until it is put back
	Differs       = "differs"            // the configuration of an Ethernet leaf is otherwise than desired, and nothing changes by it, until the leaf is written
	StrayGrant    = "stray-grant"        // somebody is let into a volume, and mounts it, behind everybody's back
	Cleared       = "cleared"            // ends leaf-down, poisoned, miscabled and port-fails, everywhere
)

// Kinds lists the kinds of fault.
func Kinds() []string {
	return []string{Liar, Hangs, Dead, Silent, Fails, LeafDown, Misconfigured, Emptied, Unenforced, Miscabled, PortFails, Poisoned, OpenBMC, Differs, StrayGrant, Cleared}
}

// Inject lets a fault happen at a time, or now if that has passed. A fault that
// can't happen on this site is refused at once.
func (s *Sim) Inject(_ context.Context, at time.Time, f Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkFault(&f); err != nil {
		return err
	}
	if !at.After(s.now) {
		s.strike(f)
		return nil
	}
	s.schedule(at.UTC(), func() { s.strike(f) })
	return nil
}

func (s *Sim) checkFault(f *Fault) error {
	if !slices.Contains(Kinds(), f.Kind) {
		return fmt.Errorf("fault: kind %.40q: expected one of %v", f.Kind, Kinds())
	}
	if int(f.Node) >= s.site.Nodes() {
		return fmt.Errorf("fault %s: node index %d: the site has %d nodes", f.Kind, f.Node, s.site.Nodes())
	}
	if f.For < 0 {
		return fmt.Errorf("fault %s: for %s: expected a time from 0", f.Kind, f.For)
	}
	if !slices.Contains(s.site.NICsOf(f.Node), f.NIC) {
		return fmt.Errorf("fault %s: NIC %d: expected one of %d", f.Kind, f.NIC, s.site.NICsOf(f.Node))
	}
	family := s.site.Fabrics[s.site.FabricOf(site.PortOf(f.Node, f.NIC))].Family
	switch f.Kind {
	case Fails:
		if s.classOf(f.Class) == 0 {
			return fmt.Errorf("fault fails: class %.40q: this site has no such class", f.Class)
		}
	case LeafDown, Differs:
		if !s.site.HasLeaf(f.Leaf) {
			return fmt.Errorf("fault %s: leaf %d: the site has no leaf of this number", f.Kind, f.Leaf)
		}
		if f.Kind == Differs && s.site.Fabrics[s.site.FabricOfLeaf(f.Leaf)].Family != site.RoCE {
			return fmt.Errorf("fault differs: leaf %d: expected one of an Ethernet fabric", f.Leaf)
		}
	case Misconfigured:
		most := uint32(fabric.MaxValue)
		if family == site.InfiniBand {
			most = defaultPartition
		}
		if f.Label == 0 || f.Label > most {
			return fmt.Errorf("fault misconfigured-port: label %d: expected 1 to %d", f.Label, most)
		}
		if f.Side != "" && f.Side != "leaf" && f.Side != "nic" || f.Side == "nic" && family != site.InfiniBand {
			return fmt.Errorf("fault misconfigured-port: side %.20q: expected leaf, or on InfiniBand nic", f.Side)
		}
	case OpenBMC:
		if s.site.Management == "" {
			return errors.New("fault open-bmc: the site names no management network")
		}
	case Poisoned:
		if f.Ports < 1 || f.Ports > s.site.EdgePorts() {
			return fmt.Errorf("fault poisoned: %d ports: expected 1 to %d", f.Ports, s.site.EdgePorts())
		}
	}
	return nil
}

func (s *Sim) classOf(name string) uint8 {
	for i := range s.config.Classes {
		if s.config.Classes[i].Name == name {
			return uint8(i + 1)
		}
	}
	return 0
}

// strike lets a checked fault happen now.
func (s *Sim) strike(f Fault) {
	st := &s.nodes.state[f.Node]
	p := site.PortOf(f.Node, f.NIC)
	switch f.Kind {
	case Liar:
		st.liar = true
		if r := st.step; r != nil && r.end.IsZero() && (r.kind == node.StepCommission || r.kind == node.StepSanitize) {
			r.liar = true
		}
	case Hangs:
		st.hangs = true
	case Dead:
		s.die(f.Node)
	case Silent:
		s.silence(f.Node, f.For)
	case Fails:
		if st.class == 0 && !st.dead {
			class := s.classOf(f.Class)
			s.fail(f.Node, class, s.draws.share() < s.config.Classes[class-1].Dead)
		}
	case LeafDown:
		s.ports.down[f.Leaf]++
		s.until(f.For, func() { s.raise(f.Leaf) })
	case Differs:
		s.ports.differs[f.Leaf] = true
		s.touchLeaf(f.Leaf)
	case Misconfigured:
		row := s.row(p)
		if f.Side == "nic" {
			row.NIC = append(row.NIC, fabric.Full(f.Label))
		} else {
			row.Leaf = append(row.Leaf, fabric.Full(f.Label))
		}
		s.tamper(p, row)
	case Emptied:
		row := s.row(p)
		row.NIC, row.Leaf = nil, nil
		s.tamper(p, row)
	case Unenforced:
		row := s.row(p)
		row.EnforceIn, row.EnforceOut = false, false
		s.tamper(p, row)
	case Miscabled:
		s.ports.moved[p] = s.site.PortID[p] ^ 0x0f0f
		s.touch(p)
	case PortFails:
		s.ports.failing[p] = true
		s.until(f.For, func() { delete(s.ports.failing, p) })
	case Poisoned:
		s.poison(f)
	case OpenBMC:
		s.openBMC(f.Node)
	case StrayGrant:
		s.stray(f)
	case Cleared:
		s.clear()
	}
}

// until ends a fault by itself.
func (s *Sim) until(after time.Duration, end func()) {
	if after > 0 {
		s.schedule(s.now.Add(after), end)
	}
}

// die makes a node dead by the worst class of failure there is.
func (s *Sim) die(n site.Index) {
	if s.nodes.state[n].dead {
		return
	}
	class := s.classOf(ReturnToVendor)
	if class == 0 {
		s.silence(n, 0)
		return
	}
	s.fail(n, class, true)
}

// silence lets a node answer nothing for a while. What ails it does so meanwhile; what
// heals by itself has healed by the end of it.
func (s *Sim) silence(n site.Index, lasts time.Duration) {
	st := &s.nodes.state[n]
	if st.dead {
		return
	}
	st.dead = true
	st.sickAt = s.now.UnixNano()
	st.sickSeq = s.nodes.say(record{at: s.now, node: n, class: st.class, failed: st.class > 0, dead: true})
	seq, class := st.sickSeq, st.class
	s.until(lasts, func() {
		if st := &s.nodes.state[n]; st.sickSeq == seq {
			if st.dead = false; class > 0 && s.config.Classes[class-1].Heals {
				st.class = 0
			}
			st.sickAt = s.now.UnixNano()
			st.sickSeq = s.nodes.say(record{at: s.now, node: n, class: class, failed: st.class > 0})
		}
	})
}

func (s *Sim) raise(l site.Leaf) {
	if s.ports.down[l] == 0 {
		return // cleared before
	}
	if s.ports.down[l]--; s.ports.down[l] == 0 {
		s.touchLeaf(l)
	}
}

// tamper writes to a port's devices by no driver at all.
func (s *Sim) tamper(p site.Port, row fabric.Row) {
	s.ports.carry(s.site, p, row)
	s.touch(p)
}

// poison lets ports of compute fabrics read back as garbage, in order from the
// fault's node on, and around.
func (s *Sim) poison(f Fault) {
	var hit []site.Port
	total := site.Port(s.site.Ports())
	for i := range total {
		p := (site.PortOf(f.Node, 0) + i) % total
		if p.NIC() == site.Frontend || !s.site.HasPort(p) {
			continue
		}
		if hit = append(hit, p); len(hit) == f.Ports {
			break
		}
	}
	mark := func(by int) {
		for _, p := range hit {
			if s.ports.poison[p] += by; s.ports.poison[p] <= 0 {
				delete(s.ports.poison, p)
			}
		}
		s.touchAll(hit)
	}
	mark(1)
	s.until(f.For, func() {
		if s.ports.poison[hit[0]] > 0 {
			mark(-1)
		}
	})
}

// touchAll notes a change of each leaf once.
func (s *Sim) touchAll(list []site.Port) {
	seen := map[site.Leaf]bool{}
	for _, p := range list {
		if l := s.site.LeafOf(p); !seen[l] {
			seen[l] = true
			s.touchLeaf(l)
		}
	}
}

func (s *Sim) clear() {
	s.closeBMCs()
	for l := range s.ports.down {
		if s.ports.down[l] > 0 {
			s.ports.down[l] = 0
			s.touchLeaf(site.Leaf(l))
		}
	}
	var hit []site.Port
	for p := range s.ports.poison {
		hit = append(hit, p)
	}
	for p := range s.ports.moved {
		hit = append(hit, p)
	}
	slices.Sort(hit)
	clear(s.ports.poison)
	clear(s.ports.failing)
	clear(s.ports.moved)
	s.touchAll(hit)
}

// Tamper writes a row to a port's devices behind everybody's back.
func (s *Sim) Tamper(p site.Port, row fabric.Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tamper(p, row)
}

// Carries returns what a port's devices carry in truth, whatever is read back.
func (s *Sim) Carries(p site.Port) fabric.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.row(p)
}
