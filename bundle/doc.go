// Package bundle is what a tenant takes home: its whole log in one file, and the check of
// it, offline. The check needs no server, no network and no word of the owner.
//
// Write makes the file: the entries of the tenant's scope without a gap, every
// body that they name, and the checkpoint that the owner signed over them. The
// layout has no free byte (see the constants in layout.go), so that any byte
// changed is noticed.
//
// Verify reads it with a Policy that the tenant wrote. The owner holds every
// signing key, so a signature shows who speaks, not that it is true: what counts
// is that the log can't contradict itself. Nodes move along allowed arrows with
// numbers that have no gap; what is delivered is what the slot holds, was clean
// by its own evidence and was proven isolated; a port that is red or unread is
// not billed as up; each invoice is rated again from the entries, byte by byte.
// Checks lists all of it. What none of this can catch is a log that was written
// anew as a whole: only a checkpoint that the tenant kept does, and the report
// says so before it says anything else.
//
// The package imports the pure rooms alone. Statements are checked by two
// goroutines; the report does not depend on how many.
package bundle
