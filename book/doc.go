// Package book is what is true now: the state folded from the ledger, and the
// rules by which it may change.
//
//	Decide(state, command, env) -> drafts     checks a command; never searches, never acts
//	Apply(state, entry)                       total and deterministic
//	Due(state, now)     -> commands           whose time has come
//	Next(state, seen)   -> plan               what would bring observed to desired
//
// The package is pure: no clock, no randomness, no I/O, no goroutines. Whoever
// calls it hands in the time, and writes what it returns.
//
// The files are one subject each, and hold both halves of it: the decision, and
// the fold of the entries that the decision makes.
package book
