package run

import (
	"context"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
)

// Show says what an act under a contract would come to now, without doing it, at which
// site and by which time.
func (p *Plane) Show(c book.Deed) (shown *book.Showing, siteName string, now time.Time, err error) {
	now = p.config.Clock.Now()
	p.View(func(s *book.State) {
		if s.Site != nil {
			siteName = s.Site.Name
		}
		shown, err = c.Show(s, now)
	})
	return shown, siteName, now, err
}

// ActAsShown looks at an act and confirms what it shows, for those who have no person to
// ask: stories and tests. sign signs it for a tenant with a key; nil: a token alone acts.
func (p *Plane) ActAsShown(ctx context.Context, id string, c book.Deed, sign func(contract.Assent) (*contract.SignedAssent, error)) error {
	shown, siteName, now, err := p.Show(c)
	if err != nil {
		return err
	}
	with := book.Assured{Confirmed: shown.Digest()}
	if sign != nil {
		in := shown.Contract
		with.Assent, err = sign(contract.ActAssent(shown.Act, siteName, in.Tenant, in.ID, with.Confirmed, now, now.Add(contract.AssentLasts)))
		if err != nil {
			return err
		}
	}
	_, err = p.Submit(ctx, id, book.With(c, with))
	return err
}
