package run

import (
	"context"

	"bulkhead/book"
	"bulkhead/contract"
)

// Preview says what an act of a contract would come to now, without doing it.
func (p *Plane) Preview(c book.PerformAct) (out *contract.Outcome, err error) {
	state, now := p.Reading()
	return c.Preview(state, now)
}

// ActAsShown previews an act and confirms what it shows, for those who have no person to
// ask: stories and tests.
func (p *Plane) ActAsShown(ctx context.Context, id string, c book.PerformAct) error {
	out, err := p.Preview(c)
	if err != nil {
		return err
	}
	c.Confirmed = out.Preview.Digest()
	_, err = p.Submit(ctx, id, c)
	return err
}
