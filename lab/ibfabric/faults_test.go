package ibfabric_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
)

// up is a small fabric under OpenSM with two tenants.
func up(t *testing.T) (*ibfabric.Fabric, *ibnet.Sim) {
	t.Helper()
	f, s := start(t, small)
	s.StartOpenSM(t, host(0), partitions())
	allActive(t, f, small)
	await.Must(t, "the tenants' keys", func() bool {
		for i := 1; i <= 6; i++ {
			if k, _ := f.Keys(host(i), 1); len(k) != 2 {
				return false
			}
		}
		return f.Probe(host(1), host(3), 0x8001, false).Delivered && f.Probe(host(4), host(6), 0x8002, false).Delivered
	})
	return f, s
}

// Each check on a packet's way stops it alone: with the ones before it off, it is
// the next that says no, and with all off the packet is delivered.
func TestEveryCheckStopsAlone(t *testing.T) {
	f, _ := up(t)
	from, to := host(1), host(4) // on different leaves
	var key mad.PKey = 0x8001
	expect := func(where string) {
		t.Helper()
		if d := f.Probe(from, to, key, true); d.Where != where || d.Delivered != (where == "") {
			t.Fatalf("%+v, expected it to end at %q", d, where)
		}
	}
	expect("leaf out") // the sender's leaf lets its own key in
	key = 0x8002
	expect("leaf in")
	must(t, f.Enforce(ibnet.LeafName(0), 2, false, true))
	expect("") // the receiver's leaf and host hold it
	key = 0x8001
	must(t, f.Enforce(ibnet.LeafName(1), 1, true, false))
	expect("receiver")
	must(t, f.Tamper(to, 1, func(keys []mad.PKey) { keys[10] = 0x8001 }))
	expect("")
	// Ports between switches enforce too, if they are told to: every way there is
	// goes by one of the two uplinks.
	for uplink := 5; uplink <= 6; uplink++ {
		must(t, f.Tamper(ibnet.LeafName(0), uplink, func(keys []mad.PKey) { clear(keys) }))
		must(t, f.Enforce(ibnet.LeafName(0), uplink, false, true))
	}
	expect("switch out")
	for uplink := 5; uplink <= 6; uplink++ {
		must(t, f.Enforce(ibnet.LeafName(0), uplink, false, false))
		must(t, f.Tamper(ibnet.LeafName(1), uplink, func(keys []mad.PKey) { clear(keys) }))
		must(t, f.Enforce(ibnet.LeafName(1), uplink, true, false))
	}
	expect("switch in")
	// What was stopped is counted where it was stopped, and told.
	if p, err := f.Port(to, 1); err != nil || p.PKeyViolations != 1 {
		t.Errorf("the receiver counts %d violations: %v", p.PKeyViolations, err)
	}
	if p, err := f.Port(ibnet.LeafName(0), 2); err != nil || p.PKeyViolations != 1 {
		t.Errorf("the sender's leaf port counts %d violations: %v", p.PKeyViolations, err)
	}
	if !sawTrap(f, mad.TrapBadPKey) || !sawTrap(f, mad.TrapBadPKeySwitch) {
		t.Error("no trap 257 or none 259")
	}
}

