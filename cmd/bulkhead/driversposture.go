package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"bulkhead/fabric"
	"bulkhead/wire/drivers"
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
	f, err := drivers.Read(c.File)
	if err != nil {
		return err
	}
	opened, closeAll, err := f.Open(ctx, driversLog())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	seen := map[string]fabric.Posture{}
	failed := 0
	for id, d := range opened {
		p, known, err := drivers.Posture(ctx, d)
		if err != nil {
			return fmt.Errorf("fabric %s: %w", id, err)
		}
		if !known {
			continue
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
		err = fmt.Errorf("%d items fail, marked FAILS above: nothing is handed over until they hold", failed)
	}
	return err
}
