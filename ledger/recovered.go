package ledger

import "bulkhead/claim"

// KindRecovered is the entry kind with which a ledger goes on after its store
// was found to hold less than what was published.
const KindRecovered = "ledger.recovered/1"

// Recovered says what was lost. It is signed and never hidden: whoever holds the
// published checkpoint sees that entries are gone.
type Recovered struct {
	PublishedSize uint64       `json:"published_size"`
	PublishedRoot claim.Digest `json:"published_root"`
	HeadSize      uint64       `json:"head_size"`
	HeadRoot      claim.Digest `json:"head_root"`
	By            string       `json:"by"`
	Reason        string       `json:"reason"`
	Statement     claim.Digest `json:"statement"` // signed, a body
}
