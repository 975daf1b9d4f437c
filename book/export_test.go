package book

import (
	"bulkhead/claim"
	"bulkhead/site"
)

// CheckedAs is evidence as CheckTurnover (ready) or CheckWipe would have passed
// it, for tests of what comes after.
func CheckedAs(ready bool, n site.Index, turnover uint32, body []byte) Checked {
	return Checked{node: n, turnover: turnover, digest: claim.DigestOf(body), ready: ready, wiped: !ready}
}

// CheckSevered is the book's check of a proof of severing.
func (s *State) CheckSevered(n site.Index, proof SeverProof) error { return s.checkSevered(n, proof) }
