// Package ibnet makes simulated InfiniBand fabrics for tests: it writes ibsim topologies,
// and runs ibsim and OpenSM on them. It starts and stops ibsim, OpenSM and
// infiniband-diags, each fabric under a name of its own, so that several run on one
// machine.
//
// Nothing that is measured on them says anything about hardware.
package ibnet

import (
	"bufio"
	"fmt"
	"io"
)

// Tree is a fat tree: hosts below leaves, leaves below the spines of their pod,
// and, if there is more than one pod, spines below cores. Host i sits on leaf
// i/PerLeaf, at port i%PerLeaf+1.
type Tree struct {
	Hosts   int
	PerLeaf int // host ports of a leaf
	Spines  int // of a pod; each leaf has a cable to each
	PerPod  int // leaves of a pod; 0: all
	Spare   int // ports of each leaf without a cable
}

// The GUIDs that ibsim is told to use: a host's node GUID is HostBase with 16 for
// each host before it, its port's is one more; switches likewise.
const (
	HostBase   = 0x0002c90000100000
	SwitchBase = 0x0002c90100200000
	guidStep   = 16
)

// Leaves is how many leaves the tree has.
func (t Tree) Leaves() int { return (t.Hosts + t.PerLeaf - 1) / t.PerLeaf }

func (t Tree) perPod() int {
	if t.PerPod == 0 {
		return t.Leaves()
	}
	return t.PerPod
}

// Pods is how many pods the tree has.
func (t Tree) Pods() int { return (t.Leaves() + t.perPod() - 1) / t.perPod() }

func (t Tree) cores() int {
	if t.Pods() == 1 {
		return 0
	}
	return t.Spines
}

// Switches is how many switches the tree has.
func (t Tree) Switches() int { return t.Leaves() + t.Pods()*t.Spines + t.cores() }

// Ports is how many ports the tree has in all, port 0 of switches included.
func (t Tree) Ports() int {
	leaf := t.PerLeaf + t.Spines + t.Spare
	return t.Hosts + t.Leaves()*(leaf+1) + t.Pods()*t.Spines*(t.perPod()+2) + t.cores()*(t.Pods()+1)
}

// HostName is the name of a host, LeafName that of a leaf.
func HostName(i int) string { return fmt.Sprintf("host-%d", i) }

// LeafName is the name of a leaf.
func LeafName(i int) string { return fmt.Sprintf("leaf-%d", i) }

// HostGUID is the node GUID of a host.
func HostGUID(i int) uint64 { return HostBase + uint64(i)*guidStep }

// HostPortGUID is the port GUID of a host.
func HostPortGUID(i int) uint64 { return HostGUID(i) + 1 }

// LeafGUID is the node GUID of a leaf.
func LeafGUID(i int) uint64 { return SwitchBase + uint64(i)*guidStep }

// Write writes the topology in the form that ibsim reads, which is that of
// ibnetdiscover(8). It is an error if a switch would have more than 254 ports.
func (t Tree) Write(w io.Writer) error {
	if t.Hosts < 1 || t.PerLeaf < 1 || t.Spines < 1 || t.PerPod < 0 || t.Spare < 0 {
		return fmt.Errorf("ibnet: %+v: expected at least one host, host port and spine", t)
	}
	leafPorts, podPorts := t.PerLeaf+t.Spines+t.Spare, t.perPod()+1
	if leafPorts > 254 || podPorts > 254 || t.Pods() > 254 {
		return fmt.Errorf("ibnet: %+v: expected switches of at most 254 ports, but a leaf has %d, a spine %d, a core %d",
			t, leafPorts, podPorts, t.Pods())
	}
	b := bufio.NewWriter(w)
	for i := range t.Leaves() {
		fmt.Fprintf(b, "switchguid=0x%x\nSwitch %d %q\n", LeafGUID(i), leafPorts, LeafName(i))
		for p := range t.PerLeaf {
			if host := i*t.PerLeaf + p; host < t.Hosts {
				fmt.Fprintf(b, "[%d] %q[1]\n", p+1, HostName(host))
			}
		}
		for s := range t.Spines {
			fmt.Fprintf(b, "[%d] \"spine-%d-%d\"[%d]\n", t.PerLeaf+s+1, i/t.perPod(), s, i%t.perPod()+1)
		}
		fmt.Fprintln(b)
	}
	next := LeafGUID(t.Leaves())
	for pod := range t.Pods() {
		for s := range t.Spines {
			fmt.Fprintf(b, "switchguid=0x%x\nSwitch %d \"spine-%d-%d\"\n", next, podPorts, pod, s)
			next += guidStep
			for i := pod * t.perPod(); i < min((pod+1)*t.perPod(), t.Leaves()); i++ {
				fmt.Fprintf(b, "[%d] %q[%d]\n", i%t.perPod()+1, LeafName(i), t.PerLeaf+s+1)
			}
			if t.cores() > 0 {
				fmt.Fprintf(b, "[%d] \"core-%d\"[%d]\n", podPorts, s, pod+1)
			}
			fmt.Fprintln(b)
		}
	}
	for c := range t.cores() {
		fmt.Fprintf(b, "switchguid=0x%x\nSwitch %d \"core-%d\"\n", next, t.Pods(), c)
		next += guidStep
		for pod := range t.Pods() {
			fmt.Fprintf(b, "[%d] \"spine-%d-%d\"[%d]\n", pod+1, pod, c, podPorts)
		}
		fmt.Fprintln(b)
	}
	for i := range t.Hosts {
		fmt.Fprintf(b, "caguid=0x%x\nCa 1 %q\n[1] %q[%d]\n\n", HostGUID(i), HostName(i), LeafName(i/t.PerLeaf), i%t.PerLeaf+1)
	}
	return b.Flush()
}
