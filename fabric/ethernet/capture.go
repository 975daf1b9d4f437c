// Package ethernet is the raw read-back of an Ethernet (EVPN-VXLAN) leaf, and what
// follows from it and the inventory.
//
// A [Capture] is what the leaf's kernel, its routing daemon, its LLDP daemon and a
// route collector say of it, as JSON that a person can read. The form is canonical:
// one order of fields, no spaces, so that equal captures are equal bytes and
// anything else is refused. With spaces added here:
//
//	{"version":3, "switch":"a1-su00-leaf0", "vlan_table":{"used":2,"size":4094},
//	 "underlay":{"vtep":"10.65.0.1", "accept":["10.65.0.1-10.65.0.16"], "accept_else":false,
//	             "forwards":false, "peers":["10.65.255.1"]},
//	 "classes":[{"class":0,"dscp":0,"pfc":false,"ecn":[0,0,0]}, …],
//	 "ports":[
//	  {"port":1, "filter_in":true, "filter_out":true, "locked":true, "mirrored":false,
//	   "vlans":[{"vid":2,"vni":4097,"isolated":false}], "class":5,
//	   "lldp":"02:00:00:00:00:09", "fdb":"02:00:00:00:00:09", "more":false, "mtu":9000}],
//	 "vnis":[{"vni":4097, "import":["65000:4097"], "export":["65000:4097"],
//	          "flood":["10.65.0.2"], "static":[]}],
//	 "routes_seen":true,
//	 "routes":[{"kind":2,"vni":4097,"mac":"02:00:00:00:00:09","targets":["65000:4097"],"originator":"10.65.0.1"}],
//	 "reflectors":[{"at":"10.65.255.1","passes":["65000:4097"]}]}
//
// What differs from what is desired, and no check asks about, stands at the end where
// there is any: "differs":["VNI 4097: its own route target is derived: expected it to be said"].
//
// The address plan of the underlay ([VTEP], [Reflector]), route targets
// ([TargetOf]) and traffic classes ([Classes]) follow from the inventory, so what a
// leaf says can be judged by itself: see [Readings].
//
// The package is pure.
package ethernet

import "net/netip"

// Source is the Source of readings in this encoding.
const Source = "kernel+bgp+lldp"

// Limits of a capture. They keep hostile input from costing memory.
const (
	maxVID    = 4094
	maxPorts  = 512
	firstVID  = 2       // 1 is a bridge's default VLAN, which no port may be in
	maxList   = 1 << 14 // entries of any list in a capture
	maxMAC    = 1<<48 - 1
	maxTable  = 1 << 20
	maxTarget = 1<<48 - 1
	maxMTU    = 1<<16 - 1
)

// Capture is what one leaf says of itself, and what its neighbours in BGP heard
// from it.
type Capture struct {
	Switch    string // its name: letters, digits, '-', '_', '.', up to 64
	TableUsed int    // entries of the VLAN table in use
	TableSize int
	Underlay  Underlay
	Classes   []ClassParameters // ascending
	Ports     []Port            // ascending by number
	VNIs      []VNI             // ascending
	// Routes are the EVPN routes whose next hop is this leaf, as a collector beside
	// the leaf heard them, ascending. RoutesSeen is false where no collector can
	// say: then there are none, and that means nothing.
	Routes     []Route
	RoutesSeen bool
	// Reflectors is what route reflectors let through of the leaf's routes, ascending
	// by address; one that nobody asked is not there.
	Reflectors []Reflection
	// Differs is what of the leaf's configuration is not as desired, in words of [Differences]:
	// it turns no verdict. It is written only where there is any.
	Differs []string
}

// Reflection is under which targets a route reflector passes a leaf's routes on to
// other leaves, ascending.
type Reflection struct {
	At     netip.Addr
	Passes []Target
}

// Underlay is how a leaf meets the fabric's inside.
type Underlay struct {
	VTEP       netip.Addr   // from which it sends VXLAN
	Accept     []Range      // from which it unpacks VXLAN, in effect, ascending
	AcceptElse bool         // it also unpacks what comes from anywhere else
	Forwards   bool         // edge ports reach the underlay: routing is on for them
	Peers      []netip.Addr // with whom it speaks BGP, or would, ascending
}

// Port is one edge port.
type Port struct {
	Number    int  // from 1
	FilterIn  bool // what is not of its VLANs is dropped as it comes in
	FilterOut bool // the same, as it goes out
	Locked    bool // it takes packets from the one source address in FDB only
	Mirrored  bool // copies of its packets go elsewhere
	VLANs     []VLAN
	Class     uint8  // traffic class, 0 to 7
	LLDP      uint64 // MAC that the neighbour announces; 0: none
	FDB       uint64 // MAC in the forwarding table; 0: none
	More      bool   // there are further MACs in the forwarding table
	// MTU is how great a packet is, in bytes, that passes between the port and others of its
	// VLANs: the least of its own, its VNIs' and, less Overhead, the uplinks'. 0: the leaf does
	// not say.
	MTU int
}

// VLAN is a port's membership, and the VNI that the VLAN is carried in; 0: it is
// bridged on this leaf only. One VID has one VNI on a leaf. Isolated: the port
// exchanges nothing with other isolated ports of it (private VLAN).
type VLAN struct {
	VID      int // 2 to 4094
	VNI      uint32
	Isolated bool
}

// VNI is how a leaf carries a VNI across the fabric.
type VNI struct {
	VNI    uint32
	Import []Target     // whose routes it takes, ascending
	Export []Target     // under which it gives routes, ascending
	Flood  []netip.Addr // to which flooded packets go, ascending
	Static []netip.Addr // next hops of forwarding entries that BGP did not give, ascending
	// Unlearnt are other leaves that announce the VNI, as the collector heard, to which
	// the leaf floods nothing, ascending. It is written only where there are any.
	Unlearnt []netip.Addr
}

// Route is an EVPN route (RFC 7432, section 7).
type Route struct {
	Kind       uint8 // 1 Ethernet A-D, 2 MAC/IP, 3 inclusive multicast, 4 segment, 5 IP prefix
	VNI        uint32
	MAC        uint64     // kind 2
	Targets    []Target   // ascending
	Originator netip.Addr // from the route distinguisher: who made it, whatever the next hop says
}

// Honest reports whether a route that is heard with a leaf as its next hop was made by that
// leaf, under the target of its own VNI and no other.
func (r *Route) Honest(leaf netip.Addr) bool {
	return r.Originator == leaf && len(r.Targets) == 1 && r.Targets[0] == TargetOf(r.VNI)
}
