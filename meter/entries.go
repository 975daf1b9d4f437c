package meter

import "bulkhead/claim"

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
