// Package umad sends and receives MADs: by Linux's user_mad interface, or at a simulator.
//
// The interface is /dev/infiniband/umadN (the kernel's Documentation/infiniband/user_mad.rst
// and include/uapi/rdma/ib_user_mad.h, ABI version 5).
//
// It was written against the interface's description and has never run on an HCA:
// the tests check the layout of what goes to the kernel against the kernel's own
// header, and the port against a stand-in for the device.
//
// The kernel writes its number for the agent over the upper 32 bits of the
// transaction ids. It hands on an answer only if it still waits for it, so it
// must wait longer than who asks: a request that it gave up comes back as lost.
package umad

import (
	"encoding/binary"
	"errors"
	"fmt"

	"bulkhead/fabric/infiniband/mad"
)

// The header before each MAD, in the form with a P_Key index (struct
// ib_user_mad_hdr). Numbers are in the machine's byte order but for QP, Q_Key and
// LID.
const (
	headerSize = 64

	atAgent   = 0
	atStatus  = 4 // an errno, of a send that failed
	atTimeout = 8 // ms
	atLength  = 16
	atQP      = 20
	atQKey    = 24
	atLID     = 28

	// mgmtHeaderSize is how much of a lost packet comes back: its MAD header.
	mgmtHeaderSize = mad.HeaderSize
)

// The request to register an agent (struct ib_user_mad_reg_req). With no bit in
// the method mask the agent gets nothing but answers to what it sent.
const (
	registerSize = 28

	atRegisterID      = 0
	atMethodMask      = 4 // 16 bytes
	atRegisterQP      = 20
	atRegisterClass   = 21
	atRegisterVersion = 22
)

// The ioctl numbers: direction in bits 30 and 31, size from bit 16, 0x1b from
// bit 8, number (include/uapi/rdma/rdma_user_ioctl_cmds.h).
const (
	ioctlMagic    = 0x1b
	registerAgent = 3<<30 | registerSize<<16 | ioctlMagic<<8 | 1
	enablePKey    = ioctlMagic<<8 | 3
)

// registration makes the request for an agent of a class on QP0.
func registration(class mad.Class) [registerSize]byte {
	var b [registerSize]byte
	b[atRegisterClass], b[atRegisterVersion] = byte(class), mad.Version
	return b
}

// hear asks for the requests of methods too: bits of a mask of two 64-bit words in
// the machine's byte order.
func hear(r *[registerSize]byte, methods ...mad.Method) {
	for _, m := range methods {
		at := r[atMethodMask+8*int(m&0x7f/64):]
		binary.NativeEndian.PutUint64(at, binary.NativeEndian.Uint64(at)|1<<(m%64))
	}
}

// putMessage writes what goes to the kernel for one packet, on QP0 or, if it is a
// general one, on QP1. Nothing answers an answer, so the kernel is not to wait.
func putMessage(b *[headerSize + mad.Size]byte, agent uint32, timeoutMs uint32, lid uint16, p *mad.Packet) {
	clear(b[:headerSize])
	binary.NativeEndian.PutUint32(b[atAgent:], agent)
	if !p.Header().Method.IsResponse() {
		binary.NativeEndian.PutUint32(b[atTimeout:], timeoutMs)
	}
	binary.NativeEndian.PutUint32(b[atLength:], mad.Size)
	binary.BigEndian.PutUint16(b[atLID:], lid)
	if !mad.Class(p[1]).IsSubn() {
		binary.BigEndian.PutUint32(b[atQP:], 1)
		binary.BigEndian.PutUint32(b[atQKey:], generalQKey)
	}
	copy(b[headerSize:], p[:])
}

// generalQKey is the Q_Key of QP1 (IBTA volume 1, 3.9.5.3).
const generalQKey = 0x80010000

// parseMessage reads what came from the kernel. Lost means that the request in p,
// of which only the MAD header is whole, was given up.
func parseMessage(b []byte, p *mad.Packet) (lost bool, err error) {
	if len(b) < headerSize+mgmtHeaderSize || len(b) > headerSize+mad.Size {
		return false, fmt.Errorf("umad: a message of %d bytes, expected %d to %d", len(b), headerSize+mgmtHeaderSize, headerSize+mad.Size)
	}
	status := binary.NativeEndian.Uint32(b[atStatus:])
	clear(p[:])
	n := copy(p[:], b[headerSize:])
	if status != 0 {
		return true, nil
	}
	if n < mad.Size {
		return false, fmt.Errorf("umad: a MAD of %d bytes, expected %d", n, mad.Size)
	}
	return false, nil
}

// errClass says that there is no agent for a packet's class.
var errClass = errors.New("only subnet management packets can be sent")
