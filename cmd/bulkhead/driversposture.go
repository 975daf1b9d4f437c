package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
)

type driversPosture struct {
	File string `arg:"" help:"Configuration, YAML; docs/drivers.md describes it."`
	format
}

// Help is the example.
func (driversPosture) Help() string {
	return `Each item with what was seen. "lacking" is what this manager has nothing of. While
an item fails, nothing is handed over on the fabric; exit code 1 says so.

Example:

    bulkhead drivers posture /etc/bulkhead/ib.yaml`
}

// Run looks.
func (c *driversPosture) Run(ctx context.Context) (err error) {
	f, err := readDrivers(c.File)
	if err != nil {
		return err
	}
	drivers, closeAll, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	seen := map[string]fabric.Posture{}
	failed := 0
	for id, d := range drivers {
		guarded, is := d.(fabric.Postured)
		if !is {
			continue
		}
		if overlay, is := bare(d).(*evpn.Driver); is {
			hear(ctx, overlay.Routes)
			if _, err := overlay.Observe(ctx, fabric.Scope{}); err != nil {
				return fmt.Errorf("fabric %s: %w", id, err)
			}
		}
		p, err := guarded.Posture(ctx)
		if err != nil {
			return fmt.Errorf("fabric %s: %w", id, err)
		}
		seen[id] = p
		failed += len(p.Failed())
	}
	err = c.print(seen, func(w io.Writer) {
		for _, id := range slices.Sorted(maps.Keys(seen)) {
			for _, i := range seen[id].Items {
				state := "ok"
				switch {
				case i.Lacking:
					state = "lacking"
				case !i.OK:
					state = "FAILS"
				}
				row(w, id, state, i.Name, i.Grade, i.Evidence)
			}
		}
		if len(seen) == 0 {
			fmt.Fprintln(w, "no fabric of the file has a management that can be taken over")
		}
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d items fail: nothing is handed over until they hold", failed)
	}
	return err
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
