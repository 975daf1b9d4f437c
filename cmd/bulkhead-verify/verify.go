package main

import (
	"errors"
	"fmt"
	"io"

	"bulkhead/bundle"
)

type verifyCommand struct {
	Policy string `required:"" placeholder:"FILE" help:"What you accept: keys, origins, grades. Your own file, never part of a bundle."`
	Since  string `placeholder:"CHECKPOINT" help:"A checkpoint that you kept: the bundle's log must extend it."`
	Output string `short:"o" default:"text" enum:"text,json" help:"text or json."`
	Bundle string `arg:"" help:"The bundle."`
}

// Run verifies a bundle and prints the report.
func (c *verifyCommand) Run(stdout io.Writer, stderr errorWriter) error {
	err := bundle.VerifyFile(stdout, c.Bundle, c.Policy, c.Since, c.Output == "json", stderr.over)
	if errors.Is(err, bundle.ErrRejected) {
		fmt.Fprintln(stderr, "bulkhead-verify:", err)
		return rejected
	}
	return err
}

type listChecks struct{}

// Run prints every check.
func (listChecks) Run(stdout io.Writer) error {
	for _, c := range bundle.Checks() {
		if _, err := fmt.Fprintf(stdout, "%-16s %s\n", c.Name, c.Says); err != nil {
			return err
		}
	}
	return nil
}
