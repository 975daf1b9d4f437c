package bundletest

import "bulkhead/contract"

// Act has a party do an act of the contract that has no missing slots, as the terms have it.
func (s *Story) Act(act contract.Act, party string) {
	out, err := s.Contract.Perform(contract.Asked{Act: act, Party: party, Given: s.Now})
	must(err)
	s.ActAs(act, party, out)
}

// ActAs writes an act with an outcome, whatever the terms say.
func (s *Story) ActAs(act contract.Act, party string, out *contract.Outcome) {
	kind := map[contract.Act]string{contract.ActNotice: contract.KindNotice, contract.ActReduce: contract.KindReduced}[act]
	if kind == "" {
		kind = contract.KindTerminated
	}
	s.Add(kind, contract.Acted{
		Contract: out.Next.Encode(), Act: act, Given: s.Now, Ends: out.Next.End, By: party, Clause: out.Preview.Clause,
		Tranche: out.Preview.Tranche, Preview: out.Preview.Digest(), Signed: contract.Signature{Party: party, By: party},
	})
	s.Contract = out.Next
}
