package book

import (
	"time"

	"bulkhead/ledger"
	"bulkhead/lineage"
)

// The entry kinds of the control plane itself, all in the site's scope.
const (
	KindWriter   = "writer.began/1"
	KindPaused   = "loop.paused/1"
	KindResumed  = "loop.resumed/1"
	KindBrake    = "brake.engaged/1"
	KindReleased = "brake.released/1"
	KindKey      = "key.rotated/1"
)

// Control is what holds the loop back.
type Control struct {
	Paused map[string]Pause // by hall; "" is everything
	Brake  *Brake
	Acts   []Act // destructive acts within the brake's window
	Keys   map[string]string
	// Recovering says that entries were lost and that what the devices hold has not
	// been compared with what is left of the ledger yet.
	Recovering bool `json:",omitempty"`
	// Doubt is there while the machine's clock is not taken for right.
	Doubt *Doubt `json:",omitempty"`
	// Lineage is the one that was written last; zero before releases that name one.
	Lineage lineage.Lineage `json:",omitzero"`
	// Adopted says that the site was taken over from what ran there before and
	// that nothing may be written to it.
	Adopted bool
}

// Pause is who stopped the loop, and why.
type Pause struct {
	By, Reason string
	Since      time.Time
}

// Brake is engaged when one cause would change too much at once. Only a second
// person releases it.
type Brake struct {
	Cause   string
	Detail  string
	Since   time.Time
	Trigger Actor
}

// Act counts destructive acts by one cause.
type Act struct {
	At    time.Time
	Cause string
	Count int
}

func (c *Control) init() {
	c.Paused = map[string]Pause{}
	c.Keys = map[string]string{}
}

// destructive counts acts, and forgets those that the brake's window has left.
func (s *State) destructive(at time.Time, cause string, count int) {
	c := &s.Control
	keep := c.Acts[:0]
	for _, a := range c.Acts {
		if at.Sub(a.At) < s.Policy.Brake.Window {
			keep = append(keep, a)
		}
	}
	c.Acts = keep
	if n := len(keep); n > 0 && keep[n-1].At.Equal(at) && keep[n-1].Cause == cause {
		keep[n-1].Count += count
		return
	}
	c.Acts = append(c.Acts, Act{at, cause, count})
}

// PausedAt says whether the loop is held back in a hall.
func (s *State) PausedAt(hall string) bool {
	if _, all := s.Control.Paused[""]; all {
		return true
	}
	_, here := s.Control.Paused[hall]
	return here
}

// BeginTerm opens a writer's term. It is the first entry of every run.
type BeginTerm struct {
	Writer  string
	Lineage lineage.Lineage
	Run     string
}

// Began is the body of KindWriter.
type Began struct {
	Term   uint64 `json:"term"`
	Writer string `json:"writer"`
	lineage.Lineage
	Run string `json:"run,omitempty"`
}

func (c BeginTerm) decide(s *State, env Env) (*Decision, error) {
	d := &Decision{}
	d.add(SiteScope, KindWriter, Began{Term: s.Term + 1, Writer: c.Writer, Lineage: c.Lineage, Run: c.Run})
	s.silenceCounts(d)
	return d, nil
}

func (s *State) applyWriter(e *ledger.Entry, b Began, _ Bodies) error {
	s.Term = b.Term
	if !b.IsZero() {
		s.Control.Lineage = b.Lineage
	}
	return nil
}

// PauseLoop holds the loop back, everywhere or in one hall: it goes on reading
// and proving, and writes nothing.
type PauseLoop struct{ Hall, By, Reason string }

// Paused is the body of KindPaused and KindResumed.
type Paused struct {
	Hall   string `json:"hall"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (c PauseLoop) decide(s *State, env Env) (*Decision, error) {
	if c.Hall != "" {
		if _, err := s.hall(c.Hall); err != nil {
			return nil, err
		}
	}
	if _, ok := s.Control.Paused[c.Hall]; ok {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, KindPaused, Paused(c))
	return d, nil
}

// ResumeLoop ends a pause.
type ResumeLoop struct{ Hall, By, Reason string }

func (c ResumeLoop) decide(s *State, env Env) (*Decision, error) {
	if _, ok := s.Control.Paused[c.Hall]; !ok {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, KindResumed, Paused(c))
	return d, nil
}

func (s *State) applyPaused(e *ledger.Entry, b Paused, _ Bodies) error {
	s.Control.Paused[b.Hall] = Pause{By: b.By, Reason: b.Reason, Since: e.Time}
	return nil
}

func (s *State) applyResumed(e *ledger.Entry, b Paused, _ Bodies) error {
	delete(s.Control.Paused, b.Hall)
	return nil
}

// EngageBrake stops the loop's destructive steps.
type EngageBrake struct {
	Cause, Detail string
	By            Actor
}

// Braked is the body of KindBrake and KindReleased.
type Braked struct {
	Cause  string `json:"cause"`
	Detail string `json:"detail"`
	By     string `json:"by"`
}

func (c EngageBrake) decide(s *State, env Env) (*Decision, error) {
	if s.Control.Brake != nil {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, KindBrake, Braked{c.Cause, c.Detail, c.By.Subject})
	return d, nil
}

// ReleaseBrake lets the loop go on. Who released the loop must not be who made
// it stop.
type ReleaseBrake struct {
	By     Actor
	Reason string
}

func (c ReleaseBrake) decide(s *State, env Env) (*Decision, error) {
	if s.Control.Brake == nil {
		return nil, refuse("brake", "it is not engaged: there is nothing to release")
	}
	if c.By.Role != "approver" {
		return nil, refuse("brake", "%s has role %s: a second person with role approver releases the brake", c.By.Subject, c.By.Role)
	}
	if c.By.Subject == s.Control.Brake.Trigger.Subject {
		return nil, refuse("brake", "%s gave the command that engaged it: a second person releases it", c.By.Subject)
	}
	if c.Reason == "" {
		return nil, refuse("reason", "say why it is safe to go on")
	}
	d := &Decision{}
	d.add(SiteScope, KindReleased, Braked{s.Control.Brake.Cause, c.Reason, c.By.Subject})
	return d, nil
}

func (s *State) applyBrake(e *ledger.Entry, b Braked, _ Bodies) error {
	s.Control.Brake = &Brake{Cause: b.Cause, Detail: b.Detail, Since: e.Time, Trigger: Actor{Subject: b.By}}
	return nil
}

func (s *State) applyReleased(e *ledger.Entry, b Braked, _ Bodies) error {
	s.Control.Brake = nil
	s.Control.Acts = nil
	// Who let the loop go on let it write again what the brake had held back.
	for port, lock := range s.Drifted {
		if lock.State == DriftOpen {
			lock.State = DriftReleased
			s.Drifted[port] = lock
		}
	}
	return nil
}

// RecordKey names the key that signs for a purpose from now on.
type RecordKey struct{ Purpose, KeyID, By string }

// KeyUsed is the body of KindKey. The key itself never enters the ledger.
type KeyUsed struct {
	Purpose string `json:"purpose"`
	KeyID   string `json:"key_id"`
	By      string `json:"by"`
}

func (c RecordKey) decide(s *State, env Env) (*Decision, error) {
	if s.Control.Keys[c.Purpose] == c.KeyID {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, KindKey, KeyUsed(c))
	return d, nil
}

func (s *State) applyKey(e *ledger.Entry, b KeyUsed, _ Bodies) error {
	s.Control.Keys[b.Purpose] = b.KeyID
	return nil
}
