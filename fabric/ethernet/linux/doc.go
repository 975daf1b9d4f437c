// Package linux is one leaf or route reflector of an Ethernet fabric that runs Linux and
// FRR. Cumulus and SONiC do so inside. An [Agent] on the leaf writes what the control
// plane asks for and reads back what the leaf holds; the [Client] is how it is asked.
//
// # How a leaf is laid out
//
// A VNI is a bridge bd<VNI> with a VXLAN device vni<VNI>, without VLAN filtering, so
// that any kernel will do. An edge port is a member of one bridge, or of none, which
// is closed. The capture numbers the bridges as VLANs, from 2 by ascending VNI.
//
//   - A member takes packets from one source address, the inventory's: the bridge
//     port is locked, learns nothing, and has that one static entry. FRR announces
//     it as sticky, so that no other leaf can claim it (RFC 7432, section 15.4).
//   - A filter at the port's ingress (netdev family, table bulkhead, a chain a port)
//     drops what does not come from that address, forged ARP and neighbour
//     discovery, router advertisements, DHCP servers, BGP and VXLAN; it drops other
//     protocols than IPv4, IPv6 and ARP; and it puts what is left into the port's
//     traffic class by priority and DSCP.
//   - A limited member is isolated, and so is every VXLAN device: a limited member
//     reaches full members on its own leaf only, never anybody through the fabric.
//   - The leaf's own filter (inet family, table bulkhead) takes VXLAN from the
//     fabric's leaves only and BGP from the reflectors only, both at uplinks only,
//     nothing at all from edge ports, and forwards nothing.
//
// Traffic classes' DSCP and priority are in force. PFC and ECN are kept in a file
// and read back from it: neither veths nor this package have queues to set up, so
// nothing is enforced by them.
//
// # Two paths
//
// Writing goes by netlink (links, bridge ports, forwarding entries, nftables) and by
// configuration lines said to bgpd at the socket at which FRR's own shell speaks to it:
// FRR 8.4 has YANG models for bgpd's EVPN neither complete nor loaded by Debian's
// packages, so a line and the status that answers it is the most structured way in.
// What changes nothing today is compared as well: bgpd prints its whole configuration,
// and what of it is not as it is to be is in the capture, and put back by the next write.
// Reading goes by what others wrote: the JSON of iproute2, nft, tc, lldpctl and FRR's
// daemons, decoded by code that shares nothing with the writer. What the reader does not
// understand counts as a leak, never as nothing.
//
// Not seen by this reader: packet sockets and eBPF at the leaf, ports that are
// tapped in hardware, and who forges the address of another leaf inside the
// underlay itself.
package linux
