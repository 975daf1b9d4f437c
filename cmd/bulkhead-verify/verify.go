package main

import (
	"errors"
	"fmt"
	"io"
	"os"

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
	policy, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	var options bundle.Options
	if c.Since != "" {
		if options.Since, err = os.ReadFile(c.Since); err != nil {
			return err
		}
	}
	file, err := os.Open(c.Bundle)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	report, err := bundle.Verify(file, info.Size(), policy, options)
	if report == nil {
		fmt.Fprintf(stderr, "bulkhead-verify: REJECTED: %v\n", err)
		return rejected
	}
	write := report.WriteText
	if c.Output == "json" {
		write = report.WriteJSON
	}
	if printed := write(stdout); printed != nil {
		return printed
	}
	if errors.Is(err, bundle.ErrRejected) || !report.Proven {
		fmt.Fprintf(stderr, "bulkhead-verify: REJECTED: %s\n", report.Rejected[0])
		return rejected
	}
	return err
}

func readPolicy(path string) (*bundle.Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return bundle.ParsePolicy(path, data)
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
