package iblab

import (
	"context"
	"errors"
	"fmt"

	"bulkhead/fabric/infiniband/mad"
)

// forwardingTakenOut has the leaf of the first rival's first port send nowhere what is for
// a port of the rival's at another leaf. OpenSM does not read forwarding tables, and writes a block only
// where it is not what it wrote last: it is put back when OpenSM starts again.
func forwardingTakenOut(_ context.Context, l *Lab) (func(context.Context) error, error) {
	v := l.victims()
	next := l.HCAs(Tenants[0], 1)[0] // of another rail, so at another leaf
	port, err := l.Fabric.Port(next, 1)
	if err != nil {
		return nil, err
	}
	was, err := l.Fabric.Route(v.leaf[0], port.LID, mad.NoPort)
	if err != nil {
		return nil, err
	}
	if was == mad.NoPort {
		return nil, fmt.Errorf("%s had no entry for LID %d before", v.leaf[0], port.LID)
	}
	if d := l.Fabric.Probe(v.hca[0], next, v.key[0], false); d.Delivered {
		return nil, fmt.Errorf("a packet from %s to %s arrives all the same", v.hca[0], next)
	}
	return func(ctx context.Context) error {
		return errors.Join(l.KillManager(), l.StartManager(ctx))
	}, nil
}
