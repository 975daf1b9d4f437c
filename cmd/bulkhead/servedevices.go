package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bulkhead/fabric"
	"bulkhead/run"
	"bulkhead/wire"
)

// dial connects to the drivers of every socket and puts them together. No two
// sockets may drive the same thing. Simulated devices bring their clock.
func (s *server) dial(ctx context.Context) (run.Devices, error) {
	s.clock = run.WallClock{}
	d := run.Devices{Fabrics: map[string]fabric.Driver{}}
	if len(s.c.Devices) == 0 && !s.c.Simulated {
		s.log.Warn("no --devices: every port and node is unknown, and nothing is delivered")
		return d, nil
	}
	who := map[string]string{} // what is driven -> by which socket
	claim := func(what, devices string) error {
		if other, taken := who[what]; taken {
			return fmt.Errorf("--devices %s: %s is driven by %s already: one of the two must leave it out", devices, what, other)
		}
		who[what] = devices
		return nil
	}
	real := map[string]bool{} // fabrics whose times are this machine's
	for _, devices := range s.c.Devices {
		socket, ok := strings.CutPrefix(devices, "unix:")
		if !ok {
			return d, fmt.Errorf("--devices %s: expected unix:SOCKET", devices)
		}
		client, err := wire.Dial(socket)
		if err != nil {
			return d, fmt.Errorf("--devices %s: %w; start the drivers first (bulkhead drivers run FILE drives some, bulkhead sim --socket %s simulates some)", devices, err, socket)
		}
		s.wires = append(s.wires, client)
		for id, driver := range client.Fabrics {
			if err := claim("fabric "+id, devices); err != nil {
				return d, err
			}
			d.Fabrics[id] = driver
			real[id] = client.Sim == nil
		}
		if client.Nodes != nil {
			if err := claim("every node", devices); err != nil {
				return d, err
			}
			d.Nodes = client.Nodes
		}
		if client.Storage != nil {
			if err := claim("the storage", devices); err != nil {
				return d, err
			}
			d.Storage = client.Storage
		}
		if client.Sim == nil {
			continue
		}
		if !s.c.Simulated {
			return d, fmt.Errorf("--devices %s: these devices are simulated and would say what time it is, when leases end and what is billed: give --simulated if that is what you want, which no site of hardware takes; otherwise find out who answers on this socket", devices)
		}
		if err := claim("the clock of a simulated site", devices); err != nil {
			return d, err
		}
		clock, err := newSiteClock(ctx, client.Sim)
		if err != nil {
			return d, fmt.Errorf("--devices %s: clock: %w", devices, err)
		}
		s.clock = clock
		s.log.Warn("the devices are simulated: time is theirs, and all their evidence says simulated", "devices", devices, "now", clock.Now().Format(time.RFC3339))
	}
	if _, simulated := s.clock.(*siteClock); !simulated && s.c.Simulated {
		return d, fmt.Errorf("--simulated: none of the --devices is simulated, so none says what time it is: leave it out, or start bulkhead sim --socket PATH and give that too")
	} else if simulated {
		for id, is := range real {
			if is {
				s.log.Warn("this fabric is not simulated, and its readings are dated by the clock of the simulated devices", "fabric", id)
				d.Fabrics[id] = inSiteTime(d.Fabrics[id], s.clock)
			}
		}
	}
	return d, nil
}
