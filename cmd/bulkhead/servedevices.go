package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"bulkhead/fabric"
	"bulkhead/run"
	"bulkhead/wire"
)

// How long a start waits for the drivers of a socket, and how often those that did not
// answer are tried again.
const (
	dialPatience = 2 * time.Second
	redialEvery  = 2 * time.Second
)

// dialled is what became of connecting to one of the sockets.
type dialled struct {
	devices string // as --devices names it
	client  *wire.Client
	err     error
}

// dial connects to the drivers of every socket and puts them together. No two
// sockets may drive the same thing. Simulated devices bring their clock. A socket that
// does not answer keeps nobody: what it drives is unknown until it does.
func (s *server) dial(ctx context.Context) (run.Devices, error) {
	s.clock, s.drives = run.WallClock{}, map[string]string{}
	all := run.Devices{Fabrics: map[string]fabric.Driver{}}
	if len(s.c.Devices) == 0 && !s.c.Simulated {
		s.log.Warn("no --devices: every port and node is unknown, and nothing is delivered")
		return all, nil
	}
	if s.c.Simulated {
		s.simulated = &siteClock{}
		s.clock = s.simulated
	}
	who, err := s.c.identity()
	if err != nil {
		return all, err
	}
	s.identity = who
	for _, devices := range s.c.Devices {
		at, err := wire.ParseEndpoint(devices)
		if err != nil {
			return all, fmt.Errorf("--devices %w", err)
		}
		if is, err := os.Stat(at.Socket()); err == nil && is.Mode().Type() != os.ModeSocket {
			return all, fmt.Errorf("--devices %s: that is no socket: give the one that bulkhead drivers run or bulkhead sim answers on", devices)
		}
		if at.Socket() == "" && who == nil {
			return all, usagef("--devices %s: these drivers are on another machine: give --device-cert, --device-key and --device-ca as well (bulkhead ca issue --help)", devices)
		}
	}
	for _, d := range s.dialAll(ctx, s.c.Devices) {
		if silent(d.err) {
			s.late = append(s.late, d)
			s.log.Warn("a driver socket does not answer: what it drives is unknown, and it is tried again; start its drivers (bulkhead drivers run FILE drives some, bulkhead sim --socket SOCKET simulates some)", "devices", d.devices, "why", d.err.Error())
			continue
		}
		if d.err != nil {
			return all, fmt.Errorf("--devices %s: %w", d.devices, d.err)
		}
		one, err := s.take(ctx, d)
		if err != nil {
			return all, err
		}
		for id, driver := range one.Fabrics {
			all.Fabrics[id] = driver
		}
		if one.Nodes != nil {
			all.Nodes = one.Nodes
		}
		if one.Storage != nil {
			all.Storage = one.Storage
		}
	}
	return all, s.startClock(ctx)
}

// dialAll connects to all drivers at once.
func (s *server) dialAll(ctx context.Context, all []string) []dialled {
	out := make([]dialled, len(all))
	var wait sync.WaitGroup
	for i, devices := range all {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, dialPatience)
			defer cancel()
			out[i].devices = devices
			at, err := wire.ParseEndpoint(devices)
			if err == nil {
				out[i].client, err = wire.DialEndpoint(ctx, at, s.identity)
			}
			out[i].err = err
		})
	}
	wait.Wait()
	return out
}

// silent says whether nobody answered, which may change by itself. Everything else that
// is wrong with a socket needs a person.
func silent(err error) bool {
	return errors.Is(err, wire.ErrGone) || errors.Is(err, context.DeadlineExceeded)
}

