package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
	"bulkhead/wire"
)

// subnetCommands are what scripts do with an emulated InfiniBand subnet under an
// unmodified OpenSM.
var subnetCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"subnet": startSubnet, "opensm": startOpenSM, "tamper": tamper, "unplug": unplug, "plug": plug, "configure": configure, "ibnetdiscover": discover, "takeover": takeover, "mayhem": mayhem,
}

var subnets sync.Map // folder of a script and fabric id, *ibfabric.Fabric

// startSubnet emulates one fabric of a site: subnet SITEFILE FABRIC [renamed], with
// hosts and adapters named as elsewhere ("node001 mlx5_0") if so. Its socket is
// in $FABRIC_socket and the port GUID of the manager's host in $FABRIC_sm.
func startSubnet(ts *testscript.TestScript, neg bool, args []string) {
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	t, err := site.ParseTemplate(args[0], data)
	ts.Check(err)
	var units []*site.SUInventory
	_, err = t.Compile(func(u *site.SUInventory) error { units = append(units, u); return nil })
	ts.Check(err)
	var topology bytes.Buffer
	ts.Check(ibnet.WriteSite(&topology, units, args[1]))
	if len(args) > 2 {
		text := regexp.MustCompile(`"[a-z0-9]+-su01-n(\d\d)-rail(\d)"`).ReplaceAll(topology.Bytes(), []byte(`"node0$1 mlx5_$2"`))
		topology = *bytes.NewBuffer(regexp.MustCompile(`"[a-z0-9]+-su01-leaf(\d)"`).ReplaceAll(text, []byte(`"MF0;leaf-$1:MQM9700/U1"`)))
	}
	f, err := ibfabric.Start(context.Background(), &topology, ibfabric.Options{Name: fmt.Sprintf("bulkhead-%d-%s-%d", os.Getpid(), args[1], time.Now().UnixNano())})
	ts.Check(err)
	ts.Defer(f.Close)
	subnets.Store(ts.Getenv("WORK")+args[1], f)
	guid, err := f.GUID(ibnet.Manager)
	ts.Check(err)
	ts.Setenv(args[1]+"_socket", f.Name)
	ts.Setenv(args[1]+"_sm", fmt.Sprintf("0x%016x", guid))
}

func subnet(ts *testscript.TestScript, id string) *ibfabric.Fabric {
	f, started := subnets.Load(ts.Getenv("WORK") + id)
	if !started {
		ts.Fatalf("no subnet %s was started", id)
	}
	return f.(*ibfabric.Fabric)
}

// startOpenSM starts OpenSM and waits until the subnet is up: opensm FABRIC
// FOLDER, where opensm.conf and partitions.conf lie; the process id goes to
// opensm.pid there.
func startOpenSM(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[1])
	log := filepath.Join(dir, "opensm.log")
	cmd, err := ibnet.Command("opensm", subnet(ts, args[0]).Name, ibnet.Manager, dir, "-F", filepath.Join(dir, "opensm.conf"), "-P", filepath.Join(dir, "partitions.conf"), "-f", log, "-d", "2")
	ts.Check(err)
	ts.Check(ibnet.StartCommand(cmd))
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ts.Check(os.WriteFile(filepath.Join(dir, "opensm.pid"), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600))
	ts.Check(await.Until(context.Background(), "OpenSM to bring "+args[0]+" up", func() (string, bool) {
		said, err := os.ReadFile(log)
		return string(said), err == nil && bytes.Contains(said, []byte("SUBNET UP"))
	}))
}

// tamper writes a P_Key into the first free entry of an HCA's table and of its
// leaf port's, behind everybody's back: tamper FABRIC NODE NIC KEY.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	f := subnet(ts, args[0])
	nic, err := strconv.Atoi(args[2])
	ts.Check(err)
	key, err := strconv.ParseUint(args[3], 0, 16)
	ts.Check(err)
	ts.Check(f.Tamper(ibnet.HCAName(args[1], nic), 1, func(keys []mad.PKey) {
		for i := range keys {
			if !keys[i].Valid() {
				keys[i] = mad.PKey(key)
				return
			}
		}
	}))
}

// unplug takes the cable out of an HCA, and plug puts it into a leaf's port again:
// unplug FABRIC NODE NIC, plug FABRIC NODE NIC LEAF PORT.
func unplug(ts *testscript.TestScript, neg bool, args []string) {
	nic, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(subnet(ts, args[0]).Pull(ibnet.HCAName(args[1], nic), 1))
}

func plug(ts *testscript.TestScript, neg bool, args []string) {
	nic, err := strconv.Atoi(args[2])
	ts.Check(err)
	port, err := strconv.Atoi(args[4])
	ts.Check(err)
	ts.Check(subnet(ts, args[0]).Plug(ibnet.HCAName(args[1], nic), 1, args[3], port))
}

// configure puts a subnet's socket and its manager's GUID into a configuration:
// configure FILE FABRIC.
func configure(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.NewReplacer("SOCKET", ts.Getenv(args[1]+"_socket"), "SM", ts.Getenv(args[1]+"_sm")).Replace(ts.ReadFile(args[0]))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// discover runs ibnetdiscover on the canary's host: ibnetdiscover FABRIC OUT ARGS...
func discover(ts *testscript.TestScript, neg bool, args []string) {
	cmd, err := ibnet.Command("ibnetdiscover", subnet(ts, args[0]).Name, ibnet.Canary, ts.Getenv("WORK"), args[2:]...)
	ts.Check(err)
	text, err := cmd.Output()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}

// takeover does what a person does who has looked: takeover FILE FABRIC.
func takeover(ts *testscript.TestScript, neg bool, args []string) {
	path, err := exec.LookPath("bulkhead")
	ts.Check(err)
	look := exec.Command(path, "drivers", "takeover", args[0], "--fabric", args[1], "-o", "json")
	look.Dir = ts.Getenv("WORK")
	said, err := look.Output()
	ts.Check(err)
	var seen struct{ Digest string }
	ts.Check(json.Unmarshal(said, &seen))
	ts.Check(ts.Exec("bulkhead", "drivers", "takeover", args[0], "--fabric", args[1], "--digest", seen.Digest))
}

// mayhem lets time pass while the server and the drivers' process are killed without
// warning, again and again: mayhem ROUNDS STEP DRIVERS.
func mayhem(ts *testscript.TestScript, neg bool, args []string) {
	rounds, err := strconv.Atoi(args[0])
	ts.Check(err)
	step, err := time.ParseDuration(args[1])
	ts.Check(err)
	seed := uint64(time.Now().UnixNano())
	ts.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path, err := exec.LookPath("bulkhead")
	ts.Check(err)
	background := func(args ...string) *exec.Cmd {
		c := exec.Command(path, args...)
		c.Dir = ts.Getenv("WORK")
		ts.Check(c.Start())
		return c
	}
	client, err := wire.Dial(ts.MkAbs("devices.sock"))
	ts.Check(err)
	defer client.Close()
	for range rounds {
		drivers := background("drivers", "run", args[2])
		dialed(ts, "east.sock").Close()
		server := background("serve", "--data", "data", "--simulated", "--devices", "unix:devices.sock", "--devices", "unix:east.sock", "--listen", "127.0.0.1:0")
		for range 6 {
			time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
			now, err := client.Sim.Now(context.Background())
			ts.Check(err)
			ts.Check(client.Sim.Advance(context.Background(), now.Add(step)))
		}
		for _, c := range []*exec.Cmd{server, drivers} {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
}
