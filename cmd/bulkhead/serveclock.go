package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/run"
)

// readMark reads how the site's time stood to the machine's count when a server kept
// it last. Without one, or with one that can't be read, the ledger's last entry is all
// that the clock is held against.
func (s *server) readMark() run.ClockMark {
	mark, err := s.c.Data.ClockMark()
	if err != nil {
		s.log.Warn("how long the control plane was away is not known from this file; it is written anew", "file", s.c.Data.Clock(), "why", err.Error())
	}
	s.marked = mark
	return mark
}

// keepMark keeps how the site's time stands to the machine's count, where that is news.
func (s *server) keepMark() {
	mark, usable := s.plane.ClockMark()
	if !usable || mark == s.marked {
		return
	}
	if err := s.c.Data.WriteClockMark(mark); err != nil {
		s.log.Error("how the site's time stands to the machine's count is not kept: after the next start the clock may have to be confirmed", "why", err.Error())
		return
	}
	s.marked = mark
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
