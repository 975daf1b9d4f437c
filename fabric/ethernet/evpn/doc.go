// Package evpn drives an Ethernet fabric (EVPN-VXLAN): it writes leaves through their
// agents, and reads back by three other sources. They know nothing of what was asked: each
// leaf's own tables, its LLDP daemon, and a collector of the routes that reflectors heard
// from it. What they say goes into one capture a leaf (package ethernet), which is judged
// by the inventory.
//
// Writing is a call to the agents of the leaves that a change touches: a port's row
// replaces all that it carried. Each agent keeps the newest fence that it has seen
// in a file on its leaf, and refuses an older one, so fencing is by device; the
// first call of a new writer shows its fence to every leaf of the fabric, and to one
// that is out of reach then as soon as it answers.
//
// It has been tried on leaves of Linux 6.18 with FRR 8.4.4 in network namespaces
// (package lab/ethnet), and on none of hardware.
package evpn
