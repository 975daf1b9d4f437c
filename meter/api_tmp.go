package meter

import (
	"errors"
	"time"

	"bulkhead/contract"
)

var errNotYet = errors.New("meter: not written yet")

var stateNames = [...]SlotState{Up}

// Month is a calendar month in a time zone.
func Month(tz string, year int, month time.Month) (Period, error) { return Period{}, errNotYet }

// Rate makes the invoice of a period.
func Rate(versions []*contract.Contract, events []Event, period Period, number string) (*Invoice, error) {
	return nil, errNotYet
}

// Input is all that an invoice follows from.
type Input struct {
	Versions []*contract.Contract // of one contract, all of them, oldest first
	Events   []Event              // of its leases; or
	Changes  *Changes             // the same in columns
	Period   Period
	Number   string
	Earlier  []*Invoice // of this contract: late evidence about their periods becomes correction lines
}

// Changes are events in columns, for sites where []Event would be too large.
type Changes struct{}

// RateInput is Rate with everything that it can take.
func RateInput(in Input) (*Invoice, error) { return nil, errNotYet }

// Encode is the canonical JSON.
func (i *Invoice) Encode() []byte { return nil }

// DecodeInvoice reads the canonical JSON.
func DecodeInvoice(data []byte) (*Invoice, error) { return nil, errNotYet }

// Text is a page for a person.
func (i *Invoice) Text() string { return "" }

// Explain says how a line came about.
func (i *Invoice) Explain(line string) string { return "" }

// Line finds a line by its id.
func (i *Invoice) Line(id string) (Line, bool) { return Line{}, false }
