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

// CheckFenced is the book's check of a fence proof.
func (s *State) CheckFenced(n site.Index, proof FenceProof) error { return s.checkFenced(n, proof) }
