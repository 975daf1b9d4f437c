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

// Empty reports whether there is nothing to do.
func (c *Change) Empty() bool { return len(c.Ports) == 0 }

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

// Order splits a change by the rule that a label is taken away, and read back as
// gone, before another is added: remove takes from each port what it may not
// keep, and add brings it to the row of c. Only when Removed says that remove
// shows in read-back (and, between two tenants, the node is clean) may add be
// carried out. A port that was never read is closed first. A port that loses
// nothing is in add only.
func Order(c Change, observed *Tables) (remove, add Change) {
	var taken, given []PortRow
	for i := range c.Ports {
		p, row := c.Ports[i].Port, &c.Ports[i].Row
		keep := Row{EnforceIn: row.EnforceIn, EnforceOut: row.EnforceOut, Class: row.Class}
		loses := !observed.Has(p) || observed.flags[p]&FlagRead == 0
		if !loses {
			var lostNIC, lostLeaf bool
			keep.NIC, lostNIC = common(observed.NIC(p), row.NIC)
			keep.Leaf, lostLeaf = common(observed.Leaf(p), row.Leaf)
			loses = lostNIC || lostLeaf
		}
		if loses {
			taken = append(taken, PortRow{p, keep})
		}
		if !loses || !keep.Equal(*row) {
			given = append(given, PortRow{p, row.Clone()})
		}
	}
	return NewChange(c.Fabric, taken), NewChange(c.Fabric, given)
}

// common returns what of have is also in want, and whether anything is not.
func common(have, want []Member) (kept []Member, lost bool) {
	for _, m := range have {
		if slices.Contains(want, m) {
			kept = append(kept, m)
		} else {
			lost = true
		}
	}
	return kept, lost
}

// Removed returns the ports of a change that still carry something that the
// change does not give them, or were never read. Empty: what was to go is gone.
func Removed(c Change, observed *Tables) (still []site.Port) {
	for i := range c.Ports {
		p, row := c.Ports[i].Port, &c.Ports[i].Row
		if !observed.Has(p) || observed.flags[p]&FlagRead == 0 {
			still = append(still, p)
			continue
		}
		_, nic := common(observed.NIC(p), row.NIC)
		_, leaf := common(observed.Leaf(p), row.Leaf)
		if nic || leaf {
			still = append(still, p)
		}
	}
	return still
}
