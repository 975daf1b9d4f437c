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

	// AcknowledgedSize is what the store had answered for, where that is known. Why is
	// what spoke against going on, beside or instead of a published checkpoint.
	AcknowledgedSize uint64   `json:"acknowledged_size,omitempty"`
	Why              []string `json:"why,omitempty"`
}

// NewRecovered says what was lost, from what Verify reported with ErrRolledBack or
// ErrUnguarded, and why else the store is refused. It refuses where nothing speaks
// against the store, and without the name of who decides and the reason. Statement is
// left for the caller, who signs.
func NewRecovered(r Report, by, reason string, why ...string) (Recovered, error) {
	switch {
	case len(why) > 0 && strings.TrimSpace(by) != "" && strings.TrimSpace(reason) != "":
	case len(why) == 0 && r.Published.Size == 0:
		return Recovered{}, errors.New("recover: no checkpoint was published, so nothing shows that entries are missing")
	case len(why) == 0 && r.Size >= r.Published.Size && r.PublishedRoot == r.Published.Root:
		return Recovered{}, fmt.Errorf("recover: the store holds all %d published entries: there is nothing to recover", r.Published.Size)
	case strings.TrimSpace(by) == "":
		return Recovered{}, errors.New("recover: by: expected the name of who decides that what is missing is lost")
	case strings.TrimSpace(reason) == "":
		return Recovered{}, errors.New("recover: reason: expected what happened to the store")
	}
	return Recovered{
		PublishedSize: r.Published.Size, PublishedRoot: r.Published.Root,
		HeadSize: r.Size, HeadRoot: r.Root, By: by, Reason: reason, Why: why,
	}, nil
}
