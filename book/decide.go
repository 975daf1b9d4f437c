package book

import (
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// Env is what a decision may know beside the state and the command.
type Env struct {
	Now   time.Time
	Doubt string // why the time is in doubt, or ""
}

// Actor is who gave a command.
type Actor struct {
	Subject string `json:"subject"`
	Role    string `json:"role"`
	Tenant  string `json:"tenant,omitempty"` // empty: one of the owner's people
}

// Loop is the actor of commands that the loop gives by itself.
var Loop = Actor{Subject: "loop", Role: "loop"}

// Command is a request to change the state. Each has one decision.
type Command interface {
	decide(s *State, env Env) (*Decision, error)
}

// Decision is what a command comes to: drafts of entries, in order, and the
// bodies that they name.
type Decision struct {
	Drafts []Draft
	Bodies []ledger.Body

	failed error // the first body that can't be encoded
}

// orNothing is the decision, or ErrNothing where it comes to no entry.
func (d *Decision) orNothing() (*Decision, error) {
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	return d, nil
}

// Draft is an entry before the writer gives it its place, time and salt.
type Draft struct {
	Scope string
	Kind  string
	Body  []byte
}

// Refusal is a command that the rules do not allow. Field names what was wrong,
// in the command's own words.
type Refusal struct {
	Field  string
	Reason string
}

func (r *Refusal) Error() string {
	if r.Field == "" {
		return r.Reason
	}
	return r.Field + ": " + r.Reason
}

func refuse(field, format string, args ...any) error {
	return &Refusal{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// ErrNothing is returned for a command that would change nothing, such as a
// repeated one.
var ErrNothing = errors.New("nothing to do")

// Decide checks a command against the state and returns the entries that it
// comes to. It never changes the state.
func Decide(s *State, c Command, env Env) (*Decision, error) {
	if env.Now.Before(s.Time) {
		return nil, refuse("time", "%s is before the ledger's last entry at %s: set the clock right",
			env.Now.UTC().Format(time.RFC3339), s.Time.UTC().Format(time.RFC3339))
	}
	if env.Doubt != "" && !takenInDoubt(c) {
		return nil, refuse("", "%s: %s", untilConfirmed, env.Doubt)
	}
	if err := s.checkSecondPerson(c); err != nil {
		return nil, err
	}
	d, err := c.decide(s, env)
	if err == nil && d != nil && d.failed != nil {
		return nil, d.failed
	}
	return d, err
}

// add appends a draft. Bodies are our own structs, but what is in them may be a
// device's word, and not every time that a device can say has a text. What steers a
// terminal in a text is left out: a log that held it would be refused by its readers,
// and what a device does must be recorded whatever the device says.
func (d *Decision) add(scope, kind string, body any) {
	data, err := claim.Marshal(body)
	if err != nil {
		if d.failed == nil {
			d.failed = refuse("", "%s can't be recorded: %v", kind, err)
		}
		return
	}
	d.Drafts = append(d.Drafts, Draft{Scope: scope, Kind: kind, Body: claim.CleanJSON(data)})
}

func (d *Decision) body(data []byte) claim.Digest {
	digest := claim.DigestOf(data)
	d.Bodies = append(d.Bodies, ledger.Body{Digest: digest, Data: data})
	return digest
}
