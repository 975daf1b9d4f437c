// Package ethlab is a control plane over a RoCEv2 fabric of Linux and FRR in network
// namespaces, and attacks on it. Two rivals with the same addresses lease parts of the
// same scalable units, are proven apart from what three sources say, and are attacked.
// Switches, hosts, BGP and every packet are real; switching silicon, PFC and RDMA are not
// there, and nodes' turnover and storage are simulated.
package ethlab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/collector"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
	"bulkhead/lab/stage"
	"bulkhead/ledger"
	"bulkhead/site"
)

// FabricID is the compute fabric of the lab's site.
const FabricID = "roce"

// Options are a lab's.
type Options struct {
	Say    func(string)    // hears what is done; nil: nobody
	Logger *slog.Logger    // of the control plane; nil: discarded
	Log    ledger.Log      // nil: one in memory
	Keys   *keystore.Store // nil: new ones
	Bound  time.Duration   // longest that one leaf may take; 0: 15 s
	Calm   bool            // no node fails by itself
	// Agent prepares the agent of a leaf, with the path of its configuration.
	Agent func(config string) *exec.Cmd
	// Device puts something between a driver and the agent of a leaf; nil: nothing.
	Device func(leaf string, agent evpn.Device) evpn.Device
	// Policy puts something between a driver and the agent of a spine; nil: nothing.
	Policy func(spine netip.Addr, agent evpn.Reflector) evpn.Reflector
	// Reflector prepares the agent of a spine in the same way.
	Reflector func(config string) *exec.Cmd
	// Wrap puts something between a control plane and its driver; nil: nothing.
	Wrap func(*Watched) fabric.Driver
}

// Watched is the driver, and the stage hears what it answers.
type Watched struct {
	*evpn.Driver
	stage *stage.Stage
}

// Observe implements fabric.Driver.
func (w *Watched) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	o, err := w.Driver.Observe(ctx, s)
	w.stage.Saw(o)
	return o, err
}

// Lab is a lab under way.
type Lab struct {
	*stage.Stage
	Net       *ethnet.Net
	Driver    *evpn.Driver
	Collector *collector.Collector
	Probed    int // rails that packets are tried on; all at first

	options Options
}

// Start brings the fabric up, and a control plane over it.
func Start(ctx context.Context, o Options) (l *Lab, err error) {
	l = &Lab{options: o, Probed: site.Rails}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.Stage, err = stage.New(stage.Options{Example: "rivals-eth", Fabric: FabricID, Logger: o.Logger, Log: o.Log, Keys: o.Keys, Calm: o.Calm}); err != nil {
		return nil, err
	}
	var fabrics []string
	for _, f := range l.Site.Fabrics {
		fabrics = append(fabrics, f.ID)
	}
	if l.Net, err = ethnet.Start(ctx, l.Units, ethnet.Options{Fabrics: fabrics, Only: []string{FabricID}, Say: o.Say, LLDP: true, Agent: o.Agent, Reflector: o.Reflector}); err != nil {
		return nil, err
	}
	if l.Collector, err = l.Net.StartCollector(context.WithoutCancel(ctx), FabricID); err != nil {
		return nil, err
	}
	if err := await.True(ctx, "a route reflector to send all that it has", l.Collector.Complete); err != nil {
		return nil, err
	}
	if l.Driver, err = l.NewDriver(); err != nil {
		return nil, err
	}
	return l, l.Open(ctx)
}

// NewDriver makes a driver of the fabric that knows of no other: as another process
// would.
func (l *Lab) NewDriver() (*evpn.Driver, error) {
	bound := l.options.Bound
	if bound == 0 {
		bound = 15 * time.Second
	}
	d := &evpn.Driver{Site: l.Site, Fabric: l.FabricIndex(), Leaves: map[site.Leaf]evpn.Device{}, Routes: l.Collector,
		Origin: claim.Emulated, Bound: bound, Patience: bound, Hear: bound, Clock: l.Clock.Now}
	for at, r := range l.Net.Reflectors(FabricID) {
		if d.Reflectors == nil {
			d.Reflectors = map[netip.Addr]evpn.Reflector{}
		}
		d.Reflectors[at] = r
		if l.options.Policy != nil {
			d.Reflectors[at] = l.options.Policy(at, r)
		}
	}
	for _, dev := range l.Net.Plan.Leaves(FabricID) {
		leaf, known := l.Site.LeafByID(dev.Name)
		if !known || ethernet.VTEP(l.FabricIndex(), leaf) != dev.Loopback {
			return nil, fmt.Errorf("ethlab: leaf %s of the lab is not the site's: %s", dev.Name, dev.Loopback)
		}
		agent, err := l.Net.Client(dev.Name)
		if err != nil {
			return nil, err
		}
		d.Leaves[leaf] = agent
		if l.options.Device != nil {
			d.Leaves[leaf] = l.options.Device(dev.Name, agent)
		}
	}
	return d, nil
}

// Open opens a control plane over the ledger and the devices; another one that was
// open over them finds itself fenced.
func (l *Lab) Open(ctx context.Context) error {
	watched := &Watched{l.Driver, l.Stage}
	var driver fabric.Driver = watched
	if l.options.Wrap != nil {
		driver = l.options.Wrap(watched)
	}
	return l.Stage.Open(ctx, map[string]fabric.Driver{FabricID: driver})
}

// Sell sells to the rivals, lives until their slices are delivered, and gives their
// hosts their addresses: the same for both.
func (l *Lab) Sell(ctx context.Context) error {
	if err := l.Stage.Sell(ctx); err != nil {
		return err
	}
	if err := l.Deliver(ctx, 75*time.Hour); err != nil {
		return err
	}
	for _, tenant := range stage.Tenants {
		for k, n := range l.Nodes(tenant) {
			if err := l.Net.SetMember(l.Site.NodeID[n], k); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends everything, in the order in which it depends on one another.
func (l *Lab) Close() error {
	if l.Collector != nil {
		l.Collector.Close()
	}
	if l.Net != nil {
		return l.Net.Close()
	}
	return nil
}
