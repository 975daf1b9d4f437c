package ibfabric

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// Options are a fabric's.
type Options struct {
	Name  string           // IBSIM_SOCKNAME of its clients
	Clock func() time.Time // for M_Key leases; nil: time.Now
}

// Fabric is an emulated fabric under way. Its methods may be called from several
// goroutines.
type Fabric struct {
	Name string

	mu      sync.Mutex
	clock   func() time.Time
	nodes   []*node
	byName  map[string]*node
	byLID   map[uint16]*port
	clients map[uint32]*client
	next    uint32
	traps   []Trap
	sent    uint64
	asked   uint64 // subscriptions to notices
	lose    func(s *mad.SMP) bool
	awaits  map[exchange]*awaited

	control *net.UnixConn
	closed  bool
	ended   chan struct{}
	serving sync.WaitGroup
}

// device stands in a transaction id, where the number of a client does, for the
// emulated devices.
const device = 0xffff

// client is a program that sits on a host's port.
type client struct {
	id   uint32
	name string // ":in<id>"
	at   *port
	isSM bool
	asks uint64 // when it last subscribed to notices, counted; 0: never
	data *net.UnixConn
	out  chan [dataSize]byte // what waits to be taken; nobody is waited for while the fabric is held
}

// Trap is one that a device has sent, or would have, had it known a manager.
type Trap struct {
	At     time.Time
	Node   string
	Port   uint8
	Number uint16
}

// Start reads a topology in the form of ibsim and serves it until ctx ends or
// Close is called.
func Start(ctx context.Context, topology io.Reader, o Options) (*Fabric, error) {
	f := &Fabric{Name: o.Name, clock: o.Clock, byName: map[string]*node{}, byLID: map[uint16]*port{}, clients: map[uint32]*client{}, awaits: map[exchange]*awaited{}}
	if f.clock == nil {
		f.clock = time.Now
	}
	if o.Name == "" {
		return nil, errors.New("ibfabric: a name is needed: its clients' IBSIM_SOCKNAME")
	}
	if err := f.read(topology); err != nil {
		return nil, fmt.Errorf("ibfabric: %w", err)
	}
	var err error
	if f.control, err = net.ListenUnixgram("unixgram", address("%s:ctl", o.Name)); err != nil {
		return nil, fmt.Errorf("ibfabric: %w", err)
	}
	f.serving.Add(2)
	f.ended = make(chan struct{})
	go f.serveControl()
	go f.reap()
	context.AfterFunc(ctx, f.Close)
	return f, nil
}

// Close ends the fabric; its clients hear nothing more.
func (f *Fabric) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed = true
	close(f.ended)
	f.control.Close()
	for id, c := range f.clients {
		c.data.Close()
		close(c.out)
		delete(f.clients, id)
	}
	for key := range f.awaits {
		f.answered(key)
	}
	f.mu.Unlock()
	f.serving.Wait()
}

func (f *Fabric) now() time.Time { return f.clock() }

// The protocol; see umad.SimPort for what is in the messages.
const (
	controlSize = 80
	dataSize    = 32 + mad.Size
	magic       = 0xdeadbeef

	ctlError, ctlConnect, ctlDisconnect, ctlPort, ctlVendor = 0, 1, 2, 3, 4
	ctlGID, ctlGUID, ctlNodeInfo, ctlPortInfo, ctlSetIsSM   = 5, 6, 7, 8, 9
	ctlKeys                                                 = 10

	atData, atName, nameSize = 16, 16 + 12, 32

	lostStatus = 110 // ETIMEDOUT: a request that could not be delivered
)

// keyMark in the four unused bytes of a data message says that the two bytes
// after it are the P_Key of a general management packet: Bulkhead's own clients
// choose one; others send under the default partition.
const keyMark = 0x504b

func address(format string, args ...any) *net.UnixAddr {
	return &net.UnixAddr{Name: "@" + fmt.Sprintf(format, args...) + "\x00", Net: "unixgram"}
}

func (f *Fabric) serveControl() {
	defer f.serving.Done()
	var b [controlSize + 1]byte
	for {
		n, from, err := f.control.ReadFromUnix(b[:])
		if err != nil {
			return
		}
		if n != controlSize || binary.NativeEndian.Uint32(b[:]) != magic || from == nil {
			continue
		}
		out := [controlSize]byte(b[:controlSize])
		if err := f.command(&out); err != nil {
			binary.NativeEndian.PutUint32(out[8:], ctlError)
		}
		from.Name += "\x00" // part of the name; package syscall cuts it off
		_, _ = f.control.WriteToUnix(out[:], from)
	}
}

var errControl = errors.New("refused")

