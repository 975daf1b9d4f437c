package iblab

import (
	"context"
	"fmt"
	"path/filepath"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
)

// defaultKeys starts the owner's manager again without its opensm.conf, as somebody
// does who knows the one command. It finds the M_Keys in its own cache, takes every
// port over, and sets none: then a leased node writes what it likes.
func defaultKeys(ctx context.Context, l *Lab) (undo func(context.Context) error, err error) {
	v := l.victims()
	if err := l.KillManager(); err != nil {
		return nil, err
	}
	log := filepath.Join(l.Dir, "default.log")
	if err := l.startManagerAs(ctx, log, "-P", l.conf.Partitions, "-f", log, "-d", "2"); err != nil {
		return nil, err
	}
	if err := await.True(ctx, "the ports to be without an M_Key", func() bool {
		hca, err := l.Fabric.Port(v.hca[0], 1)
		leaf, bad := l.Fabric.Port(v.leaf[0], 0) // a switch's key is port 0's
		return err == nil && bad == nil && hca.MKey == 0 && leaf.MKey == 0
	}); err != nil {
		return nil, err
	}
	c, err := l.host(v.hca[0], answered)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	keys := []mad.PKey{v.key[0], 0x7fff, v.key[1]}
	if err := setKeys(ctx, c, smp.Address{}, 0, 0, keys...); err != nil {
		return nil, fmt.Errorf("its own table: %w", err)
	}
	if err := setKeys(ctx, c, smp.Address{Route: smp.Route("").Next(1)}, uint8(v.leafPort[0]), 0, keys...); err != nil {
		return nil, fmt.Errorf("the leaf's: %w", err)
	}
	return func(ctx context.Context) error {
		if err := l.KillManager(); err != nil {
			return err
		}
		return l.StartManager(ctx)
	}, nil
}
