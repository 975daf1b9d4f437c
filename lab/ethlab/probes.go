package ethlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

// patience is how long probes wait for frames after the last one came, and after what
// was sent behind them has arrived (see behind): it is added to that, and decides nothing.
const patience = 60 * time.Millisecond

// canary is a NIC of a leased host with a raw socket on it: it sends any frame and
// sees all that arrives.
type canary struct {
	tenant int // index into stage.Tenants
	host   string
	nic    int
	address
	socket *rawSocket
}

func (c *canary) String() string { return c.host + "/" + site.NICName(c.nic) }

// rawSocket is a packet socket (packet(7)) on one interface of a namespace.
type rawSocket struct {
	fd     int
	index  int
	fences int // frames that were sent behind others and arrived
}

func openRaw(s *ethnet.Space, name string) (*rawSocket, error) {
	if s == nil {
		return nil, errors.New("no such namespace in the lab")
	}
	r := &rawSocket{fd: -1}
	err := s.Do(func() error {
		link, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		r.index = link.Index
		// What is not fetched at once waits: more than the 212,992 B that Linux gives each socket.
		if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(swap(unix.ETH_P_ALL))); err != nil {
			return err
		}
		if err = unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
			return err
		}
		return unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: link.Index})
	})
	if err != nil {
		r.close()
		return nil, fmt.Errorf("raw socket on %s: %w", name, err)
	}
	return r, nil
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

func (r *rawSocket) send(frame []byte) error {
	err := unix.Sendto(r.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: r.index})
	if errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENOBUFS) {
		return nil // a closed port swallows what is sent, and one of a smaller MTU what is greater
	}
	return err
}

// receive returns the tokens that have come in; what it sent itself is not counted.
func (r *rawSocket) receive() (tokens []token) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(r.fd, buffer, 0)
		if err != nil || n == 0 {
			return tokens
		}
		if at, ok := from.(*unix.SockaddrLinklayer); ok && at.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if t, ok := readToken(buffer[:n]); ok {
			if t.kind == kinds {
				r.fences++
			}
			tokens = append(tokens, t)
		}
	}
}

func (r *rawSocket) close() {
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
	}
}

// round counts probing rounds, so that no frame of an earlier one is counted.
var round struct {
	sync.Mutex
	n uint32
}

func nextRound() uint32 {
	round.Lock()
	defer round.Unlock()
	round.n++
	return round.n
}

// canaries opens a raw socket on the NICs of the first Probed rails of the rivals'
// delivered nodes.
func (l *Lab) canaries() (list []*canary, done func(), err error) {
	done = func() {
		for _, c := range list {
			c.socket.close()
		}
	}
	for t, tenant := range stage.Tenants {
		for k, n := range l.Nodes(tenant) {
			for nic := range l.Probed {
				c := &canary{tenant: t, host: l.Site.NodeID[n], nic: nic, address: address{hardware(l.Site.PortID[site.PortOf(n, nic)]), ethnet.TenantAddress(nic, k)}}
				if c.socket, err = openRaw(l.Net.Space(c.host), site.NICName(nic)); err != nil {
					done()
					return nil, nil, fmt.Errorf("%s: %w", c, err)
				}
				list = append(list, c)
			}
		}
	}
	return list, done, nil
}

// arrival is a frame that arrived.
type arrival struct {
	at *canary
	token
}

// exchange sends and collects: each pair of send gets every kind of frame, and each
// sender one broadcast. All canaries listen.
func exchange(ctx context.Context, all []*canary, pair func(from, to *canary) bool) (arrived []arrival, err error) {
	r := nextRound()
	for _, c := range all {
		c.socket.receive() // what was there before
	}
	for i, from := range all {
		flooded := false
		for _, to := range all {
			if from == to || from.nic != to.nic || !pair(from, to) {
				continue
			}
			for kind := range uint8(kindFlood) {
				if err := from.socket.send(greatest(from.address, to.address, token{r, uint16(i), kind})); err != nil {
					return nil, fmt.Errorf("%s sends: %w", from, err)
				}
			}
			if !flooded {
				flooded = true
				if err := from.socket.send(frame(from.address, address{everybody, to.ip}, token{r, uint16(i), kindFlood})); err != nil {
					return nil, fmt.Errorf("%s sends: %w", from, err)
				}
			}
		}
	}
	take := func() (some bool) {
		for _, c := range all {
			for _, t := range c.socket.receive() {
				if t.round == r && t.kind < kinds {
					arrived, some = append(arrived, arrival{c, t}), true
				}
			}
		}
		return some
	}
	if err := behind(ctx, all, take); err != nil {
		return nil, err
	}
	for last := time.Now(); time.Since(last) < patience; time.Sleep(5 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if take() {
			last = time.Now()
		}
	}
	return arrived, nil
}

