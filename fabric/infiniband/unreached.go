package infiniband

import (
	"encoding/binary"

	"bulkhead/fabric"
)

// followed is the magic of a capture whose reader followed the switches' forwarding tables.
// Behind the ports come, of those among them of which it can't say that their packets
// arrive at all others of their partitions and theirs at them:
//
//	count    2 bytes: ports that follow, ascending by number, each one of those before:
//	  number 1 byte
//	  flags  1 byte: bit 0, its link is not active, or its leaf does not send it what is for its
//	         own LID; the rest is 0
//	  missed 2 bytes: others of its partitions at which its packets do not arrive, 65,535 where there are more
//	  one    8 bytes: the port GUID of one of these; 0 where there is none
//
// Of a port without flags and with nobody missed it is not known: something has changed so
// lately that the manager may not be done.
const followed = "IBSMP/2\n"

const (
	unreachedSize = 1 + 1 + 2 + 8
	notItsAddress = 1 << 0
)

// Unreached is a port that the forwarding tables keep from others of its partitions.
type Unreached struct {
	LeafPort int
	Address  bool   // its link is not active, or its leaf does not send it what is for its own LID
	Missed   uint16 // others of its partitions at which its packets do not arrive
	One      uint64 // port GUID of one of these
}

// Follow turns a capture into one whose forwarding tables were followed. Ports that are
// not in the list, which is ascending by LeafPort, reach and are reached.
func Follow(raw []byte, list []Unreached) []byte {
	if len(raw) < len(magic) || string(raw[:len(magic)]) != magic {
		return raw
	}
	out := append(make([]byte, 0, len(raw)+2+unreachedSize*len(list)), followed...)
	out = append(out, raw[len(magic):]...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(list)))
	for _, u := range list {
		flags := byte(0)
		if u.Address {
			flags |= notItsAddress
		}
		out = append(out, byte(u.LeafPort), flags)
		out = binary.BigEndian.AppendUint16(out, u.Missed)
		out = binary.BigEndian.AppendUint64(out, u.One)
	}
	return out
}

// readUnreached reads what follows the ports of a capture that was followed.
func (c *cursor) readUnreached(readings []fabric.Reading) error {
	for i := range readings {
		readings[i].Followed = readings[i].Neighbour != 0
	}
	count, err := c.take(2, "the number of ports that are not reached")
	if err != nil {
		return err
	}
	next := 0 // readings before it are done
	for range binary.BigEndian.Uint16(count) {
		b, err := c.take(unreachedSize, "a port that is not reached")
		if err != nil {
			return err
		}
		for next < len(readings) && readings[next].LeafPort < int(b[0]) {
			next++
		}
		missed, one := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint64(b[4:])
		switch {
		case next == len(readings) || readings[next].LeafPort != int(b[0]) || readings[next].Neighbour == 0:
			return c.expected("before it a greater port number, of a port with a node behind it")
		case b[1]&^notItsAddress != 0:
			return c.expected("before it flags of 0 or 1")
		case missed == 0 != (one == 0):
			return c.expected("before it a port GUID where ports are missed, and only there")
		}
		r := &readings[next]
		next++
		if r.Followed = missed > 0 || b[1] != 0; b[1] != 0 {
			r.Faults |= fabric.FaultAddress
		}
		if missed > 0 {
			r.Faults |= fabric.FaultUnreached
		}
	}
	return nil
}
