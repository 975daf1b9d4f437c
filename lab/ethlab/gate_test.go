package ethlab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/lab/ethnet"
	"bulkhead/site"
)

// The calls that a gate tells of: those of evpn.Device as they go out, and what came
// of two of them.
const (
	callChanges = "changes"
	callRead    = "read"
	callAdmit   = "admit"
	callWrite   = "write"
	wasWritten  = "written"
	wasRefused  = "refused" // by an older fence
)

// hook hears of calls to leaves; its error ends the call.
type hook func(ctx context.Context, leaf, call string) error

// gates stand between drivers and the agents of leaves.
type gates struct {
	hook atomic.Pointer[hook]
	mu   sync.Mutex
	cut  map[string]bool // leaves whose link is cut; "": all
}

// on hears of every call to a leaf from now on; nil: nobody does.
func (g *gates) on(h hook) {
	if h == nil {
		g.hook.Store(nil)
		return
	}
	g.hook.Store(&h)
}

func (g *gates) setCut(leaf string, cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut == nil {
		g.cut = map[string]bool{}
	}
	g.cut[leaf] = cut
}

// gate is that of one leaf.
type gate struct {
	evpn.Device
	leaf string
	*gates
}

func (g *gate) tell(ctx context.Context, call string) error {
	if h := g.hook.Load(); h != nil {
		return (*h)(ctx, g.leaf, call)
	}
	return nil
}

// soon bounds a call over a link that is cut, which lasts as long as it may: so that
// calls over others may last long on a machine that has much to do.
func (g *gate) soon(ctx context.Context) (context.Context, context.CancelFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut[g.leaf] || g.cut[""] {
		return context.WithTimeout(ctx, 300*time.Millisecond)
	}
	return ctx, func() {}
}

func (g *gate) Changes(ctx context.Context) (uint64, error) {
	if err := g.tell(ctx, callChanges); err != nil {
		return 0, err
	}
	ctx, done := g.soon(ctx)
	defer done()
	return g.Device.Changes(ctx)
}

func (g *gate) Read(ctx context.Context) (ethernet.Capture, error) {
	if err := g.tell(ctx, callRead); err != nil {
		return ethernet.Capture{}, err
	}
	ctx, done := g.soon(ctx)
	defer done()
	return g.Device.Read(ctx)
}

func (g *gate) Admit(ctx context.Context, f fabric.Fence) error {
	if err := g.tell(ctx, callAdmit); err != nil {
		return err
	}
	ctx, done := g.soon(ctx)
	defer done()
	err := g.Device.Admit(ctx, f)
	if errors.Is(err, fabric.ErrFenced) {
		err = errors.Join(err, g.tell(ctx, wasRefused))
	}
	return err
}

func (g *gate) Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (map[int]string, error) {
	if err := g.tell(ctx, callWrite); err != nil {
		return nil, err
	}
	soon, done := g.soon(ctx)
	defer done()
	failed, err := g.Device.Write(soon, rows, f)
	if err == nil {
		err = g.tell(ctx, wasWritten)
	}
	return failed, err
}

// policyGate is that of a spine, whose calls nobody hears of.
type policyGate struct {
	evpn.Reflector
	gate
}

func (g *policyGate) Changes(ctx context.Context) (uint64, error) {
	ctx, done := g.soon(ctx)
	defer done()
	return g.Reflector.Changes(ctx)
}

func (g *policyGate) Passes(ctx context.Context) (ethernet.Passed, error) {
	ctx, done := g.soon(ctx)
	defer done()
	return g.Reflector.Passes(ctx)
}

func (g *policyGate) Allow(ctx context.Context, orders ethernet.Orders, more bool, f fabric.Fence) error {
	ctx, done := g.soon(ctx)
	defer done()
	return g.Reflector.Allow(ctx, orders, more, f)
}

