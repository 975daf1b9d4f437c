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
	Policy string `required:"" placeholder:"FILE" help:"What is accepted: keys, origins, grades. The tenant's own file, never part of a bundle; bulkhead-verify policy init makes one."`
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
	err := bundle.VerifyFile(stdout, c.Bundle, c.Policy, c.Since, c.Output == "json", func(err error) {
		say(remarks, "bulkhead: %v", err)
		os.Exit(exitFailed)
	})
	if errors.Is(err, bundle.ErrRejected) {
		return fmt.Errorf("%s: %w", c.Bundle, err)
	}
	return err
}
