package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"bulkhead/fabric/ethernet"
)

// This file writes the leaf's filters; rules.go reads them, from nft's own JSON.

const (
	tableName    = "bulkhead"
	uplinkChain  = "uplink"
	inputChain   = "input"
	forwardChain = "forward"
	// VXLAN and BGP that were refused at the leaf itself, as named counters.
	vxlanCounter = "vxlan-refused"
	bgpCounter   = "bgp-refused"
	// lastPriority is after every other chain of a hook that anybody is likely to
	// add: what they rewrite is seen as rewritten.
	lastPriority = 1000
)

var drop, accept = &expr.Verdict{Kind: expr.VerdictDrop}, &expr.Verdict{Kind: expr.VerdictAccept}

func load(base expr.PayloadBase, offset, length uint32) *expr.Payload {
	return &expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: length}
}

func is(data ...byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func isNot(data ...byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: data} }

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func macBytes(v uint64) []byte {
	return []byte{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

func counted(name string) *expr.Objref {
	return &expr.Objref{Type: 1 /* NFT_OBJECT_COUNTER */, Name: name}
}

// etherType begins a rule that looks at frames of one type.
func etherType(t uint16) []expr.Any {
	return []expr.Any{load(expr.PayloadBaseLLHeader, 12, 2), is(u16(t)...)}
}

// l4 begins a rule that looks at packets of one protocol above IP.
func l4(protocol byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, is(protocol)}
}

func rule(parts ...any) []expr.Any {
	var out []expr.Any
	for _, p := range parts {
		switch v := p.(type) {
		case []expr.Any:
			out = append(out, v...)
		case expr.Any:
			out = append(out, v)
		}
	}
	return out
}

// portRules are what the filter of a port holds that is a member: who may speak, how,
// and in which class.
func portRules(name string, mac uint64, class uint8) [][]expr.Any {
	const (
		ip4, ip6, arp = 0x0800, 0x86dd, 0x0806
		ll, nh, th    = expr.PayloadBaseLLHeader, expr.PayloadBaseNetworkHeader, expr.PayloadBaseTransportHeader
	)
	own := macBytes(mac)
	refused := []expr.Any{counted(name), drop}
	rules := [][]expr.Any{
		rule(load(ll, 6, 6), isNot(own...), refused),
		rule(etherType(arp), load(nh, 8, 6), isNot(own...), refused), // sender's address
		rule(etherType(arp), accept),
	}
	for _, p := range []struct {
		protocol byte
		offset   uint32
		port     uint16
	}{
		{unix.IPPROTO_UDP, 0, 67}, {unix.IPPROTO_UDP, 0, 547}, // from a DHCP server
		{unix.IPPROTO_UDP, 2, ethernet.VXLANPort},
		{unix.IPPROTO_TCP, 0, 179}, {unix.IPPROTO_TCP, 2, 179},
	} {
		rules = append(rules, rule(l4(p.protocol), load(th, p.offset, 2), is(u16(p.port)...), refused))
	}
	icmp6 := func(t byte) []expr.Any { return rule(l4(unix.IPPROTO_ICMPV6), load(th, 0, 1), is(t)) }
	rules = append(rules,
		rule(icmp6(134), refused), // router advertisement
		rule(icmp6(137), refused), // redirect
		// Neighbour solicitation and advertisement whose option names another address.
		rule(icmp6(135), load(th, 24, 1), is(1), load(th, 26, 6), isNot(own...), refused),
		rule(icmp6(136), load(th, 24, 1), is(2), load(th, 26, 6), isNot(own...), refused),
		rule(&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(uint32(class))},
			&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: 1}),
	)
	dscp := ethernet.Classes()[class].DSCP
	// The DSCP is in the upper six bits of the second octet of IPv4, and across the
	// first two octets of IPv6; ECN stays what the host made it.
	rules = append(rules,
		rule(etherType(ip4), load(nh, 0, 2), &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: []byte{0xff, 0x03}, Xor: []byte{0, dscp << 2}},
			&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: nh, Offset: 0, Len: 2, CsumType: expr.CsumTypeInet, CsumOffset: 10}),
		rule(etherType(ip4), accept),
		rule(etherType(ip6), load(nh, 0, 2), &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: []byte{0xf0, 0x3f}, Xor: u16(uint16(dscp) << 6)},
			&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: nh, Offset: 0, Len: 2}))
	// No other protocol above IPv6: extension headers would hide what is behind them.
	for _, next := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMPV6} {
		rules = append(rules, rule(etherType(ip6), load(nh, 6, 1), is(next), accept))
	}
	return rules
}

