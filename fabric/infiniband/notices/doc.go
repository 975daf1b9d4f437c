// Package notices hears what devices tell their subnet's manager by themselves. Examples are a
// link that changed, a packet with a wrong P_Key, a Set with a wrong M_Key. Devices send
// such traps to the manager only; whoever else wants to know subscribes with subnet
// administration, which passes them on as reports (IBTA volume 1, 13.4.8 to 13.4.11).
//
// A report proves nothing: anybody who reaches this port can send one. It is a reason
// to look at the devices now, and the look is the evidence.
//
// What OpenSM passes on depends on partitions: it reports a trap only to who shares
// one with the device that sent it, and two limited members share none. Switches are
// full members of the default partition, so their traps come through to everybody;
// an adapter's own come through to full members only.
//
// A subscription is renewed all the time, because a manager that starts again has
// forgotten it. What is said between that and the renewal is not heard, so whoever
// relies on reports looks on a period besides.
package notices
