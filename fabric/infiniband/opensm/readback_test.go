package opensm

import (
	"errors"
	"testing"

	"bulkhead/fabric/infiniband"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
)

// leaf makes what a sweep and a read-back give of a leaf with one host.
func leaf() (*smp.Node, *smp.EdgePort) {
	sw := mad.NodeInfo{Type: mad.Switch, NodeGUID: 0x50, PortGUID: 0x50}
	info := mad.SwitchInfo{PartitionEnforcementCap: 32}
	host := mad.NodeInfo{Type: mad.ChannelAdapter, NodeGUID: 0x10, PortGUID: 0x11, PartitionCap: 32}
	port := mad.PortInfo{EnforceIn: true, EnforceOut: true}
	keys := mad.PKeyBlock{0x7fff, 0x8001}
	n := &smp.Node{GUID: 0x50, Info: sw.Encode(), SwitchInfo: info.Encode()}
	e := &smp.EdgePort{Switch: smp.End{Node: 0x50, Port: 1}, Route: "\x01", HostRoute: "\x01\x01", KeyCap: 32, HostCap: 32, HostGUID: 0x11,
		PortInfo: port.Encode(), Keys: []mad.Data{keys.Encode()}, Host: &smp.HostPort{NodeInfo: host.Encode(), Keys: []mad.Data{keys.Encode()}}}
	return n, e
}

func TestHalfAnswersAreNoEvidence(t *testing.T) {
	r := &SMPReader{}
	n, e := leaf()
	var c Capture
	r.capture(&c, n, []*smp.EdgePort{e})
	readings, err := infiniband.Decode(c.Raw)
	if err != nil || len(readings) != 1 || readings[0].Neighbour != 0x11 || len(readings[0].NIC) != 2 || !readings[0].EnforceIn {
		t.Fatalf("%+v, %v", readings, err)
	}
	if c.NICTable != 32 || c.LeafTable != 32 {
		t.Errorf("tables of %d and %d", c.NICTable, c.LeafTable)
	}

	n, e = leaf()
	e.Missing = []smp.Missing{{Route: e.HostRoute, What: "P_KeyTable block 0", Err: errors.New("silent")}}
	c = Capture{}
	r.capture(&c, n, []*smp.EdgePort{e})
	if readings, err = infiniband.Decode(c.Raw); err != nil || readings[0].Neighbour != 0 || len(readings[0].NIC) != 0 {
		t.Errorf("a host that gave half an answer is shown as %+v, %v", readings, err)
	}

	n, e = leaf()
	e.Missing = []smp.Missing{{Route: e.Route, What: "P_KeyTable block 0", Err: errors.New("silent")}}
	c = Capture{}
	r.capture(&c, n, []*smp.EdgePort{e})
	if c.Raw != nil || c.Reason == "" {
		t.Errorf("a leaf that gave half an answer is shown: %q", c.Reason)
	}

	n, e = leaf()
	e.Host, e.HostRoute = nil, ""
	c = Capture{}
	r.Edge = &Edge{}
	r.capture(&c, n, []*smp.EdgePort{e})
	if readings, err = infiniband.Decode(c.Raw); err != nil || len(readings) != 0 {
		t.Errorf("an empty port without inventory is shown: %+v, %v", readings, err)
	}
}

// What an adapter says of itself costs no other port of its leaf its read-back.
func TestAnAdapterThatLiesIsAlone(t *testing.T) {
	_, e := leaf()
	if got := membersOf([]*smp.EdgePort{e}); len(got) != 1 || got[0].guid != 0x11 {
		t.Fatalf("%+v", got)
	}
	nobody := mad.NodeInfo{Type: mad.ChannelAdapter, NodeGUID: 0x10, PartitionCap: 32}
	e.Host.NodeInfo = nobody.Encode()
	if got := membersOf([]*smp.EdgePort{e}); len(got) != 0 {
		t.Errorf("one without a port GUID is a member: %+v", got)
	}
	silent := smp.Outcome{At: smp.End{Node: 0x60, Port: 3}, Err: errors.New("nobody answers")}
	if got := atHome(0x50, silent); got.Err != nil || got.Arrives {
		t.Errorf("it says the LID of one that is silent: %+v", got)
	}
	if got := atHome(0x50, smp.Outcome{At: smp.End{Node: 0x50}, Err: errors.New("silent")}); got.Err == nil {
		t.Error("a leaf that does not say where it sends what is not silent")
	}
}
