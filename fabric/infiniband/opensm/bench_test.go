package opensm_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

// What the benchmark's subnet has: 512 nodes of eight rails are 4,096 hosts.
const (
	benchNodes  = 512
	benchUnit   = 64
	benchLeased = 64 // nodes of a lease: 512 hosts
)

// enforcing says of every leaf port that it enforces, which ibsim does not keep.
type enforcing struct{ opensm.Reader }

func (e enforcing) Read(ctx context.Context, leaves []uint64) ([]opensm.Capture, error) {
	captures, err := e.Reader.Read(ctx, leaves)
	for i := range captures {
		c := &captures[i]
		if c.Raw == nil {
			continue
		}
		readings, err := infiniband.Decode(c.Raw)
		if err != nil {
			return nil, err
		}
		for j := range readings {
			readings[j].EnforceIn, readings[j].EnforceOut = true, true
		}
		if c.Raw, err = infiniband.Encode(infiniband.Header{GUID: c.Leaf, LeafCap: c.LeafTable, NICCap: c.NICTable}, readings); err != nil {
			return nil, err
		}
	}
	return captures, err
}

// BenchmarkLease512 compares, on 4,096 hosts of ibsim and in the same run, how long
// it takes until a lease of 512 hosts is in force and read back from every device
// that it concerns, with how long OpenSM needs by itself for the same file: from
// SIGHUP until it says that the subnet is up again. The lease is moved from one
// scalable unit to the next in each round; OpenSM alone takes the same step.
func BenchmarkLease512(b *testing.B) {
	text, err := os.ReadFile("../../../examples/rivals-ib/site.yaml")
	if err != nil {
		b.Fatal(err)
	}
	file := strings.NewReplacer("su-nodes: 8", "su-nodes: 64", "rack-nodes: 4", "rack-nodes: 8", "leaf-ports: 16", "leaf-ports: 128",
		"nodes: 16, sus: 2}", "nodes: 512, sus: 8}", "totals: {gpus: 128, nodes: 16, sus: 2,", "totals: {gpus: 4096, nodes: 512, sus: 8,").Replace(string(text))
	t, err := site.ParseTemplate("bench.yaml", []byte(file))
	if err != nil {
		b.Fatal(err)
	}
	s, err := t.Build()
	if err != nil {
		b.Fatal(err)
	}
	leaves := map[site.Leaf]uint64{}
	for n := range site.Index(benchNodes) {
		for nic := range site.Rails {
			p := site.PortOf(n, nic)
			at := s.LeafOf(p).SU()*site.Rails + nic
			leaves[s.LeafOf(p)] = ibnet.LeafGUID(at)
			s.PortID[p] = ibnet.HostPortGUID(at*benchUnit + s.LeafPort(p) - 1)
		}
	}
	hosts := benchNodes * site.Rails
	sim := ibnet.Start(b, ibnet.Tree{Hosts: hosts + 2, PerLeaf: benchUnit, Spines: 4})
	sm := ibnet.HostName(hosts)
	file, log := filepath.Join(sim.Dir, "partitions-"+sm+".conf"), filepath.Join(sim.Dir, "opensm-"+sm+".log")
	flush, pidFile := filepath.Join(sim.Dir, "opensm.conf"), filepath.Join(sim.Dir, "opensm.pid")
	if err := os.WriteFile(flush, []byte("force_log_flush TRUE\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	process := sim.StartOpenSM(b, sm, defaultOnly, "-F", flush)
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(process.Pid)+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(hosts + 1)})
	if err != nil {
		b.Fatal(err)
	}
	client, err := smp.New(port, smp.Options{Window: 32, Timeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	d := &opensm.Driver{Site: s, Fabric: 0, Leaves: leaves, Origin: claim.Simulated,
		Reader:  enforcing{&opensm.SMPReader{Client: client, Resweep: 5 * time.Second}},
		Manager: &opensm.Manager{File: &opensm.File{Path: file}, Reload: opensm.Signal{PIDFile: pidFile}, Bound: 5 * time.Minute, Again: time.Minute}}
	found, err := d.Look(false)
	if err != nil {
		b.Fatal(err)
	}
	if left, err := d.TakeOver(b.Context(), nil, fabric.Fence{}, found.Digest); err != nil || len(left) > 0 {
		b.Fatal(left, err)
	}
	ups := func() int {
		said, err := os.ReadFile(log)
		if err != nil {
			b.Fatal(err)
		}
		return bytes.Count(said, []byte("SUBNET UP"))
	}
	quiet := func() { // OpenSM is at nothing any more
		for last, since := ups(), time.Now(); time.Since(since) < 2*time.Second; time.Sleep(20 * time.Millisecond) {
			if now := ups(); now != last {
				last, since = now, time.Now()
			}
		}
	}
	lease := func(unit int, key uint32) fabric.Change {
		var rows []fabric.PortRow
		for n := range site.Index(benchNodes) {
			row := fabric.Compile(site.InfiniBand, fabric.QuarantineLabel("", site.InfiniBand).Value)
			if int(n)/benchLeased == unit {
				row = fabric.Compile(site.InfiniBand, key)
			} else if int(n)/benchLeased != (unit+7)%8 {
				continue // what neither gets nor loses anything
			}
			for nic := range site.Rails {
				rows = append(rows, fabric.PortRow{Port: site.PortOf(n, nic), Row: row})
			}
		}
		return fabric.NewChange("ib", rows)
	}
	put := func(unit int) time.Duration {
		began := time.Now()
		receipt, err := d.Apply(b.Context(), lease(unit, 0x100), fabric.Fence{Term: 1})
		if err != nil || len(receipt.Failed) > 0 {
			b.Fatalf("%+v, %v", receipt, err)
		}
		return time.Since(began)
	}
	put(7)
	var ours, alone time.Duration
	unit := 0
	for b.Loop() {
		quiet()
		ours += put(unit)
		quiet()
		// The next step, by OpenSM alone: its own file, as we would write it.
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		parsed, err := conf.ParsePartitions(text)
		if err != nil {
			b.Fatal(err)
		}
		guids := func(unit int) (list []uint64) {
			for n := unit * benchLeased; n < (unit+1)*benchLeased; n++ {
				for nic := range site.Rails {
					list = append(list, s.PortID[site.PortOf(site.Index(n), nic)])
				}
			}
			slices.Sort(list)
			return list
		}
		next := (unit + 1) % 8
		for i := range parsed.Partitions {
			switch p := &parsed.Partitions[i]; p.Key {
			case 0x100:
				p.Full = guids(next)
			case 0x7ffe: // quarantine
				gone := guids(next)
				p.Limited = append(slices.DeleteFunc(p.Limited, func(g uint64) bool { return slices.Contains(gone, g) }), guids(unit)...)
				slices.Sort(p.Limited)
			}
		}
		if text, err = conf.CheckedPartitions(parsed); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			b.Fatal(err)
		}
		before, began := ups(), time.Now()
		if err := process.Signal(hangUp); err != nil {
			b.Fatal(err)
		}
		for ups() == before {
			time.Sleep(2 * time.Millisecond)
		}
		alone += time.Since(began)
		// Ours again, for the next round.
		if found, err = d.Look(false); err != nil {
			b.Fatal(err)
		}
		if err := d.TakeOverAsIs(b.Context(), found); err != nil {
			b.Fatal(err)
		}
		quiet()
		put(next)
		unit = (next + 1) % 8
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "lease-s")
	b.ReportMetric(alone.Seconds()/float64(b.N), "opensm-alone-s")
	b.ReportMetric(ours.Seconds()/alone.Seconds(), "x-opensm")
}
