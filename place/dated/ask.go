package dated

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// Step is one quantity with its date. Of a ramp, Nodes is what the step adds.
type Step struct {
	ID    string
	Nodes int
	Begin time.Time

	unbooked time.Time // nobody may hold its nodes from here on; zero: from Begin
}

// Ask is nodes of one class for a time: at once, or as a ramp whose steps add
// to each other and end together.
type Ask struct {
	Owner  string // the project that it is for: it is alone in its NVLink domains
	Ramp   string // name of the ramp; needed where there is more than one step
	Fabric string
	Kind   string
	Links  lease.Links
	Steps  []Step // by date
	End    time.Time

	// Beside is nodes that it should be near, where that costs nothing and does no
	// harm: its own contract's other ones. nil: none.
	Beside *site.Set

	// WholeRacks asks for racks that nobody else is in, and all of each. Such a
	// booking is not placed again, and nobody is moved for it.
	WholeRacks bool
	// Segment asks for groups of so many nodes, each in an NVLink domain of its own;
	// 0: in no groups. It stays where it is, as whole racks do.
	Segment int

	// Partial lets a shortfall become a partial delivery: as much as can be had
	// on each step's date, the rest as capacity comes.
	Partial bool
	// Waiting limits what a partial delivery waits for to halls that are not in
	// service yet; else it may also wait for what others give back.
	Waiting bool
	// Worsen lets bookings that have not begun be placed again in a shape that is
	// worse than the one they have, where nothing else makes room. Without it such
	// an ask falls short.
	Worsen bool
}

// Nodes is the final size.
func (a *Ask) Nodes() int {
	total := 0
	for _, s := range a.Steps {
		total += s.Nodes
	}
	return total
}

// domains says whether the ask is for NVLink domains, whole or in segments.
func (a *Ask) domains() bool { return a.WholeRacks || a.Segment > 0 }

func (a *Ask) class() site.Class { return site.Class{Fabric: a.Fabric, Kind: a.Kind} }

func (a *Ask) check() error {
	if len(a.Steps) == 0 || len(a.Steps) > MaxSteps {
		return fmt.Errorf("ask: %d steps, expected 1 to %d", len(a.Steps), MaxSteps)
	}
	if len(a.Steps) > 1 && a.Ramp == "" {
		return fmt.Errorf("ask: expected a name for a ramp of %d steps", len(a.Steps))
	}
	if len(a.Steps) > 1 && a.Links == lease.Hermetic {
		return fmt.Errorf("ask %s: a ramp of hermetic links: they are assigned to a lease, so ask for each step by itself", a.Steps[0].ID)
	}
	ids := map[string]bool{}
	for i, s := range a.Steps {
		switch {
		case s.ID == "" || ids[s.ID]:
			return fmt.Errorf("ask: step %d: id %q, expected one of its own", i, s.ID)
		case s.Nodes < 1 || s.Nodes > site.MaxNodes:
			return fmt.Errorf("ask %s: %d nodes, expected 1 to %d", s.ID, s.Nodes, site.MaxNodes)
		case !s.Begin.Before(a.End):
			return fmt.Errorf("ask %s: ends at %s, expected after its begin %s", s.ID, stamp(a.End), stamp(s.Begin))
		case i > 0 && s.Begin.Before(a.Steps[i-1].Begin):
			return fmt.Errorf("ask %s: begins at %s, before the step before it; list steps by date", s.ID, stamp(s.Begin))
		}
		ids[s.ID] = true
	}
	return nil
}

// MaxSteps is the most steps of a ramp, and the most parts of a partial delivery.
const MaxSteps = 64

// Part is what one step is promised: nodes from a date on. A step that is
// delivered in part has several.
type Part struct {
	Step  string
	ID    string // of the booking: the step's, with ".2" and so on for later parts
	Begin time.Time
	Nodes []site.Index // in rank order
}

// Late reports whether the part comes after its step's date.
func (p *Plan) Late(part Part) bool {
	for _, s := range p.Ask.Steps {
		if s.ID == part.Step {
			return part.Begin.After(s.Begin)
		}
	}
	return false
}

// Prefix is all that the ask holds from a date on, with the certificate of its
// shape among what was open to it: the final size among all that was free, each
// smaller one inside the next larger.
type Prefix struct {
	Begin time.Time
	Slice place.Slice
	Among *site.Set // what was open to it: the certificate is about these
}

