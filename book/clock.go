package book

import (
	"time"

	"bulkhead/ledger"
)

// The entry kinds of the site's time, in the site's scope.
const (
	KindClockDoubted   = "clock.doubted/1"
	KindClockSettled   = "clock.settled/1"
	KindClockConfirmed = "clock.confirmed/1"
)

// Doubt is there while what the machine's clock shows is not taken for right. Entries
// are dated meanwhile by what is certain to have come.
type Doubt struct {
	Since   time.Time
	Machine time.Time // what the clock showed then
	Why     string
}

// untilConfirmed says what a doubt keeps back.
const untilConfirmed = "the time is in doubt, and whatever ends, wipes, destroys, hands over or bills waits until the clock is right again or an approver confirms it (bulkhead clock confirm)"

// DeferredInDoubt is what a plan says of work that waits for a time that is certain.
func DeferredInDoubt(why string) string { return untilConfirmed + ": " + why }

// takenInDoubt lists the commands that are carried out while the time is in doubt: what
// was seen, what keeps tenants apart, and what holds the loop back or lets it go. A
// command that is not listed waits: by its date something ends or is billed, or a device
// is told to destroy something.
func takenInDoubt(c Command) bool {
	switch c := c.(type) {
	case IfUnmoved:
		return takenInDoubt(c.Command)
	case WithApproval:
		return takenInDoubt(c.Command)
	case NoteClock, ConfirmClock,
		BeginTerm, RecordKey, PauseLoop, ResumeLoop, EngageBrake, ReleaseBrake, Adopt, Explain, Cordon, MintToken, RegisterApprover, RevokeApprover, RegisterTenant, RegisterTenantKey, RevokeTenantKey, WithdrawReplacement,
		ReportFound, ReportHealth, ReportDrift, ReportLocked, ReportRestored, ReportUnread, ReportSilent, RecordPosture,
		Evidence, Quarantine, Repaired, RecordVolume, RecordGrant, RecordRevoked, RecordDestroyed, RecordStray:
		return true
	}
	return false
}

// NoteClock records that the machine's clock is not taken for right any more, and why;
// without a reason, that it is again.
type NoteClock struct {
	Machine time.Time // what it shows
	Why     string
}

// ClockNoted is the body of KindClockDoubted and KindClockSettled.
type ClockNoted struct {
	Machine time.Time `json:"machine"`
	Why     string    `json:"why,omitempty"`
}

func (c NoteClock) decide(s *State, env Env) (*Decision, error) {
	if (s.Control.Doubt != nil) == (c.Why != "") {
		return nil, ErrNothing
	}
	kind := KindClockDoubted
	if c.Why == "" {
		kind = KindClockSettled
	}
	d := &Decision{}
	d.add(SiteScope, kind, ClockNoted{c.Machine.UTC(), c.Why})
	return d, nil
}

func (s *State) applyClockDoubted(e *ledger.Entry, b ClockNoted, _ Bodies) error {
	s.Control.Doubt = &Doubt{Since: e.Time, Machine: b.Machine, Why: b.Why}
	return nil
}

func (s *State) applyClockSettled(e *ledger.Entry, b ClockNoted, _ Bodies) error {
	s.Control.Doubt = nil
	return nil
}

// SaidWithin is how far what a person says the time is may be from what the machine's
// clock shows: as long as it takes to type it.
const SaidWithin = 5 * time.Minute

// ConfirmClock takes what the machine's clock shows for right, because somebody who
// looked at another clock says what time it is.
type ConfirmClock struct {
	Machine time.Time // what the machine's clock shows
	Site    time.Time // the site's time until now
	Said    time.Time // what time it is, by the person's own clock
	By      Actor
	Reason  string
}

// ClockConfirmed is the body of KindClockConfirmed.
type ClockConfirmed struct {
	Machine time.Time `json:"machine"`
	Site    time.Time `json:"site"` // before
	Said    time.Time `json:"said"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
}

func (c ConfirmClock) decide(s *State, env Env) (*Decision, error) {
	if c.By.Role != "approver" {
		return nil, refuse("clock", "%s has role %s: a second person with role approver confirms the clock", c.By.Subject, c.By.Role)
	}
	if c.Reason == "" {
		return nil, refuse("reason", "say why the clock jumped")
	}
	if off := c.Said.Sub(c.Machine); off > SaidWithin || off < -SaidWithin {
		return nil, refuse("time", "%s is what you say the time is, the machine's clock shows %s: they may be %s apart; set the machine's clock right, or look at yours again (the site's time is %s)",
			c.Said.UTC().Format(time.RFC3339), c.Machine.UTC().Format(time.RFC3339), SaidWithin, c.Site.UTC().Format(time.RFC3339))
	}
	d := &Decision{}
	d.add(SiteScope, KindClockConfirmed, ClockConfirmed{c.Machine.UTC(), c.Site.UTC(), c.Said.UTC(), c.By.Subject, c.Reason})
	return d, nil
}

func (s *State) applyClockConfirmed(e *ledger.Entry, b ClockConfirmed, _ Bodies) error {
	s.Control.Doubt = nil
	return nil
}
