package ledger

import (
	"errors"
	"strings"

	"bulkhead/claim"
)

// KindTakenOver is the entry kind with which a copy of a ledger goes on in place of the
// one that it was copied from, or of another copy, because somebody decided so.
const KindTakenOver = "ledger.taken-over/1"

// TakenOver says who decided, and from where on this ledger is another than the one
// that it goes on instead of. It is signed and never hidden.
type TakenOver struct {
	Epoch     uint64       `json:"epoch"` // greater than that of any lineage that was seen
	Lineage   string       `json:"lineage"`
	HeadSize  uint64       `json:"head_size"`
	HeadRoot  claim.Digest `json:"head_root"`
	By        string       `json:"by"`
	Reason    string       `json:"reason"`
	Statement claim.Digest `json:"statement"` // signed, a body
}

// Check refuses a take-over that nobody decided.
func (t *TakenOver) Check() error {
	switch {
	case t.Epoch < 2 || t.Lineage == "":
		return errors.New("take-over: expected a lineage of epoch 2 or more: an earlier one is taken over from nobody")
	case strings.TrimSpace(t.By) == "":
		return errors.New("take-over: by: expected the name of who decides that this copy goes on")
	case strings.TrimSpace(t.Reason) == "":
		return errors.New("take-over: reason: expected what became of the other server")
	}
	return nil
}
