//go:build !linux

package custody

import (
	"net"
	"os"
)

// peerOf takes the other end for this user: here only the socket's mode keeps others out.
func peerOf(net.Conn) (Peer, error) { return Peer{UID: uint32(os.Geteuid())}, nil }
