package wire_test

import (
	"context"
	"errors"
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
	mended  *fabric.Fence
}

func (g guarded) Mend(_ context.Context, f fabric.Fence) error {
	if f.Term == 0 {
		return f.Admit(fabric.Fence{Term: 1})
	}
	*g.mended = f
	return nil
}

func (g guarded) Posture(context.Context) (fabric.Posture, error) { return g.posture, nil }

// A posture that fails at the devices' end fails at the other end too, and a
// fabric that has one shows so: lost on the way it would let anything be handed over.
func TestPostureCrosses(t *testing.T) {
	s := simulated(t, 1, false)
	d := s.Drivers()
	var mended fabric.Fence
	want := fabric.Posture{At: time.Unix(5, 0).UTC(), Items: []fabric.PostureItem{
		{Name: "one master", Grade: "measured", Evidence: "two"}, {Name: "per port", Lacking: true, Grade: "not here"}}}
	d.Fabrics["ib"] = guarded{d.Fabrics["ib"], want, &mended}
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
	mender, is := p.(fabric.Mender)
	if !is || mender.Mend(t.Context(), fabric.Fence{Term: 3}) != nil || mended.Term != 3 {
		t.Errorf("the guard is not put back at the devices' end: %+v", mended)
	}
	if err := mender.Mend(t.Context(), fabric.Fence{}); !errors.Is(err, fabric.ErrFenced) {
		t.Errorf("an older writer puts the guard back: %v", err)
	}
	if _, is := c.Fabrics["roce"].(fabric.Postured); is {
		t.Error("a fabric without a posture has one at the other end")
	}
}
