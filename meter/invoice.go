package meter

import (
	"slices"
	"time"

	"bulkhead/claim"
)

// Rounding says how every line of every invoice is rounded. It is printed on
// each of them.
const Rounding = "each line once, half away from zero, to the smallest unit of the currency"

// Invoice is what one calendar month of one contract costs. It is a pure
// function of the contract's versions and of the events up to entry Through
// (and, for correction lines, of the invoices before it): whoever holds these
// makes it again, byte by byte.
type Invoice struct {
	Number   string    `json:"number"`
	Tenant   string    `json:"tenant"`
	Contract string    `json:"contract"`
	Versions []Version `json:"versions"` // that rule in the period
	TimeZone string    `json:"time_zone"`
	Month    string    `json:"month"` // of that zone, "2026-05", by the contract's own rules
	Period   Period    `json:"period"`
	Currency string    `json:"currency"`
	Rounding string    `json:"rounding"`
	Through  uint64    `json:"through"` // newest ledger entry (scope_seq) that was taken into account
	Usage    []Usage   `json:"usage"`
	// LooksFrom is set where the log began in the period to say when devices were
	// looked at: slots count as what was last said of them until then.
	LooksFrom time.Time       `json:"looks_from,omitzero"`
	Silence   []Silence       `json:"silence,omitempty"` // stretches in which nobody looked
	Lines     []Line          `json:"lines"`
	Prepaid   *PrepaidBalance `json:"prepaid,omitempty"`
	Total     string          `json:"total"` // the sum of the lines' amounts
	Note      string          `json:"note,omitempty"`
}

// Version names one version of the contract by its number and digest.
type Version struct {
	Version int          `json:"version"`
	Digest  claim.Digest `json:"digest"`
}

// Usage is how one tranche's promised GPU-seconds fall into states. The states
// add up to Promised exactly.
type Usage struct {
	Tranche  string       `json:"tranche"`
	GPUs     int64        `json:"gpus"`     // promised when the period ends
	Promised int64        `json:"promised"` // GPU-seconds owed in the period
	States   []StateUsage `json:"states"`   // those that occur
}

// Silence is a stretch of the period in which nobody looked at what a lease's slots
// run on: they are unknown. Where they are down as well by what was said before, they
// are that.
type Silence struct {
	Lease      string    `json:"lease"`
	What       string    `json:"what"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	GPUSeconds int64     `json:"gpu_seconds"`       // of slots that were delivered and not given back
	Entries    Entries   `json:"entries,omitempty"` // that say until where the looks went, and where they go on
}

// StateUsage is the GPU-seconds of one state.
type StateUsage struct {
	State      SlotState `json:"state"`
	GPUSeconds int64     `json:"gpu_seconds"`
}

// The kinds of invoice lines, in the order in which they stand.
const (
	LineFee        = "fee"         // flat fee of a month
	LineUsage      = "usage"       // GPU-hours
	LineTakeOrPay  = "take-or-pay" // what is missing to the promised minimum
	LineLate       = "late"        // not delivered: pro rata, negative
	LineLateExtra  = "late-extra"  // the discount on top after the grace, negative
	LineCredit     = "sla"         // one service level's credit, negative
	LineCap        = "sla-cap"     // what credits exceed their cap by
	LineStorage    = "storage"     // a volume
	LineCorrection = "correction"  // late evidence about an earlier invoice
	LineTax        = "tax"         // on the sum of all lines above it
	LinePrepaid    = "prepaid"     // an instalment of what was prepaid, negative
	LineEarlyEnd   = "early-end"   // the fee for leaving early; before tax
	// LinePrepaidLeft is what is left of a prepayment when the contract ends early.
	LinePrepaidLeft = "prepaid-left"
)

// Line is one line of an invoice. Quantity, Price and Amount are decimals in
// the units that stand beside them.
type Line struct {
	ID       string  `json:"id"`
	Kind     string  `json:"kind"`
	Text     string  `json:"text"`
	Clause   string  `json:"clause"`
	Formula  string  `json:"formula"` // with the numbers put in; its value, rounded, is Amount
	Quantity string  `json:"quantity"`
	Unit     string  `json:"unit"`
	Price    string  `json:"price"`
	Per      string  `json:"per"` // what Price is for
	Amount   string  `json:"amount"`
	Entries  Entries `json:"entries,omitempty"`  // ledger entries (scope_seq) from which the line follows
	Corrects string  `json:"corrects,omitempty"` // number of the earlier invoice that a correction is about
	Of       string  `json:"of,omitempty"`       // id of the line that it corrects
}

// Line finds a line by its id.
func (i *Invoice) Line(id string) (Line, bool) {
	at := slices.IndexFunc(i.Lines, func(l Line) bool { return l.ID == id })
	if at < 0 {
		return Line{}, false
	}
	return i.Lines[at], true
}
