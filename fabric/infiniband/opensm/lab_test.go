package opensm_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// lab is a real OpenSM on a simulated fabric of four hosts below two leaves and a
// spine; OpenSM sits on the last host, the reader on the one before.
type lab struct {
	t      testing.TB
	sim    *ibnet.Sim
	sm     *os.Process
	conf   string // partitions.conf
	log    string
	client *smp.Client
	swept  *smp.Fabric
}

const smHost, readerHost = 3, 2

var labTree = ibnet.Tree{Hosts: 4, PerLeaf: 2, Spines: 1}

const defaultOnly = "Default=0x7fff : ALL=limited, ALL_SWITCHES=full, SELF=full ;\n"

func startLab(t testing.TB, args ...string) *lab {
	t.Helper()
	sim := ibnet.Start(t, labTree)
	host := ibnet.HostName(smHost)
	l := &lab{t: t, sim: sim, conf: filepath.Join(sim.Dir, "partitions-"+host+".conf"), log: filepath.Join(sim.Dir, "opensm-"+host+".log")}
	// Without this OpenSM keeps "SUBNET UP" in its buffer.
	flush := filepath.Join(sim.Dir, "opensm.conf")
	if err := os.WriteFile(flush, []byte("force_log_flush TRUE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.sm = sim.StartOpenSM(t, host, defaultOnly, append([]string{"-F", flush}, args...)...)
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(readerHost)})
	if err != nil {
		t.Fatal(err)
	}
	if l.client, err = smp.New(port, smp.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.client.Close() })
	if l.swept, err = l.client.Sweep(context.Background(), smp.Keys{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// ups counts how often OpenSM said that the subnet is up.
func (l *lab) ups() int {
	said, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	return bytes.Count(said, []byte("SUBNET UP"))
}

// feed gives OpenSM a file (nil: none) and waits until it has swept.
func (l *lab) feed(text []byte) {
	l.t.Helper()
	if text == nil {
		os.Remove(l.conf)
	} else if err := os.WriteFile(l.conf, text, 0o600); err != nil {
		l.t.Fatal(err)
	}
	before := l.ups()
	if err := l.sm.Signal(hangUp); err != nil {
		l.t.Fatal(err)
	}
	l.wait("OpenSM to sweep after SIGHUP, unless it crashed", func() bool { return l.ups() != before })
}

// members reads every host's P_Key table, as key, port GUID, full.
func (l *lab) members() map[uint16]map[uint64]bool {
	l.t.Helper()
	tables, err := l.client.ReadTables(context.Background(), l.swept, smp.TableOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	members := map[uint16]map[uint64]bool{}
	for i := range tables.Ports {
		e := &tables.Ports[i]
		if e.Host == nil {
			continue
		}
		if !e.Complete() {
			l.t.Fatalf("host 0x%x: %+v", e.HostGUID, e.Missing)
		}
		leaf := smp.PKeys(e.Keys, e.KeyCap)
		host := smp.PKeys(e.Host.Keys, e.HostCap)
		slices.Sort(leaf)
		sorted := slices.Clone(host)
		slices.Sort(sorted)
		if !slices.Equal(leaf, sorted) {
			l.t.Errorf("host 0x%x has %v, its leaf port %v", e.HostGUID, host, leaf)
		}
		for _, k := range host {
			if members[k.Key()] == nil {
				members[k.Key()] = map[uint64]bool{}
			}
			members[k.Key()][e.HostGUID] = k.IsFull()
		}
	}
	return members
}

// subnet is what OpenSM sees there.
func (l *lab) subnet() conf.Subnet {
	s := conf.Subnet{Self: ibnet.HostPortGUID(smHost), Ports: map[uint64]conf.Kind{}}
	for _, n := range l.swept.Nodes {
		if n.IsSwitch() {
			s.Ports[n.GUID] = conf.Switch
		} else {
			s.Ports[n.GUID+1] = conf.CA
		}
	}
	return s
}

// hosts leaves out what only switches carry: their port 0 is not read.
func hosts(members map[uint16]map[uint64]bool, s conf.Subnet) map[uint16]map[uint64]bool {
	out := map[uint16]map[uint64]bool{}
	for key, ports := range members {
		for guid, full := range ports {
			if s.Ports[guid] != conf.CA {
				continue
			}
			if out[key] == nil {
				out[key] = map[uint64]bool{}
			}
			out[key][guid] = full
		}
	}
	return out
}

func (l *lab) wait(what string, ready func() bool) {
	l.t.Helper()
	await.Must(l.t, what, ready)
}
