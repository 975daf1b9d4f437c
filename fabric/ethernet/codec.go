// Package ethernet is the raw read-back of an Ethernet (EVPN-VXLAN) leaf: what
// the leaf's kernel tables and LLDP say, as JSON that a person can read.
//
// The form is canonical: one order of fields, no spaces, so that equal tables
// are equal bytes and anything else is refused. With spaces added here:
//
//		{"version":1, "switch":"a1-su00-leaf0", "vlan_table":{"used":2,"size":4094},
//		 "ports":[
//		  {"port":1, "filter_in":true, "filter_out":true,
//		   "vlans":[{"vid":2,"vni":4097,"isolated":false}], "class":0,
//		   "lldp":"02:00:00:00:00:09", "fdb":"02:00:00:00:00:09"}]}
//
//	  - vlans: the VLANs that the port is a member of ("bridge -j vlan show") with
//	    the VNI that each is mapped to on this leaf ("bridge -j vlan tunnelshow"),
//	    ascending by vid. vni 0 means that the VLAN is bridged on this leaf only.
//	    One vid has one vni on a leaf. isolated: the port exchanges nothing with
//	    other isolated ports of it (private VLAN).
//	  - filter_in, filter_out: the port drops what is not of these VLANs, as it
//	    comes in and as it goes out.
//	  - class: the traffic class that the port's traffic is put into, 0 to 7.
//	  - vlan_table: entries of the hardware table in use, and its size.
//	  - lldp: the MAC that the neighbour announces; fdb: the one MAC that the port
//	    is locked to in the forwarding table. "" where there is none.
//
// The package is pure.
package ethernet

import (
	"fmt"
	"slices"
	"strconv"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Source is the Source of readings in this encoding.
const Source = "kernel+lldp"

// Family is the family whose read-back this package decodes.
const Family = site.RoCE

const (
	maxVID   = 4094
	maxPorts = 512
	firstVID = 2 // 1 is the bridge's default VLAN, which no port may be in
	maxMAC   = 1<<48 - 1
)

// Header is what a capture says of the leaf itself.
type Header struct {
	Switch    string // its name: letters, digits, '-', '_', '.', up to 64
	TableUsed int    // entries of the VLAN table in use; Encode counts VLANs if it is 0
	TableSize int
}

// Encode writes the capture of one leaf. Readings are ascending by LeafPort; a
// limited member is an isolated port of its VLAN; a value up to 4,094 is a VLAN
// that is bridged on this leaf only. Full is not written: it follows from
// vlan_table. The neighbour is written as LLDP and forwarding table agree;
// fabric.NeighbourConflict cannot be written. VLANs are numbered from 2 by
// ascending VNI.
func Encode(h Header, readings []fabric.Reading) ([]byte, error) {
	if !validName(h.Switch) {
		return nil, fmt.Errorf("ethernet capture: switch %.80q: expected letters, digits, - _ . up to 64", h.Switch)
	}
	vids, err := number(readings)
	if err != nil {
		return nil, err
	}
	if h.TableUsed == 0 {
		h.TableUsed = len(vids)
	}
	if h.TableUsed < 0 || h.TableSize < h.TableUsed || h.TableSize > 1<<20 {
		return nil, fmt.Errorf("ethernet capture: VLAN table %d of %d: expected used <= size <= %d", h.TableUsed, h.TableSize, 1<<20)
	}
	b := make([]byte, 0, 80+len(readings)*190)
	b = append(b, `{"version":1,"switch":"`...)
	b = append(b, h.Switch...)
	b = append(b, `","vlan_table":{"used":`...)
	b = strconv.AppendInt(b, int64(h.TableUsed), 10)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, int64(h.TableSize), 10)
	b = append(b, `},"ports":[`...)
	last := 0
	for i := range readings {
		r := &readings[i]
		switch {
		case r.LeafPort <= last || r.LeafPort > maxPorts:
			return nil, fmt.Errorf("ethernet capture: port %d after port %d: expected ascending numbers up to %d", r.LeafPort, last, maxPorts)
		case r.Neighbour > maxMAC:
			return nil, fmt.Errorf("ethernet capture: port %d: neighbour %#x: expected a MAC of 48 bits", r.LeafPort, r.Neighbour)
		case len(r.NIC) > 0:
			return nil, fmt.Errorf("ethernet capture: port %d: a NIC table, which Ethernet does not have", r.LeafPort)
		case r.Class > 7:
			return nil, fmt.Errorf("ethernet capture: port %d: class %d: expected 0 to 7", r.LeafPort, r.Class)
		}
		last = r.LeafPort
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendPort(b, r, vids); err != nil {
			return nil, err
		}
	}
	return append(b, "]}"...), nil
}

