package iblab

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
	"bulkhead/lab/stage"
	"bulkhead/ledger"
)

// FabricID is the compute fabric of the lab's site.
const FabricID = "ib"

// Tenants are the two tenants.
var Tenants = stage.Tenants

// Options are a lab's.
type Options struct {
	Dir    string                            // an empty folder, for OpenSM's files
	Say    func(string)                      // hears what is done; nil: nobody
	Logger *slog.Logger                      // of the control plane; nil: discarded
	Log    ledger.Log                        // nil: one in memory
	Keys   *keystore.Store                   // nil: new ones
	Bound  time.Duration                     // how long devices may take to follow OpenSM; 0: 5 s
	Reader func(opensm.Reader) opensm.Reader // puts something between; nil: nothing
	Deaf   bool                              // does not subscribe to what devices tell OpenSM
}

// rerouting is how long packets may end on their way before it counts. Within it OpenSM
// has led them around what an attack has changed; where it has not, one more look says so.
const rerouting = 2 * time.Second

// Lab is a lab under way: a stage whose compute fabric is emulated, under OpenSM.
type Lab struct {
	*stage.Stage
	Dir    string
	Fabric *ibfabric.Fabric
	Driver *opensm.Driver

	say     func(string)
	options Options
	conf    conf.Settings
	sm      *exec.Cmd
	client  *smp.Client
	notices *opensm.Listener // nil if it is deaf
	reader  opensm.Reader
	guard   *opensm.Posture
	room    *opensm.Room
	others  []*exec.Cmd
	skip    atomic.Int64 // by how much the M_Key leases' clock is ahead
}

// secret is a key that nobody guesses.
func secret() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return binary.BigEndian.Uint64(b[:]) | 1<<62
}

// Start brings the fabric up under OpenSM, and a control plane over it.
func Start(ctx context.Context, o Options) (l *Lab, err error) {
	l = &Lab{Dir: o.Dir, say: o.Say, options: o}
	if l.say == nil {
		l.say = func(string) {}
	}
	if l.Stage, err = stage.New(stage.Options{Example: "rivals-ib", Fabric: FabricID, Logger: o.Logger, Log: o.Log, Keys: o.Keys}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	var topology bytes.Buffer
	if err := ibnet.WriteSite(&topology, l.Units, FabricID); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("bulkhead-lab-%d-%x", os.Getpid(), secret())
	// It ends with the lab, after those who say good-bye to it, and not with the context.
	if l.Fabric, err = ibfabric.Start(context.WithoutCancel(ctx), &topology, ibfabric.Options{Name: name, Clock: func() time.Time { return time.Now().Add(time.Duration(l.skip.Load())) }}); err != nil {
		return nil, err
	}
	l.say(fmt.Sprintf("a fabric of %d HCAs and %d leaves, emulated at its protocol, waits at %s", len(l.Units)*8*8, len(l.Units)*8, name))
	if err := l.startManager(ctx); err != nil {
		return nil, err
	}
	if err := l.connect(); err != nil {
		return nil, err
	}
	if err := l.Open(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// startManager writes hardened files and starts OpenSM with them.
func (l *Lab) startManager(ctx context.Context) error {
	guid, err := l.Fabric.GUID(ibnet.Manager)
	if err != nil {
		return err
	}
	l.conf = conf.Settings{
		PortGUID: guid, Partitions: filepath.Join(l.Dir, "partitions.conf"), Log: filepath.Join(l.Dir, "opensm.log"), Dumps: l.Dir,
		MKey: secret(), SMKey: secret(), SAKey: secret(), Priority: 14, Routing: "minhop", Sweep: 5, Console: "off",
	}
	text, err := conf.GenerateOptions(l.conf)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "opensm.conf"), text, 0o600); err != nil {
		return err
	}
	first, err := conf.CheckedPartitions(&conf.Partitioning{})
	if err != nil {
		return err
	}
	file := &opensm.File{Path: l.conf.Partitions}
	if err := file.Put(ctx, first, fabric.Fence{}); err != nil {
		return err
	}
	l.say("OpenSM starts, with M_Keys at level 2, secret keys, enforcement and a closed default partition")
	return l.StartManager(ctx)
}

// StartManager starts OpenSM with its hardened files and waits until the subnet is up.
func (l *Lab) StartManager(ctx context.Context) error {
	return l.startManagerAs(ctx, l.conf.Log, "-F", filepath.Join(l.Dir, "opensm.conf"), "-P", l.conf.Partitions, "-f", l.conf.Log, "-d", "2")
}

// startManagerAs starts OpenSM on the manager's host, and waits until its log says that
// the subnet is up.
func (l *Lab) startManagerAs(ctx context.Context, log string, args ...string) (err error) {
	before, _ := os.ReadFile(log)
	if l.sm, err = l.opensm(ibnet.Manager, args...); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "opensm.pid"), []byte(strconv.Itoa(l.sm.Process.Pid)+"\n"), 0o600); err != nil {
		return err
	}
	return await.True(ctx, "OpenSM to bring the subnet up", func() bool {
		said, err := os.ReadFile(log)
		return err == nil && bytes.Contains(said[min(len(before), len(said)):], []byte("SUBNET UP"))
	})
}

// KillManager ends OpenSM at once.
func (l *Lab) KillManager() error {
	_ = l.sm.Process.Kill()
	_ = l.sm.Wait()
	return nil
}

