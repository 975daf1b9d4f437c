// Command bulkhead is the control plane and its command line: a file a noun, longer verbs beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set when the binary is built.
var version = "unreleased"

// grammar is every verb. Each is a struct in the file of its name.
type grammar struct {
	Demo demoCommand `cmd:"" help:"Tell the whole story on a simulated site: sell, place, isolate, hand over, meter, prove." group:"Begin"`

	Serve   serveCommand   `cmd:"" help:"Run the control plane." group:"Run"`
	Drivers driversCommand `cmd:"" help:"Drive fabrics through their managers, on a socket." group:"Run"`
	Leaf    leafCommand    `cmd:"" help:"The agent of a leaf of an Ethernet fabric, on the leaf itself." group:"Run"`
	Backup  backupCommand  `cmd:"" help:"Copy the folder of a control plane, also while it runs, and check the copy." group:"Run"`
	Restore restoreCommand `cmd:"" help:"Make the folder of a control plane from a backup." group:"Run"`
	Key     keyCommand     `cmd:"" help:"The owner's signing keys: list, rotate, seal, publish." group:"Run"`
	CA      caCommand      `cmd:"" name:"ca" help:"A small authority for TLS: the server's certificate, and those of drivers on other machines." group:"Run"`
	Token   tokenCommand   `cmd:"" help:"Tokens with which people and programs call the server." group:"Run"`
	Ledger  ledgerCommand  `cmd:"" help:"What happened: check it, look at it, go on after a loss." group:"Run"`

	Site      siteCommand      `cmd:"" help:"The site: check a file, import it, look at it." group:"Work"`
	Tenant    tenantCommand    `cmd:"" help:"Who leases: tenants, and the keys with which they sign." group:"Work"`
	Quote     quoteCommand     `cmd:"" help:"Price and place a contract, and hold the capacity." group:"Work"`
	WhatIf    whatIfCommand    `cmd:"" name:"what-if" help:"What would be: earliest dates, a hall that slips, one contract more." group:"Work"`
	Lease     leaseCommand     `cmd:"" help:"Leases: sign, change, end, look." group:"Work"`
	Node      nodeCommand      `cmd:"" help:"Nodes: look, cordon, replace, repair." group:"Work"`
	Isolation isolationCommand `cmd:"" help:"What read-back proves about who can reach whom." group:"Work"`
	Plan      planCommand      `cmd:"" help:"What the loop would do now; release its brake." group:"Work"`
	Pause     pauseCommand     `cmd:"" help:"Stop writing to devices, everywhere or in one hall." group:"Work"`
	Resume    resumeCommand    `cmd:"" help:"Write to devices again, after a pause." group:"Work"`
	Approver  approverCommand  `cmd:"" help:"The keys of approvers, without which nothing counts as approved." group:"Work"`
	Clock     clockCommand     `cmd:"" help:"The site's time: look at it, confirm it after a jump." group:"Work"`
	Invoice   invoiceCommand   `cmd:"" help:"Invoices, and how each follows from the entries." group:"Work"`
	Command   commandCommand   `cmd:"" help:"Whether a change was carried out, by the id of its request." group:"Work"`
	Bundle    bundleCommand    `cmd:"" help:"What a tenant takes home, and its check." group:"Work"`

	Sim     simCommand     `cmd:"" help:"Simulate the devices of an example site on a socket." group:"Begin"`
	Advance advanceCommand `cmd:"" help:"Let time pass at a simulated site whose time stands still." group:"Begin"`
	Lab     labCommand     `cmd:"" help:"Show Bulkhead at work on peers that others wrote." group:"Begin"`
	Version versionCommand `cmd:"" help:"Print the version." group:"Begin"`
}

type versionCommand struct{ format }

// Help is the example.
func (versionCommand) Help() string {
	return `Example:

    bulkhead version`
}

// Run prints the version.
func (c *versionCommand) Run() error {
	return c.print(map[string]string{"version": version}, func(w io.Writer) { fmt.Fprintln(w, "bulkhead", version) })
}

// Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that the grammar allows and that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() { os.Exit(command(os.Args[1:], remarks)) }

// leave is how kong ends after --help.
type leave int

// command is main, for tests.
func command(args []string, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			status, ok := r.(leave)
			if !ok {
				panic(r)
			}
			code = int(status)
		}
	}()
	var g grammar
	parser, err := kong.New(&g, append(flagValues(), kong.Name("bulkhead"), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(leave(code)) }),
		kong.Description("Leases slices of a GPU supercluster and proves that nothing leaks between them. Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))...)
	if err != nil {
		panic(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(stderr, "bulkhead:", below(err))
		fmt.Fprintln(stderr, "See bulkhead --help, or bulkhead VERB --help.")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "bulkhead:", below(err))
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		if how := unanswered(err); how != nil {
			fmt.Fprintln(stderr, "bulkhead:", how)
		}
		return exitFailed
	}
	fmt.Fprintln(stderr, "bulkhead:", below(err))
	if how := unanswered(err); how != nil {
		fmt.Fprintln(stderr, "bulkhead:", how)
	}
	return exitFailed
}
