package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric/ethernet/packet"
	"bulkhead/prove"
)

type probeEthernet struct {
	Site   string `required:"" placeholder:"ID" help:"Name of the site."`
	Tenant string `required:"" placeholder:"ID" help:"Who leases the node."`
	Lease  string `required:"" placeholder:"ID" help:"The lease, as first/t1."`
	Node   string `required:"" placeholder:"ID" help:"The node that this runs on, by the owner's id."`
	Origin string `default:"hardware" placeholder:"ORIGIN" help:"What the fabric is: hardware, emulated or simulated."`

	Interface string       `required:"" placeholder:"NAME" help:"A NIC of this node that is on the fabric; needs root."`
	Peer      []netip.Addr `required:"" placeholder:"ADDRESS" help:"Hosts of the same lease on that NIC's network: what must be reached."`
	Own       uint32       `placeholder:"VNI" help:"The lease's VNI, if you know it: then VXLAN is forged under it as well."`
	Foreign   []uint32     `placeholder:"VNI" help:"VNIs of others to forge VXLAN under. Default: those beside the own one."`
	VTEP      []netip.Addr `name:"vtep" placeholder:"ADDRESS" help:"Leaves' addresses in the underlay, if you know any."`
	VID       []uint16     `name:"vid" placeholder:"VLAN" help:"VLAN tags to try. Default: some."`
	Other     []netip.Addr `placeholder:"ADDRESS" help:"Addresses of others: what must not be reached."`
	Service   []netip.Addr `placeholder:"ADDRESS" help:"Services that you may reach, such as storage: the control for --bmc and --manager."`
	BMC       []netip.Addr `name:"bmc" placeholder:"ADDRESS" help:"BMCs: what must not be reached."`
	Manager   []netip.Addr `placeholder:"ADDRESS" help:"The owner's managers: what must not be reached."`

	Patience time.Duration `default:"500ms" help:"How long an answer may take, 10ms to 1m. Silence for so long counts as denied; what must answer has 5s at least."`
	Key      string        `required:"" placeholder:"FILE" help:"Your signing key: Ed25519, PKCS #8, PEM. The owner never sees it."`
	Out      string        `required:"" placeholder:"FILE" help:"Where the signed probe goes, to be filed: FileProbe of the owner's API."`
}

// Help is what it does.
func (probeEthernet) Help() string {
	return `Tries, from a node that you have leased, what must fail, and beside it what must
succeed: VLAN tags, forged VXLAN into your own and foreign VNIs, another source MAC,
ARP and neighbour discovery in another's name, addresses of others by ICMP, TCP and
UDP 4791, BMCs and managers. Signed with your own key it is evidence that does not
rest on the owner's word: of one node, at one time, by these ways.

It sees what comes back to this node. A packet that somebody else's host takes in
and answers elsewhere is not seen: that forged VXLAN under a foreign VNI goes
unanswered shows less than the same under your own, which your own peer would answer.
It sends a few dozen small packets, never in the name of a host that exists.

Exit code 1: something was reached that must not be, or nothing is shown.`
}

// mostTargets bounds how many addresses, VNIs and VLANs of one kind are tried.
const mostTargets = 64

// Run probes.
func (c *probeEthernet) Run(stdout io.Writer, stderr errorWriter) error {
	if err := c.check(); err != nil {
		fmt.Fprintln(stderr, "bulkhead-verify:", err)
		return usage
	}
	signer, err := readSigner(c.Key)
	if err != nil {
		return err
	}
	port, err := packet.Open(c.Interface)
	if err != nil {
		return err
	}
	defer port.Close()
	own, err := addressOf(c.Interface)
	if err != nil {
		return err
	}
	p := &etherProber{port: port, own: own, patience: c.Patience, id: uint16(time.Now().UnixNano()), macs: map[netip.Addr]packet.MAC{}, probe: &prove.Probe{
		Version: 1, Site: c.Site, Tenant: c.Tenant, Lease: c.Lease, Node: c.Node, At: time.Now().UTC().Truncate(time.Second), Origin: claim.Origin(c.Origin)}}
	p.vlans(c.Peer, c.Other, c.VID)
	p.spoof(c.Peer)
	p.discover(c.Peer)
	p.forge(c.Peer, c.VTEP, c.Own, c.Foreign)
	p.reach("ip", "a host of the same lease", c.Peer, prove.Reached)
	p.reach("ip", "another's address", c.Other, prove.Denied)
	p.reach("ip", "a leaf's address in the underlay", c.VTEP, prove.Denied)
	p.reach("management", "a service of the lease", c.Service, prove.Reached)
	p.reach("management", "a BMC", c.BMC, prove.Denied)
	p.reach("management", "a manager", c.Manager, prove.Denied)
	return finishProbe(p.probe, signer, c.Out, stdout, stderr)
}

