package bundle

import (
	"fmt"
	"time"

	"bulkhead/meter"
)

// toldLooks is one entry of the log about looks at devices.
type toldLooks struct {
	entry uint64
	at    time.Time
	body  *meter.Observed
}

// observed takes over what an entry says of looks. It is the owner's word; what is held
// against it is that it is said in order, and before it is money.
func (v *verifier) observed(b *meter.Observed) {
	for _, look := range b.Looks {
		if end, billed := v.billedTo[look.Fabric]; billed && look.From.Before(end) {
			v.fail(v.at, CheckLooks, lookedAt(look.Fabric), "it is said to have been looked at from %s on; what was looked at until %s was invoiced before", stamp(look.From), stamp(end))
			return
		}
	}
	if err := v.looks.Add(v.at.entry, v.time, *b); err != nil {
		v.fail(v.at, CheckLooks, "", "%v", err)
		return
	}
	v.budget.keep(perEvent+2*128*int64(len(b.Looks)), "looks at devices")
	v.told = append(v.told, toldLooks{v.at.entry, v.time, b})
}

func lookedAt(fabric string) string {
	if fabric == "" {
		return "nodes"
	}
	return "fabric " + fabric
}

// looksClosed notes until when an invoice counts looks, and returns the fabrics that
// each lease of its contract runs on.
func (v *verifier) looksClosed(k *contractLog, b *meter.Invoiced) map[string][]string {
	fabrics := map[string][]string{}
	to, err := time.Parse(time.RFC3339, b.To)
	for _, l := range k.leases {
		fabrics[string(l.Lease)] = []string{l.Fabric}
		end := to
		if l.end.Before(end) {
			end = l.end
		}
		for _, what := range [...]string{"", l.Fabric} {
			if err == nil && v.looks.Newest != 0 && end.After(v.billedTo[what]) {
				v.billedTo[what] = end
			}
		}
	}
	return fabrics
}

// looksUntil is what the log said of looks in the entries that an invoice takes into
// account, and which entry it leaves out that is about its period.
func looksUntil(told []toldLooks, signed *meter.Invoice) (*meter.Looks, string) {
	var looks *meter.Looks
	for _, t := range told {
		if t.entry <= signed.Through {
			if looks == nil {
				looks = &meter.Looks{}
			}
			if err := looks.Add(t.entry, t.at, *t.body); err != nil {
				return nil, fmt.Sprintf("entry %d: %v", t.entry, err) // it was added before
			}
			continue
		}
		about := !t.body.Since.IsZero() && t.body.Since.Before(signed.Period.To)
		for _, look := range t.body.Looks {
			about = about || look.From.Before(signed.Period.To)
		}
		if about {
			return nil, fmt.Sprintf("it takes entries up to %d into account; entry %d says what was looked at in its period", signed.Through, t.entry)
		}
	}
	return looks, ""
}

// looksAsked holds the log to the instant from which the policy wants looks told.
func (v *verifier) looksAsked() {
	if v.policy.LooksFrom.IsZero() {
		return
	}
	for _, l := range v.order {
		from := v.policy.LooksFrom
		if l.served.After(from) {
			from = l.served
		}
		if l.served.IsZero() || !from.Before(l.end) {
			continue
		}
		if v.looks.Newest == 0 || v.looks.Since.After(from) {
			v.fail(logEntry{}, CheckLooks, string(l.Lease), "from %s on the policy wants to know when devices were looked at, the log says it from %s on", stamp(from), sinceOf(&v.looks))
		}
	}
}

func sinceOf(l *meter.Looks) string {
	if l.Newest == 0 {
		return "no time"
	}
	return stamp(l.Since)
}

// LooksReport is what the log says of looks at all.
type LooksReport struct {
	Since   time.Time `json:"since,omitzero"` // from here on, silence counts; zero: it never does
	WithinS int64     `json:"within_s"`       // two looks of one interval are at most so many seconds apart
	Until   time.Time `json:"until,omitzero"` // all that the leases run on was looked at until here
}

func (v *verifier) looksReport() LooksReport {
	r := LooksReport{Since: v.looks.Since, WithinS: v.looks.WithinS}
	for _, l := range v.order {
		for _, what := range [...]string{"", l.Fabric} {
			if until := v.looks.Until(what); l.returned.IsZero() && (r.Until.IsZero() || until.Before(r.Until)) {
				r.Until = until
			}
		}
	}
	return r
}

// SilenceReport is a stretch in which nobody looked at what the slots of a lease run on.
type SilenceReport struct {
	Lease string    `json:"lease"`
	What  string    `json:"what"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Open  bool      `json:"open,omitempty"` // it lasts at the end of the log
}

// silence names every silent stretch while a lease had nodes.
func (v *verifier) silence() []SilenceReport {
	out := []SilenceReport{}
	for _, l := range v.order {
		if l.served.IsZero() {
			continue
		}
		end := v.time
		if l.end.Before(end) {
			end = l.end
		}
		v.budget.spend(8*len(v.looks.Seen[l.Fabric])+8*len(v.looks.Seen[""]), "looks at devices")
		for _, g := range v.looks.Gaps([]string{l.Fabric}, end) {
			s := SilenceReport{Lease: string(l.Lease), What: g.Named(), From: g.From, Until: g.Until, Open: g.After == 0 && end.Equal(v.time)}
			// The log is always a little behind.
			if s.Open && int64(g.Until.Sub(g.From)/time.Second) <= v.looks.BehindS+v.looks.WithinS {
				continue
			}
			if s.From.Before(l.served) {
				s.From = l.served
			}
			if s.From.Before(s.Until) {
				v.budget.keep(perInterval, "times of silence")
				out = append(out, s)
			}
		}
	}
	return out
}

// looksNotProven says what the log leaves open about looks.
func (v *verifier) looksNotProven(add func(format string, args ...any)) {
	var served time.Time
	grace := int64(-1)
	for _, l := range v.order {
		if !l.served.IsZero() && (served.IsZero() || l.served.Before(served)) {
			served = l.served
		}
		if len(l.contract.versions) > 0 {
			if g := l.contract.current().Unknown.GraceS; grace < 0 || g < grace {
				grace = g
			}
		}
	}
	if v.looks.Newest == 0 {
		add("silence: the log does not say when devices were looked at; slots are billed as what was last said of them, also while nobody looked")
		return
	}
	if served.Before(v.looks.Since) {
		add("silence: until %s the log does not say when devices were looked at; until then slots are billed as what was last said of them, also while nobody looked", stamp(v.looks.Since))
	}
	longer := ""
	if v.looks.WithinS > grace && grace >= 0 {
		longer = fmt.Sprintf(", longer than the %s of silence that the contract lets pass", time.Duration(grace)*time.Second)
	}
	add("looks: that devices were looked at is the owner's word; between two looks there are up to %s%s", time.Duration(v.looks.WithinS)*time.Second, longer)
}
