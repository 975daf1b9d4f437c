package drivers

import (
	"context"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/fabric/infiniband/opensm"
)

// Posture looks at what guards the management of a fabric, once, with a driver that was
// only just opened. known is false where there is nothing that can be taken over.
func Posture(ctx context.Context, d fabric.Driver) (p fabric.Posture, known bool, err error) {
	guarded, is := d.(fabric.Postured)
	if !is {
		return p, false, nil
	}
	if overlay, is := bare(d).(*evpn.Driver); is {
		hear(ctx, overlay.Routes)
		if _, err := overlay.Observe(ctx, fabric.Scope{}); err != nil {
			return p, false, err
		}
	}
	p, err = guarded.Posture(ctx)
	return p, true, err
}

// Subnet is the driver of a fabric that OpenSM manages.
func Subnet(d fabric.Driver) (guarded *opensm.Guarded, is bool) {
	guarded, is = bare(d).(*opensm.Guarded)
	return guarded, is
}

// bare is the driver of a fabric by itself.
func bare(d fabric.Driver) fabric.Driver {
	if m, is := d.(*managed); is {
		return m.Driver
	}
	return d
}

// hearLimit is how long route reflectors may take to connect, and to send all that
// they have, to a collector that has only just begun.
const hearLimit = 10 * time.Second

// hear waits until routes are heard in full; where they never are, the posture says so.
func hear(ctx context.Context, routes evpn.Routes) {
	for end := time.Now().Add(hearLimit); !routes.Complete() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-routes.Signal():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
