package fabric

import (
	"encoding/binary"
	"fmt"
	"slices"

	"bulkhead/claim"
	"bulkhead/site"
)

// Plan returns the change that makes what was observed into what is desired: the
// ports that were not read, or read otherwise. Where nothing differs the change
// is empty, so planning again after it was carried out gives nothing to do. It
// is an error if a port is not in the tables or is desired twice.
// Cost: O(desired), and an allocation only for ports that differ.
func Plan(fabricID string, desired []PortRow, observed *Tables) (Change, error) {
	var ports []PortRow
	sorted := slices.IsSortedFunc(desired, byPort)
	for i := range desired {
		d := &desired[i]
		if !observed.Has(d.Port) {
			return Change{}, fmt.Errorf("fabric %s: port %d: %w", fabricID, d.Port, ErrUnknownPort)
		}
		if sorted && i > 0 && desired[i-1].Port == d.Port {
			return Change{}, fmt.Errorf("fabric %s: port %d is desired twice", fabricID, d.Port)
		}
		if !observed.carriesRow(d.Port, &d.Row) {
			ports = append(ports, PortRow{d.Port, d.Row.Clone()})
		}
	}
	if !sorted {
		seen := make(map[site.Port]bool, len(desired))
		for _, d := range desired {
			if seen[d.Port] {
				return Change{}, fmt.Errorf("fabric %s: port %d is desired twice", fabricID, d.Port)
			}
			seen[d.Port] = true
		}
	}
	return NewChange(fabricID, ports), nil
}

func byPort(a, b PortRow) int {
	switch {
	case a.Port < b.Port:
		return -1
	case a.Port > b.Port:
		return 1
	}
	return 0
}

// NewChange makes a change of rows, sorted by port, with the id that follows
// from what is in it: the same change has the same id. It takes over ports.
func NewChange(fabricID string, ports []PortRow) Change {
	slices.SortStableFunc(ports, byPort)
	b := append([]byte(fabricID), 0)
	for i := range ports {
		row := &ports[i].Row
		row.NIC, row.Leaf = normal(row.NIC), normal(row.Leaf)
		b = binary.BigEndian.AppendUint32(b, uint32(ports[i].Port))
		b = append(b, byte(bit(row.EnforceIn)|bit(row.EnforceOut)<<1), row.Class)
		for _, side := range [2][]Member{row.NIC, row.Leaf} {
			b = binary.BigEndian.AppendUint32(b, uint32(len(side)))
			for _, m := range side {
				b = binary.BigEndian.AppendUint32(b, uint32(m))
			}
		}
	}
	d := claim.DigestOf(b)
	return Change{ID: fmt.Sprintf("%s-%d-%x", fabricID, len(ports), d[:8]), Fabric: fabricID, Ports: ports}
}

// Numbers are those of the ports that a change writes.
func (c *Change) Numbers() []site.Port {
	ports := make([]site.Port, len(c.Ports))
	for i := range c.Ports {
		ports[i] = c.Ports[i].Port
	}
	return ports
}

// Check refuses a change that no driver may carry out: of another fabric or another
// numbering than the driver's own, with ports out of order or twice, or with a row
// that fails Row.Check.
func (c *Change) Check(fabricID string, own claim.Digest, f site.Family, limit int) error {
	if c.Fabric != fabricID {
		return fmt.Errorf("change %.80s is for fabric %.80q, this one is %q", c.ID, c.Fabric, fabricID)
	}
	if err := SameNumbering(fabricID, c.Numbering, own); err != nil {
		return fmt.Errorf("change %.80s: %w", c.ID, err)
	}
	for i := range c.Ports {
		if i > 0 && c.Ports[i-1].Port >= c.Ports[i].Port {
			return fmt.Errorf("change %.80s: port %d after port %d: expected ascending order, no port twice", c.ID, c.Ports[i].Port, c.Ports[i-1].Port)
		}
		if err := c.Ports[i].Row.Check(f, limit); err != nil {
			return fmt.Errorf("change %.80s: port %d: %w", c.ID, c.Ports[i].Port, err)
		}
	}
	return nil
}
