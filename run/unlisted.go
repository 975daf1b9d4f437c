package run

import (
	"bulkhead/fabric"
	"bulkhead/site"
)

// ofFabric is what a driver's answer says of the leaves that the site has in its
// fabric, a leaf once: whatever a driver counts, only what was imported is looked at. A
// driver may well know more than the ledger, such as halls that are built and not
// imported yet; when they are, everything is read again. Of a leaf of which an answer
// says two things nothing is known.
func (p *Plane) ofFabric(index int, devices []fabric.DeviceReading) []fabric.DeviceReading {
	s := p.w.state.Site
	known := make([]fabric.DeviceReading, 0, len(devices))
	at := make(map[site.Leaf]int, len(devices))
	strange, twice := 0, 0
	for _, d := range devices {
		if s.FabricOfLeaf(d.Leaf) != index {
			strange++
			continue
		}
		if first, said := at[d.Leaf]; said {
			known[first].Reachable, known[first].Raw = false, nil
			twice++
			continue
		}
		at[d.Leaf] = len(known)
		known = append(known, d)
	}
	if strange+twice > 0 {
		p.log.Warn("a driver's answer does not fit the site: what it says of leaves that the site does not have counts for nothing, and a leaf of which it says two things is unknown",
			"fabric", s.Fabrics[index].ID, "not of the site", strange, "twice", twice)
	}
	return known
}
