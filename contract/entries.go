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

	KindTerminated = "contract.terminated/1"
	KindReduced    = "contract.reduced/1"
)

// Quoted offers a contract with a placement, until Expires.
type Quoted struct {
	Quote    string          `json:"quote"`
	Contract json.RawMessage `json:"contract"` // canonical encoding
	Expires  time.Time       `json:"expires"`
	Parts    []QuotedPart    `json:"parts"`
	Offered  Signature       `json:"offered,omitzero"` // who offers it, for which party
}

// The parties of a contract.
const (
	Owner  = "owner"
	Tenant = "tenant"
)

// Signature says who agreed to a contract, for which party. It is as good as the
// token that was shown, so operator-asserted: Attached is the digest of the
// party's own signature on a document outside, where somebody else agreed in its
// name.
type Signature struct {
	Party    string `json:"party"`
	By       string `json:"by"`
	Attached string `json:"attached,omitempty"`
}

// Signatories says for each party who agreed for it, in one line each. A party
// that nobody agreed for is named too.
func Signatories(signatures []Signature) []string {
	var lines []string
	for _, party := range [...]string{Owner, Tenant} {
		by := ""
		for _, s := range signatures {
			if s.Party != party {
				continue
			}
			if by != "" {
				by += "; "
			}
			by += s.By
			if s.Attached != "" {
				by += ", who names as its signature " + s.Attached
			}
		}
		if by == "" {
			by = "not signed"
		}
		lines = append(lines, party+": "+by)
	}
	return lines
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

	// Held is the link assignment of a hermetic part: a quote holds its links, too.
	Held json.RawMessage `json:"held_links,omitempty"`

	// Sitting says that the tenant is on these nodes already, and stays: they were
	// not placed, and are not wiped before.
	Sitting bool `json:"sitting,omitempty"`
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

	Signatures []Signature `json:"signatures,omitempty"` // the offer's first
}

// Acted is an act by which a party ends a contract early, or makes less of it. Contract
// is the version that it makes: it follows from the one before, the act and the log.
type Acted struct {
	Contract json.RawMessage `json:"contract"`
	Act      Act             `json:"act,omitempty"` // "" in older ledgers: a notice
	Given    time.Time       `json:"given"`         // the entry's own time
	Ends     time.Time       `json:"ends"`
	By       string          `json:"by"`
	Clause   string          `json:"clause"`
	Tranche  string          `json:"tranche,omitempty"` // that is late
	Slots    string          `json:"slots,omitempty"`   // reduce: that are not owed any more
	Preview  claim.Digest    `json:"preview,omitzero"`  // of what was shown before, and confirmed
	Signed   Signature       `json:"signed,omitzero"`   // who acted, for which party
}

// Closed ends a contract whose leases have all been returned.
type Closed struct {
	Contract string `json:"contract"`
}
