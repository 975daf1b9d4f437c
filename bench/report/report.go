// Package report writes what came of the fight: Markdown and plots.
package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Bar is what Bulkhead has to reach, and whether it did.
type Bar struct {
	ID   string // "B1"
	Text string // what is asked
	Met  bool
	Got  string // what was measured

	// Excused: the bar allows a reason instead, and Got gives it, with the bound.
	Excused bool
}

// Missed reports whether the bar counts against Bulkhead.
func (b Bar) Missed() bool { return !b.Met && !b.Excused }

func (b Bar) verdict() string {
	switch {
	case b.Met:
		return "met"
	case b.Excused:
		return "not reached; the reason is given"
	default:
		return "**missed**"
	}
}

func (b Bar) String() string {
	return fmt.Sprintf("%s %s: %s (%s)", b.ID, strings.ToUpper(strings.Trim(b.verdict(), "*")), b.Text, b.Got)
}

// Section is one part of the fight: paragraphs, tables and plots as Markdown.
type Section struct {
	Title string
	Body  string
	Bars  []Bar
	Plots []Plot
}

// Plot is a figure as SVG, with the name of its file.
type Plot struct {
	File string
	SVG  []byte
}

// Report is a whole run.
type Report struct {
	Size     string
	Seeds    int
	Machine  string
	Versions []string
	Ground   string
	Took     time.Duration
	Sections []Section
}

// Write writes README.md and the plots into a directory, over what was there.
func (r Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range r.Sections {
		for _, p := range s.Plots {
			if err := os.WriteFile(filepath.Join(dir, p.File), p.SVG, 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), r.markdown(), 0o644)
}

func (r Report) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The fair fight\n\nBulkhead beside what people would use instead. Made by `make bench-peers`; nothing here was written by hand.\n\n")
	fmt.Fprintf(&b, "- Machine: %s\n- Versions: %s\n- Size %s, %d seeds, %s\n- Shared files, the same for every contender: %s\n\n",
		r.Machine, strings.Join(r.Versions, ", "), r.Size, r.Seeds, r.Took.Round(time.Second), r.Ground)
	b.WriteString("Slurm and Kueue schedule jobs, and Bulkhead places leases: few, huge, long, dated. Both peers run here without what they are " +
		"mostly for: queues, priorities, accounting, running anything. Where they tie or win, the tables say so.\n\n")
	b.WriteString("| bar | | measured |\n|---|---|---|\n")
	for _, s := range r.Sections {
		for _, bar := range s.Bars {
			fmt.Fprintf(&b, "| %s: %s | %s | %s |\n", bar.ID, bar.Text, bar.verdict(), bar.Got)
		}
	}
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s", s.Title, s.Body)
	}
	return b.Bytes()
}

// Table writes rows as a Markdown table; the first is its head.
func Table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	b.WriteString("\n")
	return b.String()
}

// Number writes an integer with commas.
func Number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Millis writes a duration in milliseconds with two or three digits that matter.
func Millis(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}
