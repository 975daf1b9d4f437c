package book

import (
	"fmt"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/prove"
	"bulkhead/site"
	"bulkhead/storage"
)

// Bodies gives what is too large for an entry and is stored beside it: the
// header and the inventories of a site.
type Bodies interface {
	Header(digest claim.Digest) (site.Header, error)
	Inventory(digest claim.Digest) (*site.SUInventory, error)
}

// folds maps every kind that is folded into the state to its fold. A kind that
// is missing here is an error: a newer release wrote the ledger.
var folds map[string]func(s *State, e *ledger.Entry, bodies Bodies) error

func init() {
	folds = map[string]func(s *State, e *ledger.Entry, bodies Bodies) error{
		site.KindImported:    fold((*State).applyImported),
		site.KindStaged:      fold((*State).applyStaged),
		site.KindRescheduled: fold((*State).applyRescheduled),

		KindTenant:              fold((*State).applyTenant),
		contract.KindQuoted:     fold((*State).applyQuoted),
		place.KindPlaced:        fold((*State).applyPlaced),
		contract.KindLapsed:     fold((*State).applyLapsed),
		contract.KindClaimed:    fold((*State).applyClaimed),
		contract.KindSigned:     fold((*State).applySigned),
		contract.KindNotice:     fold((*State).applyActed),
		contract.KindTerminated: fold((*State).applyActed),
		contract.KindReduced:    fold((*State).applyActed),

		KindApproved:           fold((*State).applyApproved),
		KindApproverRegistered: fold((*State).applyApproverRegistered),
		KindApproverRevoked:    fold((*State).applyApproverRevoked),

		KindTokenMinted: fold((*State).applyTokenMinted),
		KindTenantToken: fold((*State).applyTenantToken),

		contract.KindAssented:      fold((*State).applyAssented),
		contract.KindKeyRegistered: fold((*State).applyKeyRegistered),
		contract.KindKeyRevoked:    fold((*State).applyKeyRevoked),

		contract.KindClosed:     fold((*State).applyClosed),
		lease.KindBound:         fold((*State).applyBound),
		lease.KindRebooked:      fold((*State).applyRebooked),
		lease.KindLate:          fold((*State).applyLate),
		lease.KindDelivered:     fold((*State).applyDelivered),
		lease.KindSlots:         fold((*State).applySlots),
		lease.KindReturning:     fold((*State).applyReturning),
		lease.KindReturned:      fold((*State).applyReturned),
		meter.KindInvoiced:      fold((*State).applyInvoiced),
		meter.KindObserved:      fold((*State).applyObserved),
		meter.KindDisputed:      fold((*State).applyDisputed),
		meter.KindSettled:       fold((*State).applySettled),
		lease.KindProposed:      fold((*State).applyProposed),
		lease.KindSwapped:       fold((*State).applySwapped),
		node.KindMoved:          fold((*State).applyMoved),
		node.KindFlagged:        fold((*State).applyFlagged),
		node.KindHealth:         fold((*State).applyHealth),
		node.KindSilent:         fold((*State).applyNodeSilent),
		node.KindDead:           fold((*State).applyDead),
		fabric.KindLabelled:     fold((*State).applyLabelled),
		fabric.KindDrifted:      fold((*State).applyDrifted),
		fabric.KindLocked:       fold((*State).applyLocked),
		fabric.KindRestored:     fold((*State).applyRestored),
		fabric.KindUnread:       fold((*State).applyUnread),
		fabric.KindPosture:      fold((*State).applyPosture),
		fabric.KindReread:       fold((*State).applyReread),
		fabric.KindSilent:       fold((*State).applySilent),
		prove.KindProbed:        fold((*State).applyProbed),
		prove.KindVerdict:       fold((*State).applyVerdict),
		storage.KindProvisioned: fold((*State).applyProvisioned),
		storage.KindGranted:     fold((*State).applyGranted),
		storage.KindRevoked:     fold((*State).applyRevoked),
		storage.KindStray:       fold((*State).applyStray),
		storage.KindDestroyed:   fold((*State).applyDestroyed),
		KindWriter:              fold((*State).applyWriter),
		KindStep:                fold((*State).applyStep),
		KindPaused:              fold((*State).applyPaused),
		KindResumed:             fold((*State).applyResumed),
		KindBrake:               fold((*State).applyBrake),
		KindReleased:            fold((*State).applyReleased),
		KindKey:                 fold((*State).applyKey),
		KindClockDoubted:        fold((*State).applyClockDoubted),
		KindClockSettled:        fold((*State).applyClockSettled),
		KindClockConfirmed:      fold((*State).applyClockConfirmed),
		KindAdopted:             fold((*State).applyAdopted),
		KindManaged:             fold((*State).applyManaged),
		KindFound:               fold((*State).applyFound),
		KindTaken:               fold((*State).applyTaken),
		ledger.KindRecovered:    fold((*State).applyRecovered),
		ledger.KindSetAside:     fold((*State).applySetAside),
		ledger.KindTakenOff:     fold((*State).applyTakenOff),
		ledger.KindTakenOver:    fold((*State).applyTakenOver),
		KindExplained:           fold((*State).applyExplained),

		contract.KindQuoteWithdrawn: fold((*State).applyQuoteWithdrawn),

		lease.KindAcknowledged:    fold((*State).applyAcknowledged),
		lease.KindWithdrawn:       fold((*State).applyWithdrawn),
		lease.KindUnserved:        fold((*State).applyUnserved),
		lease.KindDefragProposed:  fold((*State).applyDefragProposed),
		lease.KindDefragConsented: fold((*State).applyDefragConsented),
		lease.KindDefragAccepted:  fold((*State).applyDefragAccepted),
		lease.KindDefragEnded:     fold((*State).applyDefragEnded),
	}
}

// Apply folds one entry into the state. It fails only on a ledger that this
// release could not have written: a gap, an unknown kind, a body of another
// shape, or a missing inventory. The state is then unusable.
func Apply(s *State, e *ledger.Entry, bodies Bodies) error {
	if e.Seq != s.Seq+1 {
		return fmt.Errorf("entry %d: expected entry %d", e.Seq, s.Seq+1)
	}
	if want := s.Scopes[e.Scope] + 1; e.ScopeSeq != want {
		return fmt.Errorf("entry %d: %s entry %d, expected %d", e.Seq, e.Scope, e.ScopeSeq, want)
	}
	apply, ok := folds[e.Kind]
	if !ok {
		return fmt.Errorf("entry %d: kind %q is not known to this release: run the release that wrote it, or a newer one", e.Seq, e.Kind)
	}
	s.Seq, s.Time = e.Seq, e.Time
	s.Scopes[e.Scope]++
	if e.Command != "" {
		if _, seen := s.Commands[e.Command]; !seen {
			s.Commands[e.Command] = e.Seq
		}
	}
	if err := apply(s, e, bodies); err != nil {
		return fmt.Errorf("entry %d (%s): %w", e.Seq, e.Kind, err)
	}
	return nil
}

// fold wraps the fold of one kind with the decoding of its body.
func fold[B any](apply func(s *State, e *ledger.Entry, body B, bodies Bodies) error) func(*State, *ledger.Entry, Bodies) error {
	shape := claim.ShapeOf[B]()
	return func(s *State, e *ledger.Entry, bodies Bodies) error {
		var body B
		if err := shape.Decode(e.Body, &body); err != nil {
			return err
		}
		return apply(s, e, body, bodies)
	}
}
