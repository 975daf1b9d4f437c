package ethlab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
	"bulkhead/lab/stage"
)

// forge sends what a leased node makes up, from its first rail NIC, to its peers
// and to the rival, and fails when any of it arrives anywhere. Before it, an honest
// frame of the same NIC must arrive: who can't send at all shows nothing.
func (l *Lab) forge(ctx context.Context, forged func(own, peer, rival *canary, t token) [][]byte) error {
	all, done, err := l.canaries()
	if err != nil {
		return err
	}
	defer done()
	own, peer, rival, err := roles(all)
	if err != nil {
		return err
	}
	control := token{round: nextRound(), kind: kindRoCE}
	err = arrives(ctx, fmt.Sprintf("the control: %s to reach %s", own, peer), all, own, control.round, func() error {
		return own.socket.send(frame(own.address, peer.address, control))
	})
	if err != nil {
		return err
	}
	t := token{round: nextRound(), kind: kindRoCE}
	for _, f := range forged(own, peer, rival, t) {
		for range 3 { // learning must not help either
			if err := own.socket.send(f); err != nil {
				return err
			}
		}
	}
	at, err := listen(ctx, all, own, t.round)
	if err != nil {
		return err
	}
	if len(at) > 0 {
		return fmt.Errorf("a forged frame of %s arrived at %s", own, at[0])
	}
	return nil
}

// roles finds on rail 0 the first NIC of the first rival, its peer, and the other
// rival's.
func roles(all []*canary) (own, peer, rival *canary, err error) {
	for _, c := range all {
		switch {
		case c.nic != 0:
		case c.tenant == 1 && rival == nil:
			rival = c
		case c.tenant == 0 && own == nil:
			own = c
		case c.tenant == 0 && peer == nil:
			peer = c
		}
	}
	if own == nil || peer == nil || rival == nil {
		err = errors.New("the rivals need two nodes and one that are delivered")
	}
	return own, peer, rival, err
}

// arrives sends until a frame of a round arrives.
func arrives(ctx context.Context, what string, all []*canary, from *canary, round uint32, send func() error) error {
	var bad error
	err := await.True(ctx, what, func() bool {
		if bad = send(); bad != nil {
			return true
		}
		return len(got(all, from, round)) > 0
	})
	return errors.Join(bad, err)
}

// got is where frames of a round have arrived by now.
func got(all []*canary, from *canary, round uint32) (at []*canary) {
	for _, c := range all {
		for _, t := range c.socket.receive() {
			if t.round == round && c != from {
				at = append(at, c)
			}
		}
	}
	return at
}

// listen waits until what was sent behind the frames of a round has arrived, and a
// little longer, and returns where they arrived themselves.
func listen(ctx context.Context, all []*canary, from *canary, round uint32) (at []*canary, err error) {
	take := func() bool {
		some := got(all, from, round)
		at = append(at, some...)
		return len(some) > 0
	}
	if err := behind(ctx, all, take); err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		take()
	}
	return at, nil
}

// arpReply says that the peer's address is at a MAC that is not the sender's (RFC
// 826), with the token behind it.
func arpReply(own, peer, rival *canary, t token) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 2}
	b = append(append(b, rival.mac...), peer.ip.AsSlice()...)
	b = append(append(b, everybody...), own.ip.AsSlice()...)
	f := append(append([]byte(nil), everybody...), own.mac...)
	return append(append(append(f, 0x08, 0x06), b...), t.bytes()...)
}

// routerAdvertisement is RFC 4861, section 4.2, to all nodes.
func routerAdvertisement(own *canary, t token) []byte {
	from := [16]byte{0xfe, 0x80, 15: 1}
	to := [16]byte{0xff, 0x02, 15: 1}
	icmp := append([]byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}, t.bytes()...)
	pseudo := append(append([]byte(nil), from[:]...), to[:]...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(icmp)))
	pseudo = append(pseudo, 0, 0, 0, 58)
	binary.BigEndian.PutUint16(icmp[2:], checksum(append(pseudo, icmp...)))
	ip := []byte{0x60, 0, 0, 0, 0, 0, 58, 255}
	binary.BigEndian.PutUint16(ip[4:], uint16(len(icmp)))
	ip = append(append(append(ip, from[:]...), to[:]...), icmp...)
	f := append([]byte{0x33, 0x33, 0, 0, 0, 1}, own.mac...)
	return append(append(f, 0x86, 0xdd), ip...)
}

