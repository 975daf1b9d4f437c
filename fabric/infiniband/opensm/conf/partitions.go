package conf

import (
	"bytes"
	"fmt"
	"slices"
)

// Limits of what is written. OpenSM 3.3.23 reads 4,094 bytes of a line at most;
// half of that leaves room for whoever counts otherwise.
const (
	maxPartitionLine = 2047 // bytes of a line, its newline included
	maxGUIDs         = 100  // members named in one line

	DefaultPKey = 0x7fff // the default partition (IBTA volume 1, 10.9.1.2)
	maxPKey     = 0x7fff // P_Keys have 15 bits beside the membership bit
)

// Partitioning is what a partitions.conf says beyond the default partition's fixed line,
// by which all ports are limited members, switches and the SM itself full ones.
type Partitioning struct {
	Partitions []Partition // ascending by key, none twice
}

// Partition is the members of one P_Key, as port GUIDs: ascending, none twice,
// none both full and limited, never 0. A partition has at least one member: OpenSM
// forgets empty ones. In the default partition only full members can be named;
// everybody else is limited there anyway.
type Partition struct {
	Key     uint16   // 1 to 0x7fff
	Full    []uint64 // may talk to every member
	Limited []uint64 // may talk to full members only
}

// Check refuses what can't be written: see Partition.
func (c *Partitioning) Check() error {
	for i := range c.Partitions {
		p := &c.Partitions[i]
		switch {
		case p.Key < 1 || p.Key > maxPKey:
			return fmt.Errorf("partition 0x%04x: expected a P_Key from 0x0001 to 0x7fff", p.Key)
		case i > 0 && c.Partitions[i-1].Key >= p.Key:
			return fmt.Errorf("partition 0x%04x after 0x%04x: expected ascending keys, none twice", p.Key, c.Partitions[i-1].Key)
		case len(p.Full)+len(p.Limited) == 0:
			return fmt.Errorf("partition 0x%04x has no members: leave it out", p.Key)
		case p.Key == DefaultPKey && len(p.Limited) > 0:
			return fmt.Errorf("partition 0x7fff: port 0x%016x named as limited: every port is that already", p.Limited[0])
		}
		for _, side := range [2][]uint64{p.Full, p.Limited} {
			for j, guid := range side {
				if guid == 0 || j > 0 && side[j-1] >= guid {
					return fmt.Errorf("partition 0x%04x: port 0x%016x: expected ascending port GUIDs above 0, none twice", p.Key, guid)
				}
			}
		}
		for _, guid := range p.Limited {
			if _, both := slices.BinarySearch(p.Full, guid); both {
				return fmt.Errorf("partition 0x%04x: port 0x%016x is full and limited: expected one of the two", p.Key, guid)
			}
		}
	}
	return nil
}

// Equal reports whether two configurations say the same.
func (c *Partitioning) Equal(o *Partitioning) bool {
	return slices.EqualFunc(c.Partitions, o.Partitions, func(a, b Partition) bool {
		return a.Key == b.Key && slices.Equal(a.Full, b.Full) && slices.Equal(a.Limited, b.Limited)
	})
}

// Members returns how many memberships are named.
func (c *Partitioning) Members() int {
	n := 0
	for i := range c.Partitions {
		n += len(c.Partitions[i].Full) + len(c.Partitions[i].Limited)
	}
	return n
}

const (
	header      = "# Partitions of a Bulkhead fabric. Written as a whole; an edit by hand is refused.\n"
	defaultLine = "Default=0x7fff : ALL=limited, ALL_SWITCHES=full, SELF=full ;\n"
)

