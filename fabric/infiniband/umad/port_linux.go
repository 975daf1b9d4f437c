package umad

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"bulkhead/fabric/infiniband/mad"
)

// Port is QP0 of one port of an HCA, for requests. Send may be called from
// several goroutines, Recv from one.
type Port struct {
	file      io.ReadWriteCloser
	agents    map[mad.Class]uint32
	timeoutMs uint32

	sending sync.Mutex
	out     [headerSize + mad.Size]byte
	in      [headerSize + mad.Size]byte
}

// Open opens a device, "/dev/infiniband/umad0", and registers for both classes of
// subnet management. Wait is how long the kernel waits for an answer, 1 ms to
// 1 hour: longer than the client that asks. It needs the right to open the
// device, which only root has by default.
func Open(device string, wait time.Duration) (*Port, error) {
	if wait < time.Millisecond || wait > time.Hour {
		return nil, fmt.Errorf("umad: wait %s: expected 1 ms to 1 h", wait)
	}
	file, err := os.OpenFile(device, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("umad: %w (needs an HCA, the module ib_umad, and root)", err)
	}
	p := &Port{file: file, agents: map[mad.Class]uint32{}, timeoutMs: uint32(wait / time.Millisecond)}
	if err := p.register(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("umad: %s: %w", device, err)
	}
	return p, nil
}

func (p *Port) register(file *os.File) error {
	// First of all: afterwards the kernel refuses to change the header's form.
	if err := ioctl(file, enablePKey, nil); err != nil {
		return fmt.Errorf("choose the header with a P_Key index: %w", err)
	}
	for _, class := range []mad.Class{mad.ClassSubnLID, mad.ClassSubnDirected} {
		r := registration(class)
		if err := ioctl(file, registerAgent, &r[0]); err != nil {
			return fmt.Errorf("register for %s: %w", class, err)
		}
		p.agents[class] = binary.NativeEndian.Uint32(r[atRegisterID:])
	}
	return nil
}

// General also registers for subnet administration and performance management, on
// QP1: what any host asks. Such packets go under the first entry of the HCA's own
// P_Key table. What of subnet administration it hears are requests that come unasked:
// the kernel gives those of one method to one program of a host.
func (p *Port) General(hears ...mad.Method) error {
	file, ok := p.file.(*os.File)
	if !ok {
		return errClass
	}
	for class, version := range map[mad.Class]byte{mad.ClassSubnAdm: mad.SAVersion, mad.ClassPerf: mad.Version} {
		r := registration(class)
		r[atRegisterQP], r[atRegisterVersion] = 1, version
		if class == mad.ClassSubnAdm {
			hear(&r, hears...)
		}
		if err := ioctl(file, registerAgent, &r[0]); err != nil {
			return fmt.Errorf("umad: register for %s: %w", class, err)
		}
		p.agents[class] = binary.NativeEndian.Uint32(r[atRegisterID:])
	}
	return nil
}

func ioctl(file *os.File, number uintptr, argument *byte) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, number, uintptr(unsafe.Pointer(argument))); errno != 0 {
			failed = errno
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// Send gives a packet to the kernel, for a LID or, with mad.PermissiveLID, by the
// directed route in the packet. The upper half of its transaction id is replaced.
func (p *Port) Send(lid uint16, m *mad.Packet) error {
	agent, ok := p.agents[mad.Class(m[1])]
	if !ok {
		return fmt.Errorf("umad: send: %s: %w", mad.Class(m[1]), errClass)
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	putMessage(&p.out, agent, p.timeoutMs, lid, m)
	if _, err := p.file.Write(p.out[:]); err != nil {
		return fmt.Errorf("umad: send: %w", err)
	}
	return nil
}

// Recv waits for the next packet. If lost, m is the MAD header of a request that
// got no answer. After Close the error is os.ErrClosed, wrapped.
func (p *Port) Recv(m *mad.Packet) (lost bool, err error) {
	n, err := p.file.Read(p.in[:])
	if err != nil {
		return false, fmt.Errorf("umad: receive: %w", err)
	}
	return parseMessage(p.in[:n], m)
}

// Close gives the device back; its agents go with it. A Recv that waits returns.
func (p *Port) Close() error { return p.file.Close() }
