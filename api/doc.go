// Package api serves the control plane over Connect (gRPC, and JSON that curl can POST),
// and tells webhooks what happened. It decides nothing: it authenticates, authorises by one table,
// translates, and gives commands to the book through run.Plane.
//
// A tenant sees its own and nothing else. What belongs to another and what does
// not exist get the same answer.
//
// Webhooks are signed, and told by a [Notifier].
package api

//go:generate go run ./generate
