package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/keystore"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"bulkhead-verify": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// The transcripts in testdata are the documentation of this command: run with
// -update to write them anew after a deliberate change.
func TestTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, Setup: setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

var update = flag.Bool("update", false, "write the transcripts anew")

// exits runs a command that must end with an exit code: "exits 2 command".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, expected %s", code, args[0])
	}
}

// setup puts a tenant's files into the folder of a transcript: its bundle, a
// forged one, what the owner publishes, and a checkpoint that it kept.
func setup(env *testscript.Env) error {
	owner := bundletest.NewOwner(bundletest.Site, "owner")
	log := bundletest.Small(owner)
	files := map[string][]byte{"old.checkpoint": log.Checkpoint(5)}
	bundleOf := func(l *bundletest.Story) ([]byte, error) {
		var out bytes.Buffer
		_, err := bundle.Write(&out, l.Input())
		return out.Bytes(), err
	}
	var err error
	if files["acme.bundle"], err = bundleOf(log); err != nil {
		return err
	}
	files["cut.bundle"] = files["acme.bundle"][:4000]
	other := bundletest.Small(owner)
	bundletest.Change(other.Log, fabric.KindLabelled, func(_ int, b *fabric.Labelled) { b.Owner = "project/rival/train" })
	if files["forged.bundle"], err = bundleOf(other); err != nil {
		return err
	}
	trust := keystore.Trust{Site: bundletest.Site}
	for _, k := range owner.Policy(bundletest.Tenant).Keys {
		key := keystore.TrustKey{Purpose: k.Purpose, ID: k.ID, Public: k.Public, From: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}
		if k.Purpose == claim.PurposeCheckpoint {
			key.Note = k.Public
		}
		trust.Keys = append(trust.Keys, key)
	}
	if files["owner-trust.json"], err = trust.Encode(); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// What a distrusting tenant compiles has nothing of the owner's server inside.
// Placement is a pure room: what checks link assignments is the tenant's as well.
func TestNoServerCodeInside(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "bulkhead/cmd/bulkhead-verify").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, forbidden := range []string{"bulkhead/run", "bulkhead/api", "bulkhead/book", "bulkhead/sim", "bulkhead/wire", "bulkhead/keystore", "modernc.org/sqlite", "database/sql", "net/http", "connectrpc.com/connect"} {
			if dep == forbidden || strings.HasPrefix(dep, forbidden+"/") {
				t.Errorf("%s is inside", dep)
			}
		}
	}
}
