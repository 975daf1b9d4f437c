package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/wire"
)

// Drivers returns all drivers of the site, and its clock and faults, as they are served.
func (s *Sim) Drivers() wire.Drivers {
	return wire.Drivers{Fabrics: s.Fabrics(), Nodes: s.Nodes(), Storage: s.Storage(), Sim: control{s}}
}

// control is a simulated site at the other end of a socket: there a fault is text.
type control struct{ *Sim }

func (c control) Inject(ctx context.Context, at time.Time, fault json.RawMessage) error {
	var f Fault
	if err := claim.Exact(fault, 4<<10, &f); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	return c.Sim.Inject(ctx, at, f)
}

// JSON is the fault as it is asked of a simulated site over a socket.
func (f Fault) JSON() json.RawMessage {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // plain numbers and strings always encode
	}
	return text
}