func (g *policyGate) Await(ctx context.Context, number uint64) error {
	return g.Reflector.Await(ctx, number)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tables is what every leaf says of itself, asked at the leaf and not over the
// management network.
func (l *Lab) tables(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range l.Net.Plan.Leaves(FabricID) {
		agent := linux.Dial(d.Name, filepath.Join(l.Net.Dir, d.Name, "agent.sock"))
		c, err := agent.Read(t.Context())
		check(t, err)
		agent.Close()
		raw, err := ethernet.Encode(&c)
		check(t, err)
		out[d.Name] = string(raw)
	}
	return out
}

// members is what the ports of every leaf are in. Other than its tables it does not
// change because something did at another leaf.
func (l *Lab) members(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for leaf, raw := range l.tables(t) {
		c, err := ethernet.Decode([]byte(raw))
		check(t, err)
		for _, p := range c.Ports {
			for _, v := range p.VLANs {
				out[leaf] += fmt.Sprintf("%d in %d, isolated %t; ", p.Number, v.VNI, v.Isolated)
			}
		}
	}
	return out
}

// changed is the leaves of which something else is said.
func changed(a, b map[string]string) (leaves []string) {
	for leaf := range a {
		if a[leaf] != b[leaf] {
			leaves = append(leaves, leaf)
		}
	}
	return leaves
}

// fences is which writer each leaf has seen last: its fence without the generation, which
// the same writer's next look may bring forward.
func (l *Lab) fences(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range l.Net.Plan.Leaves(FabricID) {
		data, err := os.ReadFile(filepath.Join(l.Net.Dir, d.Name, "state", "fence"))
		check(t, err)
		fields := strings.Fields(string(data))
		if len(fields) > 1 {
			fields[1] = "*"
		}
		out[d.Name] = strings.Join(fields, " ")
	}
	return out
}

// term is the term of the control plane that is open.
func (l *Lab) term() (term uint64) {
	l.Plane.View(func(s *book.State) { term = s.Term })
	return term
}

// labels is what the ports of each node should carry on the compute fabric: the
// label of its owner now.
func (l *Lab) labels() map[site.Index]uint32 {
	out := map[site.Index]uint32{}
	l.Plane.View(func(s *book.State) {
		for n := range site.Index(s.Site.Nodes()) {
			if label, ok := s.Label(l.FabricIndex(), n, s.Wants(n).Owner); ok {
				out[n] = label.Value
			}
		}
	})
	return out
}

// inOneSlice is the halves of what may be seen within a change: no port carries more
// than one label, nor any but its node's before the change, after it, or one that
// connects it to nobody; and packets arrive only between nodes that had or have one
// label, on every rail.
func (l *Lab) inOneSlice(t *testing.T, when string, before map[site.Index]uint32) {
	t.Helper()
	now := l.labels()
	quarantine := fabric.QuarantineLabel(FabricID, site.RoCE).Value
	for leaf, raw := range l.tables(t) {
		c, err := ethernet.Decode([]byte(raw))
		check(t, err)
		id, _ := l.Site.LeafByID(leaf)
		for _, p := range c.Ports {
			port, known := l.Site.PortAt(id, p.Number)
			if !known || len(p.VLANs) == 0 {
				continue
			}
			n := port.Node()
			turnover := fabric.TurnoverLabel(FabricID, site.RoCE, n).Value
			if v := p.VLANs[0].VNI; len(p.VLANs) > 1 || v != before[n] && v != now[n] && v != turnover && v != quarantine {
				t.Errorf("%s: %s port %d, where %s is, carries %v: expected one of %d, %d, its own of turnover or quarantine", when, leaf, p.Number, l.Site.NodeID[n], p.VLANs, before[n], now[n])
			}
		}
	}
	var all []*canary
	for n := range site.Index(l.Site.Nodes()) {
		for nic := range site.Rails {
			c := &canary{tenant: int(n), host: l.Site.NodeID[n], nic: nic, address: address{hardware(l.Site.PortID[site.PortOf(n, nic)]), ethnet.TenantAddress(nic, int(n))}}
			var err error
			c.socket, err = openRaw(l.Net.Space(c.host), site.NICName(nic))
			check(t, err)
			defer c.socket.close()
			all = append(all, c)
		}
	}
	together := func(a, b *canary) bool {
		x, y := site.Index(a.tenant), site.Index(b.tenant)
		return before[x] == before[y] && before[x] != quarantine || now[x] == now[y] && now[x] != quarantine
	}
	arrived, err := exchange(t.Context(), all, func(from, to *canary) bool { return true })
	check(t, err)
	var leaks []string
	for _, h := range arrived {
		if from := all[h.sender]; from.host != h.at.host && !together(from, h.at) {
			leaks = append(leaks, fmt.Sprintf("%s -> %s: %s", from, h.at, kindNames[h.kind]))
		}
	}
	if len(leaks) > 0 {
		t.Errorf("%s: %d packets arrive between nodes that never had a label in common, such as %s", when, len(leaks), leaks[0])
	}
	if len(arrived) == 0 {
		t.Errorf("%s: no packet arrives anywhere: nothing was tried", when)
	}
}

// same expects tables and fences of all leaves to be what they were.
func (l *Lab) same(t *testing.T, when string, tables map[string]string, fences map[string]string) {
	t.Helper()
	if leaves := changed(tables, l.tables(t)); len(leaves) > 0 {
		t.Errorf("%s: tables changed at %v", when, leaves)
	}
	if now := l.fences(t); !maps.Equal(now, fences) {
		t.Errorf("%s: leaves were written: fences %v, before %v", when, now, fences)
	}
}
