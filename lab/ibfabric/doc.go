// Package ibfabric is an InfiniBand fabric, **emulated** at its protocols in one process.
// It answers at the sockets of ibsim, so that unmodified OpenSM and infiniband-diags run
// against it (through libumad2sim), and so do Bulkhead's own clients. It exists for what
// ibsim lacks and isolation rests on:
//
//   - M_Keys with their protection levels, lease and violation count, and trap 256
//     (IBTA volume 1, 14.2.4);
//   - partition enforcement at the external ports of switches, both ways;
//   - the P_Key match, limited and full, at whoever receives a datagram or a
//     general management packet (10.9.3), with counters and traps 257 and 259;
//   - reports of notices to who has subscribed to them with the manager;
//   - reliable multi-packet transfer, for whole tables of subnet administration;
//   - more clients than ten; hosts that are pulled, moved, that lie about who they
//     are; switches that fall silent; packets that are lost.
//
// libumad2sim itself cuts a datagram to one packet, and loses the last 32 bytes of what
// comes in; ibnet's MultiPacket puts a kernel's part around it, so that saquery gets its
// tables whole.
//
// Nothing that is measured or proven on it says anything about hardware: origin
// emulated.
package ibfabric
