// Package smp asks the devices of an InfiniBand subnet about themselves. It asks their
// subnet management agents, not the subnet manager, which remembers what it wrote and does
// not read it again.
//
//   - [Transport] carries packets; two are in umad;
//   - [Client] matches answers to requests, repeats what got none, and keeps a
//     window of requests on the way;
//   - [Client.Sweep] finds every node, port and cable by directed routes;
//   - [Client.ReadTables] reads every edge port's P_Key tables, enforcement, M_Key
//     state and counters, with the raw bytes.
//
// Requests go by directed route unless asked otherwise: such a route is a list of
// cables, so an answer comes from what is plugged in there, while a LID is
// wherever the forwarding tables say.
//
// What does not answer is listed with the reason; nothing is left out. An answer
// is a device's word about itself: a host that controls its own HCA firmware can
// lie about the HCA's table, but not about the table of the switch port behind.
package smp

import "bulkhead/fabric/infiniband/mad"

// Transport carries packets to and from one port of the fabric. Send may be
// called from several goroutines at once and while Recv waits; Recv is called
// from one goroutine.
type Transport interface {
	// Send sends a packet to a LID, or with mad.PermissiveLID by the directed
	// route in the packet. It may wait while the device is busy. Only the lower
	// 32 bits of the transaction id need to come back.
	Send(lid uint16, p *mad.Packet) error

	// Recv waits for the next packet. Lost means that p is a request of ours that
	// the device gave up. An error is final.
	Recv(p *mad.Packet) (lost bool, err error)

	// Close ends a Recv that waits.
	Close() error
}
