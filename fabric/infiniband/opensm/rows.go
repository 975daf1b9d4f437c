package opensm

import (
	"fmt"
	"slices"

	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/site"
)

// always is what OpenSM gives every port, whatever partitions.conf says: the
// default partition as a limited member. There is no way to take it away.
var always = fabric.Limited(conf.DefaultPKey)

// floor returns the row that OpenSM makes of a row: with what it always gives.
// A row that names the default partition itself is left as it is.
func floor(row fabric.Row) fabric.Row {
	row = row.Clone()
	for _, side := range []*[]fabric.Member{&row.NIC, &row.Leaf} {
		if !slices.ContainsFunc(*side, func(m fabric.Member) bool { return m.Value() == conf.DefaultPKey }) {
			*side = append(*side, always)
			slices.Sort(*side)
		}
	}
	return row
}

// expressible refuses a row that partitions.conf can't say: OpenSM gives a leaf
// port the table of the HCA behind it, one membership of a key, no class.
func expressible(row fabric.Row, service bool) error {
	if !(fabric.Row{NIC: row.NIC, EnforceIn: true, EnforceOut: true}).Equal(fabric.Row{NIC: row.Leaf, EnforceIn: true, EnforceOut: true}) {
		return fmt.Errorf("the leaf's table differs from the HCA's: OpenSM gives the leaf port what the HCA has")
	}
	if row.Class != 0 {
		return fmt.Errorf("class %d: OpenSM sets none by partition", row.Class)
	}
	seen := map[uint32]fabric.Member{}
	for _, m := range row.NIC {
		if other, twice := seen[m.Value()]; twice && other != m {
			return fmt.Errorf("0x%04x is asked for as full and as limited: OpenSM gives one of the two", m.Value())
		}
		seen[m.Value()] = m
		if fabric.IsShared(site.InfiniBand, m.Value()) && m.IsFull() && !(service && m.Value() == conf.DefaultPKey) {
			return fmt.Errorf("full member of 0x%04x, which all share: only service ports are that, in 0x7fff", m.Value())
		}
	}
	return nil
}

// members is a configuration by port.
type members map[uint64][]fabric.Member

// byPort turns a configuration round. The default partition's limited members are
// everybody and not named.
func byPort(c *conf.Partitioning) members {
	m := members{}
	for i := range c.Partitions {
		p := &c.Partitions[i]
		for _, guid := range p.Full {
			m[guid] = append(m[guid], fabric.Full(uint32(p.Key)))
		}
		for _, guid := range p.Limited {
			m[guid] = append(m[guid], fabric.Limited(uint32(p.Key)))
		}
	}
	return m
}

// partitioning turns it back. Equal members give equal files.
func (m members) partitioning() *conf.Partitioning {
	parts := map[uint16]*conf.Partition{}
	for guid, list := range m {
		for _, member := range list {
			if member == always {
				continue
			}
			key := uint16(member.Value())
			if parts[key] == nil {
				parts[key] = &conf.Partition{Key: key}
			}
			if p := parts[key]; member.IsFull() {
				p.Full = append(p.Full, guid)
			} else {
				p.Limited = append(p.Limited, guid)
			}
		}
	}
	c := &conf.Partitioning{}
	for _, p := range parts {
		slices.Sort(p.Full)
		p.Full = slices.Compact(p.Full)
		slices.Sort(p.Limited)
		p.Limited = slices.Compact(p.Limited)
		c.Partitions = append(c.Partitions, *p)
	}
	slices.SortFunc(c.Partitions, func(a, b conf.Partition) int { return int(a.Key) - int(b.Key) })
	return c
}

// row is what a port carries when OpenSM has followed.
func (m members) row(guid uint64) fabric.Row {
	row := fabric.Closed()
	row.NIC, row.Leaf = slices.Clone(m[guid]), slices.Clone(m[guid])
	return floor(row)
}
