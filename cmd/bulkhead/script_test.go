package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
	"bulkhead/lab/ibnet"
	"bulkhead/lab/story"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
	controlplane "bulkhead/run"
	"bulkhead/run/datadir"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bulkhead": main})
}

// TestScript runs the transcripts of testdata/script: what a person types, and
// what comes back.
func TestScript(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"controlplane": makeControlPlane, "start": start, "end": end, "try": try, "cutledger": cutLedger, "contract": writeContract, "futureledger": makeFutureLedger, "oldledger": makeOldLedger,
	}
	maps.Copy(commands, worldCommands)
	maps.Copy(commands, subnetCommands)
	maps.Copy(commands, leafCommands)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			return nil
		},
		Cmds: commands,
		Condition: func(name string) (bool, error) {
			if name == "opensm" {
				return ibnet.Missing() == "", nil
			}
			if name == "frr" {
				return ethnet.Missing(true) == "", nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
	})
}

// makeControlPlane makes a folder with a small ledger: the tiny site, imported
// on the day of the examples, and a published checkpoint.
func makeControlPlane(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: controlplane DIR")
	}
	d := datadir.Dir(ts.MkAbs(args[0]))
	ts.Check(os.MkdirAll(string(d), 0o700))
	log, err := sqlite.Open(d.Ledger())
	ts.Check(err)
	defer log.Close()
	keys, err := keystore.Open(d.Keys(), story.Begin)
	ts.Check(err)
	published := d.Published(keys)
	plane, err := controlplane.Open(context.Background(), controlplane.Config{
		Log: log, Signers: keys, Published: published, Clock: controlplane.NewVirtualClock(story.Begin), Writer: "test",
	})
	ts.Check(err)
	cast, err := story.LoadParts("tiny")
	ts.Check(err)
	ts.Check(plane.Import(context.Background(), cast.Site, nil))
	ts.Check(plane.Publish(context.Background()))
}

// cutLedger makes a copy of a ledger that lacks its last entries.
func cutLedger(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cutledger DIR")
	}
	d := datadir.Dir(ts.MkAbs(args[0]))
	whole, err := sqlite.OpenReader(d.Ledger())
	ts.Check(err)
	defer whole.Close()
	head, err := whole.Head(context.Background())
	ts.Check(err)
	short, err := sqlite.Open(d.Ledger() + ".short")
	ts.Check(err)
	for e, err := range whole.Read(context.Background(), 1) {
		ts.Check(err)
		if e.Seq > head-2 {
			break
		}
		var bodies []ledger.Body
		for _, digest := range regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindAllString(string(e.Body), -1) {
			body, err := bodyOf(whole, digest)
			if err == nil {
				bodies = append(bodies, body)
			}
		}
		ts.Check(short.Append(context.Background(), e.Seq-1, []ledger.Entry{e}, bodies))
	}
	ts.Check(short.Close())
	for _, end := range []string{"", "-wal", "-shm", ".head"} {
		_ = os.Remove(d.Ledger() + end)
		if err := os.Rename(d.Ledger()+".short"+end, d.Ledger()+end); end == "" {
			ts.Check(err)
		}
	}
}

// running is a process that a script has started.
type running struct {
	command *exec.Cmd
	done    chan error
}

var servers sync.Map // of scripts that run side by side: folder and name, *running

// patience bounds waits for what never comes: nothing is decided by how long something takes.
const patience = await.Patience

// start runs bulkhead in the background until its stderr shows an address, or a
// file appears: start NAME WAITFOR ARGS... What WAITFOR's first group matches is
// $NAME afterwards.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: start NAME REGEXP|FILE ARGS...")
	}
	name := args[0]
	out := ts.MkAbs(name + ".stderr")
	f, err := os.Create(out)
	ts.Check(err)
	path, err := exec.LookPath("bulkhead")
	ts.Check(err)
	r := &running{command: exec.Command(path, args[2:]...), done: make(chan error, 1)}
	r.command.Dir, r.command.Stderr, r.command.Stdout = ts.Getenv("WORK"), f, f
	ts.Check(r.command.Start())
	go func() { r.done <- r.command.Wait(); f.Close() }()
	servers.Store(ts.Getenv("WORK")+name, r)
	ts.Defer(func() { _ = r.command.Process.Kill() })
	want := regexp.MustCompile(args[1])
	ts.Check(await.Until(context.Background(), name+" to come up", func() (string, bool) {
		said, _ := os.ReadFile(out)
		if m := want.FindSubmatch(said); m != nil {
			if len(m) > 1 {
				ts.Setenv(name, string(m[1]))
			}
			return "", true
		}
		if _, err := os.Stat(ts.MkAbs(args[1])); err == nil {
			return "", true
		}
		select {
		case err := <-r.done:
			ts.Fatalf("%s ended (%v): %s", name, err, said)
		default:
		}
		return string(said), false
	}))
}

// end ends what start has started, and expects a clean end. (A command called
// stop would never run: it is testscript's own word for the end of a script.)
func end(ts *testscript.TestScript, neg bool, args []string) {
	found, ok := servers.Load(ts.Getenv("WORK") + args[0])
	if !ok {
		ts.Fatalf("nothing called %s was started", args[0])
	}
	r := found.(*running)
	ts.Check(r.command.Process.Signal(os.Interrupt))
	select {
	case err := <-r.done:
		if err != nil {
			said, _ := os.ReadFile(ts.MkAbs(args[0] + ".stderr"))
			ts.Fatalf("%s: %v\n%s", args[0], err, said)
		}
	case <-time.After(patience):
		ts.Fatalf("%s did not end", args[0])
	}
}

// try runs bulkhead until its output matches: try REGEXP ARGS...
func try(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile(args[0])
	path, err := exec.LookPath("bulkhead")
	ts.Check(err)
	ts.Check(await.Until(context.Background(), fmt.Sprintf("%v to say %s", args[1:], args[0]), func() (string, bool) {
		c := exec.Command(path, args[1:]...)
		c.Dir = ts.Getenv("WORK")
		said, err := c.CombinedOutput()
		return fmt.Sprintf("(%v) %s", err, said), err == nil && want.Match(said)
	}))
}

func bodyOf(log *sqlite.Log, digest string) (ledger.Body, error) {
	d, err := claim.ParseDigest(digest)
	if err != nil {
		return ledger.Body{}, err
	}
	data, err := log.Body(context.Background(), d)
	return ledger.Body{Digest: d, Data: data}, err
}

// writeContract writes the contract of docs/first-lease.md with a term that
// begins some hours from now: contract FILE HOURS.
func writeContract(ts *testscript.TestScript, neg bool, args []string) {
	hours, err := strconv.Atoi(args[1])
	ts.Check(err)
	text, err := firstLease(hours)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
