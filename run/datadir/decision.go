package datadir

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/run"
)

// record signs what somebody decides about a ledger that no server has open, and writes it
// there as its next entry. statement is where said names what was signed.
func (h *opened) record(ctx context.Context, state *book.State, kind, predicate string, head claim.Digest, said any, statement *claim.Digest) (ledger.Entry, error) {
	signed, body, err := lossStatement(predicate, head, said, h.keys)
	if err != nil {
		return ledger.Entry{}, err
	}
	*statement = signed
	entry, err := nextEntry(state, h.CertainTime(state.Time), kind, book.SiteScope, said)
	if err != nil {
		return ledger.Entry{}, err
	}
	if err := book.Apply(state, &entry, run.BodiesOf(h.log)); err != nil {
		return ledger.Entry{}, err
	}
	return entry, h.log.Append(ctx, h.found.Size, []ledger.Entry{entry}, []ledger.Body{body})
}

// lossStatement signs what somebody decides about a ledger of this root: what was taken
// off it, what was lost of it, or that it goes on elsewhere.
func lossStatement(predicate string, head claim.Digest, said any, signers run.Signers) (claim.Digest, ledger.Body, error) {
	var none ledger.Body
	signer, err := signers.Statement(claim.PurposeStatement)
	if err != nil {
		return claim.Digest{}, none, err
	}
	encoded, err := json.Marshal(said)
	if err != nil {
		return claim.Digest{}, none, err
	}
	statement, err := claim.NewStatement("ledger", head, predicate, json.RawMessage(encoded))
	if err != nil {
		return claim.Digest{}, none, err
	}
	signed, err := claim.Sign(statement, signer)
	if err != nil {
		return claim.Digest{}, none, err
	}
	digest := claim.DigestOf(signed)
	return digest, ledger.Body{Digest: digest, Data: signed}, nil
}

// nextEntry makes the next entry of a ledger that no server has open.
func nextEntry(state *book.State, at time.Time, kind, scope string, body any) (ledger.Entry, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return ledger.Entry{}, err
	}
	if at.Before(state.Time) {
		at = state.Time
	}
	e := ledger.Entry{
		Seq: state.Seq + 1, Time: at.UTC(), Term: state.Term, Kind: kind, Scope: scope, ScopeSeq: state.Scopes[scope] + 1, Body: encoded,
	}
	_, err = rand.Read(e.Salt[:])
	return e, err
}
