package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/ledger"
)

// isolationFeed counts and logs drift, lockdown and restoration as the ledger has
// them: also what was mended before anybody looked is counted.
type isolationFeed struct {
	log   *slog.Logger
	lines chan ledger.Entry // for the log, which may be slow

	mu     sync.Mutex
	ports  map[portsOf]uint64
	unsaid int // entries that the log had no time for
}

// portsOf is what is counted.
type portsOf struct{ kind, fabric string }

// isolationLines is how many entries may wait for the log.
const isolationLines = 1024

func newIsolationFeed(log *slog.Logger) *isolationFeed {
	return &isolationFeed{log: log, lines: make(chan ledger.Entry, isolationLines), ports: map[portsOf]uint64{}}
}

// isolationEntry is what the three kinds of entry have in common.
type isolationEntry struct {
	Fabric string            `json:"fabric"`
	Ports  []fabric.PortNote `json:"ports"`
}

// feed takes durable entries. It never waits. Of what concerns several parties the
// site's copy counts, which names all ports.
func (f *isolationFeed) feed(entries []ledger.Entry) {
	for i := range entries {
		e := &entries[i]
		if e.Scope != book.SiteScope || isolationWords[e.Kind].metric == nil {
			continue
		}
		var said isolationEntry
		// Lenient JSON: of an entry that the book has read exactly, the few fields that are counted.
		if json.Unmarshal(e.Body, &said) != nil {
			continue // the book has written it, and reads it
		}
		f.mu.Lock()
		f.ports[portsOf{e.Kind, said.Fabric}] += uint64(len(said.Ports))
		select {
		case f.lines <- *e:
		default:
			f.unsaid++
		}
		f.mu.Unlock()
	}
}

// run logs until ctx ends.
func (f *isolationFeed) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-f.lines:
			f.say(ctx, &e)
		}
	}
}

// namedPorts is how many ports a line of the log names.
const namedPorts = 8

func (f *isolationFeed) say(ctx context.Context, e *ledger.Entry) {
	f.mu.Lock()
	unsaid := f.unsaid
	f.unsaid = 0
	f.mu.Unlock()
	if unsaid > 0 {
		f.log.Warn("the log was too slow for what the ledger has of drift and lockdown", "entries", unsaid)
	}
	var said isolationEntry
	// Lenient JSON: of an entry that the book has read exactly, the few fields that are told.
	if json.Unmarshal(e.Body, &said) != nil {
		return
	}
	var named []string
	for _, p := range said.Ports[:min(len(said.Ports), namedPorts)] {
		text := fmt.Sprintf("%s nic %d", p.Node, p.NIC)
		if p.Check != "" {
			text += ": " + p.Check
		}
		named = append(named, text)
	}
	words := isolationWords[e.Kind]
	f.log.Log(ctx, words.level, words.message, "fabric", said.Fabric, "ports", len(said.Ports), "named", named, "entry", e.Seq, "at", e.Time)
}

// isolationWords is what each kind of entry is called.
var isolationWords = map[string]struct {
	level   slog.Level
	message string
	metric  *prometheus.Desc
}{
	fabric.KindDrifted:  {slog.LevelWarn, "drift: ports read back otherwise than compiled", isolationDesc("drifted", "Ports that were found drifted, since the start; each time counts.")},
	fabric.KindLocked:   {slog.LevelWarn, "lockdown: ports were closed", isolationDesc("locked", "Ports that were locked down, since the start.")},
	fabric.KindRestored: {slog.LevelInfo, "restored: ports carry their own label again and are proven", isolationDesc("restored", "Ports that were restored after a drift, since the start.")},
}

func isolationDesc(what, help string) *prometheus.Desc {
	return prometheus.NewDesc("bulkhead_ports_"+what+"_total", help, []string{"fabric"}, nil)
}

// Describe implements prometheus.Collector.
func (f *isolationFeed) Describe(ch chan<- *prometheus.Desc) {
	for _, words := range isolationWords {
		ch <- words.metric
	}
}

// Collect implements prometheus.Collector.
func (f *isolationFeed) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for of, ports := range f.ports {
		ch <- prometheus.MustNewConstMetric(isolationWords[of.kind].metric, prometheus.CounterValue, float64(ports), of.fabric)
	}
}

// count makes the counters of fabrics that nothing has happened to yet: a counter
// that begins above zero hides its first step from who watches its rate.
func (f *isolationFeed) count(fabrics []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for kind := range isolationWords {
		for _, id := range fabrics {
			f.ports[portsOf{kind, id}] += 0
		}
	}
}
