package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/lab/await"
	"bulkhead/site"
)

// How an attack ends.
const (
	Prevented = "prevented" // nothing of it takes effect
	Detected  = "detected"  // it takes effect, and is seen at the next sweep
)

// Attack is one attack on a lab's compute fabric, mounted for real.
type Attack struct {
	Name   string
	By     string // who can mount it
	Ends   string // Prevented or Detected
	Check  string // the prover's check that its ports must fail, or item of the posture; "": nothing has to
	Action string // what is done about it
	// Where returns the ports that must fail the check, and all that may be red while it
	// lasts; it is asked before the attack is mounted. nil: none.
	Where func() (at, touched []site.Port)
	// Mount mounts it; undo takes away what the owner's people would take away.
	Mount func(ctx context.Context) (undo func(ctx context.Context) error, err error)
}

// Probes sends packets. Leaks returns those between the rivals that arrive.
type Probes interface {
	Leaks(ctx context.Context) ([]string, error)
}

// Outcome is how an attack went.
type Outcome struct {
	Attack
	First    []string // packets between the rivals that arrive once it is mounted
	After    []string // the same, when it was seen
	Strays   []string // ports that were red, and are none that it may touch
	Recorded map[string]int
	Findings map[string]int // when it was seen
	Looks    int            // until it was seen
	Took     time.Duration  // sweep and reaction, by this machine's clock
}

// Row is the attack as a row of a Markdown table, without the time.
func (a *Attack) Row() string {
	seen := a.Check
	if seen == "" {
		seen = "nothing takes effect"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", a.Name, a.By, a.Ends, seen)
}

// Try mounts an attack, lets looks pass until it is seen, sends packets before and
// after that, and undoes it. It is an error when it did not end as the attack says:
// prevented and yet packets arrive or anything is seen, or its ports never fail its
// check, or others are red, or packets still arrive after it was seen. In what order a
// look comes upon the checks that fail, and how many looks it takes until a route of
// it has spread, is no part of that.
func (s *Stage) Try(ctx context.Context, a Attack, p Probes) (o Outcome, err error) {
	o.Attack = a
	var at, touched []site.Port
	if a.Where != nil {
		at, touched = a.Where()
	}
	w := s.Watch()
	undo, err := a.Mount(ctx)
	if err != nil {
		return o, fmt.Errorf("mount: %w", err)
	}
	if o.First, err = p.Leaks(ctx); err != nil {
		return o, err
	}
	mounted := time.Now()
	o.Looks, err = s.AwaitSeen(ctx, w, a.Check, at)
	o.Took = time.Since(mounted)
	if err != nil {
		return o, err
	}
	if o.Recorded, _, err = s.Recorded(ctx, w.head); err != nil {
		return o, err
	}
	if o.Strays, err = w.Strays(ctx, touched); err != nil {
		return o, err
	}
	o.Findings = s.Findings()
	if o.After, err = p.Leaks(ctx); err != nil {
		return o, err
	}
	if err := undo(ctx); err != nil {
		return o, fmt.Errorf("undo: %w", err)
	}
	return o, o.failed()
}

// AwaitSeen lets looks pass until an attack is seen, and counts them: an hour of the
// lab's time to the first, for windows to pass, and a minute to each other.
func (s *Stage) AwaitSeen(ctx context.Context, w *Watch, check string, at []site.Port) (looks int, err error) {
	var bad error
	err = await.Until(ctx, "it to be seen", func() (lacks string, done bool) {
		step := time.Hour
		if looks++; looks > 1 {
			step = time.Minute
		}
		if bad = s.Live(ctx, step, step); bad == nil {
			lacks, bad = w.Seen(ctx, check, at)
		}
		return lacks, bad != nil || lacks == ""
	})
	return looks, errors.Join(bad, err)
}

func (o *Outcome) failed() error {
	switch {
	case o.Ends == Prevented && len(o.First) > 0:
		return fmt.Errorf("it was to be prevented, and %d packets arrive: %s", len(o.First), o.First[0])
	case len(o.After) > 0:
		return fmt.Errorf("when it was seen %d packets arrive: %s", len(o.After), o.After[0])
	case len(o.Strays) > 0:
		return fmt.Errorf("it was red outside what it may touch: %s", strings.Join(o.Strays, ", "))
	}
	return nil
}

// Check refuses a corpus with an attack that is not described, or is there twice.
func Check(corpus []Attack) error {
	names := map[string]bool{}
	for _, a := range corpus {
		if a.Name == "" || names[a.Name] || a.By == "" || a.Action == "" || !slices.Contains([]string{Prevented, Detected}, a.Ends) {
			return fmt.Errorf("attack %q: it is there twice, or who mounts it, how it ends or what is done is not said", a.Name)
		}
		names[a.Name] = true
	}
	return nil
}

// Counts is a map of counts in words, ascending by name.
func Counts(m map[string]int) string {
	var parts []string
	for name, n := range m {
		parts = append(parts, fmt.Sprintf("%d %s", n, name))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
