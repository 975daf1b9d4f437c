package opensm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
)

// Room tries whether subnet administration still has what a lease's nodes need of it and
// one leased host can use up: a multicast group. A host that joins one group after the
// other, and stays as a sender, leaves none to anybody until OpenSM starts again, and
// nothing of it shows in a table of labels. So a group is made, and left again.
type Room struct {
	// Open is a new way into the fabric, which is closed after the try.
	Open func() (smp.Transport, error)
	// Manager is at which LID subnet administration is.
	Manager func(ctx context.Context) (lid uint16, err error)
	// Port is the GUID of the port that the way is through.
	Port     func(ctx context.Context) (guid uint64, err error)
	Patience time.Duration // for one answer; 0: 5 s
}

// roomGroup is the group that is tried: nobody else's, and never the same twice.
const roomGroup = 0xb0_000000

// check tries it. Cost: two packets and their answers.
func (r *Room) check(ctx context.Context) Check {
	c := Check{Name: "a multicast group can be made", Grade: Measured, Why: "one host can use them all up; then nobody's nodes can join theirs"}
	status, err := r.try(ctx)
	switch {
	case err != nil:
		c.Grade, c.Evidence = NotKnown, err.Error()
	case status == mad.StatusNoResources:
		c.Evidence = "subnet administration has no multicast LID left: somebody has joined them all; OpenSM frees them when it starts again"
	case status != mad.StatusOK:
		c.Evidence = fmt.Sprintf("subnet administration refuses one: %s", status)
	default:
		c.OK, c.Evidence = true, "one was made, and left"
	}
	return c
}

func (r *Room) try(ctx context.Context) (mad.Status, error) {
	patience := r.Patience
	if patience == 0 {
		patience = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lid, err := r.Manager(ctx)
	if err != nil {
		return 0, fmt.Errorf("who manages the subnet: %w", err)
	}
	if lid == 0 || lid >= mad.FirstMulticastLID {
		return 0, fmt.Errorf("LID %d: nobody manages the subnet", lid)
	}
	port, err := r.Port(ctx)
	if err != nil {
		return 0, err
	}
	way, err := r.Open()
	if err != nil {
		return 0, err
	}
	defer way.Close()
	defer context.AfterFunc(ctx, func() { _ = way.Close() })()
	m := mad.MCMember{Group: roomGroup | rand.Uint32()>>8, Port: port, PKey: mad.DefaultPKey &^ mad.FullMember, Join: mad.JoinFull}
	status, err := administer(ctx, way, lid, m.Ask(mad.Set, uint64(rand.Uint32())))
	if err != nil || status != mad.StatusOK {
		return status, err
	}
	_, err = administer(ctx, way, lid, m.Ask(mad.Delete, uint64(rand.Uint32())))
	return status, err
}

// administer asks subnet administration and waits for its answer, until the context ends
// and closes the way.
func administer(ctx context.Context, way smp.Transport, lid uint16, ask mad.SA) (mad.Status, error) {
	packet := ask.Encode()
	if err := way.Send(lid, &packet); err != nil {
		return 0, err
	}
	for {
		var p mad.Packet
		lost, err := way.Recv(&p)
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("%w at LID %d", errSilent, lid)
		case err != nil:
			return 0, err
		case lost:
			return 0, errors.New("subnet administration can't be reached")
		}
		if s, err := mad.ParseSA(&p); err == nil && s.Attribute == ask.Attribute && uint32(s.TID) == uint32(ask.TID) {
			return s.Status, nil
		}
	}
}