// take takes over the drivers of one socket.
func (s *server) take(ctx context.Context, d dialled) (run.Devices, error) {
	one := run.Devices{Fabrics: map[string]fabric.Driver{}}
	s.wires = append(s.wires, d.client)
	claim := func(what string) error {
		if other, taken := s.drives[what]; taken {
			return fmt.Errorf("--devices %s: %s is driven by %s already: one of the two must leave it out", d.devices, what, other)
		}
		s.drives[what] = d.devices
		return nil
	}
	if d.client.Sim != nil && !s.c.Simulated {
		return one, fmt.Errorf("--devices %s: these devices are simulated and would say what time it is, when leases end and what is billed: give --simulated if that is what you want, which no site of hardware takes; otherwise find out who answers on this socket", d.devices)
	}
	for id, driver := range d.client.Fabrics {
		if err := claim("fabric " + id); err != nil {
			return one, err
		}
		if s.c.Simulated && d.client.Sim == nil {
			s.log.Warn("this fabric is not simulated, and its readings are dated by the clock of the simulated devices", "fabric", id)
			driver = inSiteTime(driver, s.simulated)
		}
		one.Fabrics[id] = driver
	}
	if d.client.Nodes != nil {
		if err := claim("every node"); err != nil {
			return one, err
		}
		one.Nodes = d.client.Nodes
	}
	if d.client.Storage != nil {
		if err := claim("the storage"); err != nil {
			return one, err
		}
		one.Storage = d.client.Storage
	}
	if d.client.Sim == nil {
		return one, nil
	}
	if err := claim("the clock of a simulated site"); err != nil {
		return one, err
	}
	now, err := s.simulated.follow(ctx, d.client.Sim)
	if err != nil {
		return one, fmt.Errorf("--devices %s: clock: %w", d.devices, err)
	}
	s.log.Warn("the devices are simulated: time is theirs, and all their evidence says simulated", "devices", d.devices, "now", now.Format(time.RFC3339))
	return one, nil
}

// startClock makes the time of a simulated site whose simulator does not answer stand
// still at the ledger's last entry: what the ledger holds can be read meanwhile.
func (s *server) startClock(ctx context.Context) error {
	clock := s.simulated
	if clock == nil || !clock.Now().IsZero() {
		return nil
	}
	if len(s.late) == 0 {
		return fmt.Errorf("--simulated: none of the --devices is simulated, so none says what time it is: leave it out, or start bulkhead sim --socket PATH and give that too")
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	if head == 0 {
		return fmt.Errorf("--devices %s: %w: nobody says what time it is at a new simulated site: start the simulator first (bulkhead sim --socket PATH)", s.late[0].devices, s.late[0].err)
	}
	for e, err := range s.store.Read(ctx, head) {
		if err != nil {
			return err
		}
		clock.standAt(e.Time)
	}
	s.log.Warn("no simulator answers: the site's time stands still at the ledger's last entry", "now", clock.Now().Format(time.RFC3339))
	return nil
}

// redial tries sockets again that have not answered yet, until all have.
func (s *server) redial(ctx context.Context) {
	said := map[string]string{}
	for len(s.late) > 0 {
		for _, d := range s.late {
			s.plane.Missing("devices at "+d.devices, d.err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(redialEvery):
		}
		var names []string
		for _, d := range s.late {
			names = append(names, d.devices)
		}
		s.late = nil
		for _, d := range s.dialAll(ctx, names) {
			if d.err == nil {
				d.err = s.connect(ctx, d)
			}
			switch {
			case d.err == nil:
				continue
			case !silent(d.err) && said[d.devices] != d.err.Error():
				said[d.devices] = d.err.Error()
				s.log.Error("a driver socket answers and can't be used", "devices", d.devices, "why", d.err.Error())
			}
			s.late = append(s.late, d)
		}
	}
}

// connect gives the plane the drivers of a socket that answers at last.
func (s *server) connect(ctx context.Context, d dialled) error {
	one, err := s.take(ctx, d)
	if err == nil {
		err = s.plane.Connect("devices at "+d.devices, one)
	}
	if err != nil {
		for what, by := range s.drives {
			if by == d.devices {
				delete(s.drives, what)
			}
		}
		return err
	}
	s.log.Info("a driver socket answers", "devices", d.devices)
	s.look()
	return nil
}

// look has the loop look at the devices now.
func (s *server) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