// forgeUnderlay sends VXLAN for both rivals' VNIs to their leaves from a spine, from
// an address of no leaf; the same from a leaf's own address is the control.
func (l *Lab) forgeUnderlay(ctx context.Context) error {
	all, done, err := l.canaries()
	if err != nil {
		return err
	}
	defer done()
	v := l.victims()
	spine := l.Net.Plan.Spines(FabricID)[0]
	cable := spine.Uplinks[0]
	for _, c := range spine.Uplinks {
		if c.Peer == v[0].leaf {
			cable = c
		}
	}
	raw, err := openRaw(l.Net.Space(spine.Name), cable.Port)
	if err != nil {
		return err
	}
	defer raw.close()
	leaf := l.Net.Plan.Device(v[0].leaf)
	mac, err := l.Net.Space(leaf.Name).MAC(cable.PeerPort)
	if err != nil {
		return err
	}
	from, err := l.Net.Space(spine.Name).MAC(cable.Port)
	if err != nil {
		return err
	}
	var target *canary
	for _, c := range all {
		if c.host == v[0].host && c.nic == 0 {
			target = c
		}
	}
	send := func(source string, t token) error {
		sender, err := netip.ParseAddr(source)
		if err != nil {
			return err
		}
		inner := frame(address{hardware(v[1].mac), target.ip}, target.address, t)
		packet := ipv4(sender, leaf.Loopback, 17, udp(50000, ethernet.VXLANPort, vxlan(v[0].vni, inner)))
		return raw.send(ethernetFrame(from, mac, packet))
	}
	_, far, err := l.twoLeaves()
	if err != nil {
		return err
	}
	control := token{round: nextRound(), kind: kindRoCE}
	err = arrives(ctx, "the control: VXLAN from "+far.leaf+"'s own address", all, nil, control.round, func() error {
		return send(l.Net.Plan.Device(far.leaf).Loopback.String(), control)
	})
	if err != nil {
		return err
	}
	forged := token{round: nextRound(), kind: kindRoCE}
	if err := send(stranger, forged); err != nil {
		return err
	}
	at, err := listen(ctx, all, nil, forged.round)
	if err != nil {
		return err
	}
	if len(at) > 0 {
		return fmt.Errorf("VXLAN from %s, which is no leaf, arrived at %s", stranger, at[0])
	}
	return nil
}

var (
	_ stage.Probes = (*Lab)(nil)
)

// setClass moves a port into the next traffic class, and changes nothing else of its
// filter.
func (l *Lab) setClass(ctx context.Context, v victim) error {
	leaf := l.Net.Space(v.leaf)
	rules, err := leaf.Output(ctx, "nft", "list", "table", "netdev", "bulkhead")
	if err != nil {
		return err
	}
	begin := strings.Index(rules, "chain "+v.swp()+" {")
	if begin < 0 {
		return fmt.Errorf("%s has no filter for %s", v.leaf, v.swp())
	}
	end := begin + strings.Index(rules[begin:], "\n\t}")
	var script strings.Builder
	fmt.Fprintf(&script, "flush chain netdev bulkhead %s\n", v.swp())
	for line := range strings.Lines(rules[begin:end]) {
		rule := strings.TrimSpace(line)
		if strings.HasPrefix(rule, "chain ") || strings.HasPrefix(rule, "type ") {
			continue
		}
		if class, is := strings.CutPrefix(rule, "meta priority set 0:"); is {
			n, err := strconv.Atoi(class)
			if err != nil {
				return err
			}
			rule = fmt.Sprintf("meta priority set 0:%d", 1+n%6)
		}
		fmt.Fprintf(&script, "add rule netdev bulkhead %s %s\n", v.swp(), rule)
	}
	cmd := ethnet.Command(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script.String())
	if err := leaf.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: nft: %w: %s", v.leaf, err, script.String())
	}
	return nil
}