// Move is a booking that has not begun and is placed again.
type Move struct {
	ID       string
	From, To []site.Index
	Was, Is  place.Cost
	Slice    place.Slice // with the certificate of its new place: To, or all that its ramp holds by then
	Among    *site.Set   // what was open to it: the certificate is about these
}

// Plan is the answer to an ask: a value that can be looked at, and committed as
// long as the schedule is the one that it was made for.
type Plan struct {
	Ask      Ask
	Parts    []Part   // by date
	Prefixes []Prefix // by date, one a date at which a part begins; the last is the final size
	Moves    []Move   // bookings that have not begun and make room
	// Unnested is what the final size would cost if no date before the last
	// mattered. It is the final cost unless the dates forced another slice.
	Unnested place.Cost
	// Stepwise says that there was room for the ask only step by step: its shape
	// is what that gives, and no certificate says that it is the best.
	Stepwise bool

	version uint64
}

// Final is the slice at its final size.
func (p *Plan) Final() place.Slice { return p.Prefixes[len(p.Prefixes)-1].Slice }

// ShortError says why an ask can't be met, in words that can be repeated to who
// asked: when, what and how much is missing, and what there is instead. It names
// no other tenant.
type ShortError struct {
	Step         string
	Fabric, Kind string
	NodeGPUs     int // GPUs a node of the kind
	Begin, End   time.Time
	At           time.Time // the instant with the least left
	Want         int       // nodes
	Have         int       // nodes that can be promised for all of the time
	Why          string    // what stands in the way where it is not the number; "" it is the number

	Elsewhere []place.Stock // where it is the number: what can be promised of the kind on each other fabric

	Earliest time.Time  // from when all of it can be had, for as long; zero: not from what is planned
	Shape    place.Cost // that it would have then
}

// Short is how many nodes are missing.
func (e *ShortError) Short() int { return max(e.Want-e.Have, 0) }

func (e *ShortError) Error() string {
	var b strings.Builder
	b.WriteString(e.reason())
	switch {
	case e.Earliest.IsZero():
		b.WriteString("; no later date would do with what is planned today")
		if e.Have > 0 && e.Why == "" {
			fmt.Fprintf(&b, ", a smaller quantity would: up to %s", quantity(e.Have, e.NodeGPUs))
		}
	default:
		fmt.Fprintf(&b, "; all of it is there from %s, in %s", day(e.Earliest), Spread(e.Shape))
		if e.Have > 0 && e.Why == "" {
			fmt.Fprintf(&b, ", and %s from %s already", quantity(e.Have, e.NodeGPUs), day(e.Begin))
		}
	}
	return b.String() + e.elsewhere()
}

// Reason is the error without what there is later instead.
func (e *ShortError) Reason() string { return e.reason() + e.elsewhere() }

// reason says why.
func (e *ShortError) reason() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s on fabric %s can't be promised from %s to %s: ", quantity(e.Want, e.NodeGPUs), e.Kind, e.Fabric, day(e.Begin), day(e.End))
	switch {
	case e.Why != "":
		b.WriteString(e.Why)
	case e.Have <= 0:
		fmt.Fprintf(&b, "on %s nothing of it is left", day(e.At))
	default:
		fmt.Fprintf(&b, "on %s only %s can be promised, %s too few", day(e.At), quantity(e.Have, e.NodeGPUs), quantity(e.Short(), e.NodeGPUs))
	}
	return b.String()
}

// Spread writes a cost for a person: "2 halls, 3 pods, 94 SUs, 750 racks".
func Spread(c place.Cost) string {
	one := func(n int, what string) string {
		if n != 1 {
			what += "s"
		}
		return fmt.Sprintf("%s %s", group(n), what)
	}
	return one(c.Halls, "hall") + ", " + one(c.Pods, "pod") + ", " + one(c.SUs, "SU") + ", " + one(c.Racks, "rack")
}

func quantity(nodes, nodeGPUs int) string {
	s := "s"
	if nodes == 1 {
		s = ""
	}
	return fmt.Sprintf("%s node%s (%s GPUs)", group(nodes), s, group(nodes*nodeGPUs))
}

// group writes a number with commas.
func group(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// day writes an instant as a date where it is one.
func day(t time.Time) string {
	t = t.UTC()
	if h, m, s := t.Clock(); h+m+s == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02 15:04 MST")
}
