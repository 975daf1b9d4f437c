package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// unit is a package, or a test of it.
type unit struct{ pkg, test string }

func (u unit) String() string {
	if u.test == "" {
		return u.pkg
	}
	return u.pkg + " " + u.test
}

// took is how long a unit ran, in seconds.
type took struct {
	unit
	seconds float64
}

// gate keeps what was said of every unit that has not ended.
type gate struct {
	mu     sync.Mutex
	out    io.Writer
	strict bool // no skip is accepted
	now    func() time.Time

	output  map[unit][]string
	running map[unit]time.Time // since when
	ended   []took
	begun   time.Time

	passed, failed, skipped, wrong int
}

func newGate(out io.Writer, strict bool, now func() time.Time) *gate {
	return &gate{out: out, strict: strict, now: now, output: map[unit][]string{}, running: map[unit]time.Time{}, begun: now()}
}

// read hears all that is said.
func (g *gate) read(r io.Reader) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var e event
		// Lenient JSON: test2json's events grow with Go's releases, and lines that are none pass.
		if json.Unmarshal(scanner.Bytes(), &e) != nil {
			g.say("%s\n", scanner.Text()) // the toolchain's own words
			continue
		}
		g.hear(e)
	}
	return scanner.Err()
}

func (g *gate) say(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintf(g.out, format, args...)
}

func (g *gate) hear(e event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := unit{e.Package, e.Test}
	switch e.Action {
	case "start", "run", "cont":
		g.running[u] = g.now()
	case "pause": // it waits for its turn
		delete(g.running, u)
	case "output", "build-output":
		g.output[u] = append(g.output[u], e.Output)
	case "build-fail":
		g.failed++
	case "pass", "skip", "fail":
		g.verdict(u, e)
		delete(g.output, u)
		delete(g.running, u)
	}
}

// verdict is the end of a unit.
func (g *gate) verdict(u unit, e event) {
	said := strings.Join(g.output[u], "")
	if e.Action != "skip" {
		g.ended = append(g.ended, took{u, e.Elapsed})
	}
	switch {
	case e.Action == "fail":
		g.failed++
		fmt.Fprint(g.out, said)
	case u.test == "" && e.Action == "pass":
		fmt.Fprintf(g.out, "ok   %-40s %6.1fs\n", u.pkg, e.Elapsed)
	case u.test == "": // a package without tests is skipped
	case e.Action == "pass":
		g.passed++
	default:
		g.skipped++
		fmt.Fprint(g.out, said)
		if g.strict || !strings.Contains(said, "needs ") {
			g.wrong++
		}
	}
}

// progress says what is running: of a test with parts, the part.
func (g *gate) progress() {
	g.mu.Lock()
	defer g.mu.Unlock()
	var now []string
	for _, u := range slices.SortedFunc(maps.Keys(g.running), func(a, b unit) int { return strings.Compare(a.String(), b.String()) }) {
		if !g.hasPart(u) {
			now = append(now, fmt.Sprintf("%s (%.0f s)", u, g.now().Sub(g.running[u]).Seconds()))
		}
	}
	what := "building"
	if len(now) > 0 {
		what = "running " + strings.Join(now, ", ")
	}
	fmt.Fprintf(g.out, "...  %.0f s: %s\n", g.now().Sub(g.begun).Seconds(), what)
}

// hasPart reports whether something within a unit is running.
func (g *gate) hasPart(u unit) bool {
	for other := range g.running {
		if other != u && other.pkg == u.pkg && (u.test == "" || strings.HasPrefix(other.test, u.test+"/")) {
			return true
		}
	}
	return false
}

// named is how many of the slowest are.
const named = 5

// slowest names the packages and the tests that took longest; of a test with parts
// the test, not each part.
func (g *gate) slowest() {
	for _, of := range []string{"packages", "tests"} {
		list := slices.DeleteFunc(slices.Clone(g.ended), func(t took) bool {
			return (t.test != "") != (of == "tests") || strings.Contains(t.test, "/") || t.seconds < 1
		})
		slices.SortFunc(list, func(a, b took) int {
			return cmp.Or(cmp.Compare(b.seconds, a.seconds), strings.Compare(a.String(), b.String()))
		})
		var parts []string
		for _, t := range list[:min(named, len(list))] {
			parts = append(parts, fmt.Sprintf("%s %.1f s", t.unit, t.seconds))
		}
		if len(parts) > 0 {
			fmt.Fprintf(g.out, "slowest %s: %s\n", of, strings.Join(parts, ", "))
		}
	}
}

// end is the whole verdict: whether all is well.
func (g *gate) end(reading error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	// What a unit said that never ended, such as a build error.
	for _, u := range slices.SortedFunc(maps.Keys(g.output), func(a, b unit) int { return strings.Compare(a.String(), b.String()) }) {
		fmt.Fprint(g.out, strings.Join(g.output[u], ""))
	}
	for _, u := range slices.SortedFunc(maps.Keys(g.running), func(a, b unit) int { return strings.Compare(a.String(), b.String()) }) {
		fmt.Fprintf(g.out, "%s began and never ended\n", u)
	}
	if reading != nil {
		fmt.Fprintf(g.out, "the output of go test can't be read: %v\n", reading)
	}
	g.slowest()
	if g.wrong > 0 {
		fmt.Fprintf(g.out, "%d tests were skipped that could have run here: install what they need, or mend them\n", g.wrong)
	}
	if g.passed == 0 {
		fmt.Fprintln(g.out, "no test ran")
	}
	fmt.Fprintf(g.out, "%d passed, %d failed, %d skipped, in %.0f s\n", g.passed, g.failed, g.skipped, g.now().Sub(g.begun).Seconds())
	return g.failed == 0 && g.wrong == 0 && g.passed > 0 && len(g.running) == 0 && reading == nil
}
