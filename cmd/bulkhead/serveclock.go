package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/custody"
	"bulkhead/run"
)

// readMark reads how the site's time stood to the machine's count when a server kept
// it last. Without one, or with one that can't be read, the ledger's last entry is all
// that the clock is held against.
func (s *server) readMark() run.ClockMark {
	mark, err := s.c.Data.clockMark()
	if err != nil {
		s.log.Warn("how long the control plane was away is not known from this file; it is written anew", "file", s.c.Data.clock(), "why", err.Error())
	}
	s.marked = mark
	return mark
}

// clockMark is what a server kept of its reckoning of time, nothing where none did.
func (d dataDir) clockMark() (run.ClockMark, error) {
	data, err := custody.ReadFile(d.clock(), custody.Small)
	if errors.Is(err, fs.ErrNotExist) {
		return run.ClockMark{}, nil
	}
	if err != nil {
		return run.ClockMark{}, err
	}
	return run.ParseClockMark(data)
}

// certainTime dates what is written while no server runs: a clock that has jumped dates
// nothing here either.
func (d dataDir) certainTime(head time.Time) time.Time {
	mark, _ := d.clockMark() // without one the last entry is all that the clock is held against
	return run.CertainTime(run.WallClock{}, head, mark, run.DefaultDowntime)
}

// keepMark keeps how the site's time stands to the machine's count, where that is news.
func (s *server) keepMark() {
	mark, usable := s.plane.ClockMark()
	if !usable || mark == s.marked {
		return
	}
	if err := writeWhole(s.c.Data.clock(), mark); err != nil {
		s.log.Error("how the site's time stands to the machine's count is not kept: after the next start the clock may have to be confirmed", "why", err.Error())
		return
	}
	s.marked = mark
}

// writeWhole writes a file that is there as a whole, or as it was before.
func writeWhole(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".clock-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// downtime is --downtime as the plane takes it, to whom 0 says nothing.
func (s *server) downtime() time.Duration {
	if s.c.Downtime <= 0 {
		return -1
	}
	return s.c.Downtime
}

// sayTime logs what the time is taken to be.
func (s *server) sayTime() {
	c := s.plane.Clock()
	if c.Confirmed {
		s.log.Info("time", "site", c.Now.Format(time.RFC3339), "source", c.Source, "why", c.Why)
		return
	}
	s.log.Error("the time is in doubt: what ends, wipes, destroys, hands over or bills waits until the clock is right or an approver confirms it (bulkhead clock confirm)", "site", c.Now.Format(time.RFC3339), "source", c.Source, "why", c.Why)
}

// clockConfirmed lets an alert say that the time is in doubt.
func (s *server) clockConfirmed() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bulkhead_clock_confirmed", Help: "1 while the site's time is certain; 0: what ends, wipes, destroys or bills waits.",
	}, func() float64 {
		if s.plane.Clock().Confirmed {
			return 1
		}
		return 0
	})
}