// Two limited members do not match, a limited and a full one do (10.9.3).
func TestLimitedAndFull(t *testing.T) {
	f, _ := up(t)
	for _, c := range []struct {
		sent, held mad.PKey
		passes     bool
	}{{0x8005, 0x8005, true}, {0x0005, 0x8005, true}, {0x8005, 0x0005, true}, {0x0005, 0x0005, false}, {0x8005, 0x8006, false}, {0x8000, 0x8000, false}, {0, 0, false}} {
		must(t, f.Tamper(host(2), 1, func(keys []mad.PKey) { clear(keys[1:]); keys[2] = c.held }))
		for leaf, number := range map[string]int{ibnet.LeafName(0): 2} {
			must(t, f.Enforce(leaf, number, false, false))
		}
		must(t, f.Enforce(ibnet.LeafName(0), 3, false, false))
		if d := f.Probe(host(1), host(2), c.sent, true); d.Delivered != c.passes {
			t.Errorf("%s to a port with %s: %+v", c.sent, c.held, d)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A node that says something else than it does is believed by whoever asks, and
// packets go by what it does.
func TestAnAgentThatLies(t *testing.T) {
	f, s := up(t)
	c := client(t, s, host(0))
	must(t, f.Tamper(host(4), 1, func(keys []mad.PKey) { keys[1] = 0x8001 }))
	must(t, f.Lie(host(4), func(asked, answer *mad.SMP) bool {
		if asked.Attribute == mad.AttrPKeyTable {
			block := mad.PKeyBlock{0x7fff, 0x8002}
			answer.Data = block.Encode()
		}
		return asked.Attribute == mad.AttrNodeDescription
	}))
	to := smp.Address{LID: lidOf(t, f, host(4))}
	block, _, err := c.PKeyBlock(t.Context(), to, 0, 0, 0)
	if err != nil || block[1] != 0x8002 {
		t.Errorf("the liar says %v, %v", block, err)
	}
	if _, err := c.One(t.Context(), smp.Request{To: to, Attribute: mad.AttrNodeDescription}); !errors.Is(err, smp.ErrNoAnswer) {
		t.Errorf("an answer that is withheld: %v", err)
	}
	if k, _ := f.Keys(host(4), 1); len(k) != 2 || k[1] != 0x8001 {
		t.Errorf("it holds %v", k)
	}
	must(t, f.Lie(host(4), nil))
	if block, _, err := c.PKeyBlock(t.Context(), to, 0, 0, 0); err != nil || block[1] != 0x8001 {
		t.Errorf("the truth is %v, %v", block, err)
	}
}

// Silent, lost, pulled, plugged elsewhere, spoofed and unknown.
func TestFaultsAreSeen(t *testing.T) {
	f, s := up(t)
	c := client(t, s, host(0))
	to := smp.Address{LID: lidOf(t, f, host(5))}
	reads := func() bool { _, _, err := c.NodeInfo(t.Context(), to, 0); return err == nil }
	if !reads() {
		t.Fatal("before any fault")
	}
	must(t, f.Silence(host(5), true))
	if reads() {
		t.Error("a silent node answered")
	}
	must(t, f.Silence(host(5), false))
	lost := 0
	f.Lose(func(s *mad.SMP) bool { lost++; return lost == 1 })
	if !reads() || lost != 2 {
		t.Errorf("one lost request is repeated; %d were seen", lost)
	}
	f.Lose(nil)
	must(t, f.Pull(host(5), 1))
	if reads() {
		t.Error("a host without a cable answered")
	}
	if !sawTrap(f, mad.TrapLinkStateChange) {
		t.Error("no trap 128")
	}
	if d := f.Probe(host(4), host(5), 0x8002, false); d.Delivered || d.Where != "route" {
		t.Errorf("to a host without a cable: %+v", d)
	}
	if err := f.Pull(host(5), 1); err == nil {
		t.Error("a cable was pulled twice")
	}
	// A stranger in its place is brought up by the manager, which heard trap 128.
	must(t, f.AddHost("stranger", 0x0002c90300000010))
	must(t, f.Plug("stranger", 1, ibnet.LeafName(1), 2))
	await.Must(t, "the manager to bring the stranger up", func() bool { p, err := f.Port("stranger", 1); return err == nil && p.State == mad.PortActive })
	if err := f.Plug(host(5), 1, ibnet.LeafName(1), 2); err == nil {
		t.Error("a second cable went into a port")
	}
	for _, k := range []mad.PKey{0x8001, 0x8002} {
		if d := f.Probe("stranger", host(4), k, true); d.Delivered {
			t.Errorf("the stranger reaches a tenant under %s", k)
		}
	}
	must(t, f.Spoof("stranger", ibnet.HostPortGUID(5)))
	info, _, err := c.NodeInfo(t.Context(), smp.Address{LID: lidOf(t, f, "stranger")}, 0)
	if err != nil || info.PortGUID != ibnet.HostPortGUID(5) {
		t.Errorf("the spoofer says %x, %v", info.PortGUID, err)
	}
	for _, err := range []error{f.Silence("nobody", true), f.Plug("nobody", 1, host(1), 1), f.Enforce(host(1), 9, true, true), f.AddHost(host(1), 5), f.Lie("nobody", nil)} {
		if err == nil {
			t.Error("a fault at a place that is not there was taken")
		}
	}
}

// The probes' socket says what Probe says, and says what is wrong with a question.
func TestProbesSocket(t *testing.T) {
	f, _ := up(t)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "probes"))
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.ServeProbes(ctx, l) }()
	ask := func(lines string) (answers []string) {
		c, err := net.Dial("unix", l.Addr().String())
		must(t, err)
		defer c.Close()
		_, err = c.Write([]byte(lines))
		must(t, err)
		must(t, c.(*net.UnixConn).CloseWrite())
		for in := bufio.NewScanner(c); in.Scan(); {
			answers = append(answers, in.Text())
		}
		return answers
	}
	one, _ := json.Marshal(ibfabric.Question{From: host(1), To: host(2), PKey: 0x8001})
	two, _ := json.Marshal(ibfabric.Question{From: host(1), To: host(4), PKey: 0x8002, Hostile: true})
	got := ask(string(one) + "\n" + string(two) + "\n")
	if len(got) != 2 || got[0] != `{"delivered":true}` || !strings.HasPrefix(got[1], `{"delivered":false,"where":"leaf in","why":"port 2 of leaf-0 `) {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"hello\n", "{\"pkey\": 70000}\n"} {
		if got := ask(bad); len(got) != 1 || !strings.Contains(got[0], "expected") {
			t.Errorf("%q is answered by %q", bad, got)
		}
	}
	if got := ask(strings.Repeat("x", 5000) + "\n"); len(got) != 0 {
		t.Errorf("a long line is answered by %q", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
