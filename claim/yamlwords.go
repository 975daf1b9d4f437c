package claim

import (
	"fmt"
	"strings"
)

// yamlWords says in plain words what the parser of YAML complains about, and what to do,
// by a part of its message. The first that fits counts.
var yamlWords = []struct{ part, plain string }{
	{"tab character", "a tab: YAML is indented with spaces"},
	{"found character '\t'", "a tab: YAML is indented with spaces"},
	{"end character of", "a text in quotes that does not end: expected another quote"},
	{"'}'", "a { here or above has no }: expected , or } behind each of its fields, and quotes around what has a comma in it"},
	{"']'", "a [ here or above has no ]: expected , or ] behind each of its entries, and quotes around what has a comma in it"},
	{"sequence element, but found ','", "an entry is missing before a comma: expected [a, b]"},
	{"mapping value is not allowed", "a second \": \", or a field that is indented otherwise than those around it: expected name: value, in quotes a value that has \": \" in it"},
	{"reserved character", "a value that begins with a character that YAML keeps for itself: expected it in quotes"},
	{"escape", "an unknown escape in a text in double quotes: expected \\\\ for a backslash, or single quotes"},
	{"UTF-16", "an unknown escape in a text in double quotes: expected \\\\ for a backslash, or single quotes"},
	{"directive", "a line or value that begins with %: expected it in quotes"},
	{"anchor", "an anchor or alias, which is not supported: expected the value itself, in quotes if it begins with & or *"},
	{"alias", "an anchor or alias, which is not supported: expected the value itself, in quotes if it begins with & or *"},
	{"merge", "a merge, which is not supported: expected the fields themselves"},
	{"tag", "a tag, which is not supported: expected the value itself, in quotes if it begins with !"},
	{"document separator", "a second document: expected one a file"},
	{"sequence entries are not allowed", "an entry of a list in the line of a field: expected it in a line of its own"},
	{"invalid key", "a list or fields as the name of a field: expected name: value"},
	{"value is not allowed in this context", "something that is neither a field nor an entry of a list: expected name: value, indented like the fields around it, and quotes that end above it"},
	{"non-map value", "something without a name among fields: expected name: value, with a space behind the colon"},
	{"map key", "something without a value among fields: expected name: value, with a space behind the colon"},
	{"key name", "something without a value among fields: expected name: value, with a space behind the colon"},
}

func plainWords(message string) string {
	for _, w := range yamlWords {
		if strings.Contains(message, w.part) {
			return w.plain
		}
	}
	return "something is out of place: expected name: value, indented like the fields around it"
}

// lineFound is a line of a file, for a complaint.
func lineFound(text string, line int) string {
	lines := strings.SplitN(text, "\n", line+1)
	if line > len(lines) {
		return "nothing"
	}
	return fmt.Sprintf("%.60q", strings.TrimSpace(lines[line-1]))
}

// fieldAbove is the field that a line of a file that is no YAML seems to belong to, by names
// and dashes at the beginnings of lines. It may be "".
func fieldAbove(text string, line int) string {
	type level struct {
		indent, entries int
		name            string
	}
	var above []level
	for i, raw := range strings.SplitN(text, "\n", line+1) {
		rest := strings.TrimLeft(raw, " \t")
		if i == line || rest == "" || rest[0] == '#' {
			continue
		}
		indent := len(raw) - len(rest)
		pop := func(dash bool) {
			for len(above) > 0 && (above[len(above)-1].indent > indent || above[len(above)-1].indent == indent && !(dash && above[len(above)-1].name != "")) {
				above = above[:len(above)-1]
			}
		}
		for strings.HasPrefix(rest, "- ") {
			pop(true)
			if len(above) > 0 {
				above[len(above)-1].entries++
			}
			trimmed := strings.TrimLeft(rest[1:], " ")
			indent += len(rest) - len(trimmed)
			rest = trimmed
		}
		name, _, is := strings.Cut(rest, ":")
		if !is || len(above) >= maxNesting || strings.ContainsAny(name, " \t\"'{[") {
			continue
		}
		pop(false)
		above = append(above, level{indent: indent, name: name})
	}
	var path strings.Builder
	for i, l := range above {
		if i > 0 {
			path.WriteByte('.')
		}
		path.WriteString(l.name)
		if l.entries > 0 {
			fmt.Fprintf(&path, "[%d]", l.entries-1)
		}
	}
	return path.String()
}
