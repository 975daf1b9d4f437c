package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"bulkhead/claim"
)

// Report is what a bundle proves, what it does not prove, and what is wrong
// with it. It is a function of bundle, policy and options.
type Report struct {
	Proven     bool             `json:"proven"` // everything that the policy asks
	NotProven  []string         `json:"not_proven"`
	Rejected   []Finding        `json:"rejected"`
	Unlisted   int              `json:"rejected_unlisted,omitempty"` // findings beyond those listed
	RejectedBy map[Check]int    `json:"rejected_by"`                 // all findings by check
	Site       string           `json:"site"`
	Tenant     string           `json:"tenant"`
	SignedBy   string           `json:"signed_by"` // key id of the manifest's signature
	Checkpoint Checkpoint       `json:"checkpoint"`
	Entries    uint64           `json:"entries"`
	Bodies     uint64           `json:"bodies"`
	Bytes      int64            `json:"bytes"`
	From       time.Time        `json:"from"`
	Until      time.Time        `json:"until"`
	Contracts  []VersionReport  `json:"contracts"`
	Acts       []ActReport      `json:"acts"`
	Leases     []LeaseReport    `json:"leases"`
	Claims     []claim.Claim    `json:"claims"`
	Unproven   []Interval       `json:"isolation_unproven"`
	Looks      LooksReport      `json:"looks"`
	Silence    []SilenceReport  `json:"silence"`
	Invoices   []*InvoiceReport `json:"invoices"`
	HandedOver int              `json:"holdings"` // nodes handed over, each time counted
	Checks     []string         `json:"checks"`
}

// LeaseReport is one lease at the checkpoint.
type LeaseReport struct {
	Lease     string         `json:"lease"`
	Fabric    string         `json:"fabric"`
	Kind      string         `json:"kind"`
	Slots     int            `json:"slots"`
	Delivered int            `json:"delivered"` // slots with a delivered node in them now
	Billed    map[string]int `json:"billed"`    // slots by what they are billed as
	Verdicts  map[string]int `json:"isolation_verdicts"`
	Returned  bool           `json:"returned"`
}

// tally counts what the report tells about.
type tally struct {
	handedOver, swaps, changes, drifts, unread int
	placed, placements                         int    // placement certificates of leases, and those that are about a lease's own nodes
	sitting                                    int    // nodes that came into a lease with their tenant on them
	hermetic                                   int    // leases
	unproven                                   firsts // verdicts that were not proven
	billedUp                                   firsts // of these, with every slot billed as up all the same
	taken                                      firsts // nodes that worked and were swapped without the tenant's word
	longAgo                                    int    // nodes that were wiped long before they were handed over
	longest                                    time.Duration
	longestOf                                  string
	statements                                 map[claim.Origin]int
	takenOff                                   uint64 // entries, by the owner
	whyTakenOff                                string // the first time
	ownersWord                                 int    // nodes that worked and were moved on the owner's word alone
	atHost                                     int    // findings that were seen at the host only
	unchained                                  int    // turnover statements of hardware without a maker's word that their key is in a TPM
	statementKeys                              int    // TPM quotes judged by a key that the owner itself names
}

// firsts counts what the report tells the first of.
type firsts struct {
	count int
	first string
}

func (f *firsts) add(format string, args ...any) {
	if f.count++; f.count == 1 {
		f.first = fmt.Sprintf(format, args...)
	}
}

// claim puts a claim into the report, graded for its origin, and holds it to
// what the policy accepts.
func (v *verifier) claim(at logEntry, c claim.Claim, minimum claim.Grade) {
	c.Grade = claim.Cap(c.Grade, c.Origin)
	if v.tally.statements == nil {
		v.tally.statements = map[claim.Origin]int{}
	}
	v.tally.statements[c.Origin]++
	if !v.policy.accepts(c.Origin) {
		v.fail(at, CheckOrigin, c.Subject, "its evidence is of origin %q, the policy accepts %v", c.Origin, v.policy.accepted())
	}
	if c.Grade < minimum {
		v.fail(at, CheckGrade, c.Subject, "%q is %s, the policy asks for %s", c.Sentence, c.Grade, minimum)
	}
	v.budget.keep(perClaim+int64(len(c.Note)), "claims")
	v.proved = append(v.proved, c)
}

// unread names the check that a body failed which could not be read.
func (v *verifier) unread(o *opened, otherwise Check) Check {
	if strange := new(signerError); errors.As(o.err, &strange) {
		return CheckSigner
	}
	return otherwise
}

// WriteJSON writes the whole report, every claim by itself.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// claimGroup is claims of the same sentence, grade, origin and note.
type claimGroup struct {
	claim.Claim
	count int
}

