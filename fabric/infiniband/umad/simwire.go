package umad

import (
	"encoding/binary"
	"fmt"

	"bulkhead/fabric/infiniband/mad"
)

// What goes over the sockets. Numbers are in the machine's byte order where not
// said otherwise.
//
//	control, 80 bytes: magic, client number, type, length of data (4 bytes each),
//	  data (64). To connect the data is: id, QP, is-SM (4 each), node's name (32,
//	  ended by NUL). The answer has the same form: client number instead of id.
//	data, 288 bytes: destination LID and source LID (each 16 bits big-endian in
//	  the first two of 4 bytes), destination and source QP, status (4 each,
//	  big-endian), 4 unused, length (8, big-endian), MAD (256).
const (
	controlSize = 80
	dataSize    = 32 + mad.Size

	magic = 0xdeadbeef

	controlError      = 0
	controlConnect    = 1
	controlDisconnect = 2
	controlSetIsSM    = 9

	atControlData = 16
	atNodeName    = atControlData + 12
	nodeNameSize  = 32

	atDLID, atSLID, atDQP, atSQP, atSimStatus, atKey, atSimLength, atMAD = 0, 4, 8, 12, 16, 20, 24, 32

	keyMark = 0x504b // before a P_Key of the sender's choice, for the emulated fabric
)

// control is one control message.
type control struct {
	client, kind uint32
	data         [64]byte
}

func (c *control) encode() [controlSize]byte {
	var b [controlSize]byte
	binary.NativeEndian.PutUint32(b[0:], magic)
	binary.NativeEndian.PutUint32(b[4:], c.client)
	binary.NativeEndian.PutUint32(b[8:], c.kind)
	binary.NativeEndian.PutUint32(b[12:], uint32(len(c.data)))
	copy(b[atControlData:], c.data[:])
	return b
}

func parseControl(b []byte) (control, error) {
	if len(b) != controlSize {
		return control{}, fmt.Errorf("umadsim: a control message of %d bytes, expected %d", len(b), controlSize)
	}
	if m := binary.NativeEndian.Uint32(b); m != magic {
		return control{}, fmt.Errorf("umadsim: a control message begins with 0x%08x, expected 0x%08x", m, uint32(magic))
	}
	return control{
		client: binary.NativeEndian.Uint32(b[4:]),
		kind:   binary.NativeEndian.Uint32(b[8:]),
		data:   [64]byte(b[atControlData:]),
	}, nil
}

// putData writes a data message that carries p to a LID.
func putData(b *[dataSize]byte, lid uint16, qp uint32, p *mad.Packet) {
	clear(b[:atMAD])
	binary.BigEndian.PutUint16(b[atDLID:], lid)
	if lid == mad.PermissiveLID { // else 0: the simulator fills in its own
		binary.BigEndian.PutUint16(b[atSLID:], lid)
	}
	binary.BigEndian.PutUint32(b[atDQP:], qp)
	binary.BigEndian.PutUint32(b[atSQP:], qp)
	binary.BigEndian.PutUint64(b[atSimLength:], mad.Size)
	copy(b[atMAD:], p[:])
}

// parseData reads a data message. Status is 0, or an errno: the packet is then a
// request that could not be delivered.
func parseData(b []byte, p *mad.Packet) (status uint32, err error) {
	if len(b) != dataSize {
		return 0, fmt.Errorf("umadsim: a data message of %d bytes, expected %d", len(b), dataSize)
	}
	copy(p[:], b[atMAD:])
	return binary.BigEndian.Uint32(b[atSimStatus:]), nil
}
