// Package api serves the control plane over Connect: gRPC, and JSON that curl
// can POST. It decides nothing: it authenticates, authorises by one table,
// translates, and gives commands to the book through run.Plane.
//
// A tenant sees its own and nothing else. What belongs to another and what does
// not exist get the same answer.
//
// What happens is told to who asked for it by webhook, signed, through a [Notifier].
package api

//go:generate go run ./generate
