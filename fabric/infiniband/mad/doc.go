// Package mad is the management datagram (MAD) of InfiniBand, as plain values. In its 256
// bytes a subnet's devices are asked, and answer. Sections are those of the InfiniBand
// Architecture Specification, volume 1.
//
//   - [Packet] is what is on the wire, [Header] its first 24 bytes (13.4.3);
//   - [SMP] is a subnet management packet, by LID or by directed route (14.2.1);
//   - [NodeInfo], [SwitchInfo], [PortInfo], [PKeyBlock] and so on are what the 64
//     data bytes of an SMP hold (14.2.5), [Notice] what a trap says (13.4.8);
//   - [SA] is a packet of subnet administration with its RMPP header (13.6, 15.2),
//     [InformInfo] what it is asked to pass on, and [Forwarded] what it then does.
//
// A Parse function reads every bit that the specification gives a meaning and
// leaves reserved ones alone; Encode writes reserved bits as zero. So
// Parse(Encode(v)) is v for every v whose fields are in range, and
// Encode(Parse(b)) is b but for reserved bits. Encode cuts fields that are wider
// in Go than on the wire to their low bits; each says how wide it is.
//
// All numbers on the wire are big-endian. The package is pure: no clock, no
// files, no network.
package mad
