package iblab

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
)

// joinGroup asks subnet administration, from a host, to make and join a multicast
// group of a partition. It returns the status of the answer.
func (l *Lab) joinGroup(ctx context.Context, host string, portGUID uint64, key mad.PKey, group uint32) (mad.Status, error) {
	at, err := umad.OpenSim(umad.SimOptions{Socket: l.Fabric.Name, Host: host})
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = at.Close() })
	late := time.AfterFunc(await.Patience, func() { _ = at.Close() })
	defer func() {
		late.Stop()
		if stop() {
			_ = at.Close()
		}
	}()
	manager, err := l.Fabric.Port(host, 1)
	if err != nil {
		return 0, err
	}
	ask := mad.SA{Method: mad.Set, TID: uint64(group), Attribute: mad.AttrMCMemberRecord}
	for _, field := range []int{0, 1, 2, 6, 7, 12, 13, 16} { // MGID, port, Q_Key, class, P_Key, SL, flow, join state
		ask.Components |= 1 << field
	}
	record := ask.Data[:]
	record[0], record[1] = 0xff, 0x12 // transient, link-local
	binary.BigEndian.PutUint16(record[4:], uint16(key))
	binary.BigEndian.PutUint32(record[12:], group)
	binary.BigEndian.PutUint64(record[16:], 0xfe80<<48)
	binary.BigEndian.PutUint64(record[24:], portGUID)
	binary.BigEndian.PutUint32(record[32:], 0xb1b)
	binary.BigEndian.PutUint16(record[40:], uint16(key))
	record[48] = 2<<4 | 1 // full member
	packet := ask.Encode()
	if err := at.Send(manager.MasterSMLID, &packet); err != nil {
		return 0, err
	}
	for {
		var p mad.Packet
		lost, err := at.Recv(&p)
		if err != nil {
			return 0, err
		}
		if lost {
			return 0, fmt.Errorf("subnet administration can't be reached from %s", host)
		}
		if answer, err := mad.ParseSA(&p); err == nil && answer.Attribute == mad.AttrMCMemberRecord && uint32(answer.TID) == group {
			return answer.Status, nil
		}
	}
}
