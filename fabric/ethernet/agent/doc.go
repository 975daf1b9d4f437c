// Package agent is what the agents on an Ethernet fabric's devices have in common. There
// are three: a leaf's, a route reflector's and that of the management network's gateway.
// Each is told of its device by a file, serves calls of JSON at a unix socket, keeps the
// newest fence that it has seen over a restart, and says when its device changed.
package agent
