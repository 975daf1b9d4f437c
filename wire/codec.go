package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lineage"
	"bulkhead/node"
	"bulkhead/site"
)

// The binary form. Numbers are unsigned varints (encoding/binary), texts and
// bytes have their length before them, times are signed varints of nanoseconds
// since 1970, yes-or-no facts are bits of a byte. Lists have their length before
// them. A message is the fields below in their order and nothing after, at most
// maxMessage bytes.
//
//	fence           term generation epoch lineage run
//	fabric apply    fence change fabric numbering(0, or 1 and 32 bytes) [port flags class [member] [member]]
//	fabric observe  cursor at fresh numbering [leaf reachable source at raw]
//	node apply      fence [id node kind turnover attempt nonce(32 bytes)]
//	node observe    cursor at more [node at step ok error health(0, or 1 and class alive failed detail) raw]
const maxMessage = 1 << 30

// out writes a message.
type out struct{ b []byte }

func (o *out) number(n uint64)  { o.b = binary.AppendUvarint(o.b, n) }
func (o *out) signed(n int64)   { o.b = binary.AppendVarint(o.b, n) }
func (o *out) time(t time.Time) { o.signed(t.UnixNano()) }
func (o *out) text(s string)    { o.number(uint64(len(s))); o.b = append(o.b, s...) }
func (o *out) bytes(s []byte)   { o.number(uint64(len(s))); o.b = append(o.b, s...) }
func (o *out) flags(f ...bool) {
	var b byte
	for i, set := range f {
		if set {
			b |= 1 << i
		}
	}
	o.b = append(o.b, b)
}

// digest writes a digest that is often not there.
func (o *out) digest(d claim.Digest) {
	o.flags(!d.IsZero())
	if !d.IsZero() {
		o.b = append(o.b, d[:]...)
	}
}

func (o *out) fence(f lineage.Fence) {
	o.number(f.Term)
	o.number(f.Generation)
	o.number(f.Epoch)
	o.text(f.ID)
	o.text(f.Run)
}

var errShort = errors.New("message is cut off")

// in reads a message; the first error stays.
type in struct {
	b   []byte
	err error
}

func (i *in) fail(err error) {
	if i.err == nil {
		i.err, i.b = err, nil
	}
}

func (i *in) number() uint64 {
	n, size := binary.Uvarint(i.b)
	if size <= 0 {
		i.fail(errShort)
		return 0
	}
	i.b = i.b[size:]
	return n
}

func (i *in) signed() int64 {
	n, size := binary.Varint(i.b)
	if size <= 0 {
		i.fail(errShort)
		return 0
	}
	i.b = i.b[size:]
	return n
}

func (i *in) small() uint32 {
	n := i.number()
	if n > 1<<32-1 {
		i.fail(fmt.Errorf("number %d: expected 32 bits", n))
		return 0
	}
	return uint32(n)
}

func (i *in) time() time.Time { return time.Unix(0, i.signed()).UTC() }

func (i *in) bytes() []byte {
	n := i.number()
	if n > uint64(len(i.b)) {
		i.fail(errShort)
		return nil
	}
	s := i.b[:n:n]
	i.b = i.b[n:]
	return s
}

func (i *in) text() string { return string(i.bytes()) }

func (i *in) fence() (f lineage.Fence) {
	f.Term, f.Generation = i.number(), i.number()
	f.Epoch, f.ID, f.Run = i.number(), i.text(), i.text()
	return f
}

func (i *in) byte() byte {
	if len(i.b) == 0 {
		i.fail(errShort)
		return 0
	}
	b := i.b[0]
	i.b = i.b[1:]
	return b
}

func (i *in) digest() (d claim.Digest) {
	if i.byte()&1 == 0 {
		return d
	}
	if len(i.b) < len(d) {
		i.fail(errShort)
		return d
	}
	i.b = i.b[copy(d[:], i.b):]
	return d
}

// count reads the length of a list whose entries take at least least bytes.
func (i *in) count(least int) int {
	n := i.number()
	if n > uint64(len(i.b)/least) {
		i.fail(errShort)
		return 0
	}
	return int(n)
}

func (i *in) end() error {
	if i.err == nil && len(i.b) > 0 {
		i.err = fmt.Errorf("%d bytes after the end of the message", len(i.b))
	}
	return i.err
}

func encodeChange(c *fabric.Change, f fabric.Fence) []byte {
	o := out{make([]byte, 0, 64+24*len(c.Ports))}
	o.fence(f)
	o.text(c.ID)
	o.text(c.Fabric)
	o.digest(c.Numbering)
	o.number(uint64(len(c.Ports)))
	for i := range c.Ports {
		row := &c.Ports[i].Row
		o.number(uint64(c.Ports[i].Port))
		o.flags(row.EnforceIn, row.EnforceOut)
		o.b = append(o.b, row.Class)
		for _, side := range [2][]fabric.Member{row.NIC, row.Leaf} {
			o.number(uint64(len(side)))
			for _, m := range side {
				o.number(uint64(m))
			}
		}
	}
	return o.b
}

