// Command bulkhead is the control plane and its command line: one verb a file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set when the binary is built.
var version = "unreleased"

// grammar is every verb. Each is a struct in the file of its name.
type grammar struct {
	Demo    demoCommand    `cmd:"" help:"Tell the whole story on a simulated site: sell, place, isolate, hand over, meter, prove."`
	Sim     simCommand     `cmd:"" hidden:"" help:"Simulate the devices of a site on a socket."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	fmt.Println("bulkhead", version)
	return nil
}

// Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	var g grammar
	parser, err := kong.New(&g, kong.Name("bulkhead"), kong.UsageOnError(),
		kong.Description("Leases slices of a GPU supercluster and proves that nothing leaks between them."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		panic(err)
	}
	parsed, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bulkhead:", err)
		fmt.Fprintln(os.Stderr, "See bulkhead --help.")
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run()
	stop()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "bulkhead:", err)
		}
		os.Exit(exitFailed)
	}
}