// generate writes the file, without checking: use CheckedPartitions. Equal configurations
// give equal bytes. A partition goes on over as many lines as it needs, each
// with its name and key again.
func generate(c *Partitioning) []byte {
	var b bytes.Buffer
	b.WriteString(header)
	b.WriteString(defaultLine)
	for i := range c.Partitions {
		p := &c.Partitions[i]
		head := fmt.Sprintf("K%04x=0x%04x : ", p.Key, p.Key)
		if p.Key == DefaultPKey {
			head = "Default=0x7fff : "
		}
		line, named := head, 0
		for side, guids := range [2][]uint64{p.Full, p.Limited} {
			for _, guid := range guids {
				member := fmt.Sprintf("0x%016x=%s", guid, [2]string{"full", "limited"}[side])
				if named == maxGUIDs || len(line)+len(", ")+len(member)+len(" ;\n") > maxPartitionLine {
					b.WriteString(line + " ;\n")
					line, named = head, 0
				}
				if named > 0 {
					line += ", "
				}
				line += member
				named++
			}
		}
		b.WriteString(line + " ;\n")
	}
	fmt.Fprintf(&b, "# end: %d partitions, %d members\n", len(c.Partitions), c.Members())
	return b.Bytes()
}

// CheckedPartitions writes the file if it is safe to give to OpenSM: the configuration is
// valid, the text parses back to it, and OpenSM's model reads the same members
// from it and does not fall open.
func CheckedPartitions(c *Partitioning) ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("partitions.conf: %w", err)
	}
	text := generate(c)
	if err := verify(text, c); err != nil {
		return nil, err
	}
	return text, nil
}

// verify reports whether text says what c says, to the strict parser and to the
// model of OpenSM.
func verify(text []byte, c *Partitioning) error {
	back, err := ParsePartitions(text)
	if err != nil {
		return fmt.Errorf("what was generated does not parse, so it is not written: %w", err)
	}
	if !back.Equal(c) {
		return fmt.Errorf("partitions.conf: what was generated parses to something else, so it is not written")
	}
	if err := agrees(text, c); err != nil {
		return fmt.Errorf("partitions.conf: not written: %w", err)
	}
	return nil
}

// agrees compares a configuration with what OpenSM would make of the text in a
// subnet that has every port that it names, and one that it does not.
func agrees(text []byte, c *Partitioning) error {
	const stranger, switchPort, self = 1<<64 - 2, 1<<64 - 3, 1<<64 - 4
	known := map[uint64]Kind{stranger: CA, switchPort: Switch, self: CA}
	for i := range c.Partitions {
		for _, side := range [2][]uint64{c.Partitions[i].Full, c.Partitions[i].Limited} {
			for _, guid := range side {
				if _, taken := known[guid]; !taken {
					known[guid] = CA
				}
			}
		}
	}
	e := Interpret(text, Subnet{Ports: known, Self: self})
	if e.Open {
		return fmt.Errorf("OpenSM would throw it away and open the fabric: line %d: %s", e.Line, e.Why)
	}
	want := map[uint16]map[uint64]bool{DefaultPKey: {}}
	for guid, kind := range known {
		want[DefaultPKey][guid] = kind == Switch || guid == self
	}
	for i := range c.Partitions {
		p := &c.Partitions[i]
		if want[p.Key] == nil {
			want[p.Key] = make(map[uint64]bool, len(p.Full)+len(p.Limited))
		}
		for _, guid := range p.Full {
			want[p.Key][guid] = true
		}
		for _, guid := range p.Limited {
			want[p.Key][guid] = false
		}
	}
	if len(want) != len(e.Members) {
		return fmt.Errorf("OpenSM would read %d partitions, expected %d", len(e.Members), len(want))
	}
	for key, members := range want {
		got := e.Members[key]
		if len(got) != len(members) {
			return fmt.Errorf("OpenSM would read %d members of 0x%04x, expected %d", len(got), key, len(members))
		}
		for guid, full := range members {
			if is, in := got[guid]; !in || is != full {
				return fmt.Errorf("OpenSM would read port 0x%016x of 0x%04x as member %t, full %t, expected full %t", guid, key, in, is, full)
			}
		}
	}
	return nil
}
