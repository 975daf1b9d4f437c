package ledger

import (
	"errors"
	"fmt"
	"strings"

	"bulkhead/claim"
)

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

// NewRecovered says what was lost, from what Verify reported with
// ErrRolledBack. It refuses where nothing was lost, and without the name of who
// decides and the reason. Statement is left for the caller, who signs.
func NewRecovered(r Report, by, reason string) (Recovered, error) {
	switch {
	case r.Published.Size == 0:
		return Recovered{}, errors.New("recover: no checkpoint was published, so nothing shows that entries are missing")
	case r.Size >= r.Published.Size && r.PublishedRoot == r.Published.Root:
		return Recovered{}, fmt.Errorf("recover: the store holds all %d published entries: there is nothing to recover", r.Published.Size)
	case strings.TrimSpace(by) == "":
		return Recovered{}, errors.New("recover: by: expected the name of who decides that what is missing is lost")
	case strings.TrimSpace(reason) == "":
		return Recovered{}, errors.New("recover: reason: expected what happened to the store")
	}
	return Recovered{
		PublishedSize: r.Published.Size, PublishedRoot: r.Published.Root,
		HeadSize: r.Size, HeadRoot: r.Root, By: by, Reason: reason,
	}, nil
}
