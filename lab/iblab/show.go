package iblab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bulkhead/book"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

// shown are the attacks that the demonstration mounts, by the begin of their names.
var shown = []string{"the rival's P_Key in an HCA and at its leaf", "partitions.conf edited so that OpenSM opens", "a forged Set of the own"}

// Show brings a lab up, sells to two rivals, proves them apart, mounts three
// attacks and shows each caught, and takes everything down again. What another
// one left that was killed is cleaned up first.
func Show(ctx context.Context, w io.Writer) (err error) {
	if missing := Missing(); missing != "" {
		return fmt.Errorf("%s is not installed: as root on Debian, apt-get install opensm ibsim-utils infiniband-diags", missing)
	}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "%5.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	dir, done, err := folder(say)
	if err != nil {
		return err
	}
	defer done()
	fmt.Fprintln(w, "The compute fabric is EMULATED at its protocol; OpenSM is Debian's, unmodified. Nodes, frontend and")
	fmt.Fprintln(w, "storage are simulated. Nothing here says anything about hardware.")
	l, err := Start(ctx, Options{Dir: dir, Say: func(s string) { say("%s", s) }, Bound: time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.Sell(ctx); err != nil {
		return err
	}
	say("%s and %s sign: 6 nodes with 48 HCAs each, in the same scalable units", Tenants[0], Tenants[1])
	if err := l.Deliver(ctx, 75*time.Hour); err != nil {
		return err
	}
	if err := l.Settle(ctx); err != nil {
		return err
	}
	if err := l.verdict(w, say); err != nil {
		return err
	}
	for _, name := range shown {
		for _, a := range Attacks() {
			if strings.HasPrefix(a.Name, name) {
				if err := l.demonstrate(ctx, w, a, say); err != nil {
					return fmt.Errorf("%s: %w", a.Name, err)
				}
			}
		}
	}
	say("torn down; the table of all %d attacks is docs/attacks-infiniband.md", len(Attacks()))
	return nil
}

// verdict prints what is proven, and what packets say of it.
func (l *Lab) verdict(w io.Writer, say func(string, ...any)) error {
	var held bool
	var lacks, lines []string
	proven := 0
	l.Plane.View(func(s *book.State) {
		held, lacks = s.Postures[FabricID].Holds, s.Postures[FabricID].Lacks
		for _, lease := range s.Leases {
			if lease.Verdict == "proven" {
				proven++
			}
			lines = append(lines, fmt.Sprintf("         %-14s %d of %d nodes delivered, P_Key %s, isolation %s (verdict %d)",
				lease.ID, lease.Delivered, len(lease.Slots), l.Key(lease.Tenant), lease.Verdict, lease.Epoch))
		}
	})
	leaks, cut := l.Leaks(), l.CutOff()
	say("read back by SMPs from another host, proven port by port:")
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "         posture holds: %t; this OpenSM has nothing of: %s\n", held, strings.Join(lacks, ", "))
	fmt.Fprintf(w, "         packets between the rivals that arrive: %d; within a rival that do not: %d\n", len(leaks), len(cut))
	if proven != len(Tenants) || !held || len(leaks)+len(cut) > 0 {
		return errors.New("the rivals are not proven apart")
	}
	return nil
}

// demonstrate mounts one attack.
func (l *Lab) demonstrate(ctx context.Context, w io.Writer, a Attack, say func(string, ...any)) error {
	say("ATTACK by %s: %s", a.By, a.Name)
	var at, touched []site.Port
	if a.Where != nil {
		at, touched = a.Where(l)
	}
	watch, head := l.Watch(), l.Head()
	undo, err := a.Mount(ctx, l)
	if err != nil {
		return err
	}
	first := l.Leaks()
	if _, err := l.AwaitSeen(ctx, watch, a.Check, at); err != nil {
		return err
	}
	kinds, _, err := l.Recorded(ctx, head)
	if err != nil {
		return err
	}
	after := l.Leaks()
	fmt.Fprintf(w, "         packets between the rivals that arrive: %d at first, %d after one sweep; recorded: %s\n", len(first), len(after), stage.Counts(kinds))
	if len(after) > 0 || a.Ends == Prevented && len(first) > 0 {
		return fmt.Errorf("it was not caught: %d packets arrive", len(after))
	}
	if strays, err := watch.Strays(ctx, touched); err != nil || len(strays) > 0 {
		return fmt.Errorf("it was red outside what it may touch: %v, %w", strays, err)
	}
	if err := undo(ctx); err != nil {
		return err
	}
	if err := l.Settle(ctx); err != nil {
		return err
	}
	say("%s: %s; proven again", a.Ends, a.Action)
	return nil
}

// folder makes a folder for this lab, and removes those whose lab has ended
// without doing so: nobody holds their lock.
func folder(say func(string, ...any)) (dir string, done func(), err error) {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), "bulkhead-lab-ib-*"))
	for _, o := range old {
		lock, err := os.Open(filepath.Join(o, "lock"))
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			say("cleaning up after a lab that was killed: %s", o)
			_ = os.RemoveAll(o)
		}
		lock.Close()
	}
	if dir, err = os.MkdirTemp("", "bulkhead-lab-ib-"); err != nil {
		return "", nil, err
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	return dir, func() { lock.Close(); _ = os.RemoveAll(dir) }, err
}
