package ibfabric

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// Question is one line of JSON to a socket of ServeProbes; the answer is a
// Delivery, or an object with "error", in one line.
type Question struct {
	From    string   `json:"from"` // names of hosts
	To      string   `json:"to"`
	PKey    mad.PKey `json:"pkey"`
	Hostile bool     `json:"hostile"` // send it also if the sender's own table does not hold it
}

const (
	maxQuestion  = 1024 // bytes of a line
	questionTime = time.Minute
)

// ServeProbes answers Questions at a listener until ctx ends, so that a program in
// another process can send packets through the emulated fabric. Who reaches the
// listener may ask about every host.
func (f *Fabric) ServeProbes(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("ibfabric: probes: %w", err)
		}
		go f.answerProbes(ctx, c)
	}
}

func (f *Fabric) answerProbes(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, maxQuestion)
	out := json.NewEncoder(c)
	for {
		_ = c.SetDeadline(time.Now().Add(questionTime))
		if !lines.Scan() {
			return
		}
		var q Question
		// Lenient JSON: lines that the lab itself prints in another process.
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			_ = out.Encode(map[string]string{"error": `expected {"from": HOST, "to": HOST, "pkey": NUMBER, "hostile": BOOL}: ` + err.Error()})
			return
		}
		if err := out.Encode(f.Probe(q.From, q.To, q.PKey, q.Hostile)); err != nil {
			return
		}
	}
}
