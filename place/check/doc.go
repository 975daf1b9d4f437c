// Package check judges a slice and its placement certificate: from the site, what is
// free and the ask alone. It shares no code with the solver, and the rules of the
// house forbid the import; with it in common it has the words of place, which are
// data: types, their encodings and digests. What it finds twice it counts in its own
// plain way, so that a fault of the solver is not also its judge's.
//
// [Among] and [On] verify a slice; [Links] a link assignment by itself, without a
// site, as a tenant does; [Racks] and [Domains] that no NVLink domain is split or
// shared.
package check
