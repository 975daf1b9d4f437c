package contract

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/claim"
)

// Preview is what an act would come to, as it is shown before it is done. Its digest is
// what is confirmed: an act that would come to anything else is refused.
type Preview struct {
	Act      Act          `json:"act"`
	Party    string       `json:"party"`
	Contract string       `json:"contract"`
	Version  int          `json:"version"` // in force, which it follows
	Follows  claim.Digest `json:"follows"` // digest of that version
	Next     string       `json:"next"`    // of the version that it makes, apart from its second
	Clause   string       `json:"clause"`
	Currency string       `json:"currency"`
	TimeZone string       `json:"time_zone"`

	From    time.Time `json:"from"`           // takes effect
	Ends    time.Time `json:"ends"`           // the contract, then
	WasEnd  time.Time `json:"was_end"`        // the contract, today
	Value   Decimal   `json:"value"`          // promised from then on, and not any more; without tax and storage
	Fee     Decimal   `json:"fee"`            // due for it
	Prepaid Decimal   `json:"prepaid"`        // in advance, in all
	Drawn   Decimal   `json:"drawn"`          // of it, by the end
	Refund  Decimal   `json:"refund"`         // of it, paid back
	Forfeit Decimal   `json:"forfeit"`        // of it, kept by the owner
	Tranche string    `json:"tranche"`        // that is late
	Since   time.Time `json:"since,omitzero"` // the right has existed
	WasGPUs int64     `json:"was_gpus"`       // reduce
	GPUs    int64     `json:"gpus"`           // reduce: that are kept
}

// Encode is the canonical JSON.
func (p *Preview) Encode() []byte {
	same := *p
	if p.Act == ActReduce {
		same.From = time.Time{} // at once: whenever it is done
		same.Value = ""         // less with every second
	}
	for _, t := range []*time.Time{&same.From, &same.Ends, &same.WasEnd, &same.Since} {
		*t = t.UTC()
	}
	return claim.Canonical(same)
}

// Digest is what is confirmed.
func (p *Preview) Digest() claim.Digest { return claim.DigestOf(p.Encode()) }

// Text is the page that a person reads before the act.
func (p *Preview) Text() string {
	var b strings.Builder
	loc, err := Zone(p.TimeZone)
	if err != nil {
		loc = time.UTC
	}
	at := func(t time.Time) string { return t.In(loc).Format(time.RFC3339) }
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, claim.Line(fmt.Sprintf(format, args...)))
	}
	money := func(d Decimal) string {
		if d == "" {
			d = "0"
		}
		return string(d) + " " + p.Currency
	}
	rule, _ := RuleOf(p.Act)
	line("act", "%s, by the %s: %s", p.Act, p.Party, rule.Says)
	line("contract", "%s, version %d in force", p.Contract, p.Version)
	line("clause", "%s", p.Clause)
	if p.Tranche != "" {
		line("late", "tranche %s; the right exists since %s", p.Tranche, at(p.Since))
	}
	if p.Act == ActReduce {
		line("effect", "at once: %d GPUs are kept of %d; the rest is not owed any more", p.GPUs, p.WasGPUs)
		// No sum: it is less with every second, so it is not part of what is confirmed.
		line("given up", "what was promised of %d GPUs from then on; a flat fee is lower by their share, a price by the GPU-hour stays", p.WasGPUs-p.GPUs)
	} else {
		line("effect", "the contract ends at %s instead of %s (%s)", at(p.Ends), at(p.WasEnd), p.TimeZone)
		line("given up", "%s of what was promised from then on, without tax and storage", money(p.Value))
	}
	line("fee", "%s", money(p.Fee))
	if p.Prepaid != "" {
		line("prepaid", "%s in all, %s of it drawn down by then; paid back %s, forfeited %s", money(p.Prepaid), money(p.Drawn), money(p.Refund), money(p.Forfeit))
	}
	line("digest", "%s", p.Digest())
	return b.String()
}
