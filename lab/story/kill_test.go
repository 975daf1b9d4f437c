package story

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/wire"
)

// The environment with which this test's own binary becomes the process that is
// killed.
const (
	tellerDir    = "BULKHEAD_TELLER_DIR"
	tellerSocket = "BULKHEAD_TELLER_SOCKET"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(tellerDir); dir != "" {
		if err := teller(dir, os.Getenv(tellerSocket)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// teller tells the tiny story on the store in dir, from wherever it was left.
func teller(dir, socket string) error {
	ctx := context.Background()
	client, err := wire.Dial(socket)
	if err != nil {
		return err
	}
	now, err := client.Sim.Now(ctx)
	if err != nil {
		return err
	}
	cast, err := LoadParts("tiny")
	if err != nil {
		return err
	}
	log, err := sqlite.Open(filepath.Join(dir, "ledger.db"))
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := keystore.Open(filepath.Join(dir, "keys"), Begin)
	if err != nil {
		return err
	}
	clock := run.NewVirtualClock(now)
	plane, err := run.Open(ctx, run.Config{Log: log, Signers: keys, Clock: clock, Writer: "teller", Devices: run.Devices{Fabrics: client.Fabrics, Nodes: client.Nodes, Storage: client.Storage}})
	if err != nil {
		return err
	}
	t := New(cast, plane, remoteWorld{client.Sim}, clock, nil)
	t.Done = map[string]bool{}
	scenes, err := os.OpenFile(filepath.Join(dir, "scenes"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer scenes.Close()
	for lines := bufio.NewScanner(scenes); lines.Scan(); {
		t.Done[lines.Text()] = true
	}
	t.Mark = func(scene string) error {
		_, err := fmt.Fprintln(scenes, scene)
		return err
	}
	if err := t.Run(ctx); err != nil {
		return err
	}
	return writeOutcome(plane, filepath.Join(dir, "outcome.json"))
}

// outcome is what must not depend on whether the control plane was killed.
type outcome struct {
	Leases   []string
	Labels   []string
	Nodes    []string
	Invoices []string
}

func writeOutcome(p *run.Plane, path string) error {
	var o outcome
	p.View(func(s *book.State) {
		for _, l := range s.Leases {
			o.Leases = append(o.Leases, fmt.Sprint(l.ID, l.Slots, l.Delivered, l.Returning, l.Returned))
		}
		for _, f := range s.Site.Fabrics {
			for _, a := range s.Labels[f.ID].Allocations() {
				o.Labels = append(o.Labels, fmt.Sprint(f.ID, a))
			}
		}
		for i, st := range s.Nodes.State {
			o.Nodes = append(o.Nodes, fmt.Sprint(s.Site.NodeID[i], st, s.Nodes.Seq[i], s.Nodes.Turnover[i], s.Nodes.Health[i]))
		}
		for _, i := range s.Invoices {
			o.Invoices = append(o.Invoices, fmt.Sprint(i.Number, i.Contract, i.From, i.Total))
		}
	})
	data, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// TestKillTheControlPlane kills the control plane with signal 9 at random points
// of the story and starts it again: leases, slots, labels, node states and
// invoices come out as without. The devices' process goes on meanwhile.
func TestKillTheControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("needs half a minute; run without -short")
	}
	want, _ := tellWithKills(t, 0)
	got, kills := tellWithKills(t, 12)
	if kills < 3 {
		t.Errorf("only %d kills hit the story", kills)
	}
	if bytes.Equal(want, got) {
		return
	}
	var a, b outcome
	if json.Unmarshal(want, &a) != nil || json.Unmarshal(got, &b) != nil {
		t.Fatal("an outcome can't be read")
	}
	for _, part := range []struct {
		name      string
		want, got []string
	}{{"lease", a.Leases, b.Leases}, {"label", a.Labels, b.Labels}, {"node", a.Nodes, b.Nodes}, {"invoice", a.Invoices, b.Invoices}} {
		for i := range max(len(part.want), len(part.got)) {
			var w, g string
			if i < len(part.want) {
				w = part.want[i]
			}
			if i < len(part.got) {
				g = part.got[i]
			}
			if w != g {
				t.Errorf("%s: without kills %s\n with kills %s", part.name, w, g)
			}
		}
	}
}

func tellWithKills(t *testing.T, kills int) (result []byte, hit int) {
	t.Helper()
	cast, err := LoadParts("tiny")
	if err != nil {
		t.Fatal(err)
	}
	world, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(5, Begin))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "devices.sock")
	listener, err := wire.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- wire.Serve(listener, world.Drivers()) }()
	defer func() {
		_ = listener.Close()
		<-served
	}()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(kills), 1))
	for attempt := 0; attempt <= kills; attempt++ {
		command := exec.Command(self)
		command.Env = append(os.Environ(), tellerDir+"="+dir, tellerSocket+"="+socket)
		var trouble bytes.Buffer
		command.Stderr = &trouble
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- command.Wait() }()
		limit := 30 * time.Minute // nobody kills it any more
		if attempt < kills {
			limit = time.Duration(200+random.IntN(900)) * time.Millisecond
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("after %d kills: %v: %s", hit, err, trouble.String())
			}
			data, err := os.ReadFile(filepath.Join(dir, "outcome.json"))
			if err != nil {
				t.Fatal(err)
			}
			return data, hit
		case <-time.After(limit):
			if err := command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-done
			hit++
		}
	}
	t.Fatalf("the story did not end within its limit after %d kills", hit)
	return nil, 0
}

// remoteWorld is a simulated site in another process.
type remoteWorld struct{ wire.Control }

func (w remoteWorld) Inject(ctx context.Context, at time.Time, f sim.Fault) error {
	return w.Control.Inject(ctx, at, f.JSON())
}