func decodeChange(b []byte) (c fabric.Change, f fabric.Fence, err error) {
	i := in{b: b}
	f = i.fence()
	c.ID, c.Fabric, c.Numbering = i.text(), i.text(), i.digest()
	c.Ports = make([]fabric.PortRow, i.count(5))
	var members []fabric.Member
	side := func() []fabric.Member {
		n := i.count(1)
		if n == 0 {
			return nil
		}
		if cap(members)-len(members) < n { // one piece of memory for many rows
			members = make([]fabric.Member, 0, max(n, 4096))
		}
		at := len(members)
		for range n {
			members = append(members, fabric.Member(i.small()))
		}
		return members[at:len(members):len(members)]
	}
	for at := range c.Ports {
		p := &c.Ports[at]
		p.Port = site.Port(i.small())
		flags := i.byte()
		p.Row.EnforceIn, p.Row.EnforceOut = flags&1 != 0, flags&2 != 0
		p.Row.Class = i.byte()
		p.Row.NIC = side()
		p.Row.Leaf = side()
	}
	return c, f, i.end()
}

func encodeReadback(v *fabric.Observation) []byte {
	size := 64
	for i := range v.Devices {
		size += 48 + len(v.Devices[i].Raw)
	}
	o := out{make([]byte, 0, size)}
	o.number(v.Cursor)
	o.time(v.At)
	o.flags(v.Fresh)
	o.digest(v.Numbering)
	o.number(uint64(len(v.Devices)))
	for i := range v.Devices {
		d := &v.Devices[i]
		o.number(uint64(d.Leaf))
		o.flags(d.Reachable)
		o.text(d.Source)
		o.time(d.At)
		o.bytes(d.Raw)
	}
	return o.b
}

func decodeReadback(b []byte) (v fabric.Observation, err error) {
	i := in{b: b}
	v.Cursor, v.At, v.Fresh, v.Numbering = i.number(), i.time(), i.byte()&1 != 0, i.digest()
	if n := i.count(5); n > 0 {
		v.Devices = make([]fabric.DeviceReading, n)
	}
	for at := range v.Devices {
		d := &v.Devices[at]
		d.Leaf, d.Reachable = site.Leaf(i.small()), i.byte()&1 != 0
		d.Source, d.At = i.text(), i.time()
		if raw := i.bytes(); len(raw) > 0 {
			d.Raw = raw
		}
	}
	return v, i.end()
}

func encodeSteps(steps []node.Step, f node.Fence) []byte {
	o := out{make([]byte, 0, 64+96*len(steps))}
	o.fence(f)
	o.number(uint64(len(steps)))
	for i := range steps {
		s := &steps[i]
		o.text(s.ID)
		o.number(uint64(s.Node))
		o.text(s.Kind)
		o.number(uint64(s.Turnover))
		o.signed(int64(s.Attempt))
		o.b = append(o.b, s.Nonce[:]...)
	}
	return o.b
}

func decodeSteps(b []byte) (steps []node.Step, f node.Fence, err error) {
	i := in{b: b}
	f = i.fence()
	steps = make([]node.Step, i.count(37))
	for at := range steps {
		s := &steps[at]
		s.ID, s.Node, s.Kind, s.Turnover, s.Attempt = i.text(), site.Index(i.small()), i.text(), i.small(), int(i.signed())
		if len(i.b) < len(s.Nonce) {
			i.fail(errShort)
			break
		}
		copy(s.Nonce[:], i.b)
		i.b = i.b[len(s.Nonce):]
	}
	return steps, f, i.end()
}

func encodeReports(v *node.Observation) []byte {
	size := 64
	for i := range v.Reports {
		size += 128 + len(v.Reports[i].Raw)
	}
	o := out{make([]byte, 0, size)}
	o.number(v.Cursor)
	o.time(v.At)
	o.flags(v.More)
	o.number(uint64(len(v.Reports)))
	for i := range v.Reports {
		r := &v.Reports[i]
		o.number(uint64(r.Node))
		o.time(r.At)
		o.text(r.Step)
		o.flags(r.OK)
		o.text(r.Error)
		o.flags(r.Health != nil)
		if h := r.Health; h != nil {
			o.text(h.Class)
			o.flags(h.Alive, h.Failed)
			o.text(h.Detail)
		}
		o.bytes(r.Raw)
	}
	return o.b
}

func decodeReports(b []byte) (v node.Observation, err error) {
	i := in{b: b}
	v.Cursor, v.At, v.More = i.number(), i.time(), i.byte()&1 != 0
	if n := i.count(7); n > 0 {
		v.Reports = make([]node.Report, n)
	}
	for at := range v.Reports {
		r := &v.Reports[at]
		r.Node, r.At, r.Step, r.OK, r.Error = site.Index(i.small()), i.time(), i.text(), i.byte()&1 != 0, i.text()
		if i.byte()&1 != 0 {
			h := &node.Health{Class: i.text()}
			flags := i.byte()
			h.Alive, h.Failed, h.Detail = flags&1 != 0, flags&2 != 0, i.text()
			r.Health = h
		}
		if raw := i.bytes(); len(raw) > 0 {
			r.Raw = raw
		}
	}
	return v, i.end()
}
