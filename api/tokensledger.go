package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"connectrpc.com/connect"

	"bulkhead/book"
	"bulkhead/run"
)

// tokenLedger lets no token count that the ledger does not hold: whoever can write the
// token file can let themselves in, and can't do so unseen. A token that was made
// beside the server is recorded when it is shown first, or when the server starts.
type tokenLedger struct {
	plane *run.Plane
	mu    sync.Mutex // one recording at a time: two calls of a new token write it once
}

// keepIn has tokens recorded by a plane, those that are there at once. What can't be
// recorded now is refused until it is.
func (t *Tokens) keepIn(plane *run.Plane) {
	t.mu.Lock()
	t.keep = &tokenLedger{plane: plane}
	err := t.reload()
	list := t.list
	t.mu.Unlock()
	for i := range list {
		if err == nil && list[i].Revoked.IsZero() {
			_ = t.recorded(list[i])
		}
	}
}

// recorded makes sure that the ledger holds a token as it is.
func (t *Tokens) recorded(token Token) error {
	t.mu.Lock()
	keep := t.keep
	t.mu.Unlock()
	if keep == nil {
		return nil
	}
	minted := book.TokenMinted{
		Token: token.ID, Hash: token.Hash, Subject: token.Subject, Role: string(token.Role), Tenant: token.Tenant,
		Created: token.Created, Expires: token.Expires, By: token.By,
	}
	known, same := keep.holds(&minted)
	if !known {
		keep.mu.Lock()
		defer keep.mu.Unlock()
		if known, same = keep.holds(&minted); !known {
			_, err := keep.plane.Submit(context.Background(), "", book.MintToken{TokenMinted: minted})
			if err != nil && !errors.Is(err, book.ErrNothing) {
				return connect.NewError(connect.CodeUnavailable, errors.New("this token is not in the ledger yet, and can't be recorded now: one that the ledger does not hold is not accepted"))
			}
			return nil
		}
	}
	if !same {
		return connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("token %s is not as the ledger holds it: make a new one", token.ID))
	}
	return nil
}

func (l *tokenLedger) holds(t *book.TokenMinted) (known, same bool) {
	l.plane.View(func(s *book.State) { known, same = s.Minted(t) })
	return known, same
}
