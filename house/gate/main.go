// Command gate reads the output of `go test -json`, prints one line a package
// and every failure whole, and fails where a test failed, where a test was
// skipped that could have run, or where no test ran.
//
// A test may skip only for what the machine lacks, and says so: its message
// begins with "needs ". In CI (the variable CI is set) no skip is accepted.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	output := map[string][]string{}
	var passed, failed, skipped, wrong int
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) != nil {
			fmt.Println(scanner.Text()) // the toolchain's own words
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
		case "pass", "skip", "fail":
			if e.Test == "" {
				report(e, output[key])
				if e.Action == "fail" {
					failed++
				}
			} else {
				switch e.Action {
				case "pass":
					passed++
				case "fail":
					failed++
					fmt.Print(strings.Join(output[key], ""))
				case "skip":
					skipped++
					why := strings.Join(output[key], "")
					fmt.Print(why)
					if os.Getenv("CI") != "" || !strings.Contains(why, "needs ") {
						wrong++
					}
				}
			}
			delete(output, key)
		case "build-fail":
			failed++
		}
	}
	leftovers(output)
	if wrong > 0 {
		fmt.Printf("%d tests were skipped that could have run here: install what they need, or mend them\n", wrong)
	}
	if passed == 0 {
		fmt.Println("no test ran")
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || wrong > 0 || passed == 0 || scanner.Err() != nil {
		os.Exit(1)
	}
}

func report(e event, lines []string) {
	if e.Action == "fail" {
		fmt.Print(strings.Join(lines, ""))
	}
	if e.Action == "pass" {
		fmt.Printf("ok   %-40s %6.1fs\n", e.Package, e.Elapsed)
	}
}

// leftovers prints what a package said that never ended, such as a build error.
func leftovers(output map[string][]string) {
	keys := make([]string, 0, len(output))
	for key := range output {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Print(strings.Join(output[key], ""))
	}
}
