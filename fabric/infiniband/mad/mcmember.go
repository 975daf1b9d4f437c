package mad

import "encoding/binary"

// Join states of a multicast member (15.2.5.17); several may be set.
const (
	JoinFull     = 0x1
	JoinSendFull = 0x8 // sends only, and keeps the group in being
)

// StatusNoResources is the answer of subnet administration that has no room for what is
// asked (15.2.2): no multicast LID is left.
const StatusNoResources Status = 0x0100

// MCMember is what a port asks subnet administration to join, or to leave: a multicast
// group of a partition (MCMemberRecord, 15.2.5.17). A group that nobody has made is made
// by whoever joins it first.
type MCMember struct {
	Group uint32 // the last 32 bits of the group's address, which is transient and of the local subnet
	Port  uint64 // GUID
	PKey  PKey
	Join  uint8
}

// Ask is the packet that joins (method Set) or leaves (method Delete).
func (m *MCMember) Ask(method Method, tid uint64) SA {
	ask := SA{Method: method, TID: tid, Attribute: AttrMCMemberRecord}
	for _, field := range []int{0, 1, 2, 6, 7, 12, 13, 16} { // MGID, port, Q_Key, class, P_Key, SL, flow, join state
		ask.Components |= 1 << field
	}
	record := ask.Data[:]
	record[0], record[1] = 0xff, 0x12 // transient, link-local
	binary.BigEndian.PutUint16(record[4:], uint16(m.PKey))
	binary.BigEndian.PutUint32(record[12:], m.Group)
	binary.BigEndian.PutUint64(record[16:], 0xfe80<<48)
	binary.BigEndian.PutUint64(record[24:], m.Port)
	binary.BigEndian.PutUint32(record[32:], 0xb1b)
	binary.BigEndian.PutUint16(record[40:], uint16(m.PKey))
	record[48] = 2<<4 | m.Join // scope: link-local
	return ask
}
