// Package site is what exists: fabrics, halls, pods, scalable units (SUs), racks, nodes,
// switches, links, and their ids. By these ids every other room names them.
//
// A site is written as a compact YAML template ([ParseTemplate]), which
// compiles to an explicit inventory, one body an SU ([Template.Compile]). The
// bodies go to the ledger, because compilers change; a [Site] is folded from
// the [Header] and these bodies, in ledger order, and never from the template.
//
// The tree is fabric > hall > pod > SU > rack > node. Nodes carry a dense
// [Index], assigned when their SU is first imported and never reused. A Site
// only grows: SUs are added, a hall's in-service date may slip, nodes are
// retired. Nothing is renumbered. Reading it from several goroutines is safe
// as long as none of them grows it.
//
// The package is pure: no clock, no files, no randomness.
package site

import (
	"time"

	"bulkhead/claim"
)

// What a node has, unless its kind has fewer GPUs (see Kind.GPUs). Source: the
// public description of Colossus, 8 GPUs a node, one SuperNIC a GPU and one for
// the frontend.
const (
	GPUs     = 8 // GPUs a node, and the most that a kind can have
	NICs     = 9 // numbers of NICs a node: one a rail, and the frontend
	Rails    = 8 // rail planes at most: NIC i belongs to GPU i
	Frontend = 8 // number of the frontend NIC (storage, management)
)

// Limits of a site. They keep hostile input from costing memory.
const (
	MaxNodes   = 1 << 20 // nodes a site
	MaxSUNodes = 128     // nodes an SU; a 256-port leaf would be the largest built
)

// Index is the dense number of a node, 0 to Site.Nodes()-1.
type Index uint32

// Port is the dense number of an edge port: a NIC and the leaf port that it is
// cabled to. Port = node index * NICs + NIC.
type Port uint32

// Leaf is the dense number of a leaf switch: SU number * NICs + NIC. An SU has
// a rail leaf for each GPU of its nodes and one frontend leaf.
type Leaf uint32

// PortOf returns the edge port of a node's NIC, 0 to NICs-1.
func PortOf(n Index, nic int) Port { return Port(uint32(n)*NICs + uint32(nic)) }

// Node returns the node whose port p is.
func (p Port) Node() Index { return Index(p / NICs) }

// NIC returns the number of the NIC on its node, 0 to NICs-1.
func (p Port) NIC() int { return int(p % NICs) }

// SU returns the number of the SU whose leaf l is.
func (l Leaf) SU() int { return int(l / NICs) }

// NIC returns which NIC of each node is cabled to leaf l, 0 to NICs-1.
func (l Leaf) NIC() int { return int(l % NICs) }

// Family is the kind of network that a fabric is.
type Family string

// The families that can be placed and isolated.
const (
	RoCE       Family = "roce"
	InfiniBand Family = "infiniband"
)

// Valid reports whether f is a known family.
func (f Family) Valid() bool { return f == RoCE || f == InfiniBand }

// Fabric is a network that is one domain for collective traffic: a hard border
// for placement. Exactly one fabric of a site is the frontend.
type Fabric struct {
	ID       string `json:"id"`
	Family   Family `json:"family"`
	Frontend bool   `json:"frontend,omitempty"`
}

func (f Fabric) String() string {
	if f.Frontend {
		return string(f.Family) + ", frontend"
	}
	return string(f.Family)
}

// Phase is a step in which the site grows.
type Phase struct {
	ID        string    `json:"id"`
	InService time.Time `json:"in_service"` // UTC
}

// Hall is a room of racks. Its in-service date is its phase's unless it slipped.
type Hall struct {
	ID        string    `json:"id"`
	Phase     int       `json:"phase"`      // index into Phases
	InService time.Time `json:"in_service"` // UTC
}

// Pod is a group of SUs under the same spines, on one compute fabric.
type Pod struct {
	ID     string `json:"id"`
	Hall   int    `json:"hall"`   // index into Halls
	Fabric int    `json:"fabric"` // index into Fabrics: the compute fabric of its nodes
}

// SU is a scalable unit: the nodes under one set of leaves.
type SU struct {
	ID        string
	Pod       int     // index into Site.Pods
	Kind      string  // GPU kind of all its nodes, an id of Site.Kinds
	GPUs      int     // of each of its nodes, and its rail leaves; 0: the usual number, see Rails
	Nodes     []Index // by position; the last Spares of them are spares
	Spares    int
	Ports     []uint8      // leaf port of each node by position; nil: 1, 2, ... without a gap
	Inventory claim.Digest // the body that says what is in it
}

// Site is the folded inventory with dense indexes. Fields are for reading;
// only the methods New, Extend, AddSU, SetHallInService and Retire change it.
// A site of 50,000 nodes takes 28 MiB; see BenchmarkBuild.
type Site struct {
	Name    string
	Origin  claim.Origin
	Seed    string // of the made-up identities of a simulated site
	Shape   Shape
	Policy  Policy
	Kinds   []Kind
	Fabrics []Fabric
	Phases  []Phase
	Halls   []Hall
	Pods    []Pod
	SUs     []SU

	Management string // the network on which every node's BMC is; "" where the site says nothing of one

	RackNodes int // nodes a rack

	NodeID  []string       // stable id of each node
	Host    []string       // host name of each node where it is not its id, else ""; see HostOf
	NodeSU  []uint32       // SU number of each node
	NodePos []uint8        // position of each node in its SU, from 0
	Serial  []string       // chassis serial of each node
	Devices []claim.Digest // digest of each node's wipeable devices, see DeviceDigest

	// AttestationKey is the public key of each node's TPM attestation key:
	// P-256, uncompressed point.
	AttestationKey []PublicKey

	// PortID is the identity that is expected behind each edge port: the port
	// GUID on InfiniBand, else the MAC in the low 48 bits.
	// 0 where there is no such port: see HasPort.
	PortID []uint64

	BMC []uint64 // MAC of each node's BMC, in the low 48 bits

	frontend int // index of the frontend fabric
	retired  *Set
	nodes    map[string]Index
	serials  map[string]Index
	ports    map[uint64]Port
	sus      map[string]int
	pods     map[string]int
}

// Shape is what the template says of counts, the same for the whole site.
type Shape struct {
	SUNodes        int `json:"su_nodes"`        // node positions an SU; an SU may hold fewer nodes
	RackNodes      int `json:"rack_nodes"`      // nodes a rack
	PodSUs         int `json:"pod_sus"`         // SUs a pod at most
	Spines         int `json:"spines"`          // spines a pod and rail plane: uplinks a rail leaf
	Cores          int `json:"cores"`           // cores a pod and rail plane
	FrontendSpines int `json:"frontend_spines"` // spines a pod of the frontend: uplinks a frontend leaf
	LeafPorts      int `json:"leaf_ports"`      // ports a leaf or spine; node i is on port i+1
	LinkGbps       int `json:"link_gbps"`       // speed of every link, gigabits a second
	PodTaper       int `json:"pod_taper"`       // oversubscription above a pod, N to 1; 1 = none
}

// RacksPerSU returns how many racks an SU's positions take.
func (s Shape) RacksPerSU() int { return (s.SUNodes + s.RackNodes - 1) / s.RackNodes }

// CoreLinks returns how many links a spine has to the cores: one for each SU
// that its pod may have, divided by the taper; 0 where there are no cores. Link
// k of the spine in position i leads, in every pod, to core position k of group
// i, as in a folded Clos network. A core switch may hold several positions.
func (s Shape) CoreLinks() int {
	if s.Cores == 0 {
		return 0
	}
	return max(1, s.PodSUs/s.PodTaper)
}
