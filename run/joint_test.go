package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/run"
)

// together is the process of several drivers, one of which hangs: asked at once, none of
// them answers within the deadline.
type together struct {
	hangs   string
	drivers map[string]fabric.Driver
}

func (j *together) ObserveAll(ctx context.Context, asks []fabric.Ask) []fabric.Answer {
	out := make([]fabric.Answer, len(asks))
	for i, a := range asks {
		if j.hangs != "" {
			out[i].Err = context.DeadlineExceeded
			continue
		}
		out[i].Observation, out[i].Err = j.drivers[a.Fabric].Observe(ctx, a.Scope)
	}
	return out
}

type joinedDriver struct {
	fabric.Driver
	id string
	of *together
}

func (d joinedDriver) Joint() fabric.Joint { return d.of }

func (d joinedDriver) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if d.of.hangs == d.id {
		return fabric.Observation{}, errors.New("no answer")
	}
	return d.Driver.Observe(ctx, s)
}

// TestOneThatHangsMakesNoneOfItsProcessUnknown: drivers that are asked at once are asked
// one by one after a failure, until each has answered.
func TestOneThatHangsMakesNoneOfItsProcessUnknown(t *testing.T) {
	w := imported(t)
	of := &together{drivers: w.sim.Fabrics()}
	fabrics := map[string]fabric.Driver{}
	for id, d := range of.drivers {
		fabrics[id] = joinedDriver{d, id, of}
	}
	p, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	w.minutes(t, p, 2)
	of.hangs = "ib"
	w.minutes(t, p, 30)
	p.View(func(s *book.State) {
		for leaf := range s.Unread {
			if id := s.Site.Fabrics[s.Site.FabricOfLeaf(leaf)].ID; id != "ib" {
				t.Fatalf("a leaf of %s is unread, and only the driver of ib hangs", id)
			}
		}
		if len(s.Unread) == 0 {
			t.Error("the fabric whose driver hangs still counts as read")
		}
	})
	of.hangs = ""
	w.minutes(t, p, 2)
	for _, d := range p.Drivers() {
		if d.Failed != "" || w.clock.Now().Sub(d.Answered) > 15*time.Minute && d.Name == "fabric ib" {
			t.Errorf("after it went on: %+v", d)
		}
	}
}
