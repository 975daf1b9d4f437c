package book

import (
	"bulkhead/claim"
	"bulkhead/node"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// ExpectedTurnover is what the evidence of a node's present turnover must be.
func (s *State) ExpectedTurnover(n site.Index) node.Expected {
	kind, _ := s.Site.Kind(s.Site.KindOf(n))
	return node.Expected{
		Node: s.Site.NodeID[n], Serial: s.Site.Serial[n], Turnover: s.Nodes.Turnover[n], Root: s.Nodes.Asked[n], WipeRoot: s.Nodes.WipeAsked[n],
		Devices: s.Site.Devices[n], Key: s.Site.AttestationKey[n], Golden: attest.Golden(kind), Origin: s.Site.Origin,
	}
}

// Checked is evidence that has been checked. Checking is pure and costs more
// than deciding, so whoever has many shards it outside the writer; only
// CheckTurnover and CheckWipe make a Checked that says yes.
type Checked struct {
	node     site.Index
	turnover uint32
	digest   claim.Digest
	wiped    bool
	ready    bool
}

// CheckTurnover checks the complete evidence of a turnover. statement is the
// signed statement about it.
func CheckTurnover(s *State, n site.Index, t *node.Turnover, statement []byte) (Checked, error) {
	if err := node.CheckTurnover(t, s.ExpectedTurnover(n)); err != nil {
		return Checked{}, err
	}
	return Checked{node: n, turnover: t.Turnover, digest: claim.DigestOf(statement), ready: true}, nil
}

// CheckWipe checks the receipts of a wipe, before the node is attested. body is
// their encoding.
func CheckWipe(s *State, n site.Index, receipts []wipe.SanitizeReceipt, body []byte) (Checked, error) {
	if err := wipe.Check(s.Site.Devices[n], receipts); err != nil {
		return Checked{}, err
	}
	if err := wipe.CheckNonce(node.Nonce(s.Nodes.WipeAsked[n], s.Site.NodeID[n], s.Nodes.Turnover[n]), receipts); err != nil {
		return Checked{}, err
	}
	return Checked{node: n, turnover: s.Nodes.Turnover[n], digest: claim.DigestOf(body), wiped: true}, nil
}

// Evidence moves nodes on by what was found: commissioned and attested nodes to
// ready, sanitized ones to attesting.
type Evidence struct{ Items []EvidenceItem }

// EvidenceItem is one node's checked evidence with its body.
type EvidenceItem struct {
	Checked Checked
	Body    []byte
}

func (c Evidence) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for i := range c.Items {
		k := &c.Items[i].Checked
		n := k.node
		id := s.Site.NodeID[n]
		if !k.ready && !k.wiped {
			return nil, refuse("evidence", "item %d of it was not checked: nothing moves on it", i)
		}
		if k.turnover != s.Nodes.Turnover[n] {
			return nil, refuse("evidence", "it is of turnover %d, %s is in turnover %d", k.turnover, id, s.Nodes.Turnover[n])
		}
		if claim.DigestOf(c.Items[i].Body) != k.digest {
			return nil, refuse("evidence", "the body of %s is not what was checked", id)
		}
		from, to, reason := s.Nodes.State[n], node.Ready, "wiped, attested, burnt in"
		switch {
		case k.ready && (from == node.Commissioning || from == node.Attesting):
		case k.wiped && from == node.Sanitizing:
			to, reason = node.Attesting, "every device has a wipe receipt and reads back clean"
		default:
			return nil, refuse("evidence", "%s is %s: this evidence moves it nowhere", id, from)
		}
		m.move(n, from, to, 0, d.body(c.Items[i].Body), reason)
	}
	m.write(d)
	return d.orNothing()
}
