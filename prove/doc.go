// Package prove says whether isolation holds, on fabrics and at BMCs, from what was read back.
//
// The theorem: let every label have one owner. If every edge port carries only
// labels of its holder, the shared ones as a limited member only, and enforces
// its table both ways, then no packet passes between two owners, whatever the
// routing, the topology or what has failed. So the proof is local: each port is
// checked by itself against what the ledger says of it ([Facts]: who holds it,
// who owns which label, who should be plugged in), never against the tables that
// were compiled for it. [Checks] lists the checks.
//
// A port's verdict is [Proven], [Cut] (isolated, but not connected: a matter of
// delivery, not a leak), [Red] (read-back shows a violation) or [Unknown] (no
// read-back that counts). A [Prover] keeps the verdicts of a site's ports as
// readings and facts change, at a cost that follows the change.
//
// A [Certificate] is what a tenant takes home of it, with its assumptions and
// with what it does not prove. The package is pure: no clock, no I/O.
package prove
