// Command bench is the fair fight: Bulkhead beside what people would use instead. It runs
// Slurm from Debian's packages and Kueue as a Go module on the same sites, the same
// occupancies and the same asks, judged by an evaluator that knows none of them. It writes
// one report, and fails when Bulkhead misses a bar.
//
// Peers schedule jobs; Bulkhead places leases. Where that makes a comparison
// unfair to them, the report says so.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"bulkhead/bench/report"
)

// options is what the command line says.
type options struct {
	size  string
	seeds int
	out   string
	dir   string
	only  string
}

func main() {
	var o options
	flag.StringVar(&o.size, "size", "full", "full, or small: few seeds and short streams, about two minutes")
	flag.IntVar(&o.seeds, "seeds", 0, "seeds of every occupancy (0: 20, or 2 when small)")
	flag.StringVar(&o.out, "out", "out", "directory of the shared files and the raw results")
	flag.StringVar(&o.dir, "report", "out/report", "directory of the report")
	flag.StringVar(&o.only, "only", "", "run some sections alone, such as b1 or b3,b6 (B1 and B2 are one run)")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "bench [options]: Bulkhead beside Slurm and Kueue. Needs slurmctld and slurm-client (Debian).\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if o.seeds == 0 {
		o.seeds = 20
		if o.size == "small" {
			o.seeds = 2
		}
	}
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	failed, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d bars were missed\n", failed)
		os.Exit(1)
	}
}

// part is one part of the fight.
type part struct {
	id, title string
	run       func(*fight) (report.Section, error)
}

// sections are the parts of the fight, in order.
var sections = []part{
	{"b1", "B1 and B2: where a lease goes, and how long it takes to say", (*fight).places},
	{"b3", "B3: links shared with other tenants", (*fight).links},
	{"b4", "B4: 36 months of dated leases", (*fight).calendar},
	{"b5", "B5: a year of failures", (*fight).failing},
	{"b6", "B6: how full a site of hermetic leases gets", (*fight).filling},
	{"b7", "B7: what of a site stays whole while leases come and go", (*fight).whole},
}

func (o options) check() error {
	if o.size != "full" && o.size != "small" {
		return fmt.Errorf("size %q, expected full or small", o.size)
	}
	if o.seeds < 1 || o.seeds > 10_000 {
		return fmt.Errorf("%d seeds, expected 1 to 10,000", o.seeds)
	}
	for id := range strings.SplitSeq(o.only, ",") {
		if id != "" && !slices.ContainsFunc(sections, func(p part) bool { return p.id == id }) {
			return fmt.Errorf("no section %q: expected some of b1, b3, b4, b5, b6, b7", id)
		}
	}
	return nil
}

// run fights every section and writes the report. It returns how many bars were
// missed.
func run(o options) (failed int, err error) {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return 0, err
	}
	f := &fight{options: o, begin: time.Now()}
	defer func() { err = errors.Join(err, f.close()) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		f.say("ending on %s; nothing is written", <-stop)
		if err := f.close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(130)
	}()
	r := report.Report{Size: o.size, Seeds: o.seeds, Machine: machine(), Versions: []string{runtime.Version()}}
	for _, s := range sections {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), s.id) {
			continue
		}
		f.say("%s", s.title)
		section, err := s.run(f)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", s.id, err)
		}
		section.Title = s.title
		r.Sections = append(r.Sections, section)
		for _, b := range section.Bars {
			f.say("  %s", b)
			if b.Missed() {
				failed++
			}
		}
	}
	r.Versions = append(r.Versions, f.versions...)
	r.Took = time.Since(f.begin)
	r.Ground = f.digest()
	if err := r.Write(o.dir); err != nil {
		return 0, err
	}
	f.say("the report is %s", filepath.Join(o.dir, "README.md"))
	return failed, nil
}

// machine says on what this ran.
func machine() string {
	model := "an unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.SplitSeq(string(data), "\n") {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), ":"))
				break
			}
		}
	}
	load := "unknown"
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Fields(string(data))[0]
	}
	return fmt.Sprintf("%d cores of %s, %s/%s, load average %s when the run began", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, load)
}
