package place

import "bulkhead/claim"

// KindPlaced is the entry kind that holds a whole placement certificate, in the
// site's scope: its lower bounds would tell a tenant how full the site is. The
// tenant's own scope names the copy that Certificate.Tenant makes.
const KindPlaced = "placement.certified/1"

// Placed names the certificates of one tranche of a quote.
type Placed struct {
	Quote   string       `json:"quote"`
	Tranche string       `json:"tranche"`
	Whole   claim.Digest `json:"whole"`
	Tenant  claim.Digest `json:"tenant"`
}
