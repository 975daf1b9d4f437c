package book_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/site"
)

// smaller says of a kind of the golden site that its nodes have so many GPUs.
func (s *stage) smaller(kind string, gpus int) {
	for i := range s.Site.Kinds {
		if s.Site.Kinds[i].ID == kind {
			s.Site.Kinds[i].GPUs = gpus
		}
	}
	for i := range s.Site.SUs {
		if s.Site.SUs[i].Kind == kind {
			s.Site.SUs[i].GPUs = gpus
		}
	}
}

// TestGPUsANodeAreTheSites: the quote writes the site's number into the contract, each kind's
// its own, and the writer takes no other.
func TestGPUsANodeAreTheSites(t *testing.T) {
	s := on(t, atTenants)
	s.smaller("H200", 4)
	july, end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	asked := either("trays", 3, july, end, "H200") // 24 GPUs
	p, offer := s.settled(t, asked)
	if tranche := p.Contract.Tranches[0]; p.Refused != nil || tranche.NodeGPUs != 4 || tranche.Slots() != 6 || len(offer.Slices[0].Slice.Nodes) != 6 {
		t.Fatalf("24 GPUs of nodes of 4: %+v, %v", p.Contract.Tranches[0], p.Refused)
	}
	for _, one := range []struct {
		says int
		want string
	}{
		{0, "node_gpus: 8, but nodes of H200 have 4 GPUs on this site"},
		{2, "node_gpus: 2, but nodes of H200 have 4 GPUs on this site"},
	} {
		bad := offer
		bad.Contract = offer.Contract.Clone()
		bad.Contract.Tranches[0].NodeGPUs = one.says
		if _, err := s.decide(t, bad); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("the writer, of %d GPUs a node: %v", one.says, err)
		}
		schedule, err := s.Schedule(s.now)
		must(t, err)
		if one.says == 0 {
			continue // then it is the site's to say
		}
		if _, err := s.PlanContract(schedule, bad.Contract, true); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("a plan, of %d GPUs a node: %v", one.says, err)
		}
	}
	if _, err := s.decide(t, offer); err != nil {
		t.Errorf("as quoted: %v", err)
	}
	// Of several kinds each is settled as it is: 3 nodes of 8 lie closer than 6 of 4. One that it
	// isn't whole nodes of is passed over.
	for _, one := range []struct {
		gpus, node int64
		kind       string
		slots      int
	}{{24, 0, "H100", 3}, {20, 4, "H200", 5}} {
		c := either("either", 3, july, end, "H200", "H100")
		c.Tranches[0].GPUs, c.Tranches[0].NodeGPUs = one.gpus, int(one.node)
		schedule, err := s.Schedule(s.now)
		must(t, err)
		p, err := s.PlanContract(schedule, c, true)
		if err != nil || p.Refused != nil || p.Contract.Tranches[0].Kind != one.kind || p.Contract.Tranches[0].Slots() != one.slots {
			t.Errorf("%d GPUs: %v, %+v", one.gpus, err, p)
		}
	}
	c := either("either", 3, july, end, "H100", "H200")
	p, _ = s.settled(t, c)
	if tranche := p.Contract.Tranches[0]; tranche.Kind != "H100" || tranche.NodeGPUs != 0 || tranche.Slots() != 3 {
		t.Errorf("the usual kind was settled as %+v", tranche)
	}
	// 6 GPUs a node: 24 are four nodes, 8 are none.
	s.smaller("H200", 6)
	schedule, err := s.Schedule(s.now)
	must(t, err)
	if _, err := s.PlanContract(schedule, either("odd", 1, july, end, "H200"), true); err == nil || !strings.Contains(err.Error(), "expected a multiple of 6") {
		t.Errorf("8 GPUs of nodes of 6: %v", err)
	}
}

// TestASeverProofIsOfAllPorts: a node of 4 GPUs has five ports, and each must have been read.
func TestASeverProofIsOfAllPorts(t *testing.T) {
	s := on(t, atTenants)
	s.smaller("H100", 4)
	var n site.Index
	for s.Site.KindOf(n) != "H100" {
		n++
	}
	if got := s.Site.NICsOf(n); len(got) != 5 {
		t.Fatal(got)
	}
	proof := func(nics ...int) book.SeverProof {
		p := book.SeverProof{Node: s.Site.NodeID[n], Turnover: s.Nodes.Turnover[n], Origin: s.Site.Origin}
		for _, nic := range nics {
			p.Ports = append(p.Ports, book.SeveredPort{Fabric: s.Site.Fabrics[s.Site.FabricOf(site.PortOf(n, nic))].ID, NIC: nic, Labels: []uint32{}})
		}
		return p
	}
	if err := s.CheckSevered(n, proof(0, 1, 2, 3, site.Frontend)); err != nil {
		t.Error(err)
	}
	if err := s.CheckSevered(n, proof(0, 1, 2, 3)); err == nil {
		t.Error("a proof without the frontend passed")
	}
}
