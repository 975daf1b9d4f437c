package evpn

import (
	"context"
	"fmt"
	"slices"

	"bulkhead/fabric"
)

// How a posture item is known.
const measured = "measured"

// Posture implements fabric.Postured: routes must be heard in full, none may come from
// what is no leaf, and reflectors pass on only what was ordered. Whoever can announce routes could draw packets to
// where they do not belong, and who can't hear them would not notice.
func (d *Driver) Posture(ctx context.Context) (fabric.Posture, error) {
	if err := ctx.Err(); err != nil {
		return fabric.Posture{}, err
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	if len(d.passed) == 0 { // else as heard with the leaves that it is compared with
		d.hearReflectors(ctx)
	}
	heard := fabric.PostureItem{Name: "routes are heard in full", OK: d.Routes.Complete(), Grade: measured, Evidence: "a route reflector has sent all that it has"}
	if !heard.OK {
		heard.Evidence = "no route reflector has sent all that it has: is the collector's session up?"
	}
	from := fabric.PostureItem{Name: "routes come from leaves only", OK: true, Grade: measured, Evidence: "every next hop is a leaf of the inventory"}
	var strange []string
	for a := range d.strangers {
		if routes, _ := d.Routes.Routes(a); len(routes) > 0 {
			strange = append(strange, fmt.Sprintf("%s announces %d", a, len(routes)))
		} else {
			delete(d.strangers, a)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		from.OK, from.Evidence = false, fmt.Sprintf("no leaf of the inventory: %.500s", fmt.Sprint(strange))
	}
	return fabric.Posture{At: d.now(), Items: []fabric.PostureItem{heard, from, d.reflectorItem()}}, nil
}

// Mend implements fabric.Mender: every reflector's lists are brought to what was
// ordered of it.
func (d *Driver) Mend(ctx context.Context, f fabric.Fence) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.allow(ctx, nil, true, f); err != nil {
		return err
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	d.hearReflectors(ctx)
	return ctx.Err()
}

var _ fabric.Mender = (*Driver)(nil)
var _ fabric.Postured = (*Driver)(nil)
