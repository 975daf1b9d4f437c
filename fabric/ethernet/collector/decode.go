package collector

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"unique"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"bulkhead/fabric/ethernet"
)

// key is what makes two EVPN routes of one reflector the same (RFC 7432, 7 and
// 7.2 to 7.4; RFC 9136, 3): a fixed size and no pointers, since there are
// hundreds of thousands.
type key [48]byte

// route is one route as it is held: small, and without pointers but for the
// targets, which routes of one VNI share.
type route struct {
	kind       uint8
	vni        uint32
	mac        uint64
	originator netip.Addr
	targets    targets
}

// targets is an interned list of route targets, eight bytes each.
type targets = unique.Handle[string]

// decoder turns goBGP's paths into routes. The attributes of one UPDATE are
// decoded once for all its routes.
type decoder struct {
	attributes bgp.PathAttributeInterface // the extended communities last decoded
	targets    targets
	found      []ethernet.Target
	buffer     []byte
}

var noTargets = unique.Make("")

// decode returns a path's key, its next hop and the route. A withdrawal has a
// key only. ok is false for what is no EVPN route.
func (d *decoder) decode(p *apiutil.Path) (k key, vtep netip.Addr, r route, ok bool) {
	n, is := p.Nlri.(*bgp.EVPNNLRI)
	if !is {
		return k, vtep, r, false
	}
	r.kind = n.RouteType
	r.targets = noTargets
	k[0] = n.RouteType
	var rd bgp.RouteDistinguisherInterface
	var router netip.Addr // the originating router of kinds 3 and 4
	switch e := n.RouteTypeData.(type) {
	case *bgp.EVPNMacIPAdvertisementRoute:
		rd = e.RD
		binary.BigEndian.PutUint32(k[9:], e.ETag)
		r.mac = mac(e.MacAddress)
		k[13] = e.MacAddressLength
		copy(k[14:20], e.MacAddress)
		putAddr(k[20:], e.IPAddress)
		if len(e.Labels) > 0 {
			r.vni = e.Labels[0]
		}
	case *bgp.EVPNMulticastEthernetTagRoute:
		rd = e.RD
		binary.BigEndian.PutUint32(k[9:], e.ETag)
		putAddr(k[20:], e.IPAddress)
		router = e.IPAddress.Unmap()
	case *bgp.EVPNEthernetAutoDiscoveryRoute:
		rd = e.RD
		binary.BigEndian.PutUint32(k[9:], e.ETag)
		k[13] = byte(e.ESI.Type)
		copy(k[14:23], e.ESI.Value)
		r.vni = e.Label
	case *bgp.EVPNIPPrefixRoute:
		rd = e.RD
		binary.BigEndian.PutUint32(k[9:], e.ETag)
		k[13] = e.IPPrefixLength
		putAddr(k[20:], e.IPPrefix)
		r.vni = e.Label
	default: // Ethernet segments and what is newer: by all that they say
		text, err := n.Serialize()
		if err != nil {
			return k, vtep, r, false
		}
		sum := sha256.Sum256(text)
		copy(k[1:], sum[:])
	}
	admin := netip.IPv4Unspecified()
	if rd != nil {
		admin = putRD(k[1:9], rd)
	}
	if p.Withdrawal {
		return k, vtep, r, true
	}
	var originator netip.Addr
	for _, a := range p.Attrs {
		switch a := a.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			vtep = a.Nexthop.Unmap()
		case *bgp.PathAttributeOriginatorId:
			originator = a.Value
		case *bgp.PathAttributePmsiTunnel:
			if r.kind == bgp.EVPN_INCLUSIVE_MULTICAST_ETHERNET_TAG {
				r.vni = a.Label
			}
		case *bgp.PathAttributeExtendedCommunities:
			r.targets = d.intern(a)
		case *bgp.PathAttributeIP6ExtendedCommunities:
			// Route targets of a form that no leaf of ours has: kept as one
			// that nothing allows.
			if r.targets == noTargets {
				r.targets = onlyForeign
			}
		}
	}
	// Three places say who made a route. Where one of them is not the next hop,
	// that one is told: two of them are forged more easily than three.
	r.originator = admin
	for _, a := range [2]netip.Addr{router, originator} {
		if a.Is4() && r.originator == vtep {
			r.originator = a
		}
	}
	return k, vtep, r, true
}

