// Command apibench measures how long the API takes to answer while one of the drivers is
// stopped. It runs a bulkhead binary on a full-size simulated site, the loop ticking, with
// reads at a fixed rate and commands beside them. The driver of one fabric is a process of
// its own between the server and the simulator; it is stopped by SIGSTOP, never answers an
// Apply, sends half an answer, or a byte a second. Each scenario has a server of its own,
// on the same data folder.
//
// It is made for any release: `apibench -binary OLD -o old.json` and then
// `apibench -binary NEW -beside old.json` print both.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// config is what is measured, and how.
type config struct {
	Binary   string
	Fabric   string
	Reads    int           // a second
	Commands int           // a second
	Measure  time.Duration // each scenario, from when the driver is stopped on
	Settle   time.Duration // before it, after the first look
	Size     string
}

// The limits. What others do to everything else is measured against the run in
// which no driver is stopped.
const (
	readsLimit    = 10 * time.Millisecond
	commandsLimit = 50 * time.Millisecond
	ratioLimit    = 1.2
)

// outcome is one scenario, measured.
type outcome struct {
	Scenario string  `json:"scenario"`
	Reads    figures `json:"reads"`
	Commands figures `json:"commands"`
	Looks    int     `json:"looks"` // ends of rounds seen at /metrics, by the site's clock
}

// figures are of the requests that were due, each timed from when it was due.
type figures struct {
	Due    int           `json:"due"`
	Failed int           `json:"failed"` // also those without an answer in time
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
	Max    time.Duration `json:"max"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "driver" {
		if err := driver(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "apibench driver:", err)
			os.Exit(1)
		}
		return
	}
	var c config
	var only, save, beside string
	flag.StringVar(&c.Binary, "binary", "bin/bulkhead", "the bulkhead to measure")
	flag.StringVar(&c.Fabric, "fabric", "roce", "whose driver is stopped")
	flag.IntVar(&c.Reads, "reads", 1000, "reads a second")
	flag.IntVar(&c.Commands, "commands", 10, "commands a second")
	flag.DurationVar(&c.Measure, "measure", 45*time.Second, "how long each scenario is measured, from when the driver is stopped on")
	flag.DurationVar(&c.Settle, "settle", 10*time.Second, "how long the server is left alone after its first look")
	flag.StringVar(&c.Size, "size", "full", "the simulated site: full, small or tiny; the figures that count are of the full one")
	flag.StringVar(&only, "only", "", "scenarios, with commas between them; default: all")
	flag.StringVar(&save, "o", "", "also write the figures to this file, as JSON")
	flag.StringVar(&beside, "beside", "", "a file that -o wrote for another binary: its figures are printed beside these")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, only, save, beside); err != nil {
		fmt.Fprintln(os.Stderr, "apibench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config, only, save, beside string) (err error) {
	var old []outcome
	if beside != "" {
		data, err := os.ReadFile(beside)
		if err == nil {
			// Lenient JSON: an earlier run of the bench, of whatever release.
			err = json.Unmarshal(data, &old)
		}
		if err != nil {
			return fmt.Errorf("-beside: %w", err)
		}
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	s, err := prepare(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	var outcomes []outcome
	for _, scenario := range chosen {
		o, err := s.measure(ctx, scenario)
		if err != nil {
			return fmt.Errorf("%s: %w", scenario.name, err)
		}
		fmt.Fprintf(os.Stderr, "measured: %s\n", scenario.name)
		outcomes = append(outcomes, o)
	}
	if save != "" {
		data, err := json.MarshalIndent(outcomes, "", "  ")
		if err == nil {
			err = os.WriteFile(save, data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	table(os.Stdout, "reads", readsLimit, outcomes, old, func(o outcome) figures { return o.Reads })
	table(os.Stdout, "commands", commandsLimit, outcomes, old, func(o outcome) figures { return o.Commands })
	return nil
}

func choose(only string) (chosen []scenario, err error) {
	if only == "" {
		return scenarios, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, s := range scenarios {
			if s.key == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			var known []string
			for _, s := range scenarios {
				known = append(known, s.key)
			}
			return nil, fmt.Errorf("-only %s: expected some of %s", name, strings.Join(known, ","))
		}
	}
	return chosen, nil
}

// table prints one kind of request: a row a scenario. The ratio is to the first
// row, in which nothing is stopped.
func table(to io.Writer, what string, limit time.Duration, outcomes, old []outcome, of func(outcome) figures) {
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tdue\tfailed\tp50\tp99\tmax\tp99 ×\tlimits\tlooks\tbefore: failed\tp99\tmax\t\n", what)
	for i, o := range outcomes {
		f := of(o)
		ratio, verdict := "-", verdictOf(f.P99 <= limit && f.Failed == 0, limit)
		if i > 0 && outcomes[0].Scenario == scenarios[0].name {
			r := float64(f.P99) / math.Max(float64(of(outcomes[0]).P99), 1)
			ratio = fmt.Sprintf("%.2f", r)
			verdict = verdictOf(f.P99 <= limit && f.Failed == 0 && r <= ratioLimit, limit)
		}
		before := "\t\t"
		for _, b := range old {
			if b.Scenario == o.Scenario {
				g := of(b)
				before = fmt.Sprintf("%d\t%s\t%s", g.Failed, shown(g.P99), shown(g.Max))
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t\n", o.Scenario, f.Due, f.Failed, shown(f.P50), shown(f.P99), shown(f.Max), ratio, verdict, o.Looks, before)
	}
	_ = w.Flush() // to a terminal or a pipe: who reads it sees that it ends
	fmt.Fprintln(to)
}

func verdictOf(kept bool, limit time.Duration) string {
	if kept {
		return fmt.Sprintf("≤ %s, kept", limit)
	}
	return fmt.Sprintf("≤ %s, MISSED", limit)
}

func shown(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
