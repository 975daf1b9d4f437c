package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/wire"
)

// devices is the simulated site in a process of its own.
type devices struct {
	command *exec.Cmd
	client  *wire.Client
	drivers run.Devices
}

// startLimit is how long the simulated site may take to compile and listen.
const startLimit = 60 * time.Second

func startDevices(ctx context.Context, o Options) (*devices, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(o.Out, "devices.sock")
	d := &devices{command: exec.Command(self, "sim", "--size", o.Size, "--seed", strconv.FormatInt(o.Seed, 10), "--socket", socket)}
	d.command.Stdout, d.command.Stderr = os.Stderr, os.Stderr
	// The site must not outlive this process, however it ends.
	d.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("simulated site: %w", err)
	}
	for deadline := time.Now().Add(startLimit); ; {
		if d.client, err = wire.Dial(socket); err == nil {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("simulated site did not answer within %s: %w", startLimit, err), d.stop())
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.drivers = run.Devices{Fabrics: d.client.Fabrics, Nodes: d.client.Nodes, Storage: d.client.Storage}
	return d, nil
}

// Advance lets time pass at the devices.
func (d *devices) Advance(ctx context.Context, to time.Time) error {
	return d.client.Sim.Advance(ctx, to)
}

// Inject lets something go wrong there.
func (d *devices) Inject(ctx context.Context, at time.Time, f sim.Fault) error {
	return d.client.Sim.Inject(ctx, at, f.JSON())
}

func (d *devices) stop() error {
	if d.client != nil {
		d.client.Close()
	}
	if d.command.Process.Signal(syscall.SIGTERM) != nil {
		return nil //nolint:nilerr // it has ended
	}
	err := d.command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Success() {
		return nil // ended by our own signal
	}
	return err
}
