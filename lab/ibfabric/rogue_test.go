package ibfabric_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
)

// launch starts an OpenSM on a host and returns its log. It may get nowhere, so
// nothing is waited for.
func launch(t *testing.T, s *ibnet.Sim, at string, args ...string) (log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "opensm.log")
	serve(t, s, at, "opensm", append([]string{"-d", "2", "-f", log}, args...)...)
	t.Cleanup(func() {
		if said, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("OpenSM at %s logged at the end: %s", at, said[0:])
		}
	})
	return log
}

// serve starts a program on a host, until the test ends, in a folder of its own:
// what another manager remembers of LIDs and keys is not this one's.
func serve(t *testing.T, s *ibnet.Sim, at, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			t.Skipf("needs %s: apt-get install opensm infiniband-diags", program)
		}
	}
	found, _ := filepath.Glob("/usr/lib/*/umad2sim/libumad2sim.so")
	if len(found) == 0 {
		t.Skip("needs umad2sim: apt-get install libumad2sim0")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "IBSIM_SOCKNAME="+s.Name, "SIM_HOST="+at, "LD_PRELOAD="+found[0], "OSM_CACHE_DIR="+cmd.Dir, "OSM_TMP_DIR="+cmd.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// hasty writes an opensm.conf of a manager that gives another one up after a
// second or two instead of forty. Two managers that meet while one is still
// discovering can both end up on standby, and sort it out only then.
func hasty(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "opensm.conf")
	if err := os.WriteFile(path, []byte("sminfo_polling_timeout 500\npolling_retry_number 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startRogue starts a manager on a tenant's host that wants to be master, with
// default keys.
func startRogue(t *testing.T, s *ibnet.Sim, at string) (log string) {
	return launch(t, s, at, "-F", hasty(t), "-p", "15", "-s", "2")
}

// says tells whether a log has a text by now.
func says(log, text string) bool {
	b, err := os.ReadFile(log)
	return err == nil && bytes.Contains(b, []byte(text))
}

// sawTrap tells whether a device has sent a trap of this number.
func sawTrap(f *ibfabric.Fabric, number uint16) bool {
	traps, _ := f.Traps()
	return slices.ContainsFunc(traps, func(trap ibfabric.Trap) bool { return trap.Number == number })
}

func lidOf(t *testing.T, f *ibfabric.Fabric, name string) uint16 {
	t.Helper()
	p, err := f.Port(name, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p.LID
}

// With default keys a rogue manager takes the fabric over and opens it: the master
// hands over, and everybody is in the default partition with full membership.
func TestRogueTakesOverDefaultKeys(t *testing.T) {
	f, s := start(t, small)
	s.StartOpenSM(t, host(0), partitions(), "-s", "2")
	allActive(t, f, small)
	await.Must(t, "the tenants' keys", func() bool { k, _ := f.Keys(host(6), 1); return slices.Contains(k, 0x8002) })
	if d := f.Probe(host(4), host(1), 0xffff, false); d.Delivered {
		t.Fatalf("before the rogue: %+v", d)
	}
	startRogue(t, s, host(4))
	await.Must(t, "the rogue to be everybody's master", func() bool {
		for i := range small.Hosts {
			if p, err := f.Port(host(i), 1); err != nil || p.MasterSMLID != lidOf(t, f, host(4)) {
				return false
			}
		}
		return true
	})
	await.Must(t, "the rogue to open the default partition", func() bool { return f.Probe(host(4), host(1), 0xffff, false).Delivered })
	// Both are still there, and agree on who is master.
	c := client(t, s, host(7))
	await.Must(t, "one master and one standby", func() bool {
		was, _, err := c.SMInfo(t.Context(), smp.Address{LID: lidOf(t, f, host(0))}, 0)
		if err != nil {
			return false
		}
		is, _, err := c.SMInfo(t.Context(), smp.Address{LID: lidOf(t, f, host(4))}, 0)
		return err == nil && was.State == mad.SMStandby && is.State == mad.SMMaster && is.Priority == 15
	})
}

// With secret keys the same rogue changes nothing: no port has another master, no
// table another key, and the ports tell of the wrong M_Keys.
func TestRogueIsKeptOutBySecretKeys(t *testing.T) {
	f, s := start(t, small)
	hardened(t, f, s, host(0))
	allActive(t, f, small)
	await.Must(t, "the tenants' keys", func() bool { k, _ := f.Keys(host(6), 1); return slices.Contains(k, 0x8002) })
	owner := lidOf(t, f, host(0))
	before := map[int][]mad.PKey{}
	for i := range small.Hosts {
		before[i], _ = f.Keys(host(i), 1)
	}
	log := startRogue(t, s, host(4))
	await.Must(t, "the rogue to have tried", func() bool {
		return sawTrap(f, mad.TrapBadMKey) && (says(log, "MASTER") || says(log, "ERR"))
	})
	// As long as the one with default keys needed, many times over.
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for i := range small.Hosts {
			if p, err := f.Port(host(i), 1); err != nil || p.MasterSMLID != owner {
				t.Fatalf("%s has another master: %+v, %v", host(i), p, err)
			}
			if k, _ := f.Keys(host(i), 1); !slices.Equal(k, before[i]) {
				t.Fatalf("%s has other keys: %v, before %v", host(i), k, before[i])
			}
		}
	}
	for _, k := range []mad.PKey{0x8001, 0x8002, 0x7fff} {
		if d := f.Probe(host(4), host(1), k, true); d.Delivered {
			t.Errorf("under %s: %+v", k, d)
		}
	}
}

// The master dies, and the standby takes over with the same keys and files.
func TestStandbyTakesOver(t *testing.T) {
	f, s := start(t, small)
	master := s.StartOpenSM(t, host(0), partitions(), "-s", "2", "-p", "10")
	allActive(t, f, small)
	file := filepath.Join(t.TempDir(), "partitions.conf")
	if err := os.WriteFile(file, []byte(partitions()), 0o600); err != nil {
		t.Fatal(err)
	}
	standby := launch(t, s, host(1), "-F", hasty(t), "-s", "2", "-p", "5", "-P", file)
	await.Must(t, "the second to stand by", func() bool { return says(standby, "STANDBY") })
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	await.Must(t, "the standby to be master everywhere", func() bool {
		for i := range small.Hosts {
			if p, err := f.Port(host(i), 1); err != nil || p.MasterSMLID != lidOf(t, f, host(1)) {
				return false
			}
		}
		return true
	})
	if d := f.Probe(host(2), host(5), 0x8001, true); d.Delivered {
		t.Errorf("after the change of masters: %+v", d)
	}
}
