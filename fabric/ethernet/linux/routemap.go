package linux

import (
	"slices"
	"strings"
)

// This file puts a route map of bgpd's back. It is never removed as a whole: bgpd of FRR
// 8.4 dies of the next update that comes where a map that a neighbour has is removed and
// made again. Nor does it let through on the way what it lets through neither before nor
// after: a rule and what it asks for are said at once, and what is too much goes last.

// mapRule is one of a route map: the line that it begins with, and those below it, ascending.
type mapRule struct {
	head  string
	lines []string
}

// ruleByRule are the differences of a map from its rules as they are to be; text is for people.
func (r running) ruleByRule(text, name string, want []mapRule) (d []difference) {
	kept := map[string]bool{} // sequence numbers: a rule is replaced by one of the same
	for _, w := range want {
		kept[lastWord(w.head)] = true
		is, there := r[w.head], slices.Contains(r[""], w.head)
		if there && slices.Equal(is, w.lines) {
			continue
		}
		d = append(d, difference{text: text, together: append(append([]string{w.head}, w.lines...), "exit")})
		back := []string{w.head}
		for _, line := range is {
			if !slices.ContainsFunc(w.lines, func(l string) bool { return asks(l) == asks(line) }) {
				back = append(back, without(line))
			}
		}
		if len(back) > 1 {
			d = append(d, difference{text: text, back: append(back, "exit")})
		}
	}
	for _, head := range r.below("", "route-map "+name+" ") {
		if !kept[lastWord(head)] {
			d = append(d, difference{text: text, back: []string{"no " + head}})
		}
	}
	return d
}

func lastWord(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }

// asks is which question a line of a rule answers, or what it does: a rule has one line of
// each, and one that is said takes the place of the one before.
func asks(line string) string {
	words := strings.Fields(line)
	n := 1 // call, continue, description
	if len(words) > 1 && slices.Contains([]string{"match", "set", "on-match"}, words[0]) {
		if n = 2; len(words) > 2 && slices.Contains([]string{"evpn", "ip", "ipv6"}, words[1]) {
			n = 3
		}
	}
	return strings.Join(words[:min(n, len(words))], " ")
}

// without takes a line of a rule away: what it matches or sets by the whole line, of others
// bgpd wants to hear no more than what they do.
func without(line string) string {
	if strings.HasPrefix(line, "match ") || strings.HasPrefix(line, "set ") {
		return "no " + line
	}
	return "no " + asks(line)
}