// second starts a second manager with the keys of the first and a partition file
// of its own, on the canary's host. Its priority is lower, so it stands by.
func (l *Lab) second(guid uint64, partitions, log string) (*exec.Cmd, error) {
	settings := l.conf
	settings.PortGUID, settings.Partitions, settings.Priority, settings.Log = guid, partitions, 13, log
	text, err := conf.GenerateOptions(settings)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.Dir, "second.conf")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	cmd, err := l.opensm(ibnet.Canary, "-F", file, "-P", partitions, "-f", log, "-d", "2")
	if err == nil {
		l.others = append(l.others, cmd)
	}
	return cmd, err
}

// Missing says which of the programs that the lab needs is not installed, or "".
func Missing() string { return ibnet.Missing() }

// opensm starts an unmodified OpenSM on a host. It ends with this process.
func (l *Lab) opensm(host string, args ...string) (*exec.Cmd, error) {
	cmd, err := ibnet.Command("opensm", l.Fabric.Name, host, l.Dir, args...)
	if err == nil {
		err = ibnet.StartCommand(cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("opensm at %s: %w", host, err)
	}
	return cmd, nil
}

// connect makes the driver: what OpenSM is told by its files, and what the
// devices say by subnet management packets from another host.
func (l *Lab) connect() error {
	at, err := umad.OpenSim(umad.SimOptions{Socket: l.Fabric.Name, Host: ibnet.Canary})
	if err != nil {
		return err
	}
	if l.client, err = smp.New(at, smp.Options{Window: 64, Timeout: time.Second, Tries: 2}); err != nil {
		return err
	}
	edge := opensm.Wiring(l.Site, l.Units, FabricID)
	keys := smp.OneKey(l.conf.MKey)
	l.reader = &opensm.SMPReader{Client: l.client, Keys: keys, Edge: edge, Owner: []uint64{l.conf.PortGUID}, Rerouting: rerouting}
	l.room = &opensm.Room{
		Open: func() (smp.Transport, error) {
			return umad.OpenSim(umad.SimOptions{Socket: l.Fabric.Name, Host: ibnet.Canary})
		},
		Manager: func(ctx context.Context) (uint16, error) { return l.client.ManagerLID(ctx, keys) },
		Port:    func(ctx context.Context) (uint64, error) { return l.client.LocalPort(ctx, keys) },
	}
	var reader opensm.Reader = &stamped{l.reader, l.Clock.Now}
	if l.options.Reader != nil {
		reader = l.options.Reader(reader)
	}
	bound := l.options.Bound
	if bound == 0 {
		bound = 5 * time.Second
	}
	l.Driver = &opensm.Driver{
		Site: l.Site, Fabric: l.FabricIndex(), Leaves: edge.Leaves, Origin: claim.Emulated, Reader: reader, SMs: []uint64{l.conf.PortGUID}, Clock: l.Clock.Now,
		Manager: &opensm.Manager{File: &opensm.File{Path: l.conf.Partitions}, Reload: opensm.Signal{PIDFile: filepath.Join(l.Dir, "opensm.pid")}, Bound: bound, Again: time.Second},
	}
	if l.options.Deaf {
		return nil
	}
	if at, err = umad.OpenSim(umad.SimOptions{Socket: l.Fabric.Name, Host: ibnet.Canary}); err != nil {
		return err
	}
	l.notices = opensm.NewListener(at, opensm.ListenerOptions{Manager: func(ctx context.Context) (uint16, error) { return l.client.ManagerLID(ctx, keys) }})
	l.Driver.Alarm = l.notices
	return nil
}

// stamped gives captures the lab's time.
type stamped struct {
	opensm.Reader
	now func() time.Time
}

func (s *stamped) Read(ctx context.Context, leaves []uint64) ([]opensm.Capture, error) {
	captures, err := s.Reader.Read(ctx, leaves)
	for i := range captures {
		captures[i].At = s.now()
	}
	return captures, err
}

// Open opens a control plane over the ledger and the devices; another one that
// was open over them finds itself fenced.
func (l *Lab) Open(ctx context.Context) error {
	l.guard = &opensm.Posture{Reader: l.reader, Partitions: l.Driver.Manager.File, Options: filepath.Join(l.Dir, "opensm.conf"), SMs: []uint64{l.conf.PortGUID}, SMKey: l.conf.SMKey, Room: l.room}
	return l.Stage.Open(ctx, map[string]fabric.Driver{FabricID: &watched{&opensm.Guarded{Driver: l.Driver, Guard: l.guard}, l.Stage}})
}

// watched is the driver, and the stage hears what it answers.
type watched struct {
	*opensm.Guarded
	stage *stage.Stage
}

// Observe implements fabric.Driver.
func (w *watched) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	o, err := w.Guarded.Observe(ctx, s)
	w.stage.Saw(o)
	return o, err
}

// Delivered counts the slots that are up, by tenant.
func (l *Lab) Delivered() map[string]int {
	out := map[string]int{}
	l.Plane.View(func(s *book.State) {
		for _, lease := range s.Leases {
			for slot := range lease.Slots {
				if s.SlotUp(lease, slot) {
					out[lease.Tenant]++
				}
			}
		}
	})
	return out
}

// Close ends everything, in the order in which it depends on one another.
func (l *Lab) Close() error {
	for _, c := range append(l.others, l.sm) {
		if c != nil && c.Process != nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
	var err error
	if l.notices != nil {
		err = l.notices.Close()
	}
	if l.client != nil {
		err = errors.Join(err, l.client.Close())
	}
	if l.Fabric != nil {
		l.Fabric.Close()
	}
	if err != nil && strings.Contains(err.Error(), "connection refused") {
		err = nil // the fabric had gone before
	}
	return err
}
