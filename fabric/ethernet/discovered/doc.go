// Package discovered drafts a site from what the leaves of an Ethernet fabric know (LLDP, SONiC) of their
// neighbours. It reads LLDP dumps of the leaves (lldpctl -f json and -f keyvalue) and the
// config_db.json of leaves that run SONiC. It is pure.
//
// Sources: lldpctl(8) and lldpcli(8) of lldpd 1.0; SONiC's Configuration wiki and
// the YANG models of sonic-buildimage (sonic-port, sonic-vlan, sonic-vxlan,
// sonic-device_neighbor, sonic-device_metadata, sonic-bgp-neighbor).
package discovered

import (
	"fmt"

	"bulkhead/site/draft"
)

// Leaf is what one leaf's file says.
type Leaf struct {
	File string
	Name string
	Line int // where its name is from; 0: the file's own
	// Ports are all ports by number on the leaf, where the file lists them all
	// (SONiC); nil where only those with a neighbour are known (LLDP).
	Ports []string
	Links []Link
	VNIs  []VNI
	// Access are the ports that could be nodes', where the file does not say who is
	// behind any port (SONiC).
	Access []Link
	BGP    int          // neighbours in the underlay
	Notes  []draft.Note // what is left out
}

// Link is a neighbour at a port.
type Link struct {
	Line int
	Port string // of the leaf: "swp1", "Ethernet0"
	Host string // the neighbour's name
	NIC  string // its port's name; "" where it says none
	MAC  uint64 // its port's address; 0 where it says none
	DPU  bool   // it says that it is a card in a host
}

// VNI is a VXLAN that is configured on the leaf.
type VNI struct {
	Line  int
	VNI   uint32
	VLAN  int
	Ports []string // members of its VLAN, ascending
}

// note says what of a line is left out, and why.
func (l *Leaf) note(line int, format string, args ...any) {
	l.Notes = append(l.Notes, draft.Note{File: l.File, Line: line, Reason: fmt.Sprintf(format, args...)})
}