// portFilter is what one port's filter is to hold.
type portFilter struct {
	PortConfig
	Open  bool
	Class uint8
}

// writePortFilters replaces the filters of ports, all at once. A port that is not
// open takes nothing.
func writePortFilters(ports []portFilter) error {
	if len(ports) == 0 {
		return nil
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: tableName})
	policy := nftables.ChainPolicyDrop
	for _, p := range ports {
		c.AddObj(&nftables.NamedObj{Table: table, Name: p.Interface, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})
		chain := &nftables.Chain{Table: table, Name: p.Interface, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
			Priority: nftables.ChainPriorityRef(-500), Device: p.Interface, Policy: &policy}
		// A chain whose interface went away and came back stays without its hook when it
		// is only written again, so it is made anew: in one transaction, never open.
		c.FlushChain(c.AddChain(chain))
		c.DelChain(chain)
		c.AddChain(chain)
		if !p.Open {
			continue
		}
		for _, r := range portRules(p.Interface, uint64(p.MAC), p.Class) {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: filters of %d ports: %w", len(ports), err)
	}
	return nil
}

// writeLeafFilter replaces the leaf's own filter: what it takes itself, and that it
// forwards nothing.
func writeLeafFilter(conf *Config) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName})
	for _, name := range []string{vxlanCounter, bgpCounter} {
		c.AddObj(&nftables.NamedObj{Table: table, Name: name, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})
	}
	policy := nftables.ChainPolicyDrop
	chains := map[string]*nftables.Chain{uplinkChain: c.AddChain(&nftables.Chain{Table: table, Name: uplinkChain})}
	for name, hook := range map[string]*nftables.ChainHook{inputChain: nftables.ChainHookInput, forwardChain: nftables.ChainHookForward} {
		chains[name] = c.AddChain(&nftables.Chain{Table: table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook,
			Priority: nftables.ChainPriorityRef(lastPriority), Policy: &policy})
	}
	for _, chain := range chains {
		c.FlushChain(chain)
	}
	add := func(chain string, parts ...any) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chains[chain], Exprs: rule(parts...)})
	}
	from := func(name string) []expr.Any {
		padded := make([]byte, unix.IFNAMSIZ)
		copy(padded, name)
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, is(padded...)}
	}
	vxlan := rule(l4(unix.IPPROTO_UDP), load(expr.PayloadBaseTransportHeader, 2, 2), is(u16(ethernet.VXLANPort)...))
	bgp := func(offset uint32) []expr.Any {
		return rule(l4(unix.IPPROTO_TCP), load(expr.PayloadBaseTransportHeader, offset, 2), is(u16(179)...))
	}
	ip4 := []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, is(unix.NFPROTO_IPV4)}
	source := func(a netip.Addr) []expr.Any {
		return rule(ip4, load(expr.PayloadBaseNetworkHeader, 12, 4), is(a.AsSlice()...))
	}
	for _, up := range conf.Uplinks {
		add(inputChain, from(up), &expr.Verdict{Kind: expr.VerdictJump, Chain: uplinkChain})
	}
	add(inputChain, vxlan, counted(vxlanCounter), drop)
	add(inputChain, bgp(2), counted(bgpCounter), drop)
	for _, name := range append([]string{"lo"}, conf.Management...) {
		add(inputChain, from(name), accept)
	}
	for _, r := range conf.Accept {
		add(uplinkChain, ip4, load(expr.PayloadBaseNetworkHeader, 12, 4),
			&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: r.From.AsSlice(), ToData: r.To.AsSlice()}, vxlan, accept)
	}
	add(uplinkChain, vxlan, counted(vxlanCounter), drop)
	for _, a := range conf.Reflectors {
		add(uplinkChain, source(a), bgp(2), accept)
		add(uplinkChain, source(a), bgp(0), accept)
	}
	add(uplinkChain, bgp(2), counted(bgpCounter), drop)
	for _, protocol := range []byte{unix.IPPROTO_ICMP, 89 /* OSPF */} {
		add(uplinkChain, ip4, l4(protocol), accept)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: the leaf's own filter: %w", err)
	}
	return nil
}
