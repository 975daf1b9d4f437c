package run

import (
	"context"

	"bulkhead/book"
	"bulkhead/contract"
)

// Show says what an act under a contract would come to now, without doing it.
func (p *Plane) Show(c book.Deed) (*book.Showing, error) {
	state, now := p.Reading()
	return c.Show(state, now)
}

// ActAsShown looks at an act and confirms what it shows, for those who have no person to
// ask: stories and tests. sign signs it for a tenant with a key; nil: a token alone acts.
func (p *Plane) ActAsShown(ctx context.Context, id string, c book.Deed, sign func(contract.Assent) (*contract.SignedAssent, error)) error {
	state, now := p.Reading()
	shown, err := c.Show(state, now)
	if err != nil {
		return err
	}
	with := book.Assured{Confirmed: shown.Digest()}
	if sign != nil {
		in := shown.Contract
		with.Assent, err = sign(contract.ActAssent(shown.Act, state.Site.Name, in.Tenant, in.ID, with.Confirmed, now, now.Add(contract.AssentLasts)))
		if err != nil {
			return err
		}
	}
	_, err = p.Submit(ctx, id, book.With(c, with))
	return err
}