// command carries out a control message and puts the answer in its place.
func (f *Fabric) command(b *[controlSize]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	number, kind := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[8:])
	data := b[atData:]
	if kind == ctlConnect {
		return f.connect(b)
	}
	c := f.clients[number]
	if c == nil {
		return errControl
	}
	put := func(d mad.Data) { copy(data, d[:]) }
	switch kind {
	case ctlDisconnect:
		f.drop(c)
	case ctlPort:
		binary.NativeEndian.PutUint16(data, c.at.info.LID)
		data[2] = byte(c.at.info.State)
	case ctlVendor:
		clear(data[:24])
		binary.NativeEndian.PutUint32(data[0:], 0x2c9)
		binary.NativeEndian.PutUint32(data[4:], 0x101d)
		binary.NativeEndian.PutUint64(data[16:], 1)
	case ctlGID:
		binary.BigEndian.PutUint64(data[0:], c.at.info.GIDPrefix)
		binary.BigEndian.PutUint64(data[8:], c.at.guid)
	case ctlGUID:
		binary.BigEndian.PutUint64(data, c.at.guid)
	case ctlNodeInfo:
		put(c.at.node.info(c.at))
	case ctlPortInfo:
		q := c.at
		if want := int(data[0]); want > 0 && want < len(q.node.ports) && q.node.ports[want] != nil {
			q = q.node.ports[want]
		}
		i := q.info
		i.LocalPort, i.MKey = q.number, 0
		put(i.Encode())
	case ctlSetIsSM:
		c.isSM = binary.NativeEndian.Uint32(data) != 0
		f.markSM(c.at)
	case ctlKeys:
		clear(data)
		for i := range len(data) / 2 {
			binary.NativeEndian.PutUint16(data[2*i:], 0)
			if i < len(c.at.keys) {
				binary.BigEndian.PutUint16(data[2*i:], uint16(c.at.keys[i]))
			}
		}
	default:
		return errControl
	}
	return nil
}

func (f *Fabric) connect(b *[controlSize]byte) error {
	data := b[atData:]
	name := b[atName : atName+nameSize]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	var at *port
	if len(name) == 0 {
		for _, n := range f.nodes {
			if !n.isSwitch() {
				at = n.ports[1]
				break
			}
		}
	} else if n := f.byName[string(name)]; n != nil {
		if at = n.ports[0]; at == nil {
			at = n.ports[1]
		}
	}
	if at == nil {
		return errControl
	}
	for f.clients[f.next] != nil {
		if f.next = (f.next + 1) % device; len(f.clients) >= device {
			return errControl
		}
	}
	c := &client{id: f.next, name: fmt.Sprintf("%s:in%d", f.Name, binary.NativeEndian.Uint32(data)), at: at, isSM: binary.NativeEndian.Uint32(data[8:]) != 0, out: make(chan [dataSize]byte, maxWaiting)}
	var err error
	if c.data, err = net.ListenUnixgram("unixgram", address("%s:out%d", f.Name, c.id)); err != nil {
		return err
	}
	raw, err := c.data.SyscallConn()
	if err != nil {
		c.data.Close()
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.Connect(int(fd), &syscall.SockaddrUnix{Name: "@" + c.name + "\x00"})
	}); err != nil {
		failed = err
	}
	if failed != nil {
		c.data.Close()
		return failed
	}
	_ = c.data.SetReadBuffer(1 << 20)
	_ = c.data.SetWriteBuffer(1 << 20)
	f.next = (f.next + 1) % device
	f.clients[c.id] = c
	binary.NativeEndian.PutUint32(data, c.id)
	clear(b[atName : atName+nameSize])
	copy(b[atName:atName+nameSize-1], at.node.name)
	f.markSM(at)
	f.serving.Add(2)
	go f.serveClient(c)
	go f.deliverTo(c)
	return nil
}

// reap drops clients whose process has ended without a word: nobody is bound to
// their name any more.
func (f *Fabric) reap() {
	defer f.serving.Done()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-f.ended:
			return
		case <-ticker.C:
		}
		f.mu.Lock()
		for _, c := range f.clients {
			try, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: "@" + c.name + "\x00", Net: "unixgram"})
			if err == nil {
				try.Close()
			} else if errors.Is(err, syscall.ECONNREFUSED) {
				f.drop(c)
			}
		}
		f.mu.Unlock()
	}
}

// maxWaiting is how many packets may wait for a client; more are lost, as a port
// without buffers loses them.
const maxWaiting = 8192

// deliverTo writes to a client what waits for it.
func (f *Fabric) deliverTo(c *client) {
	defer f.serving.Done()
	for b := range c.out {
		if _, err := c.data.Write(b[:]); err != nil {
			f.mu.Lock()
			f.drop(c) // it has gone, without a word
			f.mu.Unlock()
			for range c.out {
			}
			return
		}
	}
}

func (f *Fabric) drop(c *client) {
	if f.clients[c.id] != c {
		return
	}
	delete(f.clients, c.id)
	c.data.Close()
	close(c.out)
	f.forget(c)
	f.markSM(c.at)
}

// markSM sets whether a port says that a manager runs behind it.
func (f *Fabric) markSM(p *port) {
	runs := false
	for _, c := range f.clients {
		runs = runs || c.at == p && c.isSM
	}
	was := p.info.CapabilityMask
	p.info.CapabilityMask &^= mad.CapIsSM
	if runs {
		p.info.CapabilityMask |= mad.CapIsSM
	}
	if was != p.info.CapabilityMask {
		d := mad.LocalChange{LID: p.info.LID, CapabilityMask: p.info.CapabilityMask}
		f.trap(p, mad.TrapCapability, d.Encode())
	}
}

func (f *Fabric) serveClient(c *client) {
	defer f.serving.Done()
	var b [dataSize + 1]byte
	for {
		n, err := c.data.Read(b[:])
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
				f.mu.Lock()
				f.drop(c)
				f.mu.Unlock()
				return
			}
			continue
		}
		if n == dataSize {
			f.packet(c, (*[dataSize]byte)(b[:dataSize]))
		}
	}
}
