package bundle

import (
	"cmp"
	"fmt"
	"slices"

	"bulkhead/claim"
	"bulkhead/site"
)

// SeverProof is what read-back, storage and the management controller say of a
// node that was taken back.
type SeverProof struct {
	Node     string        `json:"node"`
	Turnover uint32        `json:"turnover"`
	Ports    []SeveredPort `json:"ports"`
	Grants   int           `json:"storage_grants"`
	Sessions int           `json:"bmc_sessions"`
	Origin   claim.Origin  `json:"origin"`
}

// SeveredPort is the labels that read-back shows on one port.
type SeveredPort struct {
	Fabric string   `json:"fabric"`
	NIC    int      `json:"nic"`
	Labels []uint32 `json:"labels"`
}

var severShape = claim.ShapeOf[SeverProof]()

func (v *verifier) readSeverProof(data []byte) (*SeverProof, error) {
	weight, err := v.budget.weigh(severShape, data, "a fence proof")
	if err != nil {
		return nil, err
	}
	v.budget.keep(weight, "a fence proof")
	var p SeverProof
	if err := severShape.Decode(data, &p); err != nil {
		return nil, err
	}
	seen := [site.NICs]bool{}
	for _, port := range p.Ports {
		if port.NIC < 0 || port.NIC >= site.NICs || seen[port.NIC] {
			return nil, fmt.Errorf("port %d: expected each of 0 to %d once", port.NIC, site.NICs-1)
		}
		seen[port.NIC] = true
	}
	return &p, nil
}

// whole refuses a proof that leaves out a port of a node of so many GPUs.
func (p *SeverProof) whole(gpus int) error {
	want := site.NICNumbers(gpus)
	for _, port := range p.Ports {
		if !slices.Contains(want, port.NIC) {
			return fmt.Errorf("%s was read back, and a node of %d GPUs has none", site.NICName(port.NIC), gpus)
		}
	}
	if len(p.Ports) != len(want) {
		return fmt.Errorf("%d ports were read back, expected %d", len(p.Ports), len(want))
	}
	return nil
}

// severingShown judges the proof on which a node counts as severed: none of the
// tenant's labels, grants and sessions is left on it.
func (v *verifier) severingShown(n *nodeLog, o *opened) {
	at, id, turnover := v.at, n.id, n.turnover
	gpus := site.GPUs
	if n.owner != nil {
		gpus = n.owner.gpus
	}
	var labels []labelLog
	v.budget.spend(4*len(v.labels), "labels at a fence")
	v.budget.keep(80*int64(len(v.labels)), "labels at a fence")
	for _, log := range v.labels {
		labels = append(labels, *log)
	}
	slices.SortFunc(labels, func(a, b labelLog) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.label.Fabric, b.label.Fabric))
	})
	if !o.there {
		return
	}
	v.later(func() {
		if o.err != nil {
			v.fail(at, CheckSever, id, "its fence proof: %v", o.err)
			return
		}
		p, ok := o.says.(*SeverProof)
		if !ok {
			return // named as something else: that was found before
		}
		if p.Node != id || p.Turnover != turnover {
			v.fail(at, CheckSever, id, "its fence proof is of %s turnover %d, expected turnover %d", p.Node, p.Turnover, turnover)
		}
		if p.Grants != 0 || p.Sessions != 0 {
			v.fail(at, CheckSever, id, "%d storage grants and %d BMC sessions are left on it", p.Grants, p.Sessions)
		}
		if err := p.whole(gpus); err != nil {
			v.fail(at, CheckSever, id, "its fence proof: %v", err)
		}
		for _, port := range p.Ports {
			for _, l := range labels {
				if l.label.Fabric == port.Fabric && !l.released && slices.Contains(port.Labels, l.label.Value) {
					v.fail(at, CheckSever, id, "%s still carries label %s", site.NICName(port.NIC), l.label)
				}
			}
		}
		v.claim(at, claim.Claim{
			Subject: id, Sentence: "fenced when it was taken back: no label, storage grant or BMC session of the tenant was left",
			Grade: claim.OperatorAsserted, Origin: p.Origin, Evidence: []claim.Digest{o.digest}, Note: "the owner's read-back",
		}, v.policy.Minimum.Sever)
	})
}
