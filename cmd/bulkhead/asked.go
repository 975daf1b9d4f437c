package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
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
	fmt.Fprint(remarks, "Do this? Type yes: ")
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("that is not yes: nothing was done")
	}
	return nil
}
