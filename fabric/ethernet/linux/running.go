package linux

import (
	"slices"
	"strings"
)

// This file decodes bgpd's running configuration, which bgpd itself prints: what is said
// to it is a line with a status, and what it says here is what it has made of all lines.

// runningShow is the command that has it printed.
const runningShow = "show running-config"

// running is a configuration: its lines by the section that they stand in, ascending. The
// name of a section is the lines that lead into it, see [section].
type running map[string][]string

// section names what stands below lines, each within the one before.
func section(lines ...string) string { return strings.Join(lines, "\n") }

// decodeRunning takes a running configuration apart by how far its lines are indented.
// Whatever is a secret is left out.
func decodeRunning(text []byte) running {
	r := running{}
	var above []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, " \r\n")
		words := strings.TrimLeft(line, " ")
		depth := len(line) - len(words)
		if words == "" || words[0] == '!' || words == "exit" || strings.HasPrefix(words, "exit-") || strings.Contains(words, " password ") {
			continue
		}
		above = append(above[:min(depth, len(above))], words)
		in := section(above[:len(above)-1]...)
		r[in] = append(r[in], words)
	}
	for _, lines := range r {
		slices.Sort(lines)
	}
	return r
}

// below lists the sections whose first line, of those in a section, begins with a text,
// ascending, by that line.
func (r running) below(in, prefix string) (heads []string) {
	for _, line := range r[in] {
		if strings.HasPrefix(line, prefix) {
			heads = append(heads, line)
		}
	}
	return slices.Compact(heads)
}
