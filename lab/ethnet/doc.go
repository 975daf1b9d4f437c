// Package ethnet is a RoCEv2 fabric on one machine, of unmodified FRR in network
// namespaces. Leaves and spines are namespaces with Debian's FRR (zebra and bgpd), hosts
// are namespaces with a veth a NIC, cabled as a site's inventory says, and there are a
// management and a storage network. Packets are real, and so are the kernel's bridges,
// VXLAN devices and filters; switching silicon, queues, PFC and RDMA are not there.
//
// The rail planes of a site are apart. Here the spines of the same number of one
// fabric are one device, so a fabric is one underlay with as many spines as one
// plane has, which are its route reflectors.
//
// A lab needs root. Everything in it belongs to a process: its namespaces have no
// names and end with it, and its daemons run in a process namespace whose first
// process ends when the owner does, even by SIGKILL. What is left then are folders,
// which the next [Start], or [Sweep], removes.
//
// [Up] keeps a lab up by its name, in a process of its own ([Keep]); several may be up at
// once, until [Down]. Such a lab has what drivers and a control plane need to work on it
// as on any site: the site file, the sockets of its leaves' agents, its route reflectors
// at an address of this machine's loopback, and the configuration for "bulkhead drivers
// run".
package ethnet
