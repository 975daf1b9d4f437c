package smp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// Route is a directed route from the local port: the port numbers by which the
// packet leaves one node after the other, at most mad.MaxHops. "" is the local
// node.
type Route string

// Next is the route that goes on by a port.
func (r Route) Next(port uint8) Route { return r + Route([]byte{port}) }

// String writes the ports with commas, after 0 for the local node, as
// infiniband-diags do: "0,1,14".
func (r Route) String() string {
	var b strings.Builder
	b.WriteByte('0')
	for i := range len(r) {
		fmt.Fprintf(&b, ",%d", r[i])
	}
	return b.String()
}

// Address is whom to ask: by LID, or if that is 0 by route.
type Address struct {
	LID   uint16
	Route Route
}

func (a Address) String() string {
	if a.LID != 0 {
		return fmt.Sprintf("LID %d", a.LID)
	}
	return "route " + a.Route.String()
}

// Request is one question, or with mad.Set one order.
type Request struct {
	To        Address
	Method    mad.Method // 0: mad.Get
	Attribute mad.Attribute
	Modifier  uint32
	MKey      uint64
	Data      mad.Data // of a Set
}

// Answer is what a device said.
type Answer struct {
	Data mad.Data
	At   time.Time // when the answer came in
}

// ErrNoAnswer is returned, wrapped, if a device stayed silent through all tries.
// A device whose M_Key is not the request's stays silent too (14.2.4).
var ErrNoAnswer = errors.New("no answer")

// StatusError is an answer that says no.
type StatusError struct {
	To        Address
	Attribute mad.Attribute
	Modifier  uint32
	Status    mad.Status
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s, attribute 0x%04x, modifier 0x%x: %s", e.To, uint16(e.Attribute), e.Modifier, e.Status)
}

// encode makes the packet; the transaction id is left 0.
func (r *Request) encode() (mad.Packet, uint16, error) {
	method := r.Method
	if method == 0 {
		method = mad.Get
	}
	var s mad.SMP
	lid := r.To.LID
	if lid != 0 {
		s = mad.NewByLID(method, r.Attribute, r.Modifier)
	} else {
		if len(r.To.Route) > mad.MaxHops {
			return mad.Packet{}, 0, fmt.Errorf("smp: a route of %d hops, at most %d", len(r.To.Route), mad.MaxHops)
		}
		var ports [mad.MaxHops]byte
		s, _ = mad.NewByRoute(method, r.Attribute, r.Modifier, ports[:copy(ports[:], r.To.Route)])
		lid = mad.PermissiveLID
	}
	s.MKey, s.Data = r.MKey, r.Data
	return s.Encode(), lid, nil
}

// answers says whether p, from the wire, is an answer to the request in sent.
// The upper half of the transaction id belongs to the transport. A directed
// route must have been walked as it was asked: else another node answered.
func answers(p, sent *mad.Packet) bool {
	h, want := p.Header(), sent.Header()
	if h.BaseVersion != want.BaseVersion || h.Class != want.Class || h.ClassVersion != want.ClassVersion ||
		h.Method != mad.GetResp || uint32(h.TID) != uint32(want.TID) ||
		h.Attribute != want.Attribute || h.Modifier != want.Modifier {
		return false
	}
	if h.Class == mad.ClassSubnLID {
		return true
	}
	hops := int(sent[hopCountAt])
	return p[hopCountAt] == sent[hopCountAt] && string(p[pathAt:pathAt+hops+1]) == string(sent[pathAt:pathAt+hops+1])
}

const (
	hopCountAt = 7
	pathAt     = 128
)
