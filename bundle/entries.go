package bundle

import (
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/storage"
)

// KindRegistered is the kind of a tenant's first entry. The book owns it; the
// verifier has none of the book's code inside.
const KindRegistered = "tenant.registered/1"

// Registered is the body of KindRegistered.
type Registered struct {
	Tenant   string `json:"tenant"`
	Name     string `json:"name"`
	Internal bool   `json:"internal"`
}

// KindTenantToken is the kind by which the owner says that it has made a token in the
// tenant's name; the book's, likewise.
const KindTenantToken = "tenant.token-minted/1"

// TenantToken is the body of KindTenantToken.
type TenantToken struct {
	Token   string    `json:"token"`
	Subject string    `json:"subject"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// kinds maps every kind that a tenant's scope may hold to a decoder of its
// body. A kind that is missing here is an error: a newer release wrote the log,
// and what is not understood is not proven.
var kinds = map[string]func(b *budget, data []byte) (any, error){
	KindRegistered:              decode[Registered](),
	contract.KindQuoted:         decode[contract.Quoted](),
	contract.KindLapsed:         decode[contract.Lapsed](),
	contract.KindSigned:         decode[contract.Signed](),
	contract.KindNotice:         decode[contract.Acted](),
	contract.KindClosed:         decode[contract.Closed](),
	lease.KindBound:             decode[lease.Bound](),
	lease.KindRebooked:          decode[lease.Rebooked](),
	lease.KindLate:              decode[lease.Late](),
	lease.KindDelivered:         decode[lease.Delivered](),
	lease.KindSlots:             decode[lease.Slots](),
	lease.KindProposed:          decode[lease.Proposed](),
	lease.KindAcknowledged:      decode[lease.Acknowledged](),
	lease.KindSwapped:           decode[lease.Swapped](),
	lease.KindWithdrawn:         decode[lease.Withdrawn](),
	lease.KindUnserved:          decode[lease.Unserved](),
	lease.KindDefragProposed:    decode[lease.DefragProposed](),
	lease.KindDefragConsented:   decode[lease.DefragConsented](),
	lease.KindDefragAccepted:    decode[lease.DefragAccepted](),
	lease.KindDefragEnded:       decode[lease.DefragEnded](),
	lease.KindReturning:         decode[lease.Returning](),
	lease.KindReturned:          decode[lease.Returned](),
	node.KindMoved:              decode[node.Moved](),
	fabric.KindLabelled:         decode[fabric.Labelled](),
	fabric.KindDrifted:          decode[fabric.Drifted](),
	fabric.KindLocked:           decode[fabric.Locked](),
	fabric.KindRestored:         decode[fabric.Restored](),
	fabric.KindUnread:           decode[fabric.Unread](),
	fabric.KindPosture:          decode[fabric.Postures](),
	fabric.KindReread:           decode[reread](),
	prove.KindProbed:            decode[prove.Probed](),
	prove.KindVerdict:           decode[prove.Judged](),
	storage.KindProvisioned:     decode[storage.Provisioned](),
	storage.KindGranted:         decode[storage.Granted](),
	storage.KindRevoked:         decode[storage.Revoked](),
	storage.KindStray:           decode[storage.Stray](),
	storage.KindDestroyed:       decode[storage.Destroyed](),
	meter.KindInvoiced:          decode[meter.Invoiced](),
	ledger.KindTakenOff:         decode[ledger.TakenOff](),
	contract.KindAssented:       decode[contract.Assented](),
	contract.KindKeyRegistered:  decode[contract.KeyRegistered](),
	contract.KindKeyRevoked:     decode[contract.KeyRevoked](),
	contract.KindQuoteWithdrawn: decode[contract.QuoteWithdrawn](),
	contract.KindTerminated:     decode[contract.Acted](),
	contract.KindReduced:        decode[contract.Acted](),
	KindTenantToken:             decode[TenantToken](),
	meter.KindDisputed:          decode[meter.Disputed](),
	meter.KindSettled:           decode[meter.Settled](),
	meter.KindObserved:          decode[meter.Observed](),
}

// reread has the body of fabric.Unread and another meaning.
type reread fabric.Unread

// decode reads a body that can be read in one way only; b is nil for who writes.
func decode[B any]() func(b *budget, data []byte) (any, error) {
	shape := claim.ShapeOf[B]()
	return func(b *budget, data []byte) (any, error) {
		if b != nil {
			weight, err := b.weigh(shape, data, "its body")
			if err != nil {
				return nil, err
			}
			b.body = weight
		}
		body := new(B)
		if err := shape.Decode(data, body); err != nil {
			return nil, err
		}
		return body, nil
	}
}

func decodeBody(b *budget, kind string, data []byte) (any, error) {
	decoder, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("kind %.60q is not known to this release: take a newer verifier", kind)
	}
	return decoder(b, data)
}

// role is what a body is to the entry that names it.
type role uint8

const (
	rolePlacement role = iota
	roleIsolation
	roleTurnover
	roleSever
	roleFound // what was found when a node was quarantined
	roleInvoice
	roleProbe
)

func (r role) String() string {
	return [...]string{"placement certificate", "isolation certificate", "turnover statement", "fence proof", "evidence", "invoice", "probe"}[r]
}

type naming struct {
	digest claim.Digest
	role   role
}

// named lists the bodies that a bundle must hold for an entry, in the order in
// which the entry names them. The read-back that shows a drift is not among
// them: it is one body for a whole fabric and may hold other tenants' readings.
func named(body any) []naming {
	var list []naming
	add := func(d claim.Digest, r role) {
		if !d.IsZero() {
			list = append(list, naming{d, r})
		}
	}
	switch b := body.(type) {
	case *contract.Quoted:
		for _, part := range b.Parts {
			add(part.Certificate, rolePlacement)
		}
	case *lease.Bound:
		add(b.Certificate, rolePlacement)
	case *lease.Rebooked:
		for _, l := range b.Leases {
			add(l.Certificate, rolePlacement)
		}
	case *lease.Delivered:
		add(b.Isolation, roleIsolation)
		for _, n := range b.Nodes {
			add(n.Statement, roleTurnover)
		}
	case *node.Moved:
		for _, n := range b.Nodes {
			add(n.Evidence, evidenceOf(b.From, b.To))
		}
	case *prove.Judged:
		add(b.Certificate, roleIsolation)
	case *prove.Probed:
		add(b.Statement, roleProbe)
	case *meter.Invoiced:
		add(b.Statement, roleInvoice)
	}
	return list
}

// evidenceOf is what an arrow's evidence is.
func evidenceOf(from, to node.State) role {
	switch to {
	case node.Delivered:
		return roleIsolation
	case node.Severed:
		return roleSever
	case node.Ready:
		return roleTurnover
	}
	return roleFound
}
