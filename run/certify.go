package run

import (
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/prove"
	"bulkhead/site"
)

// verdict makes the command that records what is proven of a whole lease.
func (p *Plane) verdict(l *book.Lease, nodes []site.Index) (book.RecordVerdict, error) {
	c, signed, err := p.certificate(l, nodes)
	if err != nil {
		return book.RecordVerdict{}, err
	}
	command := book.RecordVerdict{Lease: l.ID, Verdict: c.Verdict, Ports: c.Ports, Certificate: signed}
	for _, f := range c.Fabrics {
		command.Red += f.Red
		command.Unknown += f.Unknown
	}
	return command, nil
}

// certificate proves the ports of nodes of a lease and signs what was found.
func (p *Plane) certificate(l *book.Lease, nodes []site.Index) (*prove.Certificate, []byte, error) {
	s := p.w.state
	now, err := p.w.now()
	if err != nil {
		return nil, nil, err
	}
	p.seen.confirm(nodes)
	var zones *prove.Prover
	if l.Management != "" {
		zones = p.zonesNow(now)
	}
	c, _ := p.seen.prover.Certify(prove.Request{
		Lease: string(l.ID), Tenant: l.Tenant, Epoch: l.Epoch + 1, Nodes: site.SetOf(nodes...),
		Issued: now, Window: s.Policy.IsolationWindow, Paths: p.paths,
		Management: l.Management, Zones: zones,
	})
	encoded, err := c.Encode()
	if err != nil {
		return nil, nil, err
	}
	signer, err := p.config.Signers.Statement(claim.PurposeStatement)
	if err != nil {
		return nil, nil, err
	}
	statement, err := claim.NewStatement(string(l.ID), claim.DigestOf(encoded), prove.PredicateType, rawJSON(encoded))
	if err != nil {
		return nil, nil, err
	}
	signed, err := claim.Sign(statement, signer)
	return &c, signed, err
}
