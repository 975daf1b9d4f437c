package meter

import (
	"time"
)

// Period is a billing period: From until To, without To itself. It lies within
// one calendar month of the contract's time zone.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Invoice is what one period of one contract costs. It is a pure function of
// the contract's versions and of the events up to entry Through: whoever holds
// both can make it again, byte by byte.
type Invoice struct {
	Number   string  `json:"number"`
	Tenant   string  `json:"tenant"`
	Contract string  `json:"contract"`
	Versions []int   `json:"versions"` // contract versions in force in the period
	TimeZone string  `json:"time_zone"`
	Period   Period  `json:"period"`
	Currency string  `json:"currency"`
	Rounding string  `json:"rounding"`
	Through  uint64  `json:"through"` // newest ledger entry (scope_seq) that was taken into account
	Usage    []Usage `json:"usage"`
	Lines    []Line  `json:"lines"`
	Total    string  `json:"total"` // the sum of the lines' amounts
	Note     string  `json:"note,omitempty"`
}

// Usage is how one tranche's promised GPU-seconds fall into states. The states
// add up to Promised exactly.
type Usage struct {
	Tranche  string       `json:"tranche"`
	GPUs     int64        `json:"gpus"`     // promised at the end of the period
	Promised int64        `json:"promised"` // GPU-seconds owed in the period
	States   []StateUsage `json:"states"`   // only those that occur
}

// StateUsage is the GPU-seconds of one state.
type StateUsage struct {
	State      SlotState `json:"state"`
	GPUSeconds int64     `json:"gpu_seconds"`
}

// Line is one line of an invoice. Quantity, Price and Amount are decimals;
// Amount is rounded once, half away from zero, to the currency's smallest unit.
type Line struct {
	ID       string  `json:"id"`
	Kind     string  `json:"kind"`
	Text     string  `json:"text"`
	Clause   string  `json:"clause"`
	Formula  string  `json:"formula"` // with the numbers put in
	Quantity string  `json:"quantity"`
	Unit     string  `json:"unit"`
	Price    string  `json:"price"`
	Amount   string  `json:"amount"`
	Entries  Entries `json:"entries,omitempty"`  // ledger entries (scope_seq) from which the line follows
	Corrects string  `json:"corrects,omitempty"` // "NUMBER LINE" of the earlier invoice's line that this one corrects
}

// Entries are ledger entry numbers, ascending. In JSON they are a range set:
// "17-30,45".
type Entries []uint64
