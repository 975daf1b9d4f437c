package main

import (
	"errors"
	"fmt"
	"os"

	"bulkhead/bundle"
)

type bundleCommand struct {
	Write  bundleWrite  `cmd:"" help:"Write a tenant's bundle."`
	Verify bundleVerify `cmd:"" help:"Say what a bundle proves, as bulkhead-verify does."`
}

type bundleVerify struct {
	Policy string `required:"" placeholder:"FILE" help:"What is accepted: keys, origins, grades. The tenant's own file, never part of a bundle."`
	Since  string `placeholder:"CHECKPOINT" help:"A checkpoint that the tenant kept: the bundle's log must extend it."`
	Bundle string `arg:"" help:"The bundle."`
	format
}

// Help is the example.
func (bundleVerify) Help() string {
	return `Tenants use bulkhead-verify, which has no code of the owner's server inside.

Example:

    bulkhead bundle verify --policy tenant.policy acme.bundle`
}

// Run verifies a bundle and prints the report.
func (c *bundleVerify) Run() error {
	data, err := os.ReadFile(c.Policy)
	if err != nil {
		return err
	}
	policy, err := bundle.ParsePolicy(c.Policy, data)
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
		return fmt.Errorf("%s: REJECTED: %w", c.Bundle, err)
	}
	write := report.WriteText
	if c.Output == "json" {
		write = report.WriteJSON
	}
	if printed := write(stdout); printed != nil {
		return printed
	}
	if errors.Is(err, bundle.ErrRejected) || !report.Proven {
		return fmt.Errorf("%s: REJECTED: %s", c.Bundle, report.Rejected[0])
	}
	return err
}
