package wire

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// connections counts those that are open at a server.
type connections struct{ open atomic.Int64 }

// note is a server's ConnState.
func (c *connections) note(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// counted is the control of a simulated site that is served.
type counted struct {
	Control
	*connections
}

func beside(c Control, open *connections) Control {
	if c == nil {
		return nil
	}
	return counted{c, open}
}

// Asked knows who is there: who asks has one connection.
func (c counted) Asked(ctx context.Context) (at time.Time, there bool, err error) {
	at, _, err = c.Control.Asked(ctx)
	return at, c.open.Load() > 1, err
}
