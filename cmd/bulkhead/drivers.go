package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"bulkhead/claim"
	"bulkhead/wire"
	"bulkhead/wire/drivers"
)

type driversCommand struct {
	Run     driversRun     `cmd:"" help:"Serve the drivers of a file on its socket, until interrupted."`
	Prepare driversPrepare `cmd:"" help:"Write the first files of the managers that a file names, hardened and closed."`
	Posture driversPosture `cmd:"" help:"Look once at what guards the management of each fabric."`

	Takeover driversTakeover `cmd:"" help:"Show the partitions of a file that is not ours, and take it over as it is."`
}

type driversRun struct {
	File string `arg:"" help:"Configuration, YAML; docs/drivers.md describes it."`
}

// Help is the example.
func (driversRun) Help() string {
	return `A control plane speaks to it with serve --devices unix:SOCKET, or tls:HOST:PORT from
another machine, which may be given several times: one process for each fabric, or one for some of them. Either end
may be stopped and started again; nothing on a device changes by that.

Example:

    bulkhead drivers run /etc/bulkhead/ib.yaml`
}

// Run serves.
func (c *driversRun) Run(ctx context.Context) error {
	log := driversLog()
	f, err := drivers.Read(c.File)
	if err != nil {
		return err
	}
	opened, closeAll, err := f.Open(ctx, log)
	if err != nil {
		return err
	}
	listener, err := f.Listen()
	if err != nil {
		return errors.Join(err, closeAll())
	}
	for id, d := range opened {
		// What can't be read now is read when it answers: the control plane asks again.
		if can, err := d.Capabilities(ctx); err != nil {
			log.Warn("a fabric does not answer yet", "fabric", id, "why", err.Error())
		} else {
			log.Info("a fabric answers", "fabric", id, "origin", can.Origin, "entries of a leaf port", can.LeafTable, "of a NIC", can.NICTable)
		}
	}
	log.Info("serving drivers", "at", listener.Addr().String(), "fabrics", len(opened), "version", version)
	done := make(chan error, 1)
	go func() { done <- wire.Serve(listener, wire.Drivers{Fabrics: opened}) }()
	select {
	case <-ctx.Done():
		log.Info("stopping")
		err = errors.Join(listener.Close(), <-done)
	case err = <-done:
	}
	return errors.Join(err, closeAll())
}

type driversPrepare struct {
	File string `arg:"" help:"Configuration, YAML; docs/drivers.md describes it."`
	format
}

// Help is the example.
func (driversPrepare) Help() string {
	return `Files that are there stay as they are. Start the managers with them, then run the
drivers.

Example:

    bulkhead drivers prepare /etc/bulkhead/ib.yaml`
}

// Run prepares.
func (c *driversPrepare) Run(ctx context.Context) error {
	f, err := drivers.Read(c.File)
	if err != nil {
		return err
	}
	all, err := f.Prepare(ctx)
	return errors.Join(err, c.print(all, func(w io.Writer) {
		for _, p := range all {
			row(w, p.Fabric, p.Did)
		}
	}))
}

// driversLog is where drivers say what nobody has asked for.
func driversLog() *slog.Logger {
	return slog.New(slog.NewJSONHandler(&claim.Screen{W: os.Stderr}, nil))
}