// Foreign stands for a route target of another form than two-octet AS (RFC 4360,
// 4.1), or one that is longer: none of a fabric's own targets is, and AS 65535 is
// reserved (RFC 7300).
const Foreign = ethernet.Target(65535<<32 | 1<<32 - 1)

var onlyForeign = unique.Make(string(binary.BigEndian.AppendUint64(nil, uint64(Foreign))))

func (d *decoder) intern(a *bgp.PathAttributeExtendedCommunities) targets {
	if d.attributes == bgp.PathAttributeInterface(a) {
		return d.targets
	}
	d.found = d.found[:0]
	for _, c := range a.Value {
		switch c := c.(type) {
		case *bgp.TwoOctetAsSpecificExtended:
			if c.SubType == bgp.EC_SUBTYPE_ROUTE_TARGET {
				d.found = append(d.found, ethernet.Target(c.AS)<<32|ethernet.Target(c.LocalAdmin))
			}
		case *bgp.FourOctetAsSpecificExtended:
			if c.SubType == bgp.EC_SUBTYPE_ROUTE_TARGET {
				d.found = append(d.found, Foreign)
			}
		case *bgp.IPv4AddressSpecificExtended:
			if c.SubType == bgp.EC_SUBTYPE_ROUTE_TARGET {
				d.found = append(d.found, Foreign)
			}
		}
	}
	slices.Sort(d.found)
	b := d.buffer[:0]
	for _, t := range slices.Compact(d.found) {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	d.buffer = b
	d.attributes, d.targets = a, unique.Make(string(b))
	return d.targets
}

// list unpacks interned targets.
func list(t targets) []ethernet.Target {
	text := t.Value()
	if text == "" {
		return nil
	}
	out := make([]ethernet.Target, 0, len(text)/8)
	for ; len(text) >= 8; text = text[8:] {
		out = append(out, ethernet.Target(binary.BigEndian.Uint64([]byte(text[:8]))))
	}
	return out
}

func mac(h net.HardwareAddr) (m uint64) {
	for _, octet := range h {
		m = m<<8 | uint64(octet)
	}
	return m
}

// putAddr writes an address's length and bytes; 17 bytes.
func putAddr(b []byte, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	b[0] = byte(a.BitLen())
	full := a.As16()
	copy(b[1:17], full[:])
}

// putRD writes a route distinguisher as on the wire (RFC 4364, 4.2) and returns
// the address in it, 0.0.0.0 where there is none.
func putRD(b []byte, rd bgp.RouteDistinguisherInterface) (admin netip.Addr) {
	switch rd := rd.(type) {
	case *bgp.RouteDistinguisherIPAddressAS:
		b[1] = 1
		four := rd.Admin.As4()
		copy(b[2:6], four[:])
		binary.BigEndian.PutUint16(b[6:], rd.Assigned)
		return rd.Admin.Unmap()
	case *bgp.RouteDistinguisherTwoOctetAS:
		binary.BigEndian.PutUint16(b[2:], rd.Admin)
		binary.BigEndian.PutUint32(b[4:], rd.Assigned)
	case *bgp.RouteDistinguisherFourOctetAS:
		b[1] = 2
		binary.BigEndian.PutUint32(b[2:], rd.Admin)
		binary.BigEndian.PutUint16(b[6:], rd.Assigned)
	default:
		text, _ := rd.Serialize()
		copy(b[:8], text)
	}
	return netip.IPv4Unspecified()
}
