package meter

import (
	"time"

	"bulkhead/claim"
)

// KindInvoiced is the entry kind of an issued invoice, in its tenant's scope.
const KindInvoiced = "invoice.issued/1"

// Invoiced names one issued invoice; Statement is the body with the signed
// invoice. Numbers have no gaps within a tenant.
type Invoiced struct {
	Number    string       `json:"number"`
	Contract  string       `json:"contract"`
	From      string       `json:"from"`
	To        string       `json:"to"`
	Currency  string       `json:"currency"`
	Total     string       `json:"total"`
	Statement claim.Digest `json:"statement"`
}

// KindObserved is the kind of the entry that says from when to when devices were
// looked at: the site's in its scope, a tenant's own in the tenant's.
const KindObserved = "devices.observed/1"

// Observed is the body of KindObserved: an interval a fabric, extended by later
// entries, neither a sample a look nor an entry a node.
type Observed struct {
	// Since is in the first entry of a scope: from then on, what no look covers is
	// unknown. Of the time before, the log says nothing.
	Since   time.Time `json:"since,omitzero"`
	WithinS int64     `json:"within_s"` // two looks further apart than so many seconds are two intervals
	BehindS int64     `json:"behind_s"` // the log may be so many seconds behind the looks
	Looks   []Look    `json:"looks,omitempty"`
}

// Look is an interval without silence: every look in it came in time after the one
// before. It begins where the interval before it ends, where it goes on with that one.
type Look struct {
	Fabric string    `json:"fabric,omitempty"` // whose leaves were read back; empty: the nodes were asked
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
}
