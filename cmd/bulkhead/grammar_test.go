package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// streams are the verbs that run until they are interrupted, or tell a story as
// it happens: there is no one result for them to print.
var streams = map[string]string{
	"serve": "its log is JSON lines", "sim": "it prints nothing", "demo": "it tells a story as it happens", "lab ib": "it tells a story as it happens", "lab eth show": "it tells a story as it happens", "lab eth keep": "what it says is for the process that started it",
	"drivers run": "its log is JSON lines", "leaf run": "it prints nothing", "leaf reflect": "it prints nothing", "leaf gateway": "it prints nothing",
}

// Every verb that ends in a result prints it for a program too, and every verb
// shows how it is used: with -o only where it has that flag, and so that the
// example is a command line that the grammar takes.
func TestEveryVerb(t *testing.T) {
	parser, err := kong.New(&grammar{}, kong.Name("bulkhead"))
	if err != nil {
		t.Fatal(err)
	}
	leaves := 0
	_ = kong.Visit(parser.Model.Node, func(n kong.Visitable, next kong.Next) error {
		node, ok := n.(*kong.Node)
		if !ok || !node.Leaf() || node.Type == kong.ApplicationNode {
			return next(nil)
		}
		leaves++
		verb := strings.TrimPrefix(node.FullPath(), "bulkhead ")
		output := false
		for _, f := range node.Flags {
			output = output || f.Name == "output" && f.Short == 'o' && f.Enum == "table,json"
			if f.Help == "" {
				t.Errorf("%s --%s has no help", verb, f.Name)
			}
		}
		if _, streaming := streams[verb]; output == streaming {
			t.Errorf("%s: has -o table|json: %v; listed as a verb without a result: %v", verb, output, streaming)
		}
		if node.Help == "" || !strings.HasSuffix(node.Help, ".") && !strings.Contains(node.Help, ". ") {
			t.Errorf("%s: its help %q is no sentence", verb, node.Help)
		}
		examples := 0
		for line := range strings.Lines(node.Detail) {
			if example, ok := strings.CutPrefix(line, "    bulkhead "); ok {
				examples++
				line, _, _ = strings.Cut(example, " > ")
				if !strings.HasPrefix(line, verb) {
					t.Errorf("%s: the example %q is of another verb", verb, line)
				}
				checkExample(t, strings.TrimSpace(line))
			}
		}
		if examples == 0 {
			t.Errorf("%s: its help has no example", verb)
		}
		return next(nil)
	})
	if leaves < 40 {
		t.Errorf("only %d verbs found", leaves)
	}
}

// checkExample parses an example without running it.
func checkExample(t *testing.T, line string) {
	t.Helper()
	parser, err := kong.New(&grammar{}, kong.Name("bulkhead"))
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	if _, err := parser.Parse(args); err != nil {
		t.Errorf("the example %q: %v", line, err)
	}
}
