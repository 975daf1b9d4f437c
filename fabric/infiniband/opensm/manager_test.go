package opensm_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

func TestSignalGoesToOpenSMOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "opensm.pid")
	s := opensm.Signal{PIDFile: file}
	if err := s.Reload(t.Context()); !errors.Is(err, opensm.ErrGone) {
		t.Errorf("no pid file: %v", err)
	}
	// This test's own process id: somebody else's process, which SIGHUP would end.
	for _, text := range []string{"1", "-1", "x", "", strconv.Itoa(os.Getpid())} {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(t.Context()); err == nil {
			t.Errorf("pid %q: signalled", text)
		}
	}
}

// TestPortsThatDoNotFollowAreNamed: the wait is bounded, and reports progress.
func TestPortsThatDoNotFollowAreNamed(t *testing.T) {
	file := &opensm.File{Path: filepath.Join(t.TempDir(), "p.conf")}
	synctest.Test(t, func(t *testing.T) { // time passes while all wait, however busy the machine is
		told, notices := 0, []int{}
		m := &opensm.Manager{File: file, Bound: 100 * time.Millisecond, Again: 20 * time.Millisecond,
			Reload: reloadFunc(func() error { told++; return nil }), Progress: func(left int) { notices = append(notices, left) }}
		asked := 0
		left, err := m.Bring(t.Context(), []byte("x\n"), fabric.Fence{}, func(context.Context) ([]fabric.PortError, error) {
			if asked++; asked == 1 {
				return []fabric.PortError{{Port: 3, Error: "a"}, {Port: 4, Error: "b"}}, nil
			}
			return []fabric.PortError{{Port: 4, Error: "b"}}, nil
		})
		if err != nil || len(left) != 1 || left[0].Port != 4 || told < 2 || notices[0] != 2 || notices[len(notices)-1] != 1 {
			t.Errorf("left %v, error %v, told %d times, heard %v", left, err, told, notices)
		}
	})
	gone := &opensm.Manager{File: file, Reload: opensm.Signal{PIDFile: "/nonexistent"}}
	if _, err := gone.Bring(t.Context(), []byte("y\n"), fabric.Fence{}, nil); !errors.Is(err, opensm.ErrGone) {
		t.Errorf("OpenSM is gone: %v", err)
	}
}

// startRogue starts OpenSM without waiting for anything: it may never be master.
func startRogue(t *testing.T, sim *ibnet.Sim, host string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("opensm")
	if err != nil {
		t.Skip("needs opensm: apt-get install opensm")
	}
	dir := t.TempDir()
	cmd := exec.Command(path, append([]string{"-f", filepath.Join(dir, "log"), "-s", "1"}, args...)...)
	libraries, _ := filepath.Glob("/usr/lib/*/umad2sim/libumad2sim.so")
	if len(libraries) == 0 {
		t.Skip("needs umad2sim: apt-get install libumad2sim0")
	}
	cmd.Env = append(os.Environ(), "IBSIM_SOCKNAME="+sim.Name, "SIM_HOST="+host, "LD_PRELOAD="+libraries[0],
		"OSM_CACHE_DIR="+dir, "OSM_TMP_DIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

type reloadFunc func() error

func (f reloadFunc) Reload(context.Context) error { return f() }

func TestConsoleReloads(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	l := startLab(t, "--console", "loopback", "--console-port", strconv.Itoa(port))
	before := l.ups()
	if err := (opensm.Console{Port: port}).Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wait("a sweep after the console's command", func() bool { return l.ups() > before })
}

// TestAnotherMasterStopsWriting: a rogue SM with a greater priority takes the
// subnet over, as OpenSM lets it without keys; nothing is written after that.
func TestAnotherMasterStopsWriting(t *testing.T) {
	// What ibsim drops, OpenSM waits for without end: on the simulator nothing times its
	// MADs out. Where that happens it is tried again, on another fabric.
	for range 5 {
		r, f := newRig(t)
		ports := fabrictest.Ports(f.Site, 1)
		change := fabric.NewChange("compute", []fabric.PortRow{{Port: ports[0], Row: fabric.Compile(site.InfiniBand, 5)}})
		if receipt, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1}); err != nil || receipt.Applied != 1 {
			t.Fatalf("receipt %+v, error %v", receipt, err)
		}
		if !r.loses(t) {
			t.Log("no SM moved for a minute: the simulator has dropped what one of them waits for")
			continue
		}
		change = fabric.NewChange("compute", []fabric.PortRow{{Port: ports[0], Row: fabric.Compile(site.InfiniBand, 6)}})
		if _, err := r.driver.Apply(t.Context(), change, fabric.Fence{Term: 1}); !errors.Is(err, opensm.ErrNotMaster) {
			t.Errorf("apply under another master: %v", err)
		}
		return
	}
	t.Error("the rogue SM never took over")
}

