package wire

import (
	"context"
	"net"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"bulkhead/fabric"
)

// gate is a fabric with the gateway of some BMCs, of which it says what it is given.
type gate struct {
	fabric.Driver
	says fabric.Zones
}

func (g *gate) Posture(context.Context) (fabric.Posture, error) {
	z := g.says
	return fabric.Posture{At: z.At, Items: []fabric.PostureItem{}, Zones: &z}, nil
}

// TestZonesAreSentOnce: what was read of BMCs travels when it is another than before, and
// who asks has all of it each time.
func TestZonesAreSentOnce(t *testing.T) {
	g := &gate{}
	say := func(nodes ...fabric.Zone) {
		g.says = fabric.Zones{At: g.says.At.Add(time.Minute), Source: "test", Digest: fabric.Sum(nodes), Nodes: nodes}
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(l, Drivers{Fabrics: map[string]fabric.Driver{"frontend": g}}) }()
	defer func() {
		l.Close()
		<-done
	}()
	c, err := Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	remote := c.Fabrics["frontend"].(remotePostured)
	for _, nodes := range [][]fabric.Zone{
		{{Node: "a", Filtered: true, Joined: []string{"a"}, Neighbour: 1}}, {{Node: "a", Filtered: true, Joined: []string{"a"}, Neighbour: 1}},
		{{Node: "a", Neighbour: 2}, {Node: "b"}}, {},
	} {
		say(nodes...)
		p, err := remote.Posture(t.Context())
		if err != nil || p.Zones == nil || !p.Zones.At.Equal(g.says.At) || len(p.Zones.Nodes) != len(nodes) || len(nodes) > 0 && !reflect.DeepEqual(p.Zones.Nodes, nodes) {
			t.Fatalf("%+v was said, and %+v came: %v", g.says, p.Zones, err)
		}
	}
	say(fabric.Zone{Node: "a"})
	if _, err := remote.Posture(t.Context()); err != nil {
		t.Fatal(err)
	}
	var raw fabric.Posture
	if err := c.call(t.Context(), remote.path("posture"), known{Zones: g.says.Digest}, &raw); err != nil || raw.Zones.Nodes != nil {
		t.Errorf("what was known came again: %+v, %v", raw.Zones, err)
	}
	g.says.Digest = fabric.Sum(nil)
	if p, err := remote.Posture(t.Context()); err == nil {
		t.Errorf("nodes that are not of their digest: %+v", p.Zones)
	}
}
