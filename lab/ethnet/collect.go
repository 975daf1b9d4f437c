package ethnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/collector"
)

// StartCollector starts a route collector of a fabric, until ctx ends or it is closed.
// Its reflectors connect to it over the management network, where it has
// [Collector]; there the lab takes their connections and hands them to the collector,
// which is in this process, over this machine's loopback: reflector n of fabric f
// comes from 127.1.f.n.
func (n *Net) StartCollector(ctx context.Context, fabric string) (*collector.Collector, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	conf := collector.Config{AS: ethernet.ASN, HoldTime: 3 * time.Minute, Listen: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: port}
	from, err := n.reflectors(fabric)
	if err != nil {
		return nil, err
	}
	for _, a := range from {
		conf.Reflectors = append(conf.Reflectors, collector.Reflector{Address: a})
	}
	k, err := collector.Start(ctx, conf)
	if err != nil {
		return nil, err
	}
	if _, err := n.HandReflectors(fabric, port); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

// reflectors are the addresses from which a fabric's reflectors come to a collector on
// this machine's loopback, in the order of the spines.
func (n *Net) reflectors(fabric string) (at []netip.Addr, err error) {
	f := slices.Index(n.Plan.Fabrics, fabric)
	for i := range n.Plan.Spines(fabric) {
		at = append(at, netip.AddrFrom4([4]byte{127, 1, byte(f), byte(i + 1)}))
	}
	if f < 0 || len(at) == 0 {
		return nil, fmt.Errorf("ethnet: no fabric %q in this lab", fabric)
	}
	return at, nil
}

// HandReflectors hands the connections of a fabric's reflectors to a port of this
// machine's loopback, where a collector listens or will, and returns the addresses
// that they come from there.
func (n *Net) HandReflectors(fabric string, port int) ([]netip.Addr, error) {
	at, err := n.reflectors(fabric)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, s := range n.Plan.Spines(fabric) {
		n.collect[s.Manage] = collectorAt{local: at[i], port: port}
	}
	if n.relays[Collector.String()] == nil {
		l, err := n.spaces[Manage].Listen("tcp", netip.AddrPortFrom(Collector, 179).String())
		if err != nil {
			return nil, err
		}
		n.relays[Collector.String()] = l
		go n.relayCollectors(l)
	}
	return at, nil
}

// collectorAt is where the connection of a reflector is handed to.
type collectorAt struct {
	local netip.Addr
	port  int
}

func (n *Net) relayCollectors(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		source := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
		n.mu.Lock()
		to, known := n.collect[source]
		n.mu.Unlock()
		if !known {
			c.Close() // no reflector of a fabric that is collected
			continue
		}
		go func() {
			defer c.Close()
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: to.local.AsSlice()}, Timeout: 5 * time.Second}
			k, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to.port))
			if err != nil {
				return
			}
			defer k.Close()
			pass(c.(*net.TCPConn), k.(*net.TCPConn))
		}()
	}
}

// pass passes bytes on both ways. Either side that ends ends both.
func pass(a, b interface {
	net.Conn
	CloseWrite() error
}) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, err := io.Copy(way[0], way[1])
			if half := way[0].(interface{ CloseWrite() error }).CloseWrite(); err != nil || half != nil {
				_ = errors.Join(a.Close(), b.Close())
			}
		})
	}
	both.Wait()
}
