package umad

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// A SimPort is at a simulated InfiniBand fabric: it is a client of ibsim's protocol, in
// pure Go. The fabric is a simulated one, and what is read
// from it is evidence of nothing but this software. The emulator of the lab
// speaks the same protocol.
//
// The protocol, as seen on the sockets: datagrams over unix sockets in the
// abstract name space (unix(7)). The simulator NAME listens at "NAME:ctl" and,
// for client n, at "NAME:out<n>"; the client binds "NAME:ctl<id>" and
// "NAME:in<id>" with an id that it chooses. Names end in a NUL byte. The client
// connects with a control message that names the host that it sits on; after
// that each datagram is one MAD.
//
// The simulator writes its client number over the upper 16 bits of the
// transaction ids, so only the lower bits are the sender's. It takes no more
// than 10 clients at a time.

// SimOptions says where to attach.
type SimOptions struct {
	Socket string // the simulator's name; "" is "sim"
	Host   string // node to sit on, by its name or description; "" is the simulator's first
	IsSM   bool   // get the packets that ask for a subnet manager there
}

// controlTimeout is how long the simulator may take to answer a control message.
const controlTimeout = 5 * time.Second

// firstID keeps ids away from process ids, which other clients use.
const firstID = 1 << 23

// SimPort is a port of the simulated fabric. Send may be called from several
// goroutines, Recv from one.
type SimPort struct {
	Host string // name of the node that it sits on

	client  uint32
	control *net.UnixConn
	data    *net.UnixConn

	sending sync.Mutex
	out     [dataSize]byte
	in      [dataSize + 1]byte // one more, so that a longer message shows
}

// OpenSim attaches to a simulator. It is an error if there is none, if it does not
// know the host, or if it has no room.
func OpenSim(o SimOptions) (*SimPort, error) {
	if o.Socket == "" {
		o.Socket = "sim"
	}
	if len(o.Host) >= nodeNameSize {
		return nil, fmt.Errorf("umadsim: host %q: expected a name of at most %d bytes", o.Host, nodeNameSize-1)
	}
	id := firstID + rand.Uint32N(1<<30-firstID)
	port := &SimPort{}
	var err error
	port.control, err = net.DialUnix("unixgram", address("%s:ctl%d", o.Socket, id), address("%s:ctl", o.Socket))
	if err != nil {
		return nil, fmt.Errorf("umadsim: no simulator named %q: %w (start one with IBSIM_SOCKNAME=%s)", o.Socket, err, o.Socket)
	}
	if port.data, err = net.ListenUnixgram("unixgram", address("%s:in%d", o.Socket, id)); err != nil {
		port.control.Close()
		return nil, fmt.Errorf("umadsim: %w", err)
	}
	if err := port.connect(o, id); err != nil {
		port.control.Close()
		port.data.Close()
		return nil, err
	}
	return port, nil
}

// address is an abstract name; the NUL at its end is part of it.
func address(format string, args ...any) *net.UnixAddr {
	return &net.UnixAddr{Name: "@" + fmt.Sprintf(format, args...) + "\x00", Net: "unixgram"}
}

func (p *SimPort) connect(o SimOptions, id uint32) error {
	c := control{kind: controlConnect}
	binary.NativeEndian.PutUint32(c.data[0:], id)
	if o.IsSM {
		binary.NativeEndian.PutUint32(c.data[8:], 1)
	}
	copy(c.data[atNodeName-atControlData:], o.Host)
	c, err := p.ask(c)
	if err != nil {
		return fmt.Errorf("umadsim: attach to %q of simulator %q: %w (is the host known there, and fewer than 10 clients attached?)", o.Host, o.Socket, err)
	}
	p.client = binary.NativeEndian.Uint32(c.data[0:])
	name := c.data[atNodeName-atControlData:][:nodeNameSize]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	p.Host = string(name)

	// The data socket must be bound before the simulator connects to it, and
	// connected only when the client's number is known.
	raw, err := p.data.SyscallConn()
	if err != nil {
		return fmt.Errorf("umadsim: %w", err)
	}
	to := &syscall.SockaddrUnix{Name: address("%s:out%d", o.Socket, p.client).Name}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Connect(int(fd), to) }); err != nil {
		failed = err
	}
	if failed != nil {
		return fmt.Errorf("umadsim: data socket of client %d of simulator %q: %w", p.client, o.Socket, failed)
	}
	if o.IsSM {
		sm := control{client: p.client, kind: controlSetIsSM}
		binary.NativeEndian.PutUint32(sm.data[0:], 1)
		if _, err := p.ask(sm); err != nil {
			return fmt.Errorf("umadsim: subnet manager on %q: %w", p.Host, err)
		}
	}
	return nil
}

var errRefused = errors.New("refused")

func (p *SimPort) ask(c control) (control, error) {
	b := c.encode()
	if err := p.control.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return c, err
	}
	if _, err := p.control.Write(b[:]); err != nil {
		return c, err
	}
	var in [controlSize + 1]byte
	n, err := p.control.Read(in[:])
	if err != nil {
		return c, err
	}
	answer, err := parseControl(in[:n])
	if err == nil && answer.kind == controlError {
		err = errRefused
	}
	return answer, err
}

// Send gives a packet to the simulator, for a LID or, with mad.PermissiveLID, by
// the directed route in the packet. It waits while the simulator's queue is full.
func (p *SimPort) Send(lid uint16, m *mad.Packet) error {
	qp := uint32(1)
	if mad.Class(m[1]).IsSubn() {
		qp = 0
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	putData(&p.out, lid, qp, m)
	if _, err := p.data.Write(p.out[:]); err != nil {
		return fmt.Errorf("umadsim: send: %w", err)
	}
	return nil
}

// SendUnder is Send of a general management packet under a P_Key of the sender's
// choice, as a host with software of its own sends it: the emulated fabric of the
// lab takes the key; ibsim, which has no partitions in its data path, ignores it.
func (p *SimPort) SendUnder(lid uint16, key mad.PKey, m *mad.Packet) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	putData(&p.out, lid, 1, m)
	binary.BigEndian.PutUint16(p.out[atKey:], keyMark)
	binary.BigEndian.PutUint16(p.out[atKey+2:], uint16(key))
	if _, err := p.data.Write(p.out[:]); err != nil {
		return fmt.Errorf("umadsim: send: %w", err)
	}
	return nil
}

// Recv waits for the next packet. If lost, m is a request of this port that
// could not be delivered. After Close the error is net.ErrClosed, wrapped.
func (p *SimPort) Recv(m *mad.Packet) (lost bool, err error) {
	n, err := p.data.Read(p.in[:])
	if err != nil {
		return false, fmt.Errorf("umadsim: receive: %w", err)
	}
	status, err := parseData(p.in[:n], m)
	return status != 0, err
}

// Close detaches. A Recv that waits returns.
func (p *SimPort) Close() error {
	_, err := p.ask(control{client: p.client, kind: controlDisconnect})
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, net.ErrClosed) {
		err = nil // the simulator has gone before us
	}
	return errors.Join(err, p.control.Close(), p.data.Close())
}
