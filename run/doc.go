// Package run is the only loop: it observes devices, asks the book what is due
// and what is next, acts through drivers, and records.
//
// A tick is
//
//	observe  reports of nodes, read-back of fabrics -> prover -> commands
//	due      commands whose time has come
//	next     what would bring observed to desired -> fenced steps
//	act      through drivers
//
// repeated until nothing changes any more at that instant. Nothing is decided
// here: what happened is judged in the book, and a plan that a person sees with
// "plan show" is the very value that the loop would carry out.
package run
