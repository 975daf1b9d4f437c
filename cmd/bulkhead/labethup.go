package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bulkhead/lab/ethnet"
)

// labEthSpec is which fabric: the same words for up and for what it starts.
type labEthSpec struct {
	Name   string   `arg:"" help:"What it is called on this machine: 1 to 12 lower-case letters and digits."`
	Site   string   `type:"path" placeholder:"FILE" help:"A site file. Default: the example rivals-eth, 8 nodes."`
	Fabric []string `placeholder:"ID" help:"Which Ethernet fabrics of the site to build. Default: all."`
}

func (c *labEthSpec) spec() ethnet.Spec {
	return ethnet.Spec{Name: c.Name, Site: c.Site, Only: c.Fabric}
}

type labEthUp struct {
	labEthSpec
	format
}

// Help is the example.
func (labEthUp) Help() string {
	return `Leaves and spines are Linux and Debian's FRR in network namespaces, with an agent at
every leaf, hosts with a storage network, BMCs behind a gateway, and no lease yet.
It stays up until down, or until its process is killed: then everything of it ends, and
the next lab, or down, removes its folder. Several may be up at once.

Example:

    bulkhead lab eth up east`
}

// Run brings it up.
func (c *labEthUp) Run(ctx context.Context) error {
	if missing := ethnet.Missing(true); missing != "" {
		return fmt.Errorf("the lab needs %s: run it as root on Debian with the packages frr nftables iproute2 lldpd", missing)
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"lab", "eth", "keep", c.Name}
	if c.Site != "" {
		args = append(args, "--site", c.Site)
	}
	for _, f := range c.Fabric {
		args = append(args, "--fabric", f)
	}
	lab, err := ethnet.Up(ctx, exec.Command(own, args...), func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		return err
	}
	return c.print(lab, func(w io.Writer) {
		without := ""
		for _, f := range lab.Fabrics {
			without += " --without " + f
		}
		row(w, "up", fmt.Sprintf("%d leaves, %d spines, %d hosts", lab.Leaves, lab.Spines, len(lab.Hosts)))
		row(w, "folder", lab.Folder)
		row(w, "enter", "nsenter --net="+filepath.Join(lab.Folder, lab.Hosts[0], "net"))
		row(w, "drive", "bulkhead drivers run "+lab.Drivers)
		row(w, "the rest", "bulkhead sim --site "+lab.Site+without+" --realtime --socket nodes.sock")
		row(w, "control", "bulkhead serve --data data --simulated --devices unix:nodes.sock --devices unix:"+filepath.Join(lab.Folder, "drivers.sock"))
		row(w, "down", "bulkhead lab eth down "+lab.Name)
	})
}

type labEthDown struct {
	Name string `arg:"" help:"Name of the fabric, as lab eth list shows it."`
	format
}

// Help is the example.
func (labEthDown) Help() string {
	return `Returns when nothing of it is left: no process, no namespace, no folder.

Example:

    bulkhead lab eth down east`
}

// Run takes it down.
func (c *labEthDown) Run(ctx context.Context) error {
	if err := ethnet.Down(ctx, c.Name); err != nil {
		return err
	}
	return c.print(map[string]string{"down": c.Name}, func(w io.Writer) { row(w, "down", c.Name) })
}

type labEthList struct {
	format
}

// Help is the example.
func (labEthList) Help() string {
	return `Example:

    bulkhead lab eth list`
}

// Run lists.
func (c *labEthList) Run() error {
	labs, err := ethnet.List()
	if err != nil {
		return err
	}
	return c.print(labs, func(w io.Writer) {
		for _, l := range labs {
			row(w, l.Name, l.State, strings.Join(l.Fabrics, " "), l.Folder)
		}
	})
}

type labEthKeep struct {
	labEthSpec
}

// Help is the example.
func (labEthKeep) Help() string {
	return `Example:

    bulkhead lab eth keep east`
}

// Run keeps it.
func (c *labEthKeep) Run(ctx context.Context) error {
	leaf, reflector, err := agents()
	if err != nil {
		return err
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	return ethnet.Keep(ctx, c.spec(), os.Stdin, os.Stdout, ethnet.Agents{Leaf: leaf, Reflector: reflector,
		Gateway: func(config string) *exec.Cmd { return exec.Command(own, "leaf", "gateway", config) }})
}
