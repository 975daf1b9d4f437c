package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lab/await"
	"bulkhead/ledger"
	"bulkhead/run/datadir"
)

// gathered is what a collector shows, as lines.
func gathered(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, f := range families {
		for _, m := range f.Metric {
			lines.WriteString(f.GetName())
			for _, l := range m.Label {
				lines.WriteString(" " + l.GetName() + "=" + l.GetValue())
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue()
			encoded, _ := json.Marshal(value)
			lines.WriteString(" " + string(encoded) + "\n")
		}
	}
	return lines.String()
}

// TestWhatWasMendedIsCounted drifts and mends ports between two looks at the
// counters, which the state forgets: both are counted and in the log, once, by the
// site's copy.
func TestWhatWasMendedIsCounted(t *testing.T) {
	var said bytes.Buffer
	f := newIsolationFeed(slog.New(slog.NewTextHandler(&said, nil)))
	f.count([]string{"ib", "roce"})
	entry := func(seq uint64, scope, kind string, ports ...string) ledger.Entry {
		notes := make([]fabric.PortNote, len(ports))
		for i, n := range ports {
			notes[i] = fabric.PortNote{Node: n, NIC: i, Check: "labels"}
		}
		body, err := json.Marshal(fabric.Locked{Fabric: "ib", Ports: notes})
		if err != nil {
			t.Fatal(err)
		}
		return ledger.Entry{Seq: seq, Scope: scope, Kind: kind, Body: body}
	}
	f.feed([]ledger.Entry{
		entry(1, book.SiteScope, fabric.KindDrifted, "n1", "n2"), entry(2, "tenant/acme", fabric.KindDrifted, "n1"),
		entry(3, book.SiteScope, fabric.KindLocked, "n1", "n2"), entry(4, book.SiteScope, book.KindBrake),
	})
	f.feed([]ledger.Entry{entry(5, book.SiteScope, fabric.KindRestored, "n1", "n2")})
	f.feed([]ledger.Entry{entry(6, book.SiteScope, fabric.KindDrifted, "n1")})
	want := `bulkhead_ports_drifted_total fabric=ib 3
bulkhead_ports_drifted_total fabric=roce 0
bulkhead_ports_locked_total fabric=ib 2
bulkhead_ports_locked_total fabric=roce 0
bulkhead_ports_restored_total fabric=ib 2
bulkhead_ports_restored_total fabric=roce 0
`
	if got := gathered(t, f); got != want {
		t.Errorf("counted:\n%s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.run(ctx); close(ended) }()
	await.Must(t, "four lines in the log", func() bool { return len(f.lines) == 0 && strings.Count(said.String(), "\n") >= 4 })
	cancel()
	<-ended
	for i, line := range []string{`level=WARN msg="drift: `, `level=WARN msg="lockdown: `, `level=INFO msg="restored: `, `level=WARN msg="drift: `} {
		if got := strings.Split(said.String(), "\n")[i]; !strings.Contains(got, line) || !strings.Contains(got, "n1 nic 0: labels") || strings.Contains(got, "acme") {
			t.Errorf("logged: %s, expected %s", got, line)
		}
	}
}

// TestTheFeedNeverWaits feeds more than the log takes: all of it is counted.
func TestTheFeedNeverWaits(t *testing.T) {
	var said bytes.Buffer
	f := newIsolationFeed(slog.New(slog.NewTextHandler(&said, nil)))
	body := []byte(`{"fabric":"ib","ports":[{"port":1,"node":"n1","nic":0,"check":"labels"}]}`)
	for seq := range uint64(isolationLines + 7) {
		f.feed([]ledger.Entry{{Seq: seq + 1, Scope: book.SiteScope, Kind: fabric.KindDrifted, Body: body}})
	}
	if got := gathered(t, f); got != "bulkhead_ports_drifted_total fabric=ib 1031\n" {
		t.Errorf("counted:\n%s", got)
	}
	e := <-f.lines
	if f.say(t.Context(), &e); !strings.Contains(said.String(), "entries=7") {
		t.Errorf("logged: %s", said.String())
	}
}

func TestDiskMetrics(t *testing.T) {
	d := datadir.Dir(t.TempDir())
	if got := gathered(t, diskMetrics{d}); strings.Contains(got, "ledger") || !strings.Contains(got, "bulkhead_data_free_bytes ") || !strings.Contains(got, "bulkhead_data_size_bytes ") {
		t.Errorf("without a ledger:\n%s", got)
	}
	if got := gathered(t, diskMetrics{d + "/nowhere"}); got != "" {
		t.Errorf("without a folder:\n%s", got)
	}
}
