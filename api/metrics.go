package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/run"
)

// metrics are read from the state when they are asked for: nothing is counted
// twice.
type metrics struct {
	plane *run.Plane

	entries, nodes, slots, drifted, unread, brake, paused, swaps, silent *prometheus.Desc
	budget, answered, waiting, readOnly, unmended, differs, age          *prometheus.Desc
}

func newMetrics(p *run.Plane) *metrics {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("bulkhead_"+name, help, labels, nil)
	}
	return &metrics{
		plane:    p,
		entries:  d("ledger_entries", "Entries in the ledger."),
		nodes:    d("nodes", "Nodes by state.", "state"),
		slots:    d("slots", "Slots of leases in force: promised, and delivered.", "what"),
		drifted:  d("ports_drifted", "Ports whose read-back shows a violation."),
		unmended: d("ports_unmended", "Ports that were written and read back as before, and do so still."),
		differs:  d("leaf_differences", "What of leaves' configurations is not as desired although no check fails by it: plan show names each."),
		age:      d("leaf_difference_age_seconds", "For how long the oldest of them has been seen; 0: there is none."),
		unread:   d("leaves_unread", "Leaves that can't be read for longer than the window."),
		brake:    d("brake_engaged", "1 while the brake is engaged."),
		paused:   d("loop_paused", "Pauses in force."),
		swaps:    d("replacements_open", "Replacements that were proposed and not made yet."),

		budget:   d("brake_budget_left", "How much more one cause may do before the brake is engaged.", "cause", "unit"),
		answered: d("driver_answer_age_seconds", "How long ago a driver answered last without an error, or for how long it has been asked.", "driver"),
		readOnly: d("read_only", "1 while this server writes nothing: it was started so, or devices take another writer's word."),
		waiting:  d("driver_waiting_seconds", "For how long the oldest question to a driver has had no answer; 0: none waits.", "driver"),
		silent:   d("nodes_silent", "Nodes that do not answer: within the policy's grace, and dead.", "health"),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.entries, m.nodes, m.slots, m.drifted, m.unread, m.brake, m.paused, m.swaps, m.silent, m.budget, m.answered, m.waiting, m.readOnly, m.unmended, m.differs, m.age} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	m.plane.View(func(s *book.State) {
		gauge(m.entries, int(s.Seq))
		for st := range node.States {
			gauge(m.nodes, s.Nodes.By[st].Len(), node.State(st).String())
		}
		promised, delivered := 0, 0
		for _, l := range s.Leases {
			if l.Returned.IsZero() {
				promised += l.Owed()
				delivered += l.Delivered
			}
		}
		gauge(m.slots, promised, "promised")
		gauge(m.slots, delivered, "delivered")
		gauge(m.drifted, len(s.Drifted))
		gauge(m.unread, len(s.Unread))
		engaged := 0
		if s.Control.Brake != nil {
			engaged = 1
		}
		gauge(m.brake, engaged)
		gauge(m.paused, len(s.Control.Paused))
		gauge(m.swaps, len(s.Swaps))
		for _, b := range s.BrakeBudgets() {
			gauge(m.budget, s.Budget(b.Cause, s.Time), b.Cause, b.Unit)
		}
		silent := map[book.Health]int{}
		for n := range s.Nodes.Silence {
			silent[s.HealthOf(n)]++
		}
		for _, h := range []book.Health{book.Silent, book.Dead} {
			gauge(m.silent, silent[h], h.String())
		}
	})
	readOnly := 0
	if m.plane.ReadOnly() != nil {
		readOnly = 1
	}
	gauge(m.readOnly, readOnly)
	gauge(m.unmended, m.plane.Unmended())
	differs, oldest := m.plane.Differing()
	gauge(m.differs, differs)
	gauge(m.age, int(oldest.Seconds()))
	for _, d := range m.plane.Drivers() {
		ch <- prometheus.MustNewConstMetric(m.answered, prometheus.GaugeValue, d.Age.Seconds(), d.Name)
		ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, d.Since.Seconds(), d.Name)
	}
}
