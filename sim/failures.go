package sim

import (
	"bulkhead/site"
)

// Failures are one Poisson process over the whole site: the next one is drawn
// for all nodes at once and hits one of them at random, so that an event costs
// the same however large the site is. A hit on a node that is off, or has failed
// already, is none: that thins the process to the nodes that are on.

// planFailure draws the next failure. The process has no memory, so drawing
// anew when the site has grown changes nothing of its law.
func (s *Sim) planFailure() {
	if s.config.FailureRate == 0 || len(s.nodes.state) == 0 {
		return
	}
	s.draws.next()
	token := s.draws.state
	s.planned = token
	perDay := s.config.FailureRate * site.GPUs * float64(len(s.nodes.state))
	s.schedule(s.now.Add(s.draws.wait(1/perDay)), func() {
		if s.planned != token {
			return // the site has grown since
		}
		n := site.Index(s.draws.below(len(s.nodes.state)))
		class := s.drawClass()
		dead := s.draws.share()
		// The rate is a GPU's: a node with fewer of them is hit as much less often.
		if gpus := s.site.RailsOf(n); gpus < site.GPUs && s.draws.below(site.GPUs) >= gpus {
			s.planFailure()
			return
		}
		if st := &s.nodes.state[n]; st.powered && !st.repairs && st.class == 0 && !st.dead {
			s.fail(n, class, dead < s.config.Classes[class-1].Dead)
		}
		s.planFailure()
	})
}

func (s *Sim) drawClass() uint8 {
	at := s.draws.share()
	for i := range s.config.Classes {
		if at -= s.config.Classes[i].Share; at < 0 {
			return uint8(i + 1)
		}
	}
	return uint8(len(s.config.Classes))
}

// fail breaks a node.
func (s *Sim) fail(n site.Index, class uint8, dead bool) {
	st := &s.nodes.state[n]
	st.class, st.dead = class, dead
	st.sickAt = s.now.UnixNano()
	st.sickSeq = s.nodes.say(record{at: s.now, node: n, class: class, failed: true, dead: dead})
	if s.config.Classes[class-1].Heals {
		s.heal(n)
	}
}

// heal lets a node's failure end by itself.
func (s *Sim) heal(n site.Index) {
	st := &s.nodes.state[n]
	seq := st.sickSeq
	s.schedule(s.now.Add(s.draws.between(0.5, 1.5, s.config.Classes[st.class-1].Takes)), func() {
		if st := &s.nodes.state[n]; st.sickSeq == seq {
			s.recover(n)
		}
	})
}

// recover ends a node's failure.
func (s *Sim) recover(n site.Index) {
	st := &s.nodes.state[n]
	if st.class == 0 && !st.dead {
		return
	}
	class := st.class
	st.class, st.dead = 0, false
	st.sickAt = s.now.UnixNano()
	st.sickSeq = s.nodes.say(record{at: s.now, node: n, class: class})
}

// Well says whether a node answers and nothing ails it, in truth.
func (s *Sim) Well(n site.Index) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes.state[n].class == 0 && !s.nodes.state[n].dead
}

// Failed returns how many nodes have failed and are not well again, by class.
func (s *Sim) Failed() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for i := range s.nodes.state {
		if class := s.nodes.state[i].class; class > 0 {
			count[s.config.Classes[class-1].Name]++
		}
	}
	return count
}