func (c *probeEthernet) check() error {
	if c.Patience < 10*time.Millisecond || c.Patience > time.Minute {
		return errors.New("--patience: expected 10ms to 1m")
	}
	if !claim.Origin(c.Origin).Valid() {
		return fmt.Errorf("--origin %.20q: expected hardware, emulated or simulated", c.Origin)
	}
	for name, list := range map[string][]netip.Addr{"--peer": c.Peer, "--other": c.Other, "--vtep": c.VTEP, "--service": c.Service, "--bmc": c.BMC, "--manager": c.Manager} {
		if len(list) > mostTargets {
			return fmt.Errorf("%s: %d addresses, expected at most %d", name, len(list), mostTargets)
		}
		for _, a := range list {
			if !a.Is4() {
				return fmt.Errorf("%s %s: expected an IPv4 address", name, a)
			}
		}
	}
	if len(c.BMC)+len(c.Manager) > 0 && len(c.Service) == 0 {
		return errors.New("--bmc and --manager need --service: what is denied shows nothing where nothing is reached")
	}
	if len(c.VID) == 0 {
		c.VID = []uint16{1, 2, 3, 4, 10, 100, 1000, 4094}
	}
	if len(c.Foreign) == 0 && c.Own != 0 {
		c.Foreign = []uint32{c.Own - 1, c.Own + 1}
	}
	if len(c.VID) > mostTargets || len(c.Foreign) > mostTargets {
		return fmt.Errorf("--vid and --foreign: expected at most %d of each", mostTargets)
	}
	for _, v := range append([]uint32{c.Own}, c.Foreign...) {
		if v >= 1<<24 {
			return fmt.Errorf("--own, --foreign: VNI %d: expected less than %d", v, 1<<24)
		}
	}
	for _, v := range c.Foreign {
		if v == c.Own {
			return fmt.Errorf("--foreign %d: it is the lease's own: expected VNIs of others", v)
		}
	}
	return nil
}

func addressOf(name string) (netip.Addr, error) {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--interface %s: %w", name, err)
	}
	list, err := nic.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("--interface %s: it has no IPv4 address: expected a NIC with the address that the lease gives it", name)
}

// etherProber sends one packet at a time and waits for its answer.
type etherProber struct {
	port     *packet.Port
	own      netip.Addr
	patience time.Duration
	id       uint16
	sequence uint16
	macs     map[netip.Addr]packet.MAC
	probe    *prove.Probe
}

// stranger is a MAC that nobody has: locally administered, with a name in it.
var stranger = packet.MAC{0x02, 'b', 'u', 'l', 'k', 0x66}

func (p *etherProber) note(kind, what, target, expect string, reached bool, detail string, err error) {
	t := prove.Try{Kind: kind, What: what, Target: target, Expect: expect, Got: prove.Denied, Detail: detail}
	switch {
	case err != nil:
		t.Got, t.Detail = prove.Unclear, err.Error()
	case reached:
		t.Got = prove.Reached
	}
	p.probe.Tries = append(p.probe.Tries, t)
}

// wait is how long an answer may take.
func (p *etherProber) wait(expect string) time.Duration {
	if expect == prove.Reached {
		return max(p.patience, patient)
	}
	return p.patience
}

// try sends a frame and notes whether what is wanted comes in.
func (p *etherProber) try(kind, what, target, expect string, frame []byte, wanted func([]byte) bool) bool {
	err := p.port.Send(frame)
	got := false
	if err == nil {
		got, err = p.port.Await(p.wait(expect), wanted)
	}
	p.note(kind, what, target, expect, got, "", err)
	return got
}

// ask is an ARP request for an address, and its answer.
func (p *etherProber) ask(target netip.Addr) (frame []byte, answered func([]byte) bool) {
	frame = packet.Ethernet(packet.Broadcast, p.port.MAC(), packet.TypeARP, packet.ARP{SenderMAC: p.port.MAC(), Sender: p.own, Target: target}.Encode())
	return frame, func(f []byte) bool {
		a, ok := packet.DecodeARP(f)
		if ok && a.Reply && a.Sender == target {
			p.macs[target] = a.SenderMAC
			return true
		}
		return false
	}
}