// generations is how often frames are sent behind others, each time when the time
// before has arrived: more often than a frame waits in a queue on its way, at each leaf
// and spine.
const generations = 12

// behind sends frames behind those that were sent, from everybody to everybody with
// whom it may have a label in common, and waits until one arrives, again and again. A
// frame waits in queues of the kernel's, and what came before it in them has gone by
// then, however slowly they were emptied. Somebody always hears somebody: no attack
// takes away all.
func behind(ctx context.Context, all []*canary, take func() bool) error {
	r := nextRound()
	for n := range generations {
		err := await.True(ctx, fmt.Sprintf("one of %d NICs to hear another: frames behind the probes", len(all)), func() bool {
			t := token{round: r, kind: kinds}
			for _, c := range all {
				c.socket.fences = 0
				if c.socket.send(frame(c.address, address{everybody, c.ip}, t)) != nil {
					return false
				}
			}
			for range 20 {
				take()
				for _, c := range all {
					if c.socket.fences > 0 {
						return true
					}
				}
				time.Sleep(time.Millisecond)
			}
			return false
		})
		if err != nil {
			return fmt.Errorf("generation %d: %w", n, err)
		}
	}
	return nil
}

// Leaks sends frames from every probed NIC of each rival to the other's: ICMP, RoCEv2
// and TCP to each address, and a broadcast. It returns what arrives at the other
// rival, from hosts that use raw sockets and so any frame they like.
func (l *Lab) Leaks(ctx context.Context) (leaks []string, err error) {
	all, done, err := l.canaries()
	if err != nil {
		return nil, err
	}
	defer done()
	arrived, err := exchange(ctx, all, func(from, to *canary) bool { return from.tenant != to.tenant })
	for _, h := range arrived {
		if from := all[h.sender]; from.tenant != h.at.tenant {
			leaks = append(leaks, fmt.Sprintf("%s -> %s: %s", from, h.at, kindNames[h.kind]))
		}
	}
	return leaks, err
}

// Connected waits until all frames arrive within each rival's slice: routes may be on
// their way to leaves that are proven.
func (l *Lab) Connected(ctx context.Context) error {
	var bad error
	err := await.Until(ctx, "every frame to arrive within each slice", func() (string, bool) {
		var cut []string
		cut, bad = l.CutOff(ctx)
		return fmt.Sprintf("%d do not, such as %v", len(cut), cut[:min(1, len(cut))]), bad != nil || len(cut) == 0
	})
	return errors.Join(bad, err)
}

// CutOff sends frames within each rival's slice: the positive control. It returns
// the pairs that miss a kind of frame.
func (l *Lab) CutOff(ctx context.Context) (cut []string, err error) {
	all, done, err := l.canaries()
	if err != nil {
		return nil, err
	}
	defer done()
	type pair struct {
		from, to *canary
		kind     uint8
	}
	same := func(from, to *canary) bool { return from.tenant == to.tenant }
	arrived, err := exchange(ctx, all, same)
	got := map[pair]bool{}
	for _, h := range arrived {
		got[pair{all[h.sender], h.at, h.kind}] = true
	}
	for _, from := range all {
		for _, to := range all {
			if from == to || from.nic != to.nic || !same(from, to) {
				continue
			}
			for kind := range uint8(kinds) {
				if !got[pair{from, to, kind}] {
					cut = append(cut, fmt.Sprintf("%s -> %s: %s", from, to, kindNames[kind]))
				}
			}
		}
	}
	return cut, err
}