// loses lets a rogue SM take the rig's subnet over, and reports whether it has.
func (r *rig) loses(t *testing.T) bool {
	t.Helper()
	flush := filepath.Join(t.TempDir(), "rogue.conf")
	if err := os.WriteFile(flush, []byte("force_log_flush TRUE\nsminfo_polling_timeout 200\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startRogue(t, r.lab.sim, ibnet.HostName(1), "-p", "15", "-F", flush)
	told := time.Time{}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if time.Since(told) > time.Second {
			told = time.Now()
			_ = r.lab.sm.Signal(hangUp) // the old master looks around when it sweeps
		}
		g, err := r.driver.Reader.Guard(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(g.Managers, func(m opensm.SM) bool { return m.Master && m.PortGUID == ibnet.HostPortGUID(1) }) {
			return true
		}
	}
	return false
}

// TestPosture: a hardened OpenSM on ibsim, which keeps no M_Key: what the file
// says is configured, and what the fabric says is measured to be missing.
func TestPosture(t *testing.T) {
	r, _ := newRig(t)
	dir := t.TempDir()
	text, err := conf.GenerateOptions(conf.Settings{PortGUID: ibnet.HostPortGUID(suiteHosts), Partitions: r.lab.conf, Log: dir + "/log", Dumps: dir,
		MKey: 0x1122334455667788, SMKey: 0x99aabbccddeeff00, SAKey: 0x0123456789abcdef, Priority: 15, Routing: "ftree", Sweep: 10, Console: "off"})
	if err != nil {
		t.Fatal(err)
	}
	options := filepath.Join(dir, "opensm.conf")
	if err := os.WriteFile(options, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &opensm.Posture{Reader: r.driver.Reader, Partitions: r.driver.Manager.File, Options: options, SMs: []uint64{ibnet.HostPortGUID(suiteHosts)}}
	check := func(name string) opensm.Check {
		t.Helper()
		report, err := p.Posture(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range report.Checks {
			if c.Name == name {
				return c
			}
		}
		t.Fatalf("no check %q in %+v", name, report.Checks)
		return opensm.Check{}
	}
	for name, want := range map[string]opensm.Check{
		"partitions.conf is ours and keeps the fabric closed": {OK: true, Grade: opensm.Configured},
		"SM key":                         {OK: true, Grade: opensm.Configured},
		"allowed SM GUIDs":               {OK: false, Grade: opensm.NotHere},
		"every port has an M_Key":        {OK: false, Grade: opensm.Measured},
		"one master, on an allowed port": {OK: true, Grade: opensm.Measured},
		"no SM on any other port":        {OK: true, Grade: opensm.Measured},
		// This OpenSM was started without opensm.conf: its key is 1, and it says so.
		"no SM with a guessable or foreign key": {OK: false, Grade: opensm.Measured},
	} {
		if c := check(name); c.OK != want.OK || c.Grade != want.Grade {
			t.Errorf("%s: %+v", name, c)
		}
	}
	report, err := p.Posture(t.Context())
	if err != nil || report.Err() == nil || !strings.Contains(report.Err().Error(), "M_Key") || len(report.Lacking()) == 0 {
		t.Errorf("error %v, lease is refused with %v, lacking %v", err, report.Err(), report.Lacking())
	}
	// An edit by hand that opens the fabric is named as such.
	if err := os.WriteFile(r.lab.conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c := check("partitions.conf is ours and keeps the fabric closed"); c.OK || !strings.Contains(c.Evidence, "opens the fabric") {
		t.Errorf("emptied file: %+v", c)
	}
	p.Options = options + ".missing"
	if c := check("SM key"); c.OK || c.Grade != opensm.NotKnown {
		t.Errorf("without opensm.conf: %+v", c)
	}
}

type guard struct {
	opensm.Reader
	g   opensm.Guard
	err error
}

func (g guard) Guard(context.Context) (opensm.Guard, error) { return g.g, g.err }

// TestMeasuredPosture: each fact of the fabric, spoilt, makes its check fail.
func TestMeasuredPosture(t *testing.T) {
	dir := t.TempDir()
	file := &opensm.File{Path: filepath.Join(dir, "partitions.conf")}
	if err := file.Put(t.Context(), []byte(firstFile), fabric.Fence{}); err != nil {
		t.Fatal(err)
	}
	text, err := conf.GenerateOptions(conf.Settings{PortGUID: 1, Partitions: file.Path, Log: dir + "/log", Dumps: dir,
		MKey: 0x1122334455667788, SMKey: 0x99aabbccddeeff00, SAKey: 0x0123456789abcdef, Priority: 15, Routing: "ftree", Sweep: 10, Console: "off"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/opensm.conf", text, 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() opensm.Guard {
		return opensm.Guard{At: time.Now(), Managers: []opensm.SM{{PortGUID: 7, Priority: 15, Master: true, SMKey: 0x99aabbccddeeff00}, {PortGUID: 8, Priority: 14}},
			Ports: []opensm.PortGuard{{GUID: 1, MKey: true, Level: 2, Lease: 60}, {GUID: 2, Switch: true, MKey: true, Level: 2, Lease: 60}}}
	}
	ask := func(g opensm.Guard, err error) error {
		p := &opensm.Posture{Reader: guard{g: g, err: err}, Partitions: file, Options: dir + "/opensm.conf", SMs: []uint64{7, 8}, SMKey: 0x99aabbccddeeff00}
		report, perr := p.Posture(t.Context())
		if perr != nil {
			t.Fatal(perr)
		}
		return report.Err()
	}
	if err := ask(good(), nil); err != nil {
		t.Fatalf("a hardened subnet: %v", err)
	}
	for name, spoil := range map[string]func(*opensm.Guard){
		"no M_Key":         func(g *opensm.Guard) { g.Ports[1].MKey = false },
		"level":            func(g *opensm.Guard) { g.Ports[0].Level = 1 },
		"lease for ever":   func(g *opensm.Guard) { g.Ports[0].Lease = 0 },
		"long lease":       func(g *opensm.Guard) { g.Ports[0].Lease = 61 },
		"silent port":      func(g *opensm.Guard) { g.Silent = []string{"PortInfo"} },
		"no ports":         func(g *opensm.Guard) { g.Ports = nil },
		"no master":        func(g *opensm.Guard) { g.Managers[0].Master = false },
		"two masters":      func(g *opensm.Guard) { g.Managers[1].Master = true },
		"master elsewhere": func(g *opensm.Guard) { g.Managers[0].PortGUID = 9 },
		"stranger waits":   func(g *opensm.Guard) { g.Managers[1].PortGUID = 9 },
		"same priority":    func(g *opensm.Guard) { g.Managers[1].Priority = 15 },
		"guessable key":    func(g *opensm.Guard) { g.Managers[1].SMKey = 1 },
		"foreign key":      func(g *opensm.Guard) { g.Managers[1].SMKey = 0x7777777777777777 },
	} {
		g := good()
		spoil(&g)
		if ask(g, nil) == nil {
			t.Errorf("%s: a lease would be let through", name)
		}
	}
	if ask(good(), errors.New("no way in")) == nil {
		t.Error("nothing could be read, and a lease would be let through")
	}
}