// echo is an ICMP echo request to an address, and its answer.
func (p *etherProber) echo(to netip.Addr, mac, from packet.MAC) (frame []byte, answered func([]byte) bool) {
	p.sequence++
	sequence := p.sequence
	frame = packet.Ethernet(mac, from, packet.TypeIPv4, packet.IPv4(p.own, to, packet.ICMP, packet.Echo(p.id, sequence)))
	return frame, func(f []byte) bool {
		a, id, s, ok := packet.DecodeEchoReply(f)
		return ok && a == to && id == p.id && s == sequence
	}
}

// vlans tries who answers ARP: peers as it is, and anybody under VLAN tags.
func (p *etherProber) vlans(peers, others []netip.Addr, vids []uint16) {
	const kind = "vlan"
	for _, a := range peers {
		frame, answered := p.ask(a)
		p.try(kind, "ARP for a host of the same lease", a.String(), prove.Reached, frame, answered)
	}
	for _, a := range others {
		frame, answered := p.ask(a)
		p.try(kind, "ARP for another's address", a.String(), prove.Denied, frame, answered)
		for _, v := range vids {
			p.try(kind, fmt.Sprintf("ARP for another's address, tagged as VLAN %d", v), a.String(), prove.Denied, packet.Tagged(frame, v), answered)
		}
	}
	if len(others) > 0 || len(peers) == 0 {
		return
	}
	frame, answered := p.ask(peers[0])
	for _, v := range vids {
		p.try(kind, fmt.Sprintf("ARP for a host of the same lease, tagged as VLAN %d", v), peers[0].String(), prove.Denied, packet.Tagged(frame, v), answered)
	}
}

// spoof sends from MACs that are not the NIC's, and ARP in another's name. What a
// peer answers to the right address shows that it was taken.
func (p *etherProber) spoof(peers []netip.Addr) {
	const kind = "mac"
	for _, a := range peers {
		mac, known := p.macs[a]
		if !known {
			continue
		}
		frame, answered := p.echo(a, mac, p.port.MAC())
		p.try(kind, "an ICMP echo from the own MAC", a.String(), prove.Reached, frame, answered)
		frame, answered = p.echo(a, mac, stranger)
		p.try(kind, "an ICMP echo from another MAC", a.String(), prove.Denied, frame, answered)
		frame, answered = p.ask(a)
		copy(frame[6:12], stranger[:])
		p.try(kind, "ARP from another MAC", a.String(), prove.Denied, frame, answered)
		// In the name of nobody at a MAC that nobody has: the answer, if there is
		// one, is for that MAC, and is flooded to this port as well.
		nobody := netip.MustParseAddr("192.0.2.1")
		frame = packet.Ethernet(packet.Broadcast, p.port.MAC(), packet.TypeARP, packet.ARP{SenderMAC: stranger, Sender: nobody, Target: a}.Encode())
		p.try(kind, "ARP that says another MAC than it is from", a.String(), prove.Denied, frame, func(f []byte) bool {
			r, ok := packet.DecodeARP(f)
			return ok && r.Reply && r.Sender == a && r.Target == nobody
		})
	}
}

// discover is the same by IPv6 neighbour discovery, where peers speak IPv6.
func (p *etherProber) discover(peers []netip.Addr) {
	const kind = "nd"
	own := packet.LinkLocal(p.port.MAC())
	for _, a := range peers {
		mac, known := p.macs[a]
		if !known {
			continue
		}
		target := packet.LinkLocal(mac)
		answered := func(f []byte) bool { of, ok := packet.DecodeAdvertisement(f); return ok && of == target }
		if err := p.port.Send(packet.Solicit(p.port.MAC(), own, p.port.MAC(), target)); err != nil {
			continue
		}
		if got, err := p.port.Await(p.wait(prove.Reached), answered); err != nil || !got {
			continue // it does not speak IPv6: nothing can be shown
		}
		p.note(kind, "neighbour discovery from the own MAC", target.String(), prove.Reached, true, "", nil)
		p.try(kind, "neighbour discovery from another MAC", target.String(), prove.Denied, packet.Solicit(stranger, own, p.port.MAC(), target), answered)
		p.try(kind, "neighbour discovery that says another MAC than it is from", target.String(), prove.Denied, packet.Solicit(p.port.MAC(), packet.LinkLocal(stranger), stranger, target), answered)
	}
}