// number gives each VNI of a leaf a VLAN, ascending from 2; a value that is a
// VLAN itself keeps its number.
func number(readings []fabric.Reading) (map[uint32]int, error) {
	vids := map[uint32]int{}
	var vnis []uint32
	taken := map[int]bool{}
	for i := range readings {
		for _, m := range readings[i].Leaf {
			v := m.Value()
			if _, ok := vids[v]; ok {
				continue
			}
			if !m.Valid() {
				return nil, fmt.Errorf("ethernet capture: port %d: member 0x%08x is no VNI", readings[i].LeafPort, uint32(m))
			}
			vids[v] = int(v)
			if v > maxVID {
				vnis = append(vnis, v)
			} else {
				taken[int(v)] = true
			}
		}
	}
	slices.Sort(vnis)
	next := firstVID
	for _, v := range vnis {
		for taken[next] {
			next++
		}
		if next > maxVID {
			return nil, fmt.Errorf("ethernet capture: %d VNIs on one leaf, more than VLANs", len(vnis))
		}
		vids[v] = next
		next++
	}
	return vids, nil
}

func appendPort(b []byte, r *fabric.Reading, vids map[uint32]int) ([]byte, error) {
	b = append(b, `{"port":`...)
	b = strconv.AppendInt(b, int64(r.LeafPort), 10)
	b = append(b, `,"filter_in":`...)
	b = strconv.AppendBool(b, r.EnforceIn)
	b = append(b, `,"filter_out":`...)
	b = strconv.AppendBool(b, r.EnforceOut)
	b = append(b, `,"vlans":[`...)
	var ordered []fabric.Member
	if len(r.Leaf) > 1 {
		ordered = slices.SortedFunc(slices.Values(r.Leaf), func(x, y fabric.Member) int { return vids[x.Value()] - vids[y.Value()] })
	} else {
		ordered = r.Leaf
	}
	for i, m := range ordered {
		v := m.Value()
		if i > 0 {
			if ordered[i-1].Value() == v {
				return nil, fmt.Errorf("ethernet capture: port %d: value %d twice: a port is isolated in a VLAN or is not", r.LeafPort, v)
			}
			b = append(b, ',')
		}
		b = append(b, `{"vid":`...)
		b = strconv.AppendInt(b, int64(vids[v]), 10)
		b = append(b, `,"vni":`...)
		if v <= maxVID {
			v = 0
		}
		b = strconv.AppendUint(b, uint64(v), 10)
		b = append(b, `,"isolated":`...)
		b = strconv.AppendBool(b, !m.IsFull())
		b = append(b, '}')
	}
	b = append(b, `],"class":`...)
	b = append(b, '0'+r.Class)
	b = append(b, `,"lldp":"`...)
	b = appendMAC(b, r.Neighbour)
	b = append(b, `","fdb":"`...)
	b = appendMAC(b, r.Neighbour)
	return append(b, `"}`...), nil
}

const hexDigits = "0123456789abcdef"

func appendMAC(b []byte, mac uint64) []byte {
	if mac == 0 {
		return b
	}
	for shift := 40; shift >= 0; shift -= 8 {
		octet := byte(mac >> shift)
		b = append(b, hexDigits[octet>>4], hexDigits[octet&15])
		if shift > 0 {
			b = append(b, ':')
		}
	}
	return b
}

func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}
