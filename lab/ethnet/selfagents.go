package ethnet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"bulkhead/fabric/ethernet/linux"
)

// selfAgent is the variable that names the configuration whose agent a process is to be.
const selfAgent = "BULKHEAD_TEST_AGENT"

// reflects stands before the configuration of a spine.
const reflects = "reflect "

// SelfLeaf is the command that runs the agent of a leaf in this very program, started again.
func SelfLeaf(config string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), selfAgent+"="+config)
	return cmd
}

// SelfReflector is the command that runs the agent of a spine.
func SelfReflector(config string) *exec.Cmd { return SelfLeaf(reflects + config) }

// BecomeAgent is called first in TestMain: in a process that SelfLeaf or SelfReflector
// started it runs the agent, and ends the process with it.
func BecomeAgent() {
	config := os.Getenv(selfAgent)
	if config == "" {
		return
	}
	if err := runAgent(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runAgent(config string) error {
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
