// Package ethup keeps RoCEv2 labs (lab/ethnet) up by name, each in a process of its own.
// Several may be up at once on one machine: up, down, and which there are. A lab that is
// up has what drivers and a control plane need to work on it as on any site: the site
// file, the sockets of its leaves' agents, its route reflectors at an address of this
// machine's loopback, and the configuration for "bulkhead drivers run". However its
// process ends, everything of it ends: what is left then are folders, which the next lab,
// or down, removes.
package ethup
