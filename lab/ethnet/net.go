package ethnet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"bulkhead/site"
)

// Options are a lab's.
type Options struct {
	ID      string       // unique on this machine, as [Named] allows; "": one that nobody else has
	Fabrics []string     // the site's fabrics, in its order: addresses follow from it
	Only    []string     // which of them to build; nil: all
	Say     func(string) // hears what is done; nil: nobody
	LLDP    bool         // lldpd at every leaf and host; without it nobody announces itself
	// Agent prepares the agent of a leaf, with the path of its configuration; nil: no
	// leaf has one.
	Agent func(config string) *exec.Cmd
	// Reflector prepares the agent of a spine in the same way: then reflectors pass on
	// the routes of a leaf under those targets only that the agent was told of. nil: they
	// pass on what has the fabric's own form.
	Reflector func(config string) *exec.Cmd
	// Gateway prepares the agent of the management network's gateway; nil: the gateway
	// forwards everything.
	Gateway func(config string) *exec.Cmd
}

// Net is a lab under way.
type Net struct {
	ID   string // unique on this machine
	Dir  string // configuration, logs and sockets, a folder a device
	Plan *Plan

	options Options
	secret  string // of routing sessions
	lock    *os.File
	keeper  *keeper

	mu      sync.Mutex
	spaces  map[string]*Space // by device, by host, and those below
	daemons map[string]*exec.Cmd
	relays  map[string]net.Listener // by who is reached so over the management network
	collect map[netip.Addr]collectorAt
	closed  bool
}

// The namespaces beside those of devices and hosts.
const (
	OOB     = "oob"     // the switch of the management network
	Manage  = "manage"  // where control plane and route collector are
	Gateway = "gateway" // routes between managers, BMCs and storage
	Storage = "storage" // the storage server, and its switch
)

// BMC is the name of the namespace of a host's BMC.
func BMC(host string) string { return host + "-bmc" }

// Missing says which of the programs that a lab needs is not installed, or that it
// needs root, or "".
func Missing(lldp bool) string {
	if os.Getuid() != 0 {
		return "root"
	}
	for _, p := range [][2]string{{"/usr/lib/frr/zebra", "frr"}, {"/usr/lib/frr/bgpd", "frr"}, {"/usr/lib/frr/ospfd", "frr"}, {"vtysh", "frr"}, {"nft", "nftables"}, {"ip", "iproute2"}, {"lldpd", "lldpd"}} {
		if _, err := find(p[0]); err != nil && (p[1] != "lldpd" || lldp) {
			return p[1]
		}
	}
	return ""
}

// find looks for a program, among those for administrators too.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil && !filepath.IsAbs(name) {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		return "", fmt.Errorf("%s is not installed: as root on Debian, apt-get install frr nftables iproute2 lldpd", name)
	}
	return path, nil
}

// Start builds the fabric of an inventory, and returns when every leaf has a route to
// every other of its fabric. What labs left whose process was killed is removed first.
func Start(ctx context.Context, units []*site.SUInventory, o Options) (*Net, error) {
	if missing := Missing(o.LLDP); missing != "" {
		return nil, fmt.Errorf("the Ethernet lab needs %s: run it as root on Debian with the packages frr nftables iproute2 lldpd", missing)
	}
	plan, err := NewPlan(units, o.Fabrics, o.Only)
	if err != nil {
		return nil, err
	}
	if o.ID != "" && !validID(o.ID) {
		return nil, fmt.Errorf("ethnet: lab %.40q: expected 1 to 12 lower-case letters and digits", o.ID)
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	swept, err := Sweep()
	if err != nil {
		return nil, err
	}
	for _, id := range swept {
		o.Say("removed what a lab left that was killed: " + id)
	}
	n := &Net{Plan: plan, options: o, spaces: map[string]*Space{}, daemons: map[string]*exec.Cmd{}, relays: map[string]net.Listener{}, collect: map[netip.Addr]collectorAt{}}
	if err := n.up(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Net) up(ctx context.Context) (err error) {
	if err := n.folder(); err != nil {
		return err
	}
	if n.keeper, err = newKeeper(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{n.makeSpaces, n.makeManagement, n.makeCables, n.makeHosts, n.startRouting, n.startLLDP, n.awaitRouting, n.startAgents, n.startGateway, n.awaitLLDP} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// folder makes the lab's folder and takes its lock.
func (n *Net) folder() error {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	if n.ID = n.options.ID; n.ID == "" {
		n.ID = hex.EncodeToString(b[:])
	}
	n.secret = rand.Text()[:16]
	n.Dir = filepath.Join(Base, n.ID)
	if err := os.MkdirAll(Base, 0o755); err != nil {
		return err
	}
	lock, err := lockFolder(n.Dir)
	n.lock = lock
	return err
}

// Space finds a namespace; nil if there is none of that name.
func (n *Net) Space(name string) *Space {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spaces[name]
}

func (n *Net) addSpace(name string) (*Space, error) {
	s, err := newSpace(name)
	if err != nil {
		return nil, fmt.Errorf("ethnet: namespace of %s: %w", name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.spaces[name] = s
	// So that a person can enter it: nsenter --net=FILE.
	link := filepath.Join(n.Dir, name, "net")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return nil, err
	}
	return s, os.Symlink(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.file.Fd()), link)
}

// Close ends everything that belongs to the lab and removes its folders.
func (n *Net) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	relays := n.relays
	n.mu.Unlock()
	for _, l := range relays {
		l.Close()
	}
	if n.keeper != nil {
		n.keeper.close()
	}
	for _, s := range n.spaces {
		s.close()
	}
	return n.release()
}

func (n *Net) release() error {
	if n.lock == nil {
		return nil
	}
	defer n.lock.Close()
	return remove(n.ID)
}
