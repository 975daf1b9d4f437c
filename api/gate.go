package api

import (
	"fmt"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bulkhead/api/bulkheadv1"
)

// Limits are how many calls may be in flight, of one token and of all together.
// What is beyond is refused at once: a queue would hold its memory.
type Limits struct {
	Calls, Watches, Dear Limit
}

// Limit is one of them. Of what all may have, a quarter is kept for the owner's
// roles: tenants together must not shut the operator out.
type Limit struct{ Token, All int }

// DefaultLimits are far more than people and their programs need.
func DefaultLimits() Limits {
	return Limits{Calls: Limit{64, 256}, Watches: Limit{16, 256}, Dear: Limit{2, 8}}
}

// kind is what a call takes of the server while it is in flight.
type kind int

const (
	ordinary kind = iota // a look or a command
	watch                // it may go on for ever
	dear                 // a document to decode, or a long computation
	kinds    = iota
)

func (k kind) String() string { return [kinds]string{"ordinary", "watch", "dear"}[k] }

// dearMethods read documents or compute for long.
var dearMethods = map[string]bool{
	"DiffSite": true, "ImportSite": true, "OfferQuote": true, "OfferSitting": true, "FileProbe": true, "WriteBundle": true,
	"WhatIfEarliest": true, "WhatIfSlip": true, "WhatIfPlace": true, "PlanSpares": true, "PlanDefrag": true,
}

func kindOf(method string) kind {
	switch {
	case dearMethods[method]:
		return dear
	case method == "TailLedger":
		return watch
	}
	return ordinary
}

// gate counts what is in flight.
type gate struct {
	limits Limits

	mu      sync.Mutex
	all     [kinds]int
	tenants [kinds]int
	byToken map[string]*[kinds]int
}

func newGate(l Limits) *gate { return &gate{limits: l, byToken: map[string]*[kinds]int{}} }

func (g *gate) limit(k kind) Limit {
	return [kinds]Limit{g.limits.Calls, g.limits.Watches, g.limits.Dear}[k]
}

// exhaustedError says that too much is in flight.
type exhaustedError struct{ text string }

func (e *exhaustedError) Error() string { return e.text }

// enter lets a call of a token in until leave is called, or says what there is too
// much of.
func (g *gate) enter(t *Token, method string) (leave func(), err error) {
	k := kindOf(method)
	limit, ofTenant := g.limit(k), t.Role.OfTenant()
	g.mu.Lock()
	defer g.mu.Unlock()
	mine := g.byToken[t.ID]
	if mine == nil {
		mine = new([kinds]int)
	}
	full := func(what string, most int) error {
		return connect.NewError(connect.CodeResourceExhausted, &exhaustedError{fmt.Sprintf("%d %s calls of %s are in flight, which is all that are taken: nothing of this one was read or done; try again in a second", most, k, what)})
	}
	switch most := limit.All - limit.All/4; {
	case mine[k] >= limit.Token:
		return nil, full("this token", limit.Token)
	case g.all[k] >= limit.All:
		return nil, full("all tokens", limit.All)
	case ofTenant && g.tenants[k] >= most:
		return nil, full("tenants", most)
	}
	g.byToken[t.ID] = mine
	mine[k]++
	g.all[k]++
	if ofTenant {
		g.tenants[k]++
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		mine[k]--
		g.all[k]--
		if ofTenant {
			g.tenants[k]--
		}
		if *mine == [kinds]int{} {
			delete(g.byToken, t.ID)
		}
	}, nil
}

// inFlight is how many calls of each kind there are.
func (g *gate) inFlight() [kinds]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all
}

// maxPlain is the largest request that carries no document. What is decoded can
// take fifty times the room of what was sent, so that only documents, which are
// one field, may be large.
const maxPlain = 64 << 10

// signedFields are bytes that are no documents: an act that is signed, of some kilobytes
// at most, and signatures over it.
var signedFields = map[name]bool{"assent": true, "signature": true, "possession": true, "warrant": true, "approval": true, "second_warrant": true}

// largest is how many bytes of a method's request are taken, packed and unpacked.
func largest(method string) int {
	m := schema.Methods().ByName(name(method))
	if m == nil {
		return 0
	}
	fields, document := m.Input().Fields(), false
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.IsList() || f.IsMap() || f.Message() != nil {
			return maxPlain // what has many small pieces takes many times its size
		}
		document = document || f.Kind() == protoreflect.BytesKind && !signedFields[f.Name()]
	}
	if document {
		return maxRequest
	}
	return maxPlain
}

type name = protoreflect.Name

// schema is what the service takes and answers.
var schema = bulkheadv1.File_bulkhead_v1_control_proto.Services().ByName("ControlPlane")
