package main

import (
	"io"
	"strings"
	"testing"
)

// TestAnActAsks: a person types the contract's id, and nothing else will do; a program that
// says nothing is refused.
func TestAnActAsks(t *testing.T) {
	person, typed := isTerminal, stdin
	defer func() { isTerminal, stdin = person, typed }()
	for _, row := range []struct {
		flags    actFlags
		terminal bool
		types    string
		says     string // "": it is done
	}{
		{actFlags{}, true, "first\n", ""},
		{actFlags{}, true, " first", ""},
		{actFlags{}, true, "yes\n", "nothing was done"},
		{actFlags{}, true, "second\n", "nothing was done"},
		{actFlags{}, true, "", "nothing was done"},
		{actFlags{}, false, "first\n", "nobody to ask"},
		{actFlags{Yes: true}, false, "", ""},
		{actFlags{Preview: "sha256:x"}, false, "", ""},
	} {
		isTerminal, stdin = func() bool { return row.terminal }, io.Reader(strings.NewReader(row.types))
		err := row.flags.confirm("first")
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}
