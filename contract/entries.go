package contract

import (
	"encoding/json"
	"slices"
	"time"

	"bulkhead/claim"
)

// The entry kinds that contracts own, in the scope of their tenant.
const (
	KindQuoted = "contract.quoted/1"
	KindLapsed = "contract.lapsed/1"
	KindSigned = "contract.signed/2" // 1 took the owner's word for the tenant's signature

	KindAssented = "contract.assented/1"
	KindNotice   = "contract.notice/1"
	KindClosed   = "contract.closed/1"

	KindTerminated = "contract.terminated/1"
	KindReduced    = "contract.reduced/1"

	KindQuoteWithdrawn = "contract.quote_withdrawn/1"
	KindClaimed        = "contract.claimed/1" // in the site's scope
)

// Quoted offers a contract with a placement, until Expires.
type Quoted struct {
	Quote    string          `json:"quote"`
	Contract json.RawMessage `json:"contract"` // canonical encoding
	Expires  time.Time       `json:"expires"`
	Parts    []QuotedPart    `json:"parts"`
	Offered  Signature       `json:"offered,omitzero"` // who offers it, for which party

	// PlaceWithheld says that the parts do not say which nodes they hold, where they
	// are and by which certificate: the site's log does (KindClaimed), and the tenant is
	// told when it is signed. See the site's policy, tenant-answer-step.
	PlaceWithheld bool `json:"place_withheld,omitempty"`
}

// Claimed is the parts of a quote whose place its tenant is not told yet, with their
// nodes. It is in the site's scope.
type Claimed struct {
	Tenant string       `json:"tenant"`
	Quote  string       `json:"quote"`
	Parts  []QuotedPart `json:"parts"`
}

// QuoteWithdrawn ends an open quote before its time.
type QuoteWithdrawn struct {
	Quote    string `json:"quote"`
	By       string `json:"by"`
	Party    string `json:"party"`              // for which By withdraws it
	Reason   string `json:"reason,omitempty"`   // why; always where the other party has offered it
	Replaced bool   `json:"replaced,omitempty"` // the next entry offers another document under the same id
}

// The parties of a contract.
const (
	Owner  = "owner"
	Tenant = "tenant"
)

// Signature says who agreed to a contract, for which party. It is as good as the
// token that was shown, so operator-asserted; what the party's own key signed is
// beside it, as an assent.
type Signature struct {
	Party string `json:"party"`
	By    string `json:"by"`
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

	// Assigned is the link assignment of a hermetic part: a quote holds its links, too.
	Assigned json.RawMessage `json:"held_links,omitempty"`

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
	Page     claim.Digest    `json:"page,omitzero"` // of the page that who signed had read (Page); zero: nobody says that one was read

	Signatures []Signature   `json:"signatures,omitempty"` // the offer's first; one of the tenant's is among them
	Assent     *SignedAssent `json:"assent,omitempty"`     // the tenant's, where it has registered a key
}

// Assented is a tenant's signature under a quote that it has offered itself: the
// owner's signature puts it in force.
type Assented struct {
	Quote  string       `json:"quote"`
	By     string       `json:"by"`
	Assent SignedAssent `json:"assent"`
}

// AgreedBy says whether a party is among those who agreed.
func AgreedBy(party string, signatures []Signature) bool {
	return slices.ContainsFunc(signatures, func(s Signature) bool { return s.Party == party && s.By != "" })
}

// ByTenant is the signature of a tenant's person, by the token that was shown.
func ByTenant(by string) []Signature { return []Signature{{Party: Tenant, By: by}} }

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
	Assent   *SignedAssent   `json:"assent,omitempty"`  // the tenant's, of its own act, where it has registered a key
}

// Closed ends a contract whose leases have all been returned.
type Closed struct {
	Contract string `json:"contract"`
}
