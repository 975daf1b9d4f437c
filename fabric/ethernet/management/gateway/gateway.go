// Package gateway writes the ruleset of a management network's gateway, and reads it back
// by other programs. It writes over netlink, and reads by nft and iproute2. It runs on the
// gateway, or in a network namespace that stands for it.
//
// Tried on Linux 6.18 with nftables 1.0.6 and iproute2 6.1.
package gateway

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"bulkhead/fabric/ethernet/management"
)

// Gateway is the machine.
type Gateway struct {
	// Namespace is the network namespace, as ip netns has it; "": this process's.
	Namespace string
	// Bound is how long one program may take; 0: 10 s.
	Bound time.Duration
}

// Apply replaces the table by a ruleset, in one transaction: at no time is less
// filtered than before or after. Applying again changes nothing that matters.
func (g Gateway) Apply(ctx context.Context, r management.Ruleset) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var options []nftables.ConnOption
	if g.Namespace != "" {
		file, err := os.Open(filepath.Join("/run/netns", g.Namespace))
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		defer file.Close()
		options = append(options, nftables.WithNetNSFd(int(file.Fd())))
	}
	c, err := nftables.New(options...)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: management.Table}
	c.AddTable(t) // so that there is one to delete
	c.DelTable(t)
	t = c.AddTable(t)
	w := writer{c: c, t: t}
	w.sets(r.Plan)
	drop := nftables.ChainPolicyDrop
	for _, chain := range []struct {
		name  string
		hook  *nftables.ChainHook
		rules []management.Rule
	}{{"forward", nftables.ChainHookForward, r.Forward}, {"input", nftables.ChainHookInput, r.Input}} {
		ch := c.AddChain(&nftables.Chain{Name: chain.name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: chain.hook, Priority: nftables.ChainPriorityFilter, Policy: &drop})
		for _, rule := range chain.rules {
			c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: w.exprs(rule)})
		}
		c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}})
	}
	if w.err != nil {
		return fmt.Errorf("gateway: %w", w.err)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("gateway: nothing was changed: %w", err)
	}
	return nil
}

type writer struct {
	c                 *nftables.Conn
	t                 *nftables.Table
	managers, in, out *nftables.Set
	err               error
}

func (w *writer) sets(p *management.Plan) {
	add := func(name string, elements []nftables.SetElement, types ...nftables.SetDatatype) *nftables.Set {
		s := &nftables.Set{Table: w.t, Name: name, KeyType: types[0]}
		if len(types) > 1 {
			key, err := nftables.ConcatSetType(types...)
			if err != nil {
				w.err = err
				return s
			}
			s.KeyType, s.Concatenation = key, true
		}
		if err := w.c.AddSet(s, elements); err != nil && w.err == nil {
			w.err = err
		}
		return s
	}
	var managers, in, out []nftables.SetElement
	for _, a := range p.Managers {
		managers = append(managers, nftables.SetElement{Key: a.AsSlice()})
	}
	for _, l := range p.Legs {
		name, address := interfaceName(l.Interface), l.Address.AsSlice()
		mac := []byte{byte(l.MAC >> 40), byte(l.MAC >> 32), byte(l.MAC >> 24), byte(l.MAC >> 16), byte(l.MAC >> 8), byte(l.MAC), 0, 0}
		in = append(in, nftables.SetElement{Key: bytes.Join([][]byte{name, mac, address}, nil)})
		out = append(out, nftables.SetElement{Key: bytes.Join([][]byte{name, address}, nil)})
	}
	w.managers = add(management.SetManagers, managers, nftables.TypeIPAddr)
	w.in = add(management.SetIn, in, nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr)
	w.out = add(management.SetOut, out, nftables.TypeIFName, nftables.TypeIPAddr)
}

// interfaceName pads a name as the kernel compares it.
func interfaceName(n string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, n)
	return b
}

// Registers of four bytes each; a name takes four of them.
const (
	register0     = unix.NFT_REG32_00
	registerAfter = register0 + 4 // after a name
	registerLast  = register0 + 6 // after a name and a MAC
)

func (w *writer) exprs(r management.Rule) (out []expr.Any) {
	add := func(e ...expr.Any) { out = append(out, e...) }
	ip := func() {
		add(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register0}, &expr.Cmp{Op: expr.CmpOpEq, Register: register0, Data: []byte{unix.NFPROTO_IPV4}})
	}
	source := func(to uint32) {
		add(&expr.Payload{DestRegister: to, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4})
	}
	destination := func(to uint32) {
		add(&expr.Payload{DestRegister: to, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4})
	}
	among := func(s *nftables.Set) {
		add(&expr.Lookup{SourceRegister: register0, SetName: s.Name, SetID: s.ID})
	}
	if r.In != "" {
		add(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register0}, &expr.Cmp{Op: expr.CmpOpEq, Register: register0, Data: interfaceName(r.In)})
	}
	if r.Out != "" {
		add(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register0}, &expr.Cmp{Op: expr.CmpOpEq, Register: register0, Data: interfaceName(r.Out)})
	}
	if r.FromManager || r.ToManager || r.FromBMC || r.ToBMC {
		ip()
	}
	if r.FromManager {
		source(register0)
		among(w.managers)
	}
	if r.ToManager {
		destination(register0)
		among(w.managers)
	}
	if r.FromBMC {
		// A source MAC is one of Ethernet's.
		add(&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: register0},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register0, Data: binaryutil.NativeEndian.PutUint16(unix.ARPHRD_ETHER)},
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register0},
			&expr.Payload{DestRegister: registerAfter, Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6})
		source(registerLast)
		among(w.in)
	}
	if r.ToBMC {
		add(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register0})
		destination(registerAfter)
		among(w.out)
	}
	if r.Reply {
		add(&expr.Ct{Key: expr.CtKeySTATE, Register: register0},
			&expr.Bitwise{SourceRegister: register0, DestRegister: register0, Len: 4,
				Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED), Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: register0, Data: make([]byte, 4)})
	}
	add(&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
	return out
}

// Read asks the gateway's own programs. Who answers at a leg shows when somebody
// has spoken to the BMC there in the last minutes, as managers do all the time;
// where nobody has, the leg is unknown.
func (g Gateway) Read(ctx context.Context) (raw management.Raw, err error) {
	for _, part := range []struct {
		into    *[]byte
		command string
	}{{&raw.Ruleset, "nft -j list ruleset"}, {&raw.Links, "ip -j -d link show"}, {&raw.Neighbours, "ip -j -4 neigh show"}, {&raw.Queues, "tc -j qdisc show"}} {
		if *part.into, err = g.run(ctx, strings.Fields(part.command)...); err != nil {
			return raw, err
		}
	}
	return raw, nil
}

func (g Gateway) run(ctx context.Context, command ...string) ([]byte, error) {
	bound := g.Bound
	if bound == 0 {
		bound = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if g.Namespace != "" {
		command = append([]string{"ip", "netns", "exec", g.Namespace}, command...)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w: %.300s", strings.Join(command, " "), err, strings.TrimSpace(said.String()))
	}
	return out, nil
}
