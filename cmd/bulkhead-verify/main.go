// Command bulkhead-verify says what a tenant's bundle proves. It needs no
// server and no network, and has no code of the owner's server inside: only the
// checks, and the policy that the tenant wrote.
//
//	bulkhead-verify --policy tenant.policy bundle-file
//	bulkhead-verify --policy tenant.policy --since old.checkpoint -o json bundle-file
//	bulkhead-verify policy init --trust owner-trust.json --tenant acme > tenant.policy
//
// Exit codes: 0 the bundle proves what the policy asks; 1 it does not, and the
// output says why; 2 the command was not understood, or a file is missing.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"bulkhead/claim"
)

// exitStatus is an error that was reported already.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

const (
	rejected exitStatus = 1
	usage    exitStatus = 2
)

// errorWriter is where errors are written.
type errorWriter struct{ io.Writer }

// over ends the process, which has taken more than a bundle may.
func (w errorWriter) over(err error) {
	fmt.Fprintln(w, "bulkhead-verify:", err)
	os.Exit(int(rejected))
}

type commands struct {
	Verify verifyCommand `cmd:"" default:"withargs" help:"Say what a bundle proves (the default)."`
	Policy struct {
		Init policyInit `cmd:"" help:"Write a policy from the owner's published trust file and your own decisions."`
		Show policyShow `cmd:"" help:"Check a policy and say what it accepts."`
	} `cmd:"" help:"Make or check a policy."`
	Probe struct {
		InfiniBand probeCommand  `cmd:"" name:"infiniband" default:"withargs" help:"Probe an InfiniBand fabric (the default)."`
		Ethernet   probeEthernet `cmd:"" help:"Probe an Ethernet network: RoCE rails, frontend, storage."`
	} `cmd:"" help:"Try, from a node that you have leased, what must fail; sign what came of it."`
	Checks listChecks `cmd:"" help:"List every check that a bundle must pass."`
}

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // short lives: a tenth less CPU for twice the memory, half a gigabyte for 48,500 holdings
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main, for tests.
func run(args []string, stdout, stderr io.Writer) int {
	stdout, stderr = &claim.Screen{W: stdout}, &claim.Screen{W: stderr} // files, flags and errors hold what others wrote
	var c commands
	parser, err := kong.New(&c,
		kong.Name("bulkhead-verify"),
		kong.Description("Says what a tenant's bundle proves, offline. Exit codes: 0 proven as the policy asks, 1 rejected, 2 the command line is wrong or a file is missing."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitStatus(code)) }),
		kong.BindTo(stdout, (*io.Writer)(nil)),
		kong.Bind(errorWriter{stderr}),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(stderr, "bulkhead-verify:", err)
		return int(usage)
	}
	return guard(func() error {
		context, err := parser.Parse(args)
		if err != nil {
			fmt.Fprintf(stderr, "bulkhead-verify: %v\n", err)
			return usage
		}
		return context.Run()
	}, stderr)
}

// guard turns an error, and kong's way to leave after --help, into an exit code.
func guard(do func() error, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			status, ok := r.(exitStatus)
			if !ok {
				panic(r)
			}
			code = int(status)
		}
	}()
	err := do()
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(stderr, "bulkhead-verify:", err)
	return int(usage)
}
