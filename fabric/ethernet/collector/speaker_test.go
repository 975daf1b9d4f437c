package collector

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// speaker is a reflector of the least that BGP needs: it says what it is told to
// say, byte for byte, so that what a real one never sends can be tried, and so
// that in benchmarks the sender costs next to nothing.
type speaker struct {
	addr    netip.Addr
	port    int
	mute    bool   // it sends no KEEPALIVE after the first
	plain   bool   // it does not announce graceful restart, so no End-of-RIB is due
	opening []byte // sent when a session is up
	l       net.Listener

	mu        sync.Mutex
	conn      net.Conn
	announced int // UPDATEs that came in and were not End-of-RIB
}

const asn = 65000

func (s *speaker) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(s.addr, uint16(s.port)).String())
	if err != nil {
		t.Fatal(err)
	}
	s.l, s.port = l, l.Addr().(*net.TCPAddr).Port
	t.Cleanup(s.stop)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	}()
}

func (s *speaker) stop() {
	s.l.Close()
	s.hangUp()
}

func (s *speaker) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

func (s *speaker) say(t testing.TB, b []byte) {
	t.Helper()
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		t.Fatal("no session")
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

func (s *speaker) reflector() Reflector { return Reflector{Address: s.addr, Port: s.port} }

func (s *speaker) serve(conn net.Conn) {
	capabilities := []bgp.ParameterCapabilityInterface{bgp.NewCapMultiProtocol(bgp.RF_EVPN), bgp.NewCapFourOctetASNumber(asn)}
	if !s.plain {
		capabilities = append(capabilities, bgp.NewCapGracefulRestart(false, false, 120, nil))
	}
	open, _ := bgp.NewBGPOpenMessage(asn, 3, s.addr, []bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(capabilities)})
	conn.Write(bytesOf(open))
	if kind, _ := message(conn); kind != bgp.BGP_MSG_OPEN {
		conn.Close()
		return
	}
	conn.Write(bytesOf(bgp.NewBGPKeepAliveMessage()))
	if kind, _ := message(conn); kind != bgp.BGP_MSG_KEEPALIVE {
		conn.Close()
		return
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	go func() {
		conn.Write(s.opening)
		for !s.mute {
			time.Sleep(time.Second)
			if _, err := conn.Write(bytesOf(bgp.NewBGPKeepAliveMessage())); err != nil {
				return
			}
		}
	}()
	for {
		kind, size := message(conn)
		if kind == 0 {
			return
		}
		if kind == bgp.BGP_MSG_UPDATE && size > len(endOfRIB()) {
			s.mu.Lock()
			s.announced++
			s.mu.Unlock()
		}
	}
}

// message takes one message and returns its type, 0 at the end, and its size.
func message(conn net.Conn) (kind byte, size int) {
	var header [19]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return 0, 0
	}
	size = int(binary.BigEndian.Uint16(header[16:]))
	if _, err := io.CopyN(io.Discard, conn, int64(size-len(header))); err != nil {
		return 0, 0
	}
	return header[18], size
}

func bytesOf(m *bgp.BGPMessage) []byte {
	b, err := m.Serialize()
	if err != nil {
		panic(err)
	}
	return b
}

// macRoute is a MAC/IP route, floodRoute an inclusive multicast route.
func macRoute(leaf netip.Addr, vni uint32, hw string, ip netip.Addr) bgp.NLRI {
	rd, _ := bgp.NewRouteDistinguisherIPAddressAS(leaf, uint16(vni))
	n, err := bgp.NewEVPNMacIPAdvertisementRoute(rd, bgp.EthernetSegmentIdentifier{Value: make([]byte, 9)}, 0, hw, ip, []uint32{vni})
	if err != nil {
		panic(err)
	}
	return n
}

func floodRoute(leaf netip.Addr, vni uint32) bgp.NLRI {
	rd, _ := bgp.NewRouteDistinguisherIPAddressAS(leaf, uint16(vni))
	n, err := bgp.NewEVPNMulticastEthernetTagRoute(rd, 0, leaf)
	if err != nil {
		panic(err)
	}
	return n
}

func target(vni uint32) bgp.ExtendedCommunityInterface {
	return bgp.NewTwoOctetAsSpecificExtended(bgp.EC_SUBTYPE_ROUTE_TARGET, asn, vni, true)
}

// attributes are those of routes as a reflector passes them on.
func attributes(next netip.Addr, nlri []bgp.NLRI, path []uint32, more ...bgp.PathAttributeInterface) []bgp.PathAttributeInterface {
	list := make([]bgp.PathNLRI, len(nlri))
	for i, n := range nlri {
		list[i] = bgp.PathNLRI{NLRI: n}
	}
	reach, err := bgp.NewPathAttributeMpReachNLRI(bgp.RF_EVPN, list, next)
	if err != nil {
		panic(err)
	}
	segments := []bgp.AsPathParamInterface{}
	if len(path) > 0 {
		segments = append(segments, bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, path))
	}
	return append([]bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeAsPath(segments),
		bgp.NewPathAttributeLocalPref(100), reach}, more...)
}

func targetsOf(list ...bgp.ExtendedCommunityInterface) bgp.PathAttributeInterface {
	return bgp.NewPathAttributeExtendedCommunities(list)
}

func floods(leaf netip.Addr, vni uint32) bgp.PathAttributeInterface {
	id, _ := bgp.NewIngressReplTunnelID(leaf)
	return bgp.NewPathAttributePmsiTunnel(bgp.PMSI_TUNNEL_TYPE_INGRESS_REPL, false, vni, id)
}

func announce(next netip.Addr, nlri []bgp.NLRI, more ...bgp.PathAttributeInterface) []byte {
	return bytesOf(bgp.NewBGPUpdateMessage(nil, attributes(next, nlri, nil, more...), nil))
}

func withdraw(nlri ...bgp.NLRI) []byte {
	list := make([]bgp.PathNLRI, len(nlri))
	for i, n := range nlri {
		list[i] = bgp.PathNLRI{NLRI: n}
	}
	un, err := bgp.NewPathAttributeMpUnreachNLRI(bgp.RF_EVPN, list)
	if err != nil {
		panic(err)
	}
	return bytesOf(bgp.NewBGPUpdateMessage(nil, []bgp.PathAttributeInterface{un}, nil))
}

func endOfRIB() []byte { return bytesOf(bgp.NewEndOfRib(bgp.RF_EVPN)) }
