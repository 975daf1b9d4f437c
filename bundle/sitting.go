package bundle

import "bulkhead/claim"

// sits notes a node that comes into a slot because its tenant was on it before there
// was a lease: that it was clean is absent, not asserted.
func (v *verifier) sits(n *nodeLog) {
	v.tally.sitting++
	v.proved = append(v.proved, claim.Claim{
		Subject: n.id, Sentence: "clean when it was handed over", Grade: claim.Absent, Origin: "",
		Note: "its tenant was on it before the lease, as the contract's quote said: it was neither wiped nor attested",
	})
}
