// Command dead finds what no program of this repository reaches: functions, methods, types, fields, constants and variables.
// Exported ones too, and those that only tests reach. It is run by `make test`;
// docs/decisions/0050 says why it is not one of the usual tools.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	dir := flag.String("C", ".", "where the module is")
	flag.Parse()
	findings, err := find(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "dead:", err)
		os.Exit(2)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		fmt.Printf("%d findings of what is dead: do as each says, and run `go run ./house/dead` again\n", len(findings))
		os.Exit(1)
	}
}

// find says what is dead in the module at dir, in the order of its files.
func find(dir string) ([]string, error) {
	m, err := load(dir)
	if err != nil {
		return nil, err
	}
	if err := m.peers(); err != nil {
		return nil, err
	}
	k, err := readKept(dir)
	if err != nil {
		return nil, err
	}
	return m.judge(k), nil
}
