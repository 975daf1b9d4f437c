package opensm

import (
	"fmt"
	"slices"

	"bulkhead/fabric/infiniband/smp"
	"bulkhead/site"
)

// end is a port of a leaf.
type end struct {
	leaf uint64 // switch GUID
	port uint8
}

// Edge is what an inventory knows of a fabric's edge.
type Edge struct {
	Leaves map[site.Leaf]uint64 // switch GUID of every leaf

	names   map[uint64]string // of leaves, by GUID
	at      map[end]uint64    // port GUID that belongs at a leaf's port
	belongs map[uint64]end    // and where it belongs
}

// Wiring reads the edge of a fabric out of an inventory. The site must have the
// units.
func Wiring(s *site.Site, units []*site.SUInventory, fabricID string) *Edge {
	e := &Edge{Leaves: map[site.Leaf]uint64{}, names: map[uint64]string{}, at: map[end]uint64{}, belongs: map[uint64]end{}}
	for _, u := range units {
		for _, l := range u.Leaves {
			id, known := s.LeafByID(l.ID)
			if !known || l.Fabric != fabricID {
				continue
			}
			e.Leaves[id] = uint64(l.GUID)
			e.names[uint64(l.GUID)] = l.ID
			for i := range u.Nodes {
				nic := u.Nodes[i].NIC(l.NIC)
				if nic == nil {
					continue // an inventory that was checked has one
				}
				at := end{uint64(l.GUID), uint8(nic.Port)}
				e.at[at], e.belongs[uint64(nic.ID)] = uint64(nic.ID), at
			}
		}
	}
	return e
}

// Listed says whether a node of the inventory belongs at a port of a switch.
func (e *Edge) Listed(leaf uint64, port uint8) bool { _, is := e.at[end{leaf, port}]; return is }

// name is a switch for people.
func (e *Edge) name(f *smp.Fabric, guid uint64) string {
	if name := e.names[guid]; name != "" {
		return name
	}
	if n := f.Node(guid); n != nil && n.Description != "" {
		return fmt.Sprintf("%q (0x%016x)", string(n.Description), guid)
	}
	return fmt.Sprintf("0x%016x", guid)
}

// Census counts the adapters that a sweep found, and says of each that the
// inventory does not know, or knows at another place, where its cable is. Owner are
// the port GUIDs of the owner's own hosts: managers, readers, services. They may be
// anywhere but in the place of a node.
func (e *Edge) Census(f *smp.Fabric, owner func(guid uint64) bool) (strangers []Stranger) {
	for _, n := range f.Nodes {
		if n.IsSwitch() {
			continue
		}
		for _, p := range n.Ports {
			cable := "without a cable that was seen"
			at := end{p.Neighbour.Node, p.Neighbour.Port}
			if p.Neighbour != (smp.End{}) {
				cable = fmt.Sprintf("at %s port %d", e.name(f, at.leaf), at.port)
			}
			place, known := e.belongs[p.GUID]
			expected, listed := e.at[at]
			s := Stranger{GUID: p.GUID, Name: string(n.Description), Switch: at.leaf, Port: at.port, Cable: cable}
			switch {
			case known && place == at:
				continue
			case known:
				s.Belongs = fmt.Sprintf("%s port %d", e.name(f, place.leaf), place.port)
			case listed && expected != p.GUID:
				s.Belongs = "nowhere: the inventory has another adapter there"
			case owner(p.GUID):
				continue
			}
			strangers = append(strangers, s)
		}
	}
	slices.SortFunc(strangers, func(a, b Stranger) int {
		if a.Cable != b.Cable {
			if a.Cable < b.Cable {
				return -1
			}
			return 1
		}
		return 0
	})
	return strangers
}

// Stranger is an adapter that is not where the inventory has it.
type Stranger struct {
	GUID    uint64 // port GUID
	Name    string // its description
	Switch  uint64 // that it is cabled to
	Port    uint8
	Cable   string // the same in words
	Belongs string // where the inventory has it; "": it does not know it
}

func (s Stranger) String() string {
	text := fmt.Sprintf("%q (0x%016x) %s", s.Name, s.GUID, s.Cable)
	if s.Belongs == "" {
		return text + ", which the inventory does not know"
	}
	return text + ", belongs at " + s.Belongs
}