// forge sends VXLAN to leaves, with an ICMP echo to a peer inside. Under the own VNI
// the peer's answer comes back by the ordinary way.
func (p *etherProber) forge(peers, vteps []netip.Addr, own uint32, foreign []uint32) {
	const kind = "vxlan"
	if len(vteps) == 0 || len(peers) == 0 {
		return
	}
	peer := peers[0]
	inner, known := p.macs[peer]
	if !known {
		return
	}
	frame, answered := p.echo(peer, inner, p.port.MAC())
	p.try(kind, "the ICMP echo that is inside, by itself", peer.String(), prove.Reached, frame, answered)
	for _, v := range vteps {
		question, heard := p.ask(v)
		p.try(kind, "ARP for a leaf's address in the underlay", v.String(), prove.Denied, question, heard)
		to, known := p.macs[v]
		if !known {
			to = packet.Broadcast
		}
		list := foreign
		if own != 0 {
			list = append([]uint32{own}, foreign...)
		}
		for _, vni := range list {
			// From a MAC that nobody has: a leaf that learns from VXLAN must not
			// learn that this node moved away. The peer answers to the address.
			frame, answered := p.echo(peer, inner, stranger)
			what := fmt.Sprintf("forged VXLAN of VNI %d with an ICMP echo to a peer inside", vni)
			outer := packet.Ethernet(to, p.port.MAC(), packet.TypeIPv4, packet.IPv4(p.own, v, packet.UDP, packet.Datagram(49152, packet.VXLANPort, packet.VXLAN(vni, frame))))
			p.try(kind, what, v.String(), prove.Denied, outer, answered)
		}
	}
}

// reach tries an address by this node's own routes, in several ways at once. A
// refusal is an answer as well, since it came from there.
func (p *etherProber) reach(kind, what string, list []netip.Addr, expect string) {
	for _, a := range list {
		type answer struct {
			way     string
			reached bool
			detail  string
			err     error
		}
		answers := []answer{{way: "TCP port 22"}, {way: "TCP port 443"}, {way: "UDP port 4791"}, {way: "UDP port 623"}, {way: "ICMP echo"}}
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				w := &answers[i]
				network, port, byPort := strings.Cut(w.way, " port ")
				if byPort {
					w.reached, w.detail, w.err = dial(strings.ToLower(network)+"4", a, port, p.wait(expect))
				} else {
					w.reached, w.detail, w.err = ping(a, p.wait(expect), p.id)
				}
			})
		}
		all.Wait()
		for _, w := range answers {
			p.expect(kind, what+", "+w.way, a, expect, w.reached, w.detail, w.err)
		}
	}
}

// expect notes a try by this node's own routes. A control that is silent on one port
// is no failure: a service need not answer on all.
func (p *etherProber) expect(kind, what string, a netip.Addr, expect string, reached bool, detail string, err error) {
	if expect == prove.Reached && !reached && err == nil && strings.Contains(what, "port") {
		return
	}
	p.note(kind, what, a.String(), expect, reached, detail, err)
}

// dial reports whether a host answered: a connection that it refused counts.
func dial(network string, a netip.Addr, port string, patience time.Duration) (reached bool, detail string, err error) {
	conn, err := net.DialTimeout(network, net.JoinHostPort(a.String(), port), patience)
	if err == nil {
		defer conn.Close()
		if network == "tcp4" {
			return true, "connected", nil
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err = conn.Write([]byte("bulkhead probe")); err == nil {
			_, err = conn.Read(make([]byte, 64))
		}
		if err == nil {
			return true, "answered", nil
		}
	}
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return true, "refused, by whoever is there", nil
	case errors.As(err, &late) && late.Timeout():
		return false, "no answer", nil
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return false, err.Error(), nil
	}
	return false, "", err
}

// ping reports whether a host answers an ICMP echo.
func ping(a netip.Addr, patience time.Duration, id uint16) (reached bool, detail string, err error) {
	conn, err := net.DialTimeout("ip4:icmp", a.String(), patience)
	if err != nil {
		if errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
			return false, err.Error(), nil
		}
		return false, "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(packet.Echo(id, 0xffff)); err != nil {
		return false, err.Error(), nil
	}
	buffer := make([]byte, 1500)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return false, "no answer", nil
		}
		b := buffer[:n]
		if len(b) > 20 && b[0]>>4 == 4 { // with the IPv4 header before it
			b = b[min(len(b), int(b[0]&15)*4):]
		}
		if len(b) >= 8 && b[0] == 0 && binary.BigEndian.Uint16(b[4:]) == id {
			return true, "answered", nil
		}
	}
}
