// Package agenttest makes a test program the agents of its own lab: it starts
// itself again, once a leaf and once a spine.
package agenttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"bulkhead/fabric/ethernet/linux"
)

// variable names the configuration whose agent a process is to be.
const variable = "BULKHEAD_TEST_AGENT"

// reflects stands before the configuration of a spine.
const reflects = "reflect "

// Leaf is the command that runs the agent of a leaf.
func Leaf(config string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+config)
	return cmd
}

// Reflector is the command that runs the agent of a spine.
func Reflector(config string) *exec.Cmd { return Leaf(reflects + config) }

// Main is called first in TestMain: in a process that Leaf or Reflector started it
// runs the agent, and ends the process with it.
func Main() {
	config := os.Getenv(variable)
	if config == "" {
		return
	}
	if err := run(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(config string) error {
	if path, is := strings.CutPrefix(config, reflects); is {
		conf, err := linux.ReadReflectorConfig(path)
		if err != nil {
			return err
		}
		return linux.RunReflector(context.Background(), conf)
	}
	conf, err := linux.ReadConfig(config)
	if err != nil {
		return err
	}
	return linux.Run(context.Background(), conf)
}
