package ethernet

import (
	"fmt"
	"net/netip"

	"bulkhead/fabric"
)

// DecodeError says where a capture is not as documented.
type DecodeError struct {
	Offset int    // byte
	What   string // what was expected
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("ethernet capture: byte %d: expected %s", e.Offset, e.What)
}

// Decode reads the capture of one leaf. Anything but the canonical form is
// refused, and so is a capture that contradicts itself. Cost: about 50 µs for 64
// ports.
func Decode(raw []byte) (Capture, error) {
	r := reader{raw: raw}
	var c Capture
	r.literal(`{"version":3,"switch":"`)
	start := r.at
	for r.err == nil && r.at < len(raw) && nameByte(raw[r.at]) {
		r.at++
	}
	c.Switch = string(raw[start:r.at])
	r.literal(`","vlan_table":{"used":`)
	c.TableUsed = r.number(maxTable)
	r.literal(`,"size":`)
	c.TableSize = r.number(maxTable)
	r.literal(`},"underlay":{"vtep":`)
	c.Underlay.VTEP = r.address(true)
	r.literal(`,"accept":`)
	c.Underlay.Accept = list(&r, maxList, (*reader).addresses)
	c.Underlay.AcceptElse = r.boolean(`,"accept_else":`)
	c.Underlay.Forwards = r.boolean(`,"forwards":`)
	r.literal(`,"peers":`)
	c.Underlay.Peers = list(&r, maxList, (*reader).peer)
	r.literal(`},"classes":`)
	c.Classes = list(&r, 8, (*reader).class)
	r.literal(`,"ports":`)
	r.vlans = make([]VLAN, 0, min(len(raw)/200+1, maxPorts))
	c.Ports = list(&r, maxPorts, (*reader).port)
	r.literal(`,"vnis":`)
	c.VNIs = list(&r, maxList, (*reader).vni)
	c.RoutesSeen = r.boolean(`,"routes_seen":`)
	r.literal(`,"routes":`)
	c.Routes = list(&r, maxList, (*reader).route)
	r.literal(`,"reflectors":`)
	c.Reflectors = list(&r, MaxReflectors, (*reader).reflection)
	if r.next(`,"differs":`) {
		if c.Differs = list(&r, maxDiffers, (*reader).words); len(c.Differs) == 0 {
			r.expected("a difference, or nothing of what differs")
		}
	}
	r.literal(`}`)
	if r.at != len(raw) {
		r.expected("the end")
	}
	if r.err != nil {
		return Capture{}, r.err
	}
	return c, c.check()
}

// reader walks through a capture. The first failure stays: after it nothing
// moves.
type reader struct {
	raw   []byte
	at    int
	err   error
	vlans []VLAN // of all ports, one after the other
}

func (r *reader) expected(what string) {
	if r.err == nil {
		r.err = &DecodeError{r.at, what}
	}
}

// literal takes exactly text.
func (r *reader) literal(text string) {
	if !r.next(text) {
		r.expected(text)
	}
}

// next reports whether text comes next, and takes it.
func (r *reader) next(text string) bool {
	if r.err != nil || len(r.raw)-r.at < len(text) || string(r.raw[r.at:r.at+len(text)]) != text {
		return false
	}
	r.at += len(text)
	return true
}

// list takes a list of at most limit elements; nil where there are none.
func list[T any](r *reader, limit int, one func(*reader) T) (out []T) {
	r.literal(`[`)
	for r.err == nil && !r.next(`]`) {
		if len(out) > 0 {
			r.literal(`,`)
		}
		if len(out) == limit {
			r.expected(fmt.Sprintf("at most %d elements", limit))
			return nil
		}
		if len(out) == cap(out) && len(out) >= 8 { // most lists are short
			out = append(make([]T, 0, 4*len(out)), out...)
		}
		out = append(out, one(r))
	}
	return out
}

// number takes an integer from 0 to limit in shortest form.
func (r *reader) number(limit int) int {
	start, n := r.at, 0
	for r.err == nil && r.at < len(r.raw) && r.raw[r.at] >= '0' && r.raw[r.at] <= '9' {
		n = n*10 + int(r.raw[r.at]-'0')
		r.at++
		if n > limit {
			break
		}
	}
	if r.err != nil || r.at == start || n > limit || r.raw[start] == '0' && r.at > start+1 {
		r.at = start
		r.expected(fmt.Sprintf("a number from 0 to %d in shortest form", limit))
		return 0
	}
	return n
}

// boolean takes text, and true or false after it.
func (r *reader) boolean(text string) bool {
	r.literal(text)
	if r.next("true") {
		return true
	}
	r.literal("false")
	return false
}

// mac takes the text of a MAC, or an empty one for 0.
func (r *reader) mac() (mac uint64) {
	if r.next(`""`) {
		return 0
	}
	r.literal(`"`)
	const size = 17
	if r.err != nil || len(r.raw)-r.at < size {
		r.expected("a MAC such as 02:00:00:00:00:09")
		return 0
	}
	for i, ch := range r.raw[r.at : r.at+size] {
		switch {
		case i%3 == 2 && ch == ':':
		case i%3 != 2 && ch >= '0' && ch <= '9':
			mac = mac<<4 | uint64(ch-'0')
		case i%3 != 2 && ch >= 'a' && ch <= 'f':
			mac = mac<<4 | uint64(ch-'a'+10)
		default:
			r.expected("a MAC such as 02:00:00:00:00:09")
			return 0
		}
	}
	if mac == 0 {
		r.expected("a MAC that is not 0")
		return 0
	}
	r.at += size
	r.literal(`"`)
	return mac
}

