package ethernet

import (
	"fmt"
	"net/netip"

	"bulkhead/site"
)

// The address plan of the underlay. Every address follows from the inventory, so
// that whoever has the inventory knows which addresses are leaves:
//
//	10.(64+fabric).hi.lo        leaf, a VTEP: hi.lo = SU*8 + NIC + 1 (the frontend: SU + 1)
//	10.(64+fabric).255.n        route reflector n, 1 to MaxReflectors
//
// A fabric holds up to 8,159 SUs so, and a site 64 fabrics.
const (
	firstOctet    = 64
	maxFabrics    = 64
	reflectorByte = 255
	// MaxReflectors is how many route reflectors a fabric can have.
	MaxReflectors = 254
	// ASN is the autonomous system of every leaf and reflector: EVPN runs over iBGP
	// (RFC 8365, section 5.1.2.1 allows route targets to follow from the VNI then).
	ASN = 65000
	// VXLANPort is the UDP port of VXLAN (RFC 7348).
	VXLANPort = 4789
)

// MTU is how great a packet is, in bytes without its Ethernet header, that every edge port
// takes and every leaf carries: what switches are set to where RoCEv2 is at home, and room
// for its greatest payload of 4,096. VXLAN over IPv4 puts Overhead around it (RFC 7348,
// section 5), so that uplinks have to take MTU + Overhead.
const (
	MTU      = 9000
	Overhead = 50
)

// VTEP returns the address from which a leaf sends VXLAN; the zero address for a
// leaf or fabric beyond the plan.
func VTEP(fabricIndex int, leaf site.Leaf) netip.Addr {
	number := leaf.SU()*site.Rails + leaf.NIC() + 1
	if leaf.NIC() == site.Frontend {
		number = leaf.SU() + 1
	}
	if fabricIndex < 0 || fabricIndex >= maxFabrics || number >= reflectorByte<<8 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{10, byte(firstOctet + fabricIndex), byte(number >> 8), byte(number)})
}

// Reflector returns the address of route reflector n of a fabric, n from 1 to
// MaxReflectors; the zero address beyond.
func Reflector(fabricIndex, n int) netip.Addr {
	if fabricIndex < 0 || fabricIndex >= maxFabrics || n < 1 || n > MaxReflectors {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{10, byte(firstOctet + fabricIndex), reflectorByte, byte(n)})
}

// LeafOf is the inverse of VTEP: the leaf of this site and fabric whose address it
// is, or false.
func LeafOf(s *site.Site, fabricIndex int, a netip.Addr) (site.Leaf, bool) {
	if !a.Is4() || fabricIndex < 0 || fabricIndex >= len(s.Fabrics) {
		return 0, false
	}
	b := a.As4()
	number := int(b[2])<<8 | int(b[3])
	if b[0] != 10 || int(b[1]) != firstOctet+fabricIndex || number == 0 || b[2] == reflectorByte {
		return 0, false
	}
	su, nic := (number-1)/site.Rails, (number-1)%site.Rails
	if s.Fabrics[fabricIndex].Frontend {
		su, nic = number-1, site.Frontend
	}
	leaf := site.Leaf(su*site.NICs + nic)
	return leaf, su < len(s.SUs) && s.FabricOfLeaf(leaf) == fabricIndex
}

func isReflector(fabricIndex int, a netip.Addr) bool {
	return a.Is4() && a.As4()[3] >= 1 && a == Reflector(fabricIndex, int(a.As4()[3]))
}

// VTEPRanges returns the addresses of a fabric's leaves as ranges, ascending and
// apart: what a leaf accepts VXLAN from. O(leaves) where the SUs of several
// compute fabrics alternate, and one an SU where nodes have fewer than 8 GPUs, whose
// leaves leave gaps; one range on most sites.
func VTEPRanges(s *site.Site, fabricIndex int) []Range {
	var out []Range
	for leaf := range site.Leaf(s.Leaves()) {
		if s.FabricOfLeaf(leaf) != fabricIndex {
			continue
		}
		a := VTEP(fabricIndex, leaf)
		if n := len(out); n > 0 && out[n-1].To.Next() == a {
			out[n-1].To = a
			continue
		}
		out = append(out, Range{a, a})
	}
	return out
}

// Range is a range of addresses, ends included.
type Range struct{ From, To netip.Addr }

func (r Range) String() string { return r.From.String() + "-" + r.To.String() }

// Target is a BGP route target of two-octet AS form (RFC 4360, section 3.1): the
// AS in the upper 32 bits, the value in the lower.
type Target uint64

// TargetOf returns the route target of a VNI: ASN and the VNI.
func TargetOf(vni uint32) Target { return ASN<<32 | Target(vni) }

// AS returns the autonomous system of a target.
func (t Target) AS() uint32 { return uint32(t >> 32) }

// Value returns the value of a target.
func (t Target) Value() uint32 { return uint32(t) }

func (t Target) String() string { return fmt.Sprintf("%d:%d", t.AS(), t.Value()) }

// ClassParameters is how a leaf treats a traffic class.
type ClassParameters struct {
	Class      uint8  // 0 to 7
	DSCP       uint8  // 0 to 63, that packets of it carry in the underlay
	PFC        bool   // lossless: priority flow control (IEEE 802.1Qbb)
	ECNMin     uint32 // bytes queued from which packets are marked (RFC 3168)
	ECNMax     uint32 // bytes queued at which all that ECNPercent allows are marked
	ECNPercent uint8  // of packets that are marked at ECNMax, 0 to 100
}

// Classes is the plan: every tenant's class is lossless with early marking, as
// RoCEv2 with DCQCN wants it (Zhu et al., SIGCOMM 2015); class 0 is best effort and
// class 7 carries the fabric's own control traffic.
func Classes() []ClassParameters {
	list := make([]ClassParameters, 8)
	for c := range list {
		list[c] = ClassParameters{Class: uint8(c), DSCP: uint8(c * 8)}
		if own := c >= 1 && c <= 6; own {
			list[c].PFC, list[c].ECNMin, list[c].ECNMax, list[c].ECNPercent = true, 150_000, 1_500_000, 100
		}
	}
	return list
}
