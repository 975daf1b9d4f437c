package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/claim"
)

// spoken is a name that somebody chose: it clears the screen, hides what follows, turns
// the writing round, and adds a line of its own.
const spoken = "x\x1b[2J\x1b[8m\u009b2J\u202e\r\b\x7f\u2028\nFORGED\tready\x00"

// inert runs bulkhead with that name for every @ in its arguments, whether it succeeds
// or not, and looks at what it prints: inert tenant register rival --name @.
func inert(ts *testscript.TestScript, neg bool, args []string) {
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "@", strings.TrimSuffix(spoken, "\x00")) // no argument can hold a 0
	}
	err := ts.Exec("bulkhead", args...)
	if neg && err == nil {
		ts.Fatalf("it was taken")
	}
	for _, file := range []string{"stdout", "stderr"} {
		text := ts.ReadFile(file)
		if !claim.Plain(text) || strings.Contains("\n"+text, "\nFORGED") {
			ts.Fatalf("%s: %q", file, text)
		}
	}
}

func TestRowsAndMessagesAreInert(t *testing.T) {
	var out bytes.Buffer
	before := stdout
	stdout = &claim.Screen{W: &out}
	defer func() { stdout = before }()
	for _, asked := range []format{{"table"}, {"json"}} {
		err := asked.print(map[string]string{"name": spoken}, func(w io.Writer) {
			row(w, "a", spoken, spoken)
			say(w, "%s is %v", spoken, fmt.Errorf("refused: %s", spoken))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(stdout, below(connect.NewError(connect.CodeInternal, fmt.Errorf("no %s", spoken))))
	if text := out.String(); !claim.Plain(text) || strings.Contains(text, "\nFORGED") || !strings.Contains(text, `\u001b[2J`) {
		t.Errorf("%q", text)
	}
}