// ip takes the text of an IPv4 address in shortest form.
func (r *reader) ip() netip.Addr {
	var b [4]byte
	for i := range b {
		if i > 0 {
			r.literal(`.`)
		}
		b[i] = byte(r.number(255))
	}
	if r.err != nil {
		return netip.Addr{}
	}
	return netip.AddrFrom4(b)
}

// address takes an address in quotes, or an empty text where that is allowed.
func (r *reader) address(optional bool) netip.Addr {
	if optional && r.next(`""`) {
		return netip.Addr{}
	}
	r.literal(`"`)
	a := r.ip()
	r.literal(`"`)
	return a
}

func (r *reader) peer() netip.Addr { return r.address(false) }

func (r *reader) addresses() (out Range) {
	r.literal(`"`)
	out.From = r.ip()
	r.literal(`-`)
	out.To = r.ip()
	r.literal(`"`)
	return out
}

func (r *reader) target() Target {
	r.literal(`"`)
	as := r.number(1<<16 - 1)
	r.literal(`:`)
	value := r.number(1<<32 - 1)
	r.literal(`"`)
	return Target(as)<<32 | Target(value)
}

func (r *reader) class() (p ClassParameters) {
	r.literal(`{"class":`)
	p.Class = uint8(r.number(7))
	r.literal(`,"dscp":`)
	p.DSCP = uint8(r.number(63))
	p.PFC = r.boolean(`,"pfc":`)
	r.literal(`,"ecn":[`)
	p.ECNMin = uint32(r.number(1<<32 - 1))
	r.literal(`,`)
	p.ECNMax = uint32(r.number(1<<32 - 1))
	r.literal(`,`)
	p.ECNPercent = uint8(r.number(100))
	r.literal(`]}`)
	return p
}

func (r *reader) port() (p Port) {
	r.literal(`{"port":`)
	p.Number = r.number(maxPorts)
	p.FilterIn = r.boolean(`,"filter_in":`)
	p.FilterOut = r.boolean(`,"filter_out":`)
	p.Locked = r.boolean(`,"locked":`)
	p.Mirrored = r.boolean(`,"mirrored":`)
	r.literal(`,"vlans":[`)
	first := len(r.vlans)
	for r.err == nil && !r.next(`]`) {
		if len(r.vlans) > first {
			r.literal(`,`)
		}
		var v VLAN
		r.literal(`{"vid":`)
		v.VID = r.number(maxVID)
		r.literal(`,"vni":`)
		v.VNI = uint32(r.number(fabric.MaxValue))
		v.Isolated = r.boolean(`,"isolated":`)
		r.literal(`}`)
		r.vlans = append(r.vlans, v)
	}
	if n := len(r.vlans); n > first {
		p.VLANs = r.vlans[first:n:n]
	}
	r.literal(`,"class":`)
	p.Class = uint8(r.number(7))
	r.literal(`,"lldp":`)
	p.LLDP = r.mac()
	r.literal(`,"fdb":`)
	p.FDB = r.mac()
	p.More = r.boolean(`,"more":`)
	if r.next(`,"mtu":`) {
		if p.MTU = r.number(maxMTU); p.MTU == 0 {
			r.expected("an MTU, or nothing of one that is not known")
		}
	}
	r.literal(`}`)
	return p
}

func (r *reader) vni() (v VNI) {
	r.literal(`{"vni":`)
	v.VNI = uint32(r.number(fabric.MaxValue))
	r.literal(`,"import":`)
	v.Import = list(r, maxList, (*reader).target)
	r.literal(`,"export":`)
	v.Export = list(r, maxList, (*reader).target)
	r.literal(`,"flood":`)
	v.Flood = list(r, maxList, (*reader).peer)
	r.literal(`,"static":`)
	v.Static = list(r, maxList, (*reader).peer)
	if r.next(`,"unlearnt":`) {
		if v.Unlearnt = list(r, maxList, (*reader).peer); len(v.Unlearnt) == 0 {
			r.expected("a leaf, or nothing of what is unlearnt")
		}
	}
	r.literal(`}`)
	return v
}

func (r *reader) route() (out Route) {
	r.literal(`{"kind":`)
	out.Kind = uint8(r.number(255))
	r.literal(`,"vni":`)
	out.VNI = uint32(r.number(fabric.MaxValue))
	r.literal(`,"mac":`)
	out.MAC = r.mac()
	r.literal(`,"targets":`)
	out.Targets = list(r, maxList, (*reader).target)
	r.literal(`,"originator":`)
	out.Originator = r.address(false)
	r.literal(`}`)
	return out
}

func (r *reader) reflection() (out Reflection) {
	r.literal(`{"at":`)
	out.At = r.address(false)
	r.literal(`,"passes":`)
	out.Passes = list(r, maxList, (*reader).target)
	r.literal(`}`)
	return out
}

// words takes words of what differs.
func (r *reader) words() string {
	r.literal(`"`)
	start := r.at
	for r.err == nil && r.at < len(r.raw) && plainByte(r.raw[r.at]) {
		r.at++
	}
	words := string(r.raw[start:r.at])
	r.literal(`"`)
	return words
}
