package wire_test

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/wire"
)

// guarded is a fabric whose management can be taken over.
type guarded struct {
	fabric.Driver
	posture fabric.Posture
}

func (g guarded) Posture(context.Context) (fabric.Posture, error) { return g.posture, nil }

// A posture that fails at the devices' end fails at the other end too, and a
// fabric that has one shows so: lost on the way it would let anything be handed over.
func TestPostureCrosses(t *testing.T) {
	s := simulated(t, 1, false)
	d := wire.Simulated(s)
	want := fabric.Posture{At: time.Unix(5, 0).UTC(), Items: []fabric.PostureItem{
		{Name: "one master", Grade: "measured", Evidence: "two"}, {Name: "per port", Lacking: true, Grade: "not here"}}}
	d.Fabrics["ib"] = guarded{d.Fabrics["ib"], want}
	l, err := wire.Listen(filepath.Join(t.TempDir(), "s"))
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- wire.Serve(l, d) }()
	t.Cleanup(func() { l.Close(); must(t, <-done) })
	c, err := wire.Dial(l.Addr().String())
	must(t, err)
	t.Cleanup(c.Close)
	p, is := c.Fabrics["ib"].(fabric.Postured)
	if !is {
		t.Fatal("the fabric has no posture at the other end")
	}
	got, err := p.Posture(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) || len(got.Failed()) != 1 {
		t.Errorf("posture %+v, error %v", got, err)
	}
	if _, is := c.Fabrics["roce"].(fabric.Postured); is {
		t.Error("a fabric without a posture has one at the other end")
	}
}
