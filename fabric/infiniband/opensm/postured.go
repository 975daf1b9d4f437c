package opensm

import (
	"context"

	"bulkhead/fabric"
)

// Guarded is a Driver with what looks at its posture.
type Guarded struct {
	*Driver
	Guard *Posture
}

var _ fabric.Postured = (*Guarded)(nil)

// Posture implements fabric.Postured.
func (g *Guarded) Posture(ctx context.Context) (fabric.Posture, error) {
	r, err := g.Guard.Posture(ctx)
	if err != nil {
		return fabric.Posture{}, err
	}
	p := fabric.Posture{At: r.At}
	for _, c := range r.Checks {
		p.Items = append(p.Items, fabric.PostureItem{Name: c.Name, OK: c.OK, Lacking: c.Grade == NotHere, Grade: c.Grade, Evidence: c.Evidence})
	}
	return p, nil
}
