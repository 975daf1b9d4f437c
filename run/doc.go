// Package run is the only loop: it asks devices, judges their answers, acts on what the
// book says is due or next, and records.
//
// A round is
//
//	ask        every driver, on a lane of its own, without the lock
//	hear       what they answer: reports of nodes, read-back of fabrics -> prover -> commands
//	lock down  ports that leak
//	due        commands whose time has come
//	next       what would bring observed to desired -> fenced steps
//	act        through drivers, asked and heard as above
//
// and a tick repeats it until nothing changes any more at that instant. Nothing is decided
// here: what happened is judged in the book. What devices would be told is a plan, and
// "plan show" prints the very value that the loop would carry out; what the calendar makes
// due, hand-overs and freed labels are entries only, and are not in it.
//
// Readers look at a fold of their own, of what is durable (see view).
package run
