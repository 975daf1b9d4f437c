package ethnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bulkhead/lab/await"
)

func (n *Net) lldpSocket(at string) string { return filepath.Join(n.Dir, at, "lldpd.sock") }

// startLLDP starts lldpd at hosts, which announce each NIC by its MAC, and at leaves,
// which only listen.
func (n *Net) startLLDP(context.Context) error {
	if !n.options.LLDP {
		return nil
	}
	for _, h := range n.Plan.Hosts {
		if err := n.StartLLDP(h.Name, "rail*,frontend"); err != nil {
			return err
		}
	}
	for _, d := range n.Plan.Leaves("") {
		if err := n.StartLLDP(d.Name, "swp*"); err != nil {
			return err
		}
	}
	n.options.Say(fmt.Sprintf("lldpd starts at %d hosts and leaves", len(n.Plan.Hosts)+len(n.Plan.Leaves(""))))
	return nil
}

// StopLLDP ends lldpd somewhere. Its first process is killed; the second notices, ends
// too, and gives the socket back, which is waited for.
func (n *Net) StopLLDP(ctx context.Context, at string) error {
	if err := n.KillDaemon(at, "lldpd"); err != nil {
		return err
	}
	return await.True(ctx, "lldpd at "+at+" to end", func() bool {
		c, err := net.Dial("unix", n.lldpSocket(at))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// StartLLDP starts lldpd somewhere, on interfaces of a pattern.
func (n *Net) StartLLDP(at, interfaces string) error {
	path, err := find("lldpd")
	if err != nil {
		return err
	}
	conf := filepath.Join(n.Dir, at, "lldpd.conf")
	text := fmt.Sprintf("configure system hostname %s\nconfigure lldp tx-interval 1\nconfigure lldp tx-hold 10\n", at)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	return n.startDaemon(at, "lldpd", exec.Command(path, "-d", "-u", n.lldpSocket(at), "-O", conf, "-I", interfaces, "-S", "Bulkhead lab", "-P", "lab"))
}

// awaitLLDP waits until every leaf has heard who is at each of its cabled ports.
func (n *Net) awaitLLDP(ctx context.Context) error {
	if !n.options.LLDP {
		return nil
	}
	cabled := map[string]int{}
	for _, h := range n.Plan.Hosts {
		for _, nic := range h.NICs {
			cabled[nic.Leaf]++
		}
	}
	for _, d := range n.Plan.Leaves("") {
		err := await.Until(ctx, "LLDP at "+d.Name, func() (string, bool) {
			out, err := n.Space(d.Name).Output(ctx, "lldpctl", "-u", n.lldpSocket(d.Name), "-f", "keyvalue")
			lldp := strings.Count(out, ".port.mac=")
			return fmt.Sprintf("heard %d of %d neighbours, %v", lldp, cabled[d.Name], err), err == nil && lldp >= cabled[d.Name]
		})
		if err != nil {
			return err
		}
	}
	n.options.Say("every leaf has heard by LLDP who is at its ports")
	return nil
}
