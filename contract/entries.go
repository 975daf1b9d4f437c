package contract

import (
	"encoding/json"
	"time"

	"bulkhead/claim"
)

// The entry kinds that contracts own, in the scope of their tenant.
const (
	KindQuoted = "contract.quoted/1"
	KindLapsed = "contract.lapsed/1"
	KindSigned = "contract.signed/1"
	KindNotice = "contract.notice/1"
	KindClosed = "contract.closed/1"
)

// Quoted offers a contract with a placement, until Expires.
type Quoted struct {
	Quote    string          `json:"quote"`
	Contract json.RawMessage `json:"contract"` // canonical encoding
	Expires  time.Time       `json:"expires"`
	Parts    []QuotedPart    `json:"parts"`
}

// QuotedPart is one tranche of a quote, placed.
type QuotedPart struct {
	Tranche     string       `json:"tranche"`
	Fabric      string       `json:"fabric"`
	Kind        string       `json:"kind"`
	Slots       int          `json:"slots"`
	Nodes       string       `json:"nodes"` // in rank order
	Begin       time.Time    `json:"begin"`
	End         time.Time    `json:"end"`
	Where       string       `json:"where"`
	Certificate claim.Digest `json:"placement_certificate"`
}

// Lapsed ends a quote that was not signed in time.
type Lapsed struct {
	Quote string `json:"quote"`
}

// Signed puts a version of a contract in force.
type Signed struct {
	Contract json.RawMessage `json:"contract"` // canonical encoding
	Digest   claim.Digest    `json:"digest"`
	Quote    string          `json:"quote"`
	By       string          `json:"by"`
}

// Notice ends a contract early, by its own notice clause. Contract is the new
// version, with its new end.
type Notice struct {
	Contract json.RawMessage `json:"contract"`
	Given    time.Time       `json:"given"`
	Ends     time.Time       `json:"ends"`
	By       string          `json:"by"`
	Clause   string          `json:"clause"`
}

// Closed ends a contract whose leases have all been returned.
type Closed struct {
	Contract string `json:"contract"`
}
