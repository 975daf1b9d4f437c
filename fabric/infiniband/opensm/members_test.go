package opensm_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/infiniband"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// readings are those of all leaves, by the port GUID of the host behind the port.
func (l *lab) readings(r *opensm.SMPReader) map[uint64]fabric.Reading {
	l.t.Helper()
	var leaves []uint64
	for _, n := range l.swept.Nodes {
		if n.IsSwitch() {
			leaves = append(leaves, n.GUID)
		}
	}
	captures, err := r.Read(l.t.Context(), leaves)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[uint64]fabric.Reading{}
	for _, c := range captures {
		list, err := infiniband.Decode(c.Raw)
		if err != nil {
			l.t.Fatalf("%s, %v", c.Reason, err)
		}
		for _, r := range list {
			if r.Neighbour != 0 {
				out[r.Neighbour] = r
			}
		}
	}
	return out
}

// said names what is found, by host.
func said(readings map[uint64]fabric.Reading) string {
	var b strings.Builder
	for i := range labTree.Hosts {
		r := readings[ibnet.HostPortGUID(i)]
		word := "unknown"
		switch {
		case r.Faults&fabric.FaultAddress != 0 && r.Faults&fabric.FaultUnreached != 0:
			word = "address and unreached"
		case r.Faults&fabric.FaultAddress != 0:
			word = "address"
		case r.Faults&fabric.FaultUnreached != 0:
			word = "unreached"
		case r.Followed:
			word = "reached"
		}
		fmt.Fprintf(&b, "%d %s; ", i, word)
	}
	return b.String()
}

// sends has the switch before a host send what is for a LID to another port.
func (l *lab) sends(at *smp.Node, lid uint16, port byte) (was byte) {
	l.t.Helper()
	ask := smp.Request{To: smp.Address{Route: at.Route}, Attribute: mad.AttrLinearFDB, Modifier: uint32(lid / mad.LIDsABlock)}
	a, err := l.client.One(l.t.Context(), ask)
	if err != nil {
		l.t.Fatal(err)
	}
	ask.Method, ask.Data = mad.Set, a.Data
	was, ask.Data[lid%mad.LIDsABlock] = a.Data[lid%mad.LIDsABlock], port
	if _, err := l.client.One(l.t.Context(), ask); err != nil {
		l.t.Fatal(err)
	}
	return was
}

// Under a real OpenSM hosts 0, 1 and 2 share a partition, the first two at one leaf and the
// third at the other; host 3 is the manager's. An entry of a leaf's forwarding table is
// changed behind OpenSM's back: it does not put it back, neither by itself nor when it is
// told to look again.
func TestForwardingTablesAreFollowed(t *testing.T) {
	l := startLab(t)
	l.feed([]byte(defaultOnly + fmt.Sprintf("T1=0x1 : 0x%x=full, 0x%x=full, 0x%x=full ;\n", ibnet.HostPortGUID(0), ibnet.HostPortGUID(1), ibnet.HostPortGUID(2))))
	reader := &opensm.SMPReader{Client: l.client, Rerouting: time.Nanosecond}
	says := func(want string) {
		t.Helper()
		await.Must(t, want, func() bool { return said(l.readings(reader)) == want })
	}
	const all = "0 reached; 1 reached; 2 reached; 3 reached; "
	says(all)

	host := l.swept.Node(ibnet.HostGUID(2))
	lid := host.Ports[0].PortInfo().LID
	near, far := l.swept.Node(l.swept.Node(ibnet.HostGUID(0)).Ports[0].Neighbour.Node), l.swept.Node(host.Ports[0].Neighbour.Node)
	was := l.sends(near, lid, mad.NoPort)
	says("0 unreached; 1 unreached; 2 reached; 3 reached; ")
	if late := (&opensm.SMPReader{Client: l.client}); said(l.readings(late)) != "0 unknown; 1 unknown; 2 reached; 3 reached; " {
		t.Errorf("what has not arrived for a moment: %s", said(l.readings(late)))
	}
	text, err := os.ReadFile(l.conf)
	if err != nil {
		t.Fatal(err)
	}
	l.feed(text)
	says("0 unreached; 1 unreached; 2 reached; 3 reached; ")
	l.sends(near, lid, was)
	says(all)

	l.sends(far, lid, mad.NoPort) // what is for its LID does not come to it: whose word is the LID?
	says("0 reached; 1 reached; 2 address; 3 reached; ")
	l.sends(far, lid, host.Ports[0].Neighbour.Port)
	says(all)
}
