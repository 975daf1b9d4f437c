package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// askFlag is the flag of what one party does to the other under a contract, and that has
// no digest to be confirmed by: it says first what it comes to, and asks.
type askFlag struct {
	Yes bool `help:"Don't ask: do what is said beforehand. Without it a person at a terminal types yes."`
}

// confirm says what something comes to, and has a person agree to it.
func (f askFlag) confirm(comesTo string, args ...any) error {
	say(remarks, comesTo, args...)
	if f.Yes {
		return nil
	}
	if !isTerminal() {
		return usagef("nobody is at a terminal to be asked: give --yes")
	}
	return typed("Do this? Type yes: ", "yes")
}

// isTerminal says whether there is a person to ask; tests have none.
var isTerminal = func() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// stdin is where a person types.
var stdin io.Reader = os.Stdin

// typed has a person at the terminal type a word, and nothing else will do.
func typed(prompt, word string) error {
	fmt.Fprint(remarks, prompt)
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(line) != word {
		return fmt.Errorf("that is not %s: nothing was done", word)
	}
	return nil
}
