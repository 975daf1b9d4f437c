package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"bulkhead/book"
	"bulkhead/contract"
)

// signature is the caller's, for the party that its token belongs to.
func signature(ctx context.Context) contract.Signature {
	t := caller(ctx)
	party := contract.Owner
	if t.Role.OfTenant() {
		party = contract.Tenant
	}
	return contract.Signature{Party: party, By: t.Subject + ", " + string(t.Role)}
}

// bothSign refuses a signature that would put a contract in force that only one
// party has agreed to. Who offers agrees, so the other party signs, with a token of
// its own: what the owner says of a tenant's signature elsewhere signs nothing. A
// quote of which nobody said who offered it is taken for the owner's.
func bothSign(signs contract.Signature, offered string) error {
	switch {
	case signs.Party == contract.Tenant && offered == contract.Tenant:
		return &book.Refusal{Field: "quote", Reason: "your side has offered it: the owner's finance signs"}
	case signs.Party == contract.Owner && offered != contract.Tenant:
		return &book.Refusal{Field: "quote", Reason: "the owner has offered it: an administrator of the tenant signs, with a token of the tenant's own"}
	}
	return nil
}

// checkContractID keeps the ids of the contracts that tenants offer apart, so
// that a refusal never tells that another tenant has a contract of some id. It
// does not look at what other tenants have.
func (s *service) checkContractID(ctx context.Context, c *contract.Contract) error {
	if !caller(ctx).Role.OfTenant() {
		return nil
	}
	others, own := false, false
	s.plane.View(func(b *book.State) {
		if k, ok := b.Contracts[c.ID]; ok {
			own, others = k.Current().Tenant == c.Tenant, k.Current().Tenant != c.Tenant
		}
	})
	// An own contract may have been named by the owner, and one in the tenant's
	// name space may be another's: of a tenant "a-b" beside a tenant "a".
	if own || !others && (c.ID == c.Tenant || strings.HasPrefix(c.ID, c.Tenant+"-")) {
		return nil
	}
	return &book.Refusal{Field: "contract.id", Reason: fmt.Sprintf("%s: expected an id of your own that is free: %s, or one that begins with %s-", c.ID, c.Tenant, c.Tenant)}
}

// withoutFigures turns a refusal of a tranche into one that says nothing of what
// others hold: how much is free, where, and what a search found taken. The
// owner's people get the figures. What the book refuses by a field, and what can't
// be asked of any site, is about the contract alone and stays; but not what is about
// leases that would move, which are others'.
func withoutFigures(ctx context.Context, c *contract.Contract, err error) error {
	if !caller(ctx).Role.OfTenant() {
		return err
	}
	var refused *book.Refusal
	moves := errors.As(err, &refused) && refused.Field == "moves" || strings.HasPrefix(err.Error(), "moves: ")
	if refused != nil && !moves {
		return err
	}
	for i := range c.Tranches {
		t := &c.Tranches[i]
		if moves || strings.HasPrefix(err.Error(), "tranche "+t.ID+": ") {
			return book.Unavailable(t, 0)
		}
	}
	return err
}
