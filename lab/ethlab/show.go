package ethlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/lab/ethnet"
	"bulkhead/lab/stage"
)

// shown are the attacks that the demonstration mounts, by the begin of their names.
var shown = []string{"a port moved into the rival's bridge", "the rival's route target is imported", "VXLAN to the own leaf"}

// Show brings a lab up, sells to two rivals with the same addresses, proves them
// apart by tables and by packets, mounts three attacks and shows each caught, and
// takes everything down again. What a lab left that was killed is removed first.
// With all, the whole corpus of attacks is mounted, which takes minutes. agent
// and reflector prepare the agents of leaves and spines.
func Show(ctx context.Context, w io.Writer, all bool, agent, reflector func(config string) *exec.Cmd) (err error) {
	if missing := ethnet.Missing(true); missing != "" {
		return fmt.Errorf("the lab needs %s: run it as root on Debian with the packages frr nftables iproute2 lldpd", missing)
	}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "%5.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(w, "Leaves and spines are Linux and Debian's FRR, unmodified, in network namespaces; packets are real. Nodes,")
	fmt.Fprintln(w, "frontend and storage are simulated, and queues, PFC and RDMA are not there. Nothing here is about hardware.")
	l, err := Start(ctx, Options{Say: func(s string) { say("%s", s) }, Agent: agent, Reflector: reflector})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	say("%s and %s sign: nodes in the same scalable units, both with 10.0.0.0/16", stage.Tenants[0], stage.Tenants[1])
	if err := l.Sell(ctx); err != nil {
		return err
	}
	if err := l.Settle(ctx); err != nil {
		return err
	}
	say("read back by the leaves' own tables, LLDP and a route collector, and proven port by port:")
	l.Plane.View(func(s *book.State) {
		for _, lease := range s.Leases {
			fmt.Fprintf(w, "         %-14s %d of %d nodes delivered, VNI %d, isolation %s (verdict %d)\n",
				lease.ID, lease.Delivered, len(lease.Slots), l.Label(lease.Tenant), lease.Verdict, lease.Epoch)
		}
	})
	leaks, err := l.Leaks(ctx)
	if err != nil {
		return err
	}
	if err := l.Connected(ctx); err != nil {
		return err
	}
	cut, err := l.CutOff(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "         packets between the rivals that arrive: %d; within a rival that do not: %d\n", len(leaks), len(cut))
	if len(leaks)+len(cut) > 0 {
		return errors.New("the rivals are not proven apart")
	}
	corpus := l.Attacks()
	if err := stage.Check(corpus); err != nil {
		return err
	}
	for _, a := range corpus {
		if !all && !slices.ContainsFunc(shown, func(begin string) bool { return strings.HasPrefix(a.Name, begin) }) {
			continue
		}
		say("ATTACK by %s: %s", a.By, a.Name)
		o, err := l.Try(ctx, a, l)
		fmt.Fprintf(w, "         packets between the rivals that arrive: %d at first, %d after one sweep; recorded: %s\n", len(o.First), len(o.After), stage.Counts(o.Recorded))
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		if err := l.Settle(ctx); err != nil {
			return err
		}
		say("%s: %s; proven again", a.Ends, a.Action)
	}
	say("torn down; the table of all %d attacks is docs/attacks-ethernet.md", len(corpus))
	return nil
}
