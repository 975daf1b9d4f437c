package rivals

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
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
	Check  string // the prover's check, or item of the posture, that names it; "": nothing has to
	Action string // what is done about it
	// Mount mounts it; undo takes away what the owner's people would take away.
	Mount func(ctx context.Context) (undo func(ctx context.Context) error, err error)
}

// Probes sends packets. Leaks returns those between the rivals that arrive, CutOff
// the pairs within a rival that do not reach one another: the positive control.
type Probes interface {
	Leaks(ctx context.Context) ([]string, error)
	CutOff(ctx context.Context) ([]string, error)
}

// Outcome is how an attack went.
type Outcome struct {
	Attack
	First    []string // packets between the rivals that arrive once it is mounted
	After    []string // the same, one sweep later
	Recorded map[string]int
	Notes    []string
	Findings map[string]int // one sweep later
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

// Try mounts an attack, lets one sweep pass, sends packets before and after it, and
// undoes it. It is an error when it did not end as the attack says: prevented and
// yet packets arrive, or nobody names it, or packets still arrive after the sweep.
func (s *Stage) Try(ctx context.Context, a Attack, p Probes) (o Outcome, err error) {
	o.Attack = a
	head := s.Head()
	undo, err := a.Mount(ctx)
	if err != nil {
		return o, fmt.Errorf("mount: %w", err)
	}
	if o.First, err = p.Leaks(ctx); err != nil {
		return o, err
	}
	mounted := time.Now()
	if err := s.Live(ctx, time.Hour, time.Hour); err != nil {
		return o, err
	}
	o.Took = time.Since(mounted)
	if o.Recorded, o.Notes, err = s.Recorded(ctx, head); err != nil {
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

func (o *Outcome) failed() error {
	said := strings.Join(o.Notes, "\n")
	for _, counted := range []map[string]int{o.Recorded, o.Findings} {
		for name := range counted {
			said += "\n" + name
		}
	}
	switch {
	case o.Ends == Prevented && len(o.First) > 0:
		return fmt.Errorf("it was to be prevented, and %d packets arrive: %s", len(o.First), o.First[0])
	case len(o.After) > 0:
		return fmt.Errorf("one sweep later %d packets arrive: %s", len(o.After), o.After[0])
	case o.Check != "" && !strings.Contains(said, o.Check):
		return fmt.Errorf("one sweep later nothing says %q: recorded %v, findings %v, notes %.2000s", o.Check, o.Recorded, o.Findings, o.Notes)
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
