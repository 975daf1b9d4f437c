package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// run is what a document says of the run that it is from.
type run struct{ date, release, peers string }

// figures are what was measured of one attack, a value a run.
type figures struct {
	packets []int
	seconds []float64
}

// mark begins a line by which a test says what it measured: of an attack, as JSON.
const mark = "measured {"

// read collects what tests measured, by package and attack.
//
// Attacks of a lab's short story are not counted: they are mounted beside other things.
func read(r io.Reader) (map[string]map[string]*figures, error) {
	out := map[string]map[string]*figures{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var e struct{ Action, Package, Test, Output string }
		// Lenient JSON: test2json's events grow with Go's releases.
		if json.Unmarshal(scanner.Bytes(), &e) != nil || e.Action != "output" || !strings.HasPrefix(e.Test, attacksOf) {
			continue
		}
		_, text, is := strings.Cut(e.Output, mark)
		if !is {
			continue
		}
		var m struct {
			Attack  string   `json:"attack"`
			Packets *int     `json:"packets"`
			Seconds *float64 `json:"seconds"`
		}
		// Lenient JSON: of a line that a lab printed, what is put into the table.
		if err := json.Unmarshal([]byte("{"+text), &m); err != nil || m.Attack == "" || m.Packets == nil || m.Seconds == nil {
			return nil, fmt.Errorf("%.200q: expected an attack, packets and seconds", e.Output)
		}
		if out[e.Package] == nil {
			out[e.Package] = map[string]*figures{}
		}
		f := out[e.Package][m.Attack]
		if f == nil {
			f = &figures{}
			out[e.Package][m.Attack] = f
		}
		f.packets, f.seconds = append(f.packets, *m.Packets), append(f.seconds, *m.Seconds)
	}
	return out, scanner.Err()
}

// attacksOf are the tests that mount every attack of a lab, each once.
const attacksOf = "TestAttacks/"

// The columns of a table of attacks that are measured, by their heads. A document has
// the line that begins with lastRun once.
const (
	headAttack  = "attack"
	headPackets = "packets between the rivals at first"
	headSeconds = "sweep and reaction"
	lastRun     = "Last run: "
)

// dated is a document with its table measured anew, and the line that says by which run.
func dated(text string, measured map[string]*figures, r run) (string, error) {
	lines := strings.Split(text, "\n")
	columns := map[string]int{}
	runs, told := 0, 0
	seen := map[string]bool{}
	for i, line := range lines {
		if strings.HasPrefix(line, lastRun) {
			told++
		}
		if !strings.HasPrefix(line, "|") {
			columns = map[string]int{}
			continue
		}
		cells := strings.Split(line, " | ")
		if len(cells) < 2 { // the line below the heads
			continue
		}
		cells[0] = strings.TrimPrefix(cells[0], "| ")
		if cells[0] == headAttack {
			for at, head := range cells {
				columns[strings.TrimSuffix(head, " |")] = at
			}
			continue
		}
		at, is := columns[headSeconds]
		if !is {
			continue
		}
		f := measured[cells[0]]
		if f == nil {
			return "", fmt.Errorf("%q was not mounted", cells[0])
		}
		if runs == 0 {
			runs = len(f.seconds)
		}
		if len(f.seconds) != runs || seen[cells[0]] {
			return "", fmt.Errorf("%q was mounted %d times, others %d times", cells[0], len(f.seconds), runs)
		}
		seen[cells[0]] = true
		if cells[at] != "-" { // nobody has to react
			cells[at] = span("%.1f", f.seconds) + " s"
		}
		if at, is := columns[headPackets]; is {
			cells[at] = span("%d", f.packets)
		}
		lines[i] = "| " + strings.Join(cells, " | ")
	}
	for name := range measured {
		if !seen[name] {
			return "", fmt.Errorf("%q was mounted, and has no row", name)
		}
	}
	if told != 1 || runs == 0 {
		return "", fmt.Errorf("expected one line that begins with %q and a table of attacks; found %d, and %d runs", lastRun, told, runs)
	}
	for i, line := range lines {
		if strings.HasPrefix(line, lastRun) {
			times := fmt.Sprintf("%d runs, in each of which", runs)
			if runs == 1 {
				times = "one run, in which"
			}
			lines[i] = fmt.Sprintf("%s%s, %s, %s every attack ended as its row says. Peers: %s.", lastRun, r.date, r.release, times, r.peers)
		}
	}
	return strings.Join(lines, "\n"), nil
}

// span is the least and the greatest of some values, or the one that they all are.
func span[T int | float64](format string, values []T) string {
	least, most := fmt.Sprintf(format, slices.Min(values)), fmt.Sprintf(format, slices.Max(values))
	if least == most {
		return least
	}
	return least + " to " + most
}
