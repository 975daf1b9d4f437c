// Command gate reads the output of `go test -json` and decides whether the run passed. It
// prints one line a package and every failure whole, and fails where a test failed, where
// a test was skipped that could have run, where something began and never ended, or where
// no test ran. Meanwhile it says every twenty seconds what is running, and for how long;
// at the end which packages and tests took longest.
//
// A test may skip only for what the machine lacks, and says so: its message
// begins with "needs ". In CI (the variable CI is set) no skip is accepted.
//
// With -keep FILE all that it reads is written to a file as well.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// progress is how often it says what is running.
const progress = 20 * time.Second

func main() {
	keep := flag.String("keep", "", "also write what is read to `FILE`")
	flag.Parse()
	var in io.Reader = os.Stdin
	if *keep != "" {
		file, err := os.Create(*keep)
		if err != nil {
			fmt.Fprintln(os.Stderr, "gate:", err)
			os.Exit(1)
		}
		defer file.Close()
		in = io.TeeReader(in, file)
	}
	g := newGate(os.Stdout, os.Getenv("CI") != "", time.Now)
	done := make(chan struct{})
	go func() {
		for tick := time.Tick(progress); ; {
			select {
			case <-done:
				return
			case <-tick:
				g.progress()
			}
		}
	}()
	err := g.read(in)
	close(done)
	if !g.end(err) {
		os.Exit(1)
	}
}
