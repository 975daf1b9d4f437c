package fabric

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/site"
)

// Member is one entry of a port's table: a label value in the low 24 bits, and
// FullBit for a full member. A limited member exchanges nothing with another
// limited member.
type Member uint32

// FullBit marks a full member.
const FullBit Member = 1 << 31

const valueBits Member = MaxValue

// Full returns the full member of a value, 1 to MaxValue.
func Full(value uint32) Member { return Member(value)&valueBits | FullBit }

// Limited returns the limited member of a value, 1 to MaxValue.
func Limited(value uint32) Member { return Member(value) & valueBits }

// Value returns the label value.
func (m Member) Value() uint32 { return uint32(m & valueBits) }

// IsFull reports full membership.
func (m Member) IsFull() bool { return m&FullBit != 0 }

// Valid reports whether m has a value and no bits beyond it and FullBit.
func (m Member) Valid() bool { return m&valueBits != 0 && m&^(valueBits|FullBit) == 0 }

func (m Member) String() string {
	kind := "limited"
	if m.IsFull() {
		kind = "full"
	}
	return fmt.Sprintf("%d=%s", m.Value(), kind)
}

// Row is what one edge port must carry: the table of the NIC (the HCA on
// InfiniBand; Ethernet NICs have none) and of the leaf port, and whether the
// leaf port enforces its table on what comes in and what goes out.
type Row struct {
	NIC        []Member `json:"nic,omitempty"`
	Leaf       []Member `json:"leaf,omitempty"`
	EnforceIn  bool     `json:"enforce_in"`
	EnforceOut bool     `json:"enforce_out"`
	Class      uint8    `json:"class,omitempty"` // traffic class, 1 to 7; 0: not set by us
}

// Closed is the row under which a port exchanges nothing with anybody.
func Closed() Row { return Row{EnforceIn: true, EnforceOut: true} }

// Compile returns the row of a port whose label has the value own, with
// enforcement on both ways. On InfiniBand the HCA and its leaf port carry own as
// a full member and the default partition as a limited one; on Ethernet the leaf
// port carries own. The quarantine label is carried as a limited member. A value
// of 0, or one that a P_Key cannot hold, gives the closed row: a mistake cuts
// off, it does not connect.
func Compile(f site.Family, own uint32) Row {
	row := Closed()
	member := Full(own)
	if IsShared(f, own) {
		member = Limited(own)
	}
	switch f {
	case site.InfiniBand:
		if own == 0 || own > pkeyService {
			return row
		}
		row.NIC = []Member{member}
		if own != pkeyService {
			row.NIC = append(row.NIC, Limited(pkeyService))
		}
		slices.Sort(row.NIC)
		row.Leaf = slices.Clone(row.NIC)
	case site.RoCE:
		if own == 0 || own > MaxValue {
			return row
		}
		row.Leaf = []Member{member}
		row.Class = ClassOf(f, own)
	}
	return row
}

// tenantClasses is how many traffic classes carry tenants: 1 to 6. Class 0 is for
// ports in quarantine or turnover, 7 for the fabric's own control traffic. A
// switch has eight (IEEE 802.1Q priorities), and lossless ones are dear.
const tenantClasses = 6

// ClassOf returns the traffic class of a label's value: 1 to 6 for a value that
// owners are given, spread so that neighbours in the pool do not share; 0 for all
// others, and on InfiniBand, where the subnet manager gives service levels. Of
// more than six labels some share a class, and then also its pauses.
func ClassOf(f site.Family, value uint32) uint8 {
	if f != site.RoCE || value < vniPoolFirst || value > vniPoolLast {
		return 0
	}
	return uint8(1 + value%tenantClasses)
}

// normal sorts members and drops repeated ones, in place: a table is a set.
func normal(m []Member) []Member {
	slices.Sort(m)
	return slices.Compact(m)
}

// Equal reports whether two rows say the same. Tables are sets: order and
// repetition do not count.
func (r Row) Equal(o Row) bool {
	return r.EnforceIn == o.EnforceIn && r.EnforceOut == o.EnforceOut && r.Class == o.Class &&
		sameSet(r.NIC, o.NIC) && sameSet(r.Leaf, o.Leaf)
}

func sameSet(a, b []Member) bool {
	for _, m := range a {
		if !slices.Contains(b, m) {
			return false
		}
	}
	for _, m := range b {
		if !slices.Contains(a, m) {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares nothing.
func (r Row) Clone() Row {
	r.NIC, r.Leaf = slices.Clone(r.NIC), slices.Clone(r.Leaf)
	return r
}

// Check refuses a row that no device may be asked to carry: members without a
// value or with stray bits, values outside the family, tables over the limit
// (0: no limit), a NIC table on Ethernet, enforcement that is not on.
func (r Row) Check(f site.Family, limit int) error {
	top := uint32(MaxValue)
	if f == site.InfiniBand {
		top = pkeyService
	}
	for _, side := range []struct {
		name    string
		members []Member
	}{{"NIC", r.NIC}, {"leaf", r.Leaf}} {
		if limit > 0 && len(side.members) > limit {
			return fmt.Errorf("%s table: %d entries, the device holds %d", side.name, len(side.members), limit)
		}
		for _, m := range side.members {
			if !m.Valid() || m.Value() > top {
				return fmt.Errorf("%s table: member 0x%08x: expected a value from 1 to %d, and the full bit or not", side.name, uint32(m), top)
			}
		}
	}
	switch {
	case f == site.RoCE && len(r.NIC) > 0:
		return fmt.Errorf("NIC table: %d entries, but an Ethernet NIC has no table", len(r.NIC))
	case !r.EnforceIn || !r.EnforceOut:
		return fmt.Errorf("enforcement in=%t out=%t: expected both on", r.EnforceIn, r.EnforceOut)
	case r.Class > 7:
		return fmt.Errorf("traffic class %d: expected 0 to 7", r.Class)
	}
	return nil
}

func (r Row) String() string {
	var b strings.Builder
	side := func(name string, members []Member) {
		fmt.Fprintf(&b, "%s[", name)
		for i, m := range members {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(m.String())
		}
		b.WriteString("] ")
	}
	if len(r.NIC) > 0 {
		side("nic", r.NIC)
	}
	side("leaf", r.Leaf)
	fmt.Fprintf(&b, "enforce %s", [...]string{"off", "in only", "out only", "in+out"}[bit(r.EnforceIn)|bit(r.EnforceOut)<<1])
	if r.Class != 0 {
		fmt.Fprintf(&b, " class %d", r.Class)
	}
	return b.String()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
