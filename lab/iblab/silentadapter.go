package iblab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/lab/ibnet"
)

// silentAdapter is an adapter of the first rival's that is up and does not answer, while
// a node is lent to somebody else: its leaf keeps it in, so the other gets the node.
// Mounting it is an error if the other does not, or gets it although the silent
// adapter's leaf stopped to enforce.
func silentAdapter(ctx context.Context, l *Lab) (undo func(context.Context) error, err error) {
	const next = "sepia"
	v := l.victims()
	if err := l.lend(ctx, next); err != nil {
		return nil, err
	}
	if err := l.Live(ctx, l.first(next).Begin.Sub(l.Clock.Now())-time.Hour, 6*time.Hour); err != nil {
		return nil, err
	}
	if n := len(l.HCAs(next, 0)); n > 0 {
		return nil, fmt.Errorf("%s has %d nodes before its lease begins", next, n)
	}
	if err := l.Fabric.Silence(v.hca[0], true); err != nil {
		return nil, err
	}
	if err := l.liveUntil(ctx, time.Hour, next+" has its node, beside a silent adapter", func() bool { return len(l.HCAs(next, 0)) == 1 }); err != nil {
		return nil, err
	}
	node := l.Site.NodeID[l.first(next).Slots[0]]
	if hca := ibnet.HCAName(node, 0); hca == v.hca[0] {
		return nil, fmt.Errorf("%s was handed over with %s, which does not answer", node, hca)
	}
	// The control: where the leaf does not enforce, nobody is kept in.
	if err := l.Fabric.Enforce(v.leaf[0], v.leafPort[0], false, false); err != nil {
		return nil, err
	}
	posture, err := l.guard.Posture(ctx)
	if err != nil {
		return nil, err
	}
	if posture.Err() == nil {
		return nil, errors.New("an adapter is silent behind a leaf that enforces nothing, and the posture holds")
	}
	if err := l.Fabric.Enforce(v.leaf[0], v.leafPort[0], true, true); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := l.Fabric.Silence(v.hca[0], false); err != nil {
			return err
		}
		return l.liveUntil(ctx, 6*time.Hour, next+" to give its node back", func() bool { return !l.first(next).Returned.IsZero() })
	}, nil
}
