package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"bulkhead/fabric"
	"bulkhead/lab/story"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/wire"
)

// Which says which site is simulated, and how much of it.
type Which struct {
	Size    string   // of the story, unless there is a File
	File    string   // a site file
	Without []string // fabrics that are left out
	Seed    int64

	Occupied int // nodes that carry labels of somebody else before anybody comes

	State string    // a file in which what the devices hold is kept, and is taken from when it is there
	From  time.Time // when the clock begins at the earliest; zero: with the story, or now
}

// ServeSite simulates the devices of a story's site on a socket until ctx ends.
// Its clock begins with the story and stands still until a client advances it.
func ServeSite(ctx context.Context, w Which, socket string) error {
	s, err := w.simulated(ctx, cmp.Or(w.From, story.Begin))
	if err != nil {
		return err
	}
	return w.serve(ctx, s, socket)
}

// beat is how often the clock of a site in real time moves.
const beat = 100 * time.Millisecond

// ServeSiteRealtime simulates a site whose clock begins now, or where it was kept if
// that is later, and passes by itself, speed seconds for each second here.
func ServeSiteRealtime(ctx context.Context, w Which, socket string, speed float64) error {
	begin := time.Now().UTC()
	if w.From.After(begin) {
		begin = w.From
	}
	s, err := w.simulated(ctx, begin)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	moved := make(chan error, 1)
	go func() {
		err := pass(ctx, s, speed)
		if err != nil {
			stop(err)
		}
		moved <- err
	}()
	err = w.serve(ctx, s, socket)
	stop(nil)
	return errors.Join(err, <-moved)
}

// pass moves a site's clock until ctx ends.
func pass(ctx context.Context, s *sim.Sim, speed float64) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := time.Now()
		passed := time.Duration(float64(now.Sub(last)) * speed)
		last = now
		if err := s.Pass(ctx, passed); err != nil && ctx.Err() == nil {
			return fmt.Errorf("simulated clock: %w", err)
		}
	}
}

func (w Which) simulated(ctx context.Context, begin time.Time) (*sim.Sim, error) {
	t, err := w.template()
	if err != nil {
		return nil, err
	}
	s, err := sim.FromTemplate(t, sim.DefaultConfig(uint64(w.Seed), begin))
	held := false
	if err == nil && w.State != "" {
		held, err = resume(ctx, s, w.State, begin)
	}
	if err == nil && !held {
		err = Occupy(ctx, s.Site(), s.Fabrics(), w.Occupied)
	}
	if err != nil {
		return nil, fmt.Errorf("simulated site: %w", err)
	}
	return s, nil
}

func (w Which) template() (*site.Template, error) {
	if w.File == "" {
		cast, err := story.LoadParts(w.Size)
		return cast.Site, err
	}
	data, err := os.ReadFile(w.File)
	if err != nil {
		return nil, err
	}
	return site.ParseTemplate(w.File, data)
}

func (w Which) serve(ctx context.Context, s *sim.Sim, socket string) error {
	drivers := s.Drivers()
	for _, id := range w.Without {
		if drivers.Fabrics[id] == nil {
			return fmt.Errorf("fabric %q: the site has none that could be left out", id)
		}
		delete(drivers.Fabrics, id)
	}
	listener, err := wire.Listen(socket)
	if err != nil {
		return err
	}
	keeping, stop := context.WithCancel(ctx)
	kept := make(chan error, 1)
	go func() { kept <- keep(keeping, s, w.State) }()
	done := make(chan error, 1)
	go func() { done <- wire.Serve(listener, drivers) }()
	select {
	case <-ctx.Done():
		err = errors.Join(listener.Close(), <-done)
	case err = <-done:
	}
	stop()
	return errors.Join(err, <-kept)
}

// Labels of the somebody else that Occupy writes: that of the first lease; each
// next one has the next.
const (
	occupiedPKey = 0x0100
	occupiedVNI  = 5000
)

// Occupy labels the first nodes of a site as another control plane would have: a
// lease to each SU, with a label of its own in each fabric.
func Occupy(ctx context.Context, s *site.Site, fabrics map[string]fabric.Driver, nodes int) error {
	if nodes < 0 || nodes > s.Nodes() {
		return fmt.Errorf("%d occupied nodes: the site has %d", nodes, s.Nodes())
	}
	rows := make([][]fabric.PortRow, len(s.Fabrics))
	for n := range site.Index(nodes) {
		for _, nic := range s.NICsOf(n) {
			port := site.PortOf(n, nic)
			index := s.FabricOf(port)
			family, label := s.Fabrics[index].Family, uint32(occupiedVNI)
			if family == site.InfiniBand {
				label = occupiedPKey
			}
			rows[index] = append(rows[index], fabric.PortRow{Port: port, Row: fabric.Compile(family, label+s.NodeSU[n])})
		}
	}
	for index, f := range s.Fabrics {
		if len(rows[index]) == 0 {
			continue
		}
		receipt, err := fabrics[f.ID].Apply(ctx, fabric.NewChange(f.ID, rows[index]), fabric.Fence{})
		if err == nil && len(receipt.Failed) > 0 {
			err = fmt.Errorf("%d ports of fabric %s were not written: %s", len(receipt.Failed), f.ID, receipt.Failed[0].Error)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
