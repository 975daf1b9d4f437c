package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

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
