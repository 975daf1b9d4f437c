package custody

import (
	"fmt"
	"net"
	"syscall"
)

// peerOf asks the kernel who is at the other end.
func peerOf(c net.Conn) (p Peer, err error) {
	unix, is := c.(*net.UnixConn)
	if !is {
		return p, fmt.Errorf("%T: expected a unix socket", c)
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return p, err
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		var cred *syscall.Ucred
		if cred, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); asked == nil {
			p = Peer{cred.Uid, cred.Pid}
		}
	})
	if err == nil {
		err = asked
	}
	return p, err
}
