package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// watch tells whether the kernel's tables may have changed, by its own notices. They
// are queued at sockets as changes happen, and taken off when somebody asks: what
// changed before the question is seen. A queue that ran over counts as a change.
type watch struct {
	sockets []int
}

func newWatch() (*watch, error) {
	w := &watch{}
	groups := func(list ...int) (mask uint32) {
		for _, g := range list {
			mask |= 1 << (g - 1)
		}
		return mask
	}
	for _, s := range []struct {
		protocol int
		groups   uint32
	}{
		{unix.NETLINK_ROUTE, groups(unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_TC, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)},
		{unix.NETLINK_NETFILTER, groups(unix.NFNLGRP_NFTABLES)},
	} {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, s.protocol)
		if err == nil {
			w.sockets = append(w.sockets, fd)
			err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: s.groups})
		}
		if err != nil {
			w.close()
			return nil, fmt.Errorf("notices of the kernel: %w", err)
		}
	}
	return w, nil
}

// changed takes off what is queued and reports whether there was anything.
func (w *watch) changed() (bool, error) {
	any := false
	buf := make([]byte, 64<<10)
	for _, fd := range w.sockets {
		for {
			size, _, err := unix.Recvfrom(fd, buf, 0)
			switch {
			case err == nil:
				any = any || telling(buf[:size])
				continue
			case errors.Is(err, unix.ENOBUFS):
				any = true
				continue
			case errors.Is(err, unix.EINTR):
				continue
			case !errors.Is(err, unix.EAGAIN):
				return true, fmt.Errorf("notices of the kernel: %w", err)
			}
			break
		}
	}
	return any, nil
}

// telling reports whether a notice is of anything that is read: not the neighbours
// that the leaf itself has by ARP, which come and go. A notice that is not understood
// is.
func telling(notice []byte) bool {
	for len(notice) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(notice))
		kind := binary.NativeEndian.Uint16(notice[4:])
		if length <= unix.NLMSG_HDRLEN || length > len(notice) || kind != unix.RTM_NEWNEIGH && kind != unix.RTM_DELNEIGH || notice[unix.NLMSG_HDRLEN] == unix.AF_BRIDGE {
			return true
		}
		notice = notice[min((length+3)&^3, len(notice)):]
	}
	return len(notice) > 0
}

// wait returns when there may be something to take off, or after a while.
func (w *watch) wait(limit time.Duration) {
	var fds []unix.PollFd
	for _, fd := range w.sockets {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	_, _ = unix.Poll(fds, int(limit.Milliseconds())) // interrupted: as if the time were over
}

func (w *watch) close() {
	for _, fd := range w.sockets {
		_ = unix.Close(fd)
	}
	w.sockets = nil
}