func (r *Report) groups() []*claimGroup {
	type key struct{ sentence, note, grade, origin string }
	groups := map[key]*claimGroup{}
	var order []*claimGroup
	for i := range r.Claims {
		c := &r.Claims[i]
		k := key{c.Sentence, c.Note, c.Grade.String(), string(c.Origin)}
		if groups[k] == nil {
			groups[k] = &claimGroup{Claim: *c}
			order = append(order, groups[k])
		}
		groups[k].count++
	}
	return order
}

// WriteText writes the report for a person: what is not proven first, then what
// is wrong, then claims by kind, then money.
func (r *Report) WriteText(w io.Writer) error {
	p := &printer{w: w}
	p.line("Not proven")
	for _, n := range r.NotProven {
		p.line("  - %s", n)
	}
	if len(r.Rejected) > 0 {
		p.line("\nRejected for %s: %s", count(len(r.Rejected)+r.Unlisted, "reason"), words(r.RejectedBy))
		for _, f := range r.Rejected {
			p.line("  - %s", f)
		}
		if r.Unlisted > 0 {
			p.line("  - and %d more", r.Unlisted)
		}
	}
	p.line("\nLog of %s at %s: %s, %s until %s, %s, %d bytes", r.Tenant, r.Site, count(int(r.Entries), "entry"), stamp(r.From), stamp(r.Until), count(int(r.Bodies), "body"), r.Bytes)
	p.line("  checkpoint %d %s, signed by %s", r.Checkpoint.Size, r.Checkpoint.Root, r.Checkpoint.KeyID)
	r.versionsText(p)
	r.actsText(p)
	if len(r.Leases) > 0 {
		p.line("\nLeases")
	}
	for i := range r.Leases {
		l := &r.Leases[i]
		state := ""
		if l.Returned {
			state = ", returned"
		}
		p.line("  %-24s %6d slots of %s in %s, %d delivered%s; billed %s; isolation verdicts %s", l.Lease, l.Slots, l.Kind, l.Fabric, l.Delivered, state, words(l.Billed), words(l.Verdicts))
	}
	if len(r.Claims) > 0 {
		p.line("\nClaims (count, grade, origin)")
	}
	for _, g := range r.groups() {
		p.line("  %7d  %-17s  %-9s  %s", g.count, g.Grade, g.Origin, g.Sentence)
		if g.Note != "" {
			p.line("           %s", g.Note)
		}
	}
	if len(r.Unproven) > 0 {
		p.line("\nTimes in which isolation was not proven")
	}
	for i, u := range r.Unproven {
		if i == 20 {
			p.line("  and %d more: -o json lists them", len(r.Unproven)-i)
			break
		}
		until := "still open"
		if !u.Until.IsZero() {
			until = stamp(u.Until)
		}
		p.line("  %s until %s  %s (entry %d)", stamp(u.From), until, u.What, u.Entry)
	}
	if len(r.Silence) > 0 {
		p.line("\nTimes in which nobody looked at what a lease runs on: its slots were unknown")
	}
	for i := range r.Silence {
		s := &r.Silence[i]
		if i == 20 {
			p.line("  and %d more: -o json lists them", len(r.Silence)-i)
			break
		}
		until := stamp(s.Until)
		if s.Open {
			until += ", where the log ends"
		}
		p.line("  %s until %s  %s: %s", stamp(s.From), until, s.Lease, s.What)
	}
	if len(r.Invoices) > 0 {
		p.line("\nInvoices")
	}
	for _, i := range r.Invoices {
		verdict := "recomputed from the log, equal byte for byte"
		if !i.Recomputed {
			verdict = "NOT what follows from the log"
		}
		if n := len(i.Silence); n > 0 {
			verdict += ", over " + count(n, "silent stretch")
		}
		if !i.LooksFrom.IsZero() {
			verdict += ", with silence counted as what was said last until " + stamp(i.LooksFrom)
		}
		p.line("  %-16s %s until %s  %18s %s  %d lines, %s", i.Number, i.From, i.To, i.Total, i.Currency, i.Lines, verdict)
	}
	if r.Proven {
		p.line("\nProven as the policy asks, with what is listed first left open.")
	} else {
		p.line("\nREJECTED: this bundle does not prove what the policy asks.")
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", claim.Lines(args)...)
	}
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if strings.HasSuffix(word, "ch") {
		return fmt.Sprintf("%d %ses", n, word)
	}
	if word[len(word)-1] == 'y' {
		return fmt.Sprintf("%d %sies", n, word[:len(word)-1])
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func words[K ~string](m map[K]int) string {
	out := ""
	for _, k := range sorted(m) {
		if out != "" {
			out += ", "
		}
		out += fmt.Sprintf("%d %s", m[k], k)
	}
	if out == "" {
		return "none"
	}
	return out
}
